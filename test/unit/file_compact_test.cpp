// Compaction of a store on files: room is used again, a scan keeps what it sees, it goes on by
// itself, and ends with the store.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
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
