// The Files port over a simulated disk: keeps a journal of everything done to the disk, from which
// every crash can be played, counts calls, and fails those that a test asks it to fail.
//
// Safe from any number of threads, as the system's files are.  The journal and the disk are looked
// at when no store is open, or by the only thread that uses it.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_SIM_FILES_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_SIM_FILES_H_

#include <atomic>
#include <functional>
#include <mutex>

#include "file/files.h"
#include "support/sim_disk.h"

namespace toaststore::test {

// What a call does to the disk, for those who watch or fail it.
enum class SimCall : uint8_t {
  kRead,
  kWrite,
  kSync,
  kSize,
  kReserve,
  kTruncate,
  kOpen,
  kCreate,  // opens, with leave to create
  kRename,
  kRemove,
  kMakeDirectory,
  kSyncDirectory,
  kList,
  kLock,
};
inline constexpr int kSimCalls = static_cast<int>(SimCall::kLock) + 1;

// Which calls fail, and how.
struct SimFailure {
  enum class Of : uint8_t {
    kAnything,
    kSpace,  // calls that take space, as writes do behind the end: kNoSpace, else it is kIo
    kSyncs,  // of files and of directories
  };
  uint64_t call = 0;        // the n-th of these from now on; 0 is none
  bool persistent = false;  // and all after it
  Of of = Of::kAnything;
  bool half = false;  // a write writes its first half before it fails
};

class SimFiles final : public Files {
 public:
  explicit SimFiles(SimDisk disk = {}) : start_(std::move(disk)), live_(start_) {}
  SimFiles(const SimFiles&) = delete;
  SimFiles& operator=(const SimFiles&) = delete;

  // ---- the port ----
  Status open(const char* path, Mode mode, File** file) override;
  Status rename(const char* from, const char* to) override;
  Status remove(const char* path) override;
  Status make_directory(const char* path) override;
  Status sync_directory(const char* path) override;
  Status list(const char* path, FileNames* names) override;
  Status open_locked(const char* path, File** file) override;

  // ---- what happened ----
  const SimDisk& start() const { return start_; }
  const SimJournal& journal() const { return journal_; }
  size_t operations() const { return journal_.size(); }
  uint64_t count(SimCall call) const { return counts_[static_cast<int>(call)].load(); }
  uint64_t bytes_read() const { return bytes_read_.load(); }
  // Of the files there are now, those that begin with `prefix`; also while a store is open.
  std::vector<std::string> paths(const std::string& prefix) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return live_.paths(prefix);
  }
  // As it is read now; a test may damage it.
  SimDisk& disk() { return live_; }

  // ---- what shall happen ----
  // The process dies: every call fails and changes nothing, until the next process starts.
  void crash_process();
  void start_process();
  void fail(const SimFailure& failure);
  // A call failed since fail().
  bool failed() const { return failures_ > 0; }
  // What all files may have together.
  std::atomic<uint64_t> capacity{UINT64_MAX};
  // Called before a call does anything, by the thread that makes it.  Set it when no store is open,
  // and close the store before what it uses is gone.
  std::function<void(SimCall, const std::string& path)> before;

 private:
  friend class SimFile;

  Status begin(SimCall call, const std::string& path, bool takes_space);
  void add(SimOp op);
  Status need(uint64_t bytes) const;
  Status open_any(const char* path, Mode mode, bool lock, File** file);
  Status write(int file, uint64_t offset, const void* bytes, size_t length, const Status& status);

  std::mutex mutex_;
  SimDisk start_;
  SimDisk live_;
  SimJournal journal_;
  int next_file_ = 1;
  bool dead_ = false;
  std::set<int> locked_;
  std::atomic<uint64_t> counts_[kSimCalls] = {};
  std::atomic<uint64_t> bytes_read_{0};
  SimFailure failure_;
  uint64_t calls_ = 0;  // since fail()
  uint64_t failures_ = 0;
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_SIM_FILES_H_
