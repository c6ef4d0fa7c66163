// Checkpoints bound what recovery reads and what the log takes, also where they fail; and what a
// checkpoint lets go of the log is in the data file, whoever writes pages at the same time.

#include <thread>

#include "support/event.h"
#include "support/file_life.h"

namespace toaststore::test {
namespace {

bool is_log(const std::string& path) { return path.starts_with("/sim/store/log-"); }

class FileCheckpoint : public ::testing::Test {
 protected:
  FileCheckpoint() { options_.checkpoint_bytes = kCheckpointBytes; }

  void open() {
    Store* store = nullptr;
    ASSERT_OK(Store::open(kSimStore, options_, &store));
    store_.reset(store);
  }
  Status put(size_t length, uint64_t* id) {
    const Bytes bytes = random_bytes(++puts_, length);
    const Status status = store_->put(bytes.data(), bytes.size(), id);
    if (status.ok()) values_[*id] = bytes;
    return status;
  }
  uint64_t log_bytes() {
    return files_.paths("/sim/store/log-").size() * options_.log_segment_bytes;
  }
  // The process dies: nobody adds to the journal any more.
  void die() {
    files_.crash_process();
    store_.reset();
  }
  // A crash of the machine that leaves nothing unsynced; what is there is compared.  REQUIRES:
  // nobody writes meanwhile.
  void crash_and_check() {
    CrashedDisks crashes(files_.start(), files_.journal());
    while (crashes.advance()) continue;
    check(crashes.nothing_else());
  }
  void check(const SimDisk& disk) {
    SimFiles files(disk);
    std::atomic<uint64_t> segments{0};
    files.before = [&](SimCall call, const std::string& path) {
      if (call == SimCall::kRead && is_log(path)) segments++;
    };
    StoreOptions options = options_;
    options.files = &files;
    Store* opened = nullptr;
    ASSERT_OK(Store::open(kSimStore, options, &opened));
    const std::unique_ptr<Store> store(opened);
    recovery_bytes_ = segments * options_.log_segment_bytes;
    expect_sound(store.get());
    EXPECT_TRUE(read_all(store.get()) == values_);
  }

  static constexpr uint64_t kCheckpointBytes = 512 * 1024;
  // Segments are read whole: the first and the last count though little of them may be needed.  The
  // one before is removed after the checkpoint, and one more may have been made.
  static constexpr uint64_t kMostLogBytes = 4 * kCheckpointBytes + 3 * 256 * 1024;

  SimFiles files_;
  StoreOptions options_ = sim_options(&files_, Sync::kAlways);
  std::unique_ptr<Store> store_;
  std::map<uint64_t, Bytes> values_;
  uint64_t puts_ = 0;
  uint64_t recovery_bytes_ = 0;
};

TEST_F(FileCheckpoint, BoundsTheLogAndRecovery) {
  open();
  uint64_t id;
  uint64_t most = 0;
  for (int i = 0; i < 800; i++) {
    ASSERT_OK(put(15000, &id));
    most = std::max(most, log_bytes());
  }
  EXPECT_LE(most, kMostLogBytes);
  Statistics statistics;
  ASSERT_OK(store_->statistics(&statistics));
  EXPECT_GE(statistics.checkpoints, 3u);
  die();
  crash_and_check();
  EXPECT_LE(recovery_bytes_, kMostLogBytes);
}

// The log goes round in the same files, which are gone once the store is closed.
TEST_F(FileCheckpoint, MakesNewSegmentsOfOldOnes) {
  options_.checkpoint_bytes = 1024 * 1024;
  std::atomic<int> created{0};
  std::atomic<int> renamed{0};
  files_.before = [&](SimCall call, const std::string& path) {
    if (call == SimCall::kCreate && is_log(path)) created++;
    if (call == SimCall::kRename && is_log(path)) renamed++;
  };
  open();
  uint64_t id;
  while (values_.size() < 60) ASSERT_OK(put(15000, &id));
  ASSERT_OK(store_->checkpoint());
  created = 0;
  while (values_.size() < 100) ASSERT_OK(put(15000, &id));
  EXPECT_EQ(created, 0);
  EXPECT_GE(renamed, 2);
  ASSERT_OK(store_->close());
  EXPECT_EQ(files_.paths("/sim/store/log-").size(), 1u);
  die();
  crash_and_check();
}

// The file is cut off behind the last page in use: that is a checkpoint's business, for recovery
// takes a file that is shorter than it was for one that has lost pages.
TEST_F(FileCheckpoint, LetsTheFileBecomeShorter) {
  options_.compact_by_itself = false;
  open();
  uint64_t id;
  std::vector<uint64_t> erased;
  while (values_.size() < 5) ASSERT_OK(put(15000, &id));
  for (int i = 0; i < 300; i++) {
    ASSERT_OK(put(15000, &id));
    erased.push_back(id);
  }
  for (const uint64_t old : erased) {
    ASSERT_OK(store_->erase(old));
    values_.erase(old);
  }
  Compaction done;
  ASSERT_OK(store_->compact(&done));
  EXPECT_GT(done.given_back_bytes, 2000000u);
  for (int i = 0; i < 3; i++) ASSERT_OK(put(15000, &id));
  die();
  check(files_.disk());
  crash_and_check();
}

// A batch that is open for long keeps nobody from a checkpoint: the bound holds within it too.
TEST_F(FileCheckpoint, BoundsTheLogWithinABatch) {
  open();
  WriteBatch batch(store_.get());
  for (int i = 0; i < 400; i++) {
    uint64_t id;
    const Bytes bytes = random_bytes(++puts_, 15000);
    ASSERT_OK(batch.put(bytes.data(), bytes.size(), &id));
    values_[id] = bytes;
    ASSERT_LE(log_bytes(), kMostLogBytes);
  }
  ASSERT_OK(batch.commit());
  die();
  crash_and_check();
}

// There is no space for another control file: when the log has grown to its bound, writers are told
// before they have done anything, and the log grows no more.
TEST_F(FileCheckpoint, ThatFailsStopsWritersCleanly) {
  open();
  std::atomic<bool> full{true};
  files_.before = [&](SimCall call, const std::string& path) {
    const bool control = call == SimCall::kCreate && path == "/sim/store/control.new";
    if (control) files_.capacity = full ? 0 : UINT64_MAX;
  };
  uint64_t id;
  Status status;
  while (status.ok()) {
    files_.capacity = UINT64_MAX;
    status = put(15000, &id);
    ASSERT_LE(log_bytes(), kMostLogBytes);
  }
  EXPECT_EQ(status.code, Code::kNoSpace) << status;
  EXPECT_GE(log_bytes(), 4 * kCheckpointBytes);
  // Nobody who was refused is there.
  for (int i = 0; i < 20; i++) EXPECT_EQ(put(15000, &id).code, Code::kNoSpace);
  EXPECT_LE(log_bytes(), kMostLogBytes);
  EXPECT_TRUE(read_all(store_.get()) == values_);
  full = false;
  files_.capacity = UINT64_MAX;
  EXPECT_OK(put(15000, &id));
  EXPECT_TRUE(read_all(store_.get()) == values_);
  die();
  crash_and_check();
}

// Nobody waits for a checkpoint that the store makes by itself, so that it fails is told to who
// asks.
TEST_F(FileCheckpoint, ThatFailsByItselfIsTold) {
  std::atomic<bool> full{false};
  files_.before = [&](SimCall call, const std::string& path) {
    const bool control = call == SimCall::kCreate && path == "/sim/store/control.new";
    if (control && full) files_.capacity = 0;
  };
  open();
  full = true;
  Statistics statistics;
  ASSERT_OK(store_->statistics(&statistics));
  EXPECT_OK(statistics.upkeep);
  uint64_t id;
  // The last one may be in the midst of it when the disk is full.
  Status status;
  while (status.ok() && statistics.log_bytes <= kCheckpointBytes) {
    status = put(15000, &id);
    ASSERT_OK(store_->statistics(&statistics));
  }
  while (statistics.upkeep.ok()) ASSERT_OK(store_->statistics(&statistics));
  EXPECT_EQ(statistics.upkeep.code, Code::kNoSpace);
  die();
}

// A reader makes room in the cache: the page it writes is still on its way when a checkpoint comes
// and goes.  The log that would bring the page back is gone by then, so the page must be there.
TEST_F(FileCheckpoint, MissesNoPageThatAnotherThreadIsWriting) {
  options_.checkpoint_bytes = uint64_t{1} << 40;
  Event writing, done;
  std::atomic<bool> watch{false};
  std::thread::id reader;
  files_.before = [&](SimCall call, const std::string& path) {
    if (!watch || call != SimCall::kWrite || path != "/sim/store/data") return;
    if (std::this_thread::get_id() != reader) return;
    watch = false;
    writing.set();
    done.wait();
  };
  open();
  uint64_t id;
  while (values_.size() < 100) ASSERT_OK(put(15000, &id));
  std::thread thread([&] {
    reader = std::this_thread::get_id();
    watch = true;
    Buffer buffer;
    for (const auto& [number, bytes] : values_) EXPECT_OK(store_->get(number, &buffer));
    for (const auto& [number, bytes] : values_) EXPECT_OK(store_->get(number, &buffer));
    writing.set();
  });
  writing.wait();
  EXPECT_FALSE(watch) << "the reader had no page to write";
  EXPECT_OK(store_->checkpoint());
  crash_and_check();
  done.set();
  thread.join();
  store_.reset();
}

}  // namespace
}  // namespace toaststore::test
