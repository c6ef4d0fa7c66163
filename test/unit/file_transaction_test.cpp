// Batches beside each other: who sees what, who waits for whom, and what a crash, a close or an
// error makes of those that are open.

#include <thread>

#include "file/transactions.h"
#include "support/event.h"
#include "support/file_life.h"

namespace toaststore::test {
namespace {

class FileTransaction : public ::testing::Test {
 protected:
  FileTransaction() { open(); }

  void open() {
    Store* store = nullptr;
    EXPECT_OK(Store::open(kSimStore, sim_options(&files_, Sync::kNever), &store));
    store_.reset(store);
  }
  // The machine loses nothing; `batch` was open.
  void crash(std::unique_ptr<WriteBatch> batch = nullptr) {
    files_.crash_process();
    batch.reset();
    store_.reset();
    files_.start_process();
    open();
  }
  std::unique_ptr<WriteBatch> batch() { return std::make_unique<WriteBatch>(store_.get()); }

  uint64_t put(const Bytes& bytes) {
    uint64_t id = 0;
    EXPECT_OK(store_->put(bytes.data(), bytes.size(), &id));
    return id;
  }
  static Status put_at(WriteBatch* batch, uint64_t id) { return batch->put_at(id, "value", 5); }
  bool has(uint64_t id) {
    Buffer buffer;
    const Status status = store_->get(id, &buffer);
    EXPECT_TRUE(status.ok() || status.is(Code::kNotFound)) << status;
    return status.ok();
  }
  uint64_t control_bytes() { return files_.disk().at("/sim/store/control").size(); }

  // A call of another thread that has to wait for somebody.
  class Waiter {
   public:
    explicit Waiter(std::function<Status()> call)
        : thread_([this, call] {
            begun_ = true;
            status_ = call();
            done_ = true;
          }) {
      while (!begun_) std::this_thread::yield();
      for (int i = 0; i < 1000 && !done_; i++) std::this_thread::yield();
      EXPECT_FALSE(done_) << "it did not wait: " << status_;
    }
    Status result() {
      thread_.join();
      return status_;
    }

   private:
    std::atomic<bool> begun_{false};
    std::atomic<bool> done_{false};
    Status status_;
    std::thread thread_;
  };

  SimFiles files_;
  std::unique_ptr<Store> store_;
};

TEST_F(FileTransaction, IsSeenByOthersWhenItCommits) {
  const uint64_t old = put("old");
  auto first = batch();
  uint64_t fresh;
  ASSERT_OK(first->put("fresh", 5, &fresh));
  ASSERT_OK(first->erase(old));
  EXPECT_TRUE(has(old));
  EXPECT_FALSE(has(fresh));
  ASSERT_OK(first->commit());
  EXPECT_FALSE(has(old));
  EXPECT_TRUE(has(fresh));
}

TEST_F(FileTransaction, MayEraseWhatItPut) {
  auto first = batch();
  uint64_t id;
  ASSERT_OK(first->put("value", 5, &id));
  ASSERT_OK(first->erase(id));
  ASSERT_OK(first->commit());
  EXPECT_FALSE(has(id));
  auto second = batch();
  EXPECT_EQ(second->erase(id).code, Code::kNotFound);
}

// A scan shows what had been committed when it began, whatever happens meanwhile.
TEST_F(FileTransaction, ThatCommitsDuringAScanIsNotSeenByIt) {
  constexpr uint64_t kValues = 400;  // several leaves
  for (uint64_t i = 0; i < kValues; i++) put("value");
  class Meddler final : public ValueVisitor {
   public:
    explicit Meddler(Store* store) : store_(store) {}
    Status value(uint64_t id, uint64_t) override {
      ids.push_back(id);
      if (ids.size() > 1) return Status::Ok();
      WriteBatch batch(store_);
      uint64_t fresh;
      for (uint64_t i = 0; i < kValues; i++) TOASTSTORE_TRY(batch.put("more", 4, &fresh));
      TOASTSTORE_TRY(batch.erase(id + 1));
      TOASTSTORE_TRY(batch.erase(kValues));
      return batch.commit();
    }
    std::vector<uint64_t> ids;

   private:
    Store* store_;
  } meddler(store_.get());
  ASSERT_OK(store_->scan(0, UINT64_MAX, &meddler));
  ASSERT_EQ(meddler.ids.size(), kValues);
  EXPECT_EQ(meddler.ids.back(), kValues);
  EXPECT_EQ(read_all(store_.get()).size(), 2 * kValues - 2);
}

TEST_F(FileTransaction, WaitsForTheOneThatTookTheId) {
  for (const bool commits : {true, false}) {
    const uint64_t id = commits ? 1000 : 2000;
    auto first = batch();
    ASSERT_OK(put_at(first.get(), id));
    Waiter second([&] { return store_->put_at(id, "second", 6); });
    if (commits) EXPECT_OK(first->commit());
    first.reset();
    EXPECT_EQ(second.result().code, commits ? Code::kExists : Code::kOk);
    EXPECT_EQ(read_all(store_.get())[id], commits ? "value" : "second");
  }
}

TEST_F(FileTransaction, WaitsForTheOneThatErasesTheValue) {
  for (const bool commits : {true, false}) {
    const uint64_t id = put("value");
    auto first = batch();
    ASSERT_OK(first->erase(id));
    Waiter second([&] { return store_->erase(id); });
    if (commits) EXPECT_OK(first->commit());
    first.reset();
    EXPECT_EQ(second.result().code, commits ? Code::kNotFound : Code::kOk);
    EXPECT_FALSE(has(id));
  }
}

// Whichever closes the circle hears of it; when it gives up, the others go on.
TEST_F(FileTransaction, ThatWaitsForItselfThroughOthersIsAConflict) {
  for (const size_t count : {2u, 3u, 10u}) {
    SCOPED_TRACE(std::to_string(count) + " batches");
    std::vector<std::unique_ptr<WriteBatch>> batches;
    for (size_t i = 0; i < count; i++) {
      batches.push_back(batch());
      ASSERT_OK(put_at(batches[i].get(), count * 1000 + i));
    }
    std::atomic<int> conflicts{0};
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; i++) {
      threads.emplace_back([&, i] {
        const Status status = put_at(batches[i].get(), count * 1000 + (i + 1) % count);
        if (status.is(Code::kConflict)) {
          conflicts++;
        } else {
          EXPECT_TRUE(status.ok() || status.is(Code::kExists)) << status;
        }
        if (status.ok()) EXPECT_OK(batches[i]->commit());
        batches[i].reset();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(conflicts, 1);
  }
  expect_sound(store_.get());
}

// While one writes a large value, another takes its id, then wants an id that the lane of the first
// has in stock.  The first waits with its lane in hand, so that each waits for the other.
TEST_F(FileTransaction, ThatWaitsForItselfThroughALaneIsAConflict) {
  store_.reset();
  Event writing, taken;
  std::atomic<bool> watch{false};
  std::thread::id writer;
  files_.before = [&](SimCall call, const std::string& path) {
    if (!watch || call != SimCall::kReserve || path != "/sim/store/data") return;
    if (std::this_thread::get_id() != writer) return;
    watch = false;
    writing.set();
    taken.wait();
  };
  open();
  constexpr uint64_t kWanted = 500;
  ASSERT_OK(store_->put_at(1000, "value", 5));  // so that the id is below those handed out
  uint64_t id;
  // Each thread comes to a lane of its own: all have a page with room.
  for (int i = 0; i < kLanes; i++) std::thread([&] { put("value"); }).join();
  Status first_status;
  std::thread thread([&] {
    writer = std::this_thread::get_id();
    auto first = batch();
    EXPECT_OK(first->put("value", 5, &id));
    const Bytes large = random_bytes(1, 100000);
    watch = true;
    first_status = first->put_at(kWanted, large.data(), large.size());
    writing.set();
    if (first_status.ok()) EXPECT_OK(first->commit());
  });
  writing.wait();
  EXPECT_FALSE(watch) << "the value needed no space";
  auto second = batch();
  EXPECT_OK(put_at(second.get(), kWanted));
  taken.set();
  const Status second_status = put_at(second.get(), id + 1);
  if (second_status.ok()) EXPECT_OK(second->commit());
  second.reset();
  thread.join();
  EXPECT_NE(first_status.ok(), second_status.ok());
  EXPECT_TRUE(first_status.is(Code::kConflict) || second_status.is(Code::kConflict))
      << first_status << "; " << second_status;
  EXPECT_EQ(read_all(store_.get())[kWanted].size(), second_status.ok() ? 5u : 100000u);
  expect_sound(store_.get());
  store_.reset();
}

// Whichever of the two comes last hears of it.
TEST(XidTableLanes, ThatWaitForEachOtherAreAConflict) {
  XidTable table;
  ASSERT_OK(table.load(kFirstNormalXid, nullptr, 0));
  Xid xids[2];
  for (uint8_t i = 0; i < 2; i++) {
    ASSERT_OK(table.begin(&xids[i]));
    ASSERT_TRUE(table.try_lock_lane(i, xids[i]));
  }
  std::atomic<int> conflicts{0};
  const auto take_the_other = [&](uint8_t mine) {
    const auto other = static_cast<uint8_t>(1 - mine);
    const Status status = table.lock_lane(other, xids[mine]);
    conflicts += status.is(Code::kConflict);
    if (status.ok()) table.unlock_lane(other);
    table.unlock_lane(mine);
  };
  std::thread thread([&] { take_the_other(0); });
  take_the_other(1);
  thread.join();
  EXPECT_EQ(conflicts, 1);
}

// Whoever verifies may hold what another waits for.
TEST_F(FileTransaction, ThatWaitsKeepsNobodyFromVerifying) {
  auto first = batch();
  ASSERT_OK(put_at(first.get(), 1000));
  Waiter second([&] { return store_->put_at(1000, "second", 6); });
  expect_sound(store_.get());
  EXPECT_OK(first->commit());
  EXPECT_EQ(second.result().code, Code::kExists);
}

TEST_F(FileTransaction, OneTooManyIsRefusedAndTheRestGoOn) {
  std::vector<std::unique_ptr<WriteBatch>> batches;
  uint64_t id;
  for (uint32_t i = 0; i < kMaxRunning; i++) {
    batches.push_back(batch());
    ASSERT_OK(batches.back()->put("value", 5, &id));
  }
  EXPECT_EQ(store_->put("more", 4, &id).code, Code::kLimit);
  EXPECT_EQ(batch()->erase(1).code, Code::kLimit);
  EXPECT_EQ(read_all(store_.get()).size(), 0u);
  ASSERT_OK(batches.back()->commit());
  EXPECT_OK(store_->put("more", 4, &id));
  // A control file that lists them all.
  ASSERT_OK(store_->checkpoint());
  for (auto& each : batches) ASSERT_OK(each->commit());
  EXPECT_EQ(read_all(store_.get()).size(), kMaxRunning + 1);
  crash();
  EXPECT_EQ(read_all(store_.get()).size(), kMaxRunning + 1);
}

TEST_F(FileTransaction, ThatWasDroppedStaysAwayForEver) {
  for (uint64_t round = 0; round < 8; round++) {
    SCOPED_TRACE("round " + std::to_string(round));
    auto first = batch();
    uint64_t id;
    ASSERT_OK(first->put("dropped", 7, &id));
    ASSERT_OK(put_at(first.get(), 5000 + 1000 * round));
    if (round % 3 == 1) ASSERT_OK(store_->checkpoint());
    if (round % 2 == 0) {
      first.reset();
      if (round % 4 == 2) ASSERT_OK(store_->close());
    }
    // Else there is no record of its end, and now and then none of it at all.
    if (round % 4 != 3) ASSERT_OK(store_->sync());
    crash(std::move(first));
    // The next transaction must not be taken for the one that was dropped.
    put("kept");
    put("kept");
    const std::map<uint64_t, Bytes> values = read_all(store_.get());
    EXPECT_EQ(values.size(), 2 * (round + 1));
    for (const auto& [number, bytes] : values) EXPECT_EQ(bytes, "kept") << number;
    expect_sound(store_.get());
  }
  // The ids of the caller's choice are free again.
  EXPECT_OK(store_->put_at(5000, "again", 5));
  EXPECT_TRUE(has(5000));
  expect_sound(store_.get());
}

// One that erased is dropped: the value is there, also later, and can be erased by another.
TEST_F(FileTransaction, ThatErasedAndWasDroppedHasErasedNothing) {
  const uint64_t id = put("value");
  for (int round = 0; round < 3; round++) {
    auto first = batch();
    ASSERT_OK(first->erase(id));
    if (round == 0) first.reset();
    crash(std::move(first));
    EXPECT_TRUE(has(id));
    put("another");
    EXPECT_TRUE(has(id));
  }
  EXPECT_OK(store_->erase(id));
  EXPECT_FALSE(has(id));
  crash();
  EXPECT_FALSE(has(id));
}

// What cannot be is refused, and nothing of it is done: the rest of the batch stands.
TEST_F(FileTransaction, ThatWasRefusedACallGoesOn) {
  put("makes the store");
  auto first = batch();
  uint64_t id;
  ASSERT_OK(first->put("value", 5, &id));
  EXPECT_EQ(first->erase(777).code, Code::kNotFound);
  uint64_t other = 0;
  EXPECT_EQ(first->put_at(id, "other", 5).code, Code::kExists);
  ASSERT_OK(first->put("other", 5, &other));
  ASSERT_OK(first->commit());
  EXPECT_TRUE(has(id));
  EXPECT_TRUE(has(other));
  EXPECT_EQ(read_all(store_.get()).size(), 3u);
}

TEST_F(FileTransaction, ThatCommittedMayBeginAgain) {
  auto first = batch();
  uint64_t one, two, three;
  ASSERT_OK(first->put("one", 3, &one));
  ASSERT_OK(first->commit());
  ASSERT_OK(first->put("two", 3, &two));
  ASSERT_OK(first->commit());
  ASSERT_OK(first->commit());
  ASSERT_OK(first->put("three", 5, &three));
  first.reset();
  EXPECT_TRUE(has(one));
  EXPECT_TRUE(has(two));
  EXPECT_FALSE(has(three));
}

TEST_F(FileTransaction, ThatIsOpenWhenTheStoreClosesIsDropped) {
  auto first = batch();
  auto second = batch();
  uint64_t id;
  ASSERT_OK(first->put("value", 5, &id));
  ASSERT_OK(second->put("value", 5, &id));
  ASSERT_OK(store_->close());
  EXPECT_EQ(first->commit().code, Code::kInvalid);
  EXPECT_EQ(first->put("value", 5, &id).code, Code::kInvalid);
  first.reset();
  second.reset();
  EXPECT_EQ(store_->put("value", 5, &id).code, Code::kInvalid);
  EXPECT_EQ(store_->checkpoint().code, Code::kInvalid);
  store_.reset();
  open();
  EXPECT_TRUE(read_all(store_.get()).empty());
  expect_sound(store_.get());
}

// Asking for what is not there is no reason for the control file to grow.
TEST_F(FileTransaction, ThatChangedNothingLeavesNoTrace) {
  put("value");
  ASSERT_OK(store_->checkpoint());
  const uint64_t bytes = control_bytes();
  for (uint64_t i = 0; i < 1000; i++) {
    EXPECT_EQ(store_->erase(1000 + i).code, Code::kNotFound);
    EXPECT_EQ(store_->put_at(1, "x", 1).code, Code::kExists);
    EXPECT_OK(batch()->commit());
  }
  ASSERT_OK(store_->checkpoint());
  EXPECT_EQ(control_bytes(), bytes);
  for (uint64_t i = 0; i < 1000; i++) {
    EXPECT_EQ(store_->erase(1000 + i).code, Code::kNotFound);
  }
  put("after them");
  crash();
  EXPECT_EQ(control_bytes(), bytes);
}

}  // namespace
}  // namespace toaststore::test
