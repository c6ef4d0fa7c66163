// An open store: files, cache, log, transactions, and the threads that look after them.
//
// Invariants:
//   * Every call that changes pages holds `writers` shared, but not while it waits for another
//     batch; verify() holds it exclusively, and so does compaction while it cuts the data file.
//   * Mutexes are locked in the order cleaning, writers, checkpoint.
//   * One checkpoint at a time.  The log's records before redo are not needed once the control file
//     that names redo is durable, and only then do their segments go.
//   * A failed sync ends the handle (Log::health): what the disk holds is unknown until recovery.

#ifndef TOASTSTORE_FILE_STORE_STATE_H_
#define TOASTSTORE_FILE_STORE_STATE_H_

#include <cstdlib>
#include <shared_mutex>

#include "engine/store.h"
#include "file/control.h"
#include "file/file_pager.h"
#include "file/names.h"
#include "file/transactions.h"
#include "file/upkeep_thread.h"
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
      : options_(options), files_(files), data_(files), names_(files), pool_(data_, names_) {}
  StoreState(const StoreState&) = delete;
  StoreState& operator=(const StoreState&) = delete;
  ~StoreState();

  Status open(const char* directory);
  // A server's relation, to be read.
  Status open_relation(const char* file);
  Status close();
  Status checkpoint();
  // Takes out what nobody needs, and values out of extents that are mostly dead; what is free at
  // the end of the file goes back to the file system.
  Status compact(Compaction* compaction);
  // Waits for a checkpoint where the log has grown beyond what recovery may have to read.
  Status bound_log();
  // Makes the log durable up to `lsn` as the sync mode asks.
  Status acknowledge(Lsn lsn);

  // A relation's file alone: there are no names.
  bool relation() const { return relation_; }
  Log* log() { return log_.get(); }
  XidTable& xids() { return xids_; }
  std::shared_mutex& writers() { return writers_; }
  BufferPool& pool() { return pool_; }
  DataFile& data() { return data_; }
  DataFile& names() { return names_; }
  const StoreOptions& options() const { return options_; }
  uint64_t checkpoints() const { return checkpoints_.load(); }
  uint64_t compactions() const { return compactions_.load(); }
  // Of what the threads did last.
  Status upkeep() {
    const Status synced = syncer_.last();
    return synced.ok() ? keeper_.last() : synced;
  }

 private:
  friend class Operation;
  friend class CleaningPager;
  struct Cleaning;
  // Calls of a thread come back to the same hints.  With hints that are known come the thresholds
  // of the same meta page, whatever the caller's options.  They are locked while they are copied.
  struct alignas(64) HintSlot {
    PageLatch latch;
    Hints hints;
    Options options;
  };
  static constexpr int kHintSlots = kLanes;
  HintSlot& hint_slot();

  Status prepare(const char* path);
  Status open_directory(const char* directory);
  Status create();
  Status reopen_files(Files::Mode mode);
  Status open_to_read();
  Status sync_files();
  Status check_relation();
  Status recover();
  Status begin_log(uint64_t segment, Control* control);
  Status checkpoint_alone(Block data_blocks = UINT32_MAX);
  Status give_back(uint64_t* bytes);
  Status start_threads();
  Status look_after();

  const StoreOptions options_;
  Files& files_;
  char directory_[kMaxPath];
  char data_path_[kMaxPath];
  char names_path_[kMaxPath];
  File* lock_ = nullptr;
  bool relation_ = false;
  DataFile data_;
  DataFile names_;
  BufferPool pool_;
  std::unique_ptr<Log> log_;
  XidTable xids_;
  NameTree name_tree_;
  StoreLocks locks_{xids_, {}};
  MallocMemory memory_;
  std::shared_mutex writers_;
  HintSlot hint_slots_[kHintSlots];

  std::mutex checkpoint_;
  Control control_;  // as last written; under checkpoint_
  std::atomic<uint64_t> checkpoints_{0};
  std::atomic<uint64_t> compactions_{0};

  std::atomic<bool> closing_{false};
  std::mutex cleaning_;  // one compaction at a time
  UpkeepThread keeper_;  // checkpoints and compacts
  UpkeepThread syncer_;  // where the log is synced after an interval
};

// One call into the engine: the ports, with hints borrowed from the store.
class Operation {
 public:
  explicit Operation(StoreState* state, const XidSnapshot* snapshot = nullptr)
      : slot_(state->hint_slot()),
        pager_(StoreFile::kData, state->data_, state->pool_, state->log_.get(), state->locks_),
        transactions_(state->xids_, snapshot),
        context_{pager_, transactions_, state->memory_, hints_, {}, Proof::kUnlessKnown},
        values_(context_),
        names_pager_(StoreFile::kNames, state->names_, state->pool_, state->log_.get(),
                     state->locks_),
        names_(context_, state->xids_, state->name_tree_, names_pager_) {
    const std::lock_guard<PageLatch> lock(slot_.latch);
    hints_ = slot_.hints;
    context_.options = slot_.options;
    known_ = hints_;
  }
  // Reading mostly changes nothing of them.
  ~Operation() {
    if (hints_ == known_) return;
    const std::lock_guard<PageLatch> lock(slot_.latch);
    slot_.hints = hints_;
    slot_.options = context_.options;
  }

  Context& context() { return context_; }
  IdStore& values() { return values_; }
  Names& names() { return names_; }
  // The changes that follow are this transaction's.
  void join(Xid xid, Writing* writing = nullptr) {
    transactions_.join(xid, writing);
    pager_.join(xid, writing);
    names_pager_.join(xid, writing);
  }
  // The transaction has put as many bytes before; and now, with this call.
  void go_on_after(uint64_t put_bytes) { pager_.go_on_after(put_bytes); }
  uint64_t put_bytes() const { return pager_.put_bytes(); }
  bool wrote() const { return pager_.wrote() || names_pager_.wrote(); }

 private:
  StoreState::HintSlot& slot_;
  Hints hints_;
  Hints known_;  // as they came
  FilePager pager_;
  FileTransactions transactions_;
  Context context_;
  IdStore values_;
  FilePager names_pager_;
  Names names_;
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_STORE_STATE_H_
