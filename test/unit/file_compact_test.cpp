// Compaction of a store on files: room is used again, a scan keeps what it sees, it goes on by
// itself, and ends with the store.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <thread>

#include "support/file_life.h"
#include "support/named_store.h"

namespace toaststore::test {
namespace {

class FileCompact : public NamedStore {
 protected:
  std::vector<uint64_t> put(int count, size_t length) {
    std::vector<uint64_t> ids;
    WriteBatch batch(store_.get());
    for (int i = 0; i < count; i++) {
      const Bytes bytes = random_bytes(++seed_, length);
      uint64_t id = 0;
      EXPECT_OK(batch.put(bytes.data(), bytes.size(), &id));
      ids.push_back(id);
    }
    EXPECT_OK(batch.commit());
    return ids;
  }
  void erase(const std::vector<uint64_t>& ids) {
    WriteBatch batch(store_.get());
    for (const uint64_t id : ids) EXPECT_OK(batch.erase(id));
    EXPECT_OK(batch.commit());
  }
  Compaction compact() {
    Compaction done;
    EXPECT_OK(store_->compact(&done));
    return done;
  }
  Statistics statistics() {
    Statistics now{};
    EXPECT_OK(store_->statistics(&now));
    return now;
  }

  uint64_t seed_ = 0;
};

TEST_F(FileCompact, UsesTheRoomOfWhatWasErasedAgain) {
  open();
  uint64_t size = 0;
  for (int round = 0; round < 12; round++) {
    erase(put(30, 100000));
    EXPECT_EQ(compact().removed_values, 30u);
    if (round == 3) size = statistics().data_bytes;
  }
  EXPECT_LE(statistics().data_bytes, size + 2000000);
  expect_sound();
}

TEST_F(FileCompact, GivesTheEndOfTheFileBack) {
  options_.compact_by_itself = false;
  open();
  const std::vector<uint64_t> kept = put(3, 100000);
  std::map<uint64_t, Bytes> values;
  for (size_t i = 0; i < kept.size(); i++) values[kept[i]] = random_bytes(i + 1, 100000);
  const std::vector<uint64_t> erased = put(300, 100000);
  const uint64_t size = statistics().data_bytes;
  erase(erased);
  const uint64_t given_back = compact().given_back_bytes;
  EXPECT_EQ(given_back, size - statistics().data_bytes);
  EXPECT_LT(statistics().data_bytes, 2000000u);
  EXPECT_TRUE(read_all(store_.get()) == values);
  expect_sound();
  // What is given back is taken again.
  erase(put(300, 100000));
  EXPECT_GT(statistics().data_bytes, size / 2);
  expect_sound();
  EXPECT_OK(store_->close());
  open();
  EXPECT_TRUE(read_all(store_.get()) == values);
  expect_sound();
}

// An open batch has values at the end; nothing of them goes.
TEST_F(FileCompact, LeavesAnOpenBatchItsEnd) {
  open();
  const std::vector<uint64_t> erased = put(100, 100000);
  WriteBatch batch(store_.get());
  const Bytes bytes = random_bytes(++seed_, 500000);
  uint64_t first = 0;
  uint64_t second = 0;
  EXPECT_OK(batch.put(bytes.data(), bytes.size(), &first));
  erase(erased);
  compact();
  EXPECT_OK(batch.put(bytes.data(), bytes.size(), &second));
  EXPECT_OK(batch.commit());
  const std::map<uint64_t, Bytes> values{{first, bytes}, {second, bytes}};
  EXPECT_TRUE(read_all(store_.get()) == values);
  expect_sound();
}

TEST_F(FileCompact, RemovesWhatADroppedBatchPut) {
  open();
  {
    WriteBatch batch(store_.get());
    uint64_t id = 0;
    EXPECT_OK(batch.put("dropped", 7, &id));
  }
  EXPECT_EQ(compact().removed_values, 1u);
  EXPECT_EQ(compact().removed_values, 0u);
}

// Erased and compacted away while a scan is under way: the scan saw it when it began.
TEST_F(FileCompact, LeavesAScanWhatItSees) {
  class Visitor final : public ValueVisitor {
   public:
    explicit Visitor(std::function<void()> at_first) : at_first_(std::move(at_first)) {}
    Status value(uint64_t id, uint64_t) override {
      if (ids.empty()) at_first_();
      ids.push_back(id);
      return Status::Ok();
    }
    std::vector<uint64_t> ids;

   private:
    std::function<void()> at_first_;
  };
  open();
  const std::vector<uint64_t> ids = put(1000, 10);
  Visitor visitor([&] {
    erase(ids);
    EXPECT_EQ(compact().removed_values, 0u);
  });
  EXPECT_OK(store_->scan(0, UINT64_MAX, &visitor));
  EXPECT_EQ(visitor.ids, ids);
  EXPECT_EQ(compact().removed_values, 1000u);
}

TEST_F(FileCompact, NamesLeadToMovedValues) {
  options_.compaction_threshold = 0.05;
  open();
  std::map<Bytes, Bytes> model;
  for (int i = 0; i < 300; i++) {
    const Bytes key = "name " + std::to_string(i);
    set(key, random_bytes(++seed_, 30000));
    if (i % 3 == 0) {
      model[key] = random_bytes(++seed_, 5000);
      set(key, model[key]);
    } else if (i % 3 == 1) {
      NamedStore::erase(key);
    } else {
      model[key] = random_bytes(seed_, 30000);
    }
  }
  const Compaction done = compact();
  EXPECT_GT(done.moved_bytes, 0u);
  expect_holds(model);
  expect_sound();
  EXPECT_OK(store_->close());
  open();
  expect_holds(model);
}

TEST_F(FileCompact, GoesOnByItselfAfterACheckpoint) {
  options_.checkpoint_bytes = 1000000;
  options_.compact_by_itself = true;
  open();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (statistics().compactions == 0 && std::chrono::steady_clock::now() < end) {
    erase(put(10, 100000));
  }
  EXPECT_GT(statistics().compactions, 0u);
  expect_sound();
}

// So much that there is a second map page: it goes too, and comes again.
TEST_F(FileCompact, GivesMapPagesBack) {
  options_.values.compression = {Codec::kNone, 0};
  options_.compact_by_itself = false;
  open();
  const Bytes bytes(230000000, 'x');
  for (int round = 0; round < 2; round++) {
    uint64_t id = 0;
    EXPECT_OK(store_->put(bytes.data(), bytes.size(), &id));
    expect_sound();
    EXPECT_OK(store_->erase(id));
    EXPECT_GT(compact().given_back_bytes, bytes.size());
    EXPECT_LT(statistics().data_bytes, 2000000u);
    expect_sound();
  }
}

// Compaction is within a call when the store is closed: nothing of the store goes before it has
// come back.
TEST_F(FileCompact, EndsBeforeTheStoreDoes) {
  SimFiles files;
  std::promise<void> compacting, closed;
  std::atomic<bool> first{true};
  std::atomic<std::thread::id> compactor{};
  bool too_late = false;
  files.before = [&](SimCall call, const std::string& path) {
    if (std::this_thread::get_id() != compactor.load()) return;
    if (call != SimCall::kRead || path != "/sim/store/data" || !first.exchange(false)) return;
    compacting.set_value();
    const auto waited = closed.get_future().wait_for(std::chrono::milliseconds(200));
    too_late = waited == std::future_status::ready;
  };
  FileLife life(&files, sim_options(&files, Sync::kAlways), {}, 1);
  ASSERT_TRUE(life.open());
  life.fill(3000000);  // three times the cache
  std::thread thread([&] {
    compactor = std::this_thread::get_id();
    const Status status = life.store()->compact();
    EXPECT_TRUE(status.ok() || status.is(Code::kConflict)) << status;
  });
  compacting.get_future().wait();
  EXPECT_OK(life.store()->close());
  closed.set_value();
  thread.join();
  EXPECT_FALSE(too_late);
  EXPECT_EQ(life.store()->compact().code, Code::kInvalid);
}

TEST_F(FileCompact, IsRefusedWhereNothingIsWritten) {
  open();
  EXPECT_OK(store_->close());
  store_.reset();
  options_.read_only = true;
  open();
  EXPECT_EQ(store_->compact().code, Code::kInvalid);
}

}  // namespace
}  // namespace toaststore::test
