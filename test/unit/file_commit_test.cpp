// When a commit is durable, who pays for it, and who sees it when.

#include <thread>

#include "file/log_format.h"
#include "support/event.h"
#include "support/file_life.h"

namespace toaststore::test {
namespace {

bool is_log(const std::string& path) { return path.starts_with("/sim/store/log-"); }

class FileCommit : public ::testing::Test {
 protected:
  void open(Sync sync) {
    StoreOptions options = sim_options(&files_, sync);
    options.sync_interval_ms = sync_interval_ms_;
    options.checkpoint_bytes = checkpoint_bytes_;
    Store* store = nullptr;
    ASSERT_OK(Store::open(kSimStore, options, &store));
    store_.reset(store);
  }
  uint64_t put(const Bytes& bytes) {
    uint64_t id = 0;
    EXPECT_OK(store_->put(bytes.data(), bytes.size(), &id));
    return id;
  }
  Code get_code(Store* store, uint64_t id) {
    Buffer buffer;
    return store->get(id, &buffer).code;
  }
  uint64_t log_bytes() {
    Statistics statistics{};
    EXPECT_OK(store_->statistics(&statistics));
    return statistics.log_bytes;
  }
  // After a crash of the machine now that leaves nothing unsynced.
  Code code_after_crash(uint64_t id) {
    CrashedDisks crashes(files_.start(), files_.journal());
    while (crashes.advance()) continue;
    SimFiles files(crashes.nothing_else());
    Store* opened = nullptr;
    EXPECT_OK(Store::open(kSimStore, sim_options(&files, Sync::kAlways), &opened));
    const std::unique_ptr<Store> store(opened);
    return get_code(store.get(), id);
  }

  SimFiles files_;
  uint32_t sync_interval_ms_ = UINT32_MAX;
  uint64_t checkpoint_bytes_ = uint64_t{1} << 40;
  std::unique_ptr<Store> store_;
};

// While one commit waits for the disk the others gather, and share the next sync.
TEST_F(FileCommit, ThoseThatComeTogetherShareASync) {
  constexpr int kThreads = 8;
  Event gathering, go;
  std::atomic<int> syncs{-1};  // counted once it is 0
  std::atomic<uint64_t> most{0};
  files_.before = [&](SimCall call, const std::string& path) {
    if (call != SimCall::kSync || !is_log(path) || syncs < 0 || syncs++ > 0) return;
    const uint64_t before = log_bytes();
    go.set();
    // A commit is a record without pages, and the first of them begins a group.
    while (log_bytes() < before + kThreads * sizeof(RecordHeader) + kGroupHeaderBytes) {
      std::this_thread::yield();
    }
  };
  open(Sync::kAlways);
  const uint64_t first = put("makes the store");
  std::vector<std::thread> threads;
  std::atomic<int> ready{0};
  std::vector<uint64_t> ids(kThreads);
  for (int i = 0; i < kThreads; i++) {
    threads.emplace_back([&, i] {
      WriteBatch batch(store_.get());
      EXPECT_OK(batch.put("value", 5, &ids[static_cast<size_t>(i)]));
      if (++ready == kThreads) gathering.set();
      go.wait();
      EXPECT_OK(batch.commit());
    });
  }
  gathering.wait();
  syncs = 0;
  EXPECT_OK(store_->erase(first));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(syncs, 2) << "one for the first commit, one for all the others";
  for (const uint64_t id : ids) EXPECT_EQ(code_after_crash(id), Code::kOk);
  store_.reset();
}

TEST_F(FileCommit, IsSeenWhenItIsDurable) {
  std::atomic<bool> watch{false};
  std::atomic<uint64_t> next{0};
  files_.before = [&](SimCall call, const std::string& path) {
    if (call != SimCall::kSync || !is_log(path) || !watch) return;
    watch = false;
    EXPECT_EQ(get_code(store_.get(), next), Code::kNotFound) << "it may still be lost";
  };
  open(Sync::kAlways);
  next = put("first") + 1;
  watch = true;
  EXPECT_EQ(put("second"), next);
  EXPECT_FALSE(watch);
  EXPECT_EQ(get_code(store_.get(), next), Code::kOk);
  store_.reset();
}

TEST_F(FileCommit, AlwaysSurvivesACrashAtOnce) {
  open(Sync::kAlways);
  EXPECT_EQ(code_after_crash(put("value")), Code::kOk);
}

TEST_F(FileCommit, NeverSurvivesACrashOnceItIsSynced) {
  open(Sync::kNever);
  const uint64_t id = put("value");
  EXPECT_EQ(code_after_crash(id), Code::kNotFound);
  EXPECT_OK(store_->sync());
  EXPECT_EQ(code_after_crash(id), Code::kOk);
}

// Nobody asks for a sync here.
TEST_F(FileCommit, IntervalSurvivesACrashAfterTheInterval) {
  sync_interval_ms_ = 1;
  std::atomic<int> syncs{-1};  // counted once it is 0
  Event first, checked;
  files_.before = [&](SimCall call, const std::string& path) {
    if (call != SimCall::kSync || !is_log(path) || syncs < 0) return;
    if (++syncs == 1) {
      first.set();
    } else {
      checked.wait();
    }
  };
  open(Sync::kInterval);
  put("makes the store");
  const uint64_t id = put("value");
  syncs = 0;
  put("starts another interval");
  first.wait();
  put("waits until the first sync is over");
  EXPECT_EQ(code_after_crash(id), Code::kOk);
  checked.set();
  store_.reset();
}

// A checkpoint, and the compaction behind it, may take longer than the interval.
TEST_F(FileCommit, TheIntervalIsKeptDuringACheckpoint) {
  sync_interval_ms_ = 1;
  checkpoint_bytes_ = 400'000;  // of log; the pages fit the cache
  Event writing, checked;
  std::atomic<bool> watch{false};
  std::atomic<int> syncs{-1};  // counted once it is 0
  files_.before = [&](SimCall call, const std::string& path) {
    if (call == SimCall::kWrite && path.starts_with("/sim/store/control") &&
        watch.exchange(false)) {
      writing.set();
      checked.wait();
    }
    if (call == SimCall::kSync && is_log(path) && syncs >= 0 && ++syncs > 1) checked.wait();
  };
  open(Sync::kInterval);
  put("makes the store");
  watch = true;
  for (uint64_t i = 0; i < 42; i++) put(random_bytes(i, 10'000));
  writing.wait();
  const uint64_t id = put("value");
  syncs = 0;
  put("starts another interval");
  for (int i = 0; i < 1000 && syncs == 0; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  put("waits until the first sync is over");
  EXPECT_EQ(code_after_crash(id), Code::kOk);
  checked.set();
  store_.reset();
}

// Nobody asked for it, so nobody is told by a status.
TEST_F(FileCommit, ASyncOfTheIntervalThatFailsIsToldByStatistics) {
  sync_interval_ms_ = 1;
  open(Sync::kInterval);
  put("makes the store");
  files_.fail({.call = 1, .persistent = true, .of = SimFailure::Of::kSyncs});
  uint64_t id;
  (void)store_->put("value", 5, &id);
  Statistics statistics{};
  for (int i = 0; i < 1000 && statistics.upkeep.ok(); i++) {
    (void)store_->statistics(&statistics);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(statistics.upkeep.code, Code::kIo);
  store_.reset();
}

TEST_F(FileCommit, ClosingMakesEverythingDurableInEveryMode) {
  for (const Sync sync : {Sync::kAlways, Sync::kInterval, Sync::kNever}) {
    open(sync);
    const uint64_t id = put("value");
    EXPECT_OK(store_->close());
    EXPECT_EQ(code_after_crash(id), Code::kOk);
    store_.reset();
  }
}

// A store that was closed has nothing to replay, so that one who only reads can open it.
TEST_F(FileCommit, AClosedStoreCanBeReadByWhoeverMayNotWrite) {
  open(Sync::kNever);
  const uint64_t id = put("value");
  StoreOptions options = sim_options(&files_, Sync::kNever);
  options.read_only = true;
  Store* opened = nullptr;
  EXPECT_EQ(Store::open(kSimStore, options, &opened).code, Code::kInvalid) << "it needs recovery";
  EXPECT_OK(store_->close());
  store_.reset();
  const size_t operations = files_.operations();
  ASSERT_OK(Store::open(kSimStore, options, &opened));
  const std::unique_ptr<Store> reader(opened);
  EXPECT_EQ(get_code(reader.get(), id), Code::kOk);
  expect_sound(reader.get());
  EXPECT_OK(reader->close());
  EXPECT_EQ(files_.operations(), operations);
}

}  // namespace
}  // namespace toaststore::test
