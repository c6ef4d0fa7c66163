// An open store: files, cache, log, transactions, and the thread that looks after them.
//
// Invariants:
//   * Every call that changes pages holds `writers` shared; verify() holds it exclusively.
//   * One checkpoint at a time.  The log's records before redo are not needed once the control file
//     that names redo is durable, and only then do their segments go.
//   * A failed sync ends the handle (Log::health): what the disk holds is unknown until recovery.

#ifndef TOASTSTORE_FILE_STORE_STATE_H_
#define TOASTSTORE_FILE_STORE_STATE_H_

#include <pthread.h>

#include <condition_variable>
#include <cstdlib>
#include <shared_mutex>

#include "engine/store.h"
#include "file/control.h"
#include "file/file_pager.h"
#include "file/transactions.h"
#include "toaststore/store.h"

namespace toaststore {

class MallocMemory final : public Memory {
 public:
  void* allocate(size_t bytes) override { return std::malloc(bytes); }
  void release(void* memory) override { std::free(memory); }
};

class StoreState {
 public:
  StoreState(Files& files, const StoreOptions& options)
      : options_(options), files_(files), data_(files), pool_(data_) {}
  StoreState(const StoreState&) = delete;
  StoreState& operator=(const StoreState&) = delete;
  ~StoreState();

  Status open(const char* directory);
  Status close();
  Status checkpoint();
  // Waits for a checkpoint where the log has grown beyond what recovery may have to read.
  Status bound_log();
  // Makes the log durable up to `lsn` as the sync mode asks.
  Status acknowledge(Lsn lsn);

  Log* log() { return log_.get(); }
  XidTable& xids() { return xids_; }
  std::shared_mutex& writers() { return writers_; }
  BufferPool& pool() { return pool_; }
  DataFile& data() { return data_; }
  const StoreOptions& options() const { return options_; }
  uint64_t checkpoints() const { return checkpoints_.load(); }

 private:
  friend class Operation;
  // Hints are handed to one call at a time; calls of a thread come back to the same ones.
  struct HintSlot {
    std::mutex mutex;
    Hints hints;
  };
  static constexpr int kHintSlots = kLanes;
  HintSlot& hint_slot();

  Status open_directory(const char* directory);
  Status create(const char* directory);
  Status open_data(Files::Mode mode);
  Status open_to_read();
  Status recover();
  Status begin_log(uint64_t segment, Control* control);
  Status checkpoint_alone();
  Status start_keeper();
  static void* run_keeper(void* state);
  void keep();

  const StoreOptions options_;
  Files& files_;
  char directory_[kMaxPath];
  char data_path_[kMaxPath];
  File* lock_ = nullptr;
  DataFile data_;
  BufferPool pool_;
  std::unique_ptr<Log> log_;
  XidTable xids_;
  StoreLocks locks_;
  MallocMemory memory_;
  std::shared_mutex writers_;
  HintSlot hint_slots_[kHintSlots];

  std::mutex checkpoint_;
  Control control_;  // as last written; under checkpoint_
  std::atomic<uint64_t> checkpoints_{0};

  pthread_t keeper_;
  bool keeping_ = false;
  std::mutex keeper_mutex_;
  std::condition_variable keeper_wakes_;
  bool stop_ = false;
};

// One call into the engine: the ports, with hints borrowed from the store.
class Operation {
 public:
  explicit Operation(StoreState* state, const XidSnapshot* snapshot = nullptr)
      : slot_(state->hint_slot()),
        hints_(take(&slot_)),
        pager_(state->data_, state->pool_, state->log_.get(), state->locks_),
        transactions_(state->xids_, snapshot),
        context_{pager_, transactions_, state->memory_, hints_, state->options_.values, true},
        values_(context_) {}
  ~Operation() {
    const std::lock_guard<std::mutex> lock(slot_.mutex);
    slot_.hints = hints_;
  }

  Context& context() { return context_; }
  IdStore& values() { return values_; }
  // The changes that follow are this transaction's.
  void join(Xid xid) {
    transactions_.join(xid);
    pager_.set_xid(xid);
  }
  bool wrote() const { return pager_.wrote(); }

 private:
  static Hints take(StoreState::HintSlot* slot) {
    const std::lock_guard<std::mutex> lock(slot->mutex);
    return slot->hints;
  }

  StoreState::HintSlot& slot_;
  Hints hints_;
  FilePager pager_;
  FileTransactions transactions_;
  Context context_;
  IdStore values_;
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_STORE_STATE_H_
