// The pager port over the page cache and the log, for one file of a store.  A change may take in
// pages of the other file too.

#ifndef TOASTSTORE_FILE_FILE_PAGER_H_
#define TOASTSTORE_FILE_FILE_PAGER_H_

#include <mutex>

#include "file/page_run.h"
#include "file/transactions.h"

namespace toaststore {

// Locks that are not latches: their holder does I/O and may wait.
struct StoreLocks {
  XidTable& lanes;
  std::mutex creation;
};

class FilePager : public Pager {
 public:
  // `log` is null for a store that is only read.
  FilePager(StoreFile file, DataFile& pages, BufferPool& pool, Log* log, StoreLocks& locks)
      : file_(file), pages_(pages), pool_(pool), log_(log), locks_(locks), run_(pages, pool, log) {}
  FilePager(const FilePager&) = delete;
  FilePager& operator=(const FilePager&) = delete;
  ~FilePager() {
    if (gets_ > 0) pool_.count_gets(gets_);
  }

  // The transaction whose doing the changes are.  REQUIRED before a lane is locked.
  void join(Xid xid, Writing* writing) {
    xid_ = lane_holder_ = xid;
    writing_ = writing;
  }
  // The changes are compaction's.
  void compact(Writing* writing) {
    lane_holder_ = kCompactionXid;
    writing_ = writing;
  }
  // The transaction has put as many bytes before.
  void go_on_after(uint64_t put_bytes) { put_bytes_ = put_bytes; }
  uint64_t put_bytes() const { return put_bytes_; }
  // Has anything been changed?
  bool wrote() const { return wrote_; }

  Status read(Block block, Latch latch, PageRef* page) override;
  Status try_read(Block block, PageRef* page) override;
  Status create(Block block, PageRef* page) override;
  void release(const PageRef& page) override;
  bool known(const PageRef& page, uint16_t item) override;
  void make_known(const PageRef& page, uint16_t item) override;
  void expect(Block block, uint16_t offset) override { pool_.expect({file_, block}, offset); }
  Status reserve(Block end, Block limit) override { return pages_.reserve(end, limit); }
  Block blocks() override { return pages_.blocks(); }
  Status apply(const Change& change) override;
  Status write_piece(const PieceWrite& piece, uint16_t* item) override;
  Status lock_lane(uint8_t lane, bool wait, bool* locked) override;
  void unlock_lane(uint8_t lane) override { locks_.lanes.unlock_lane(lane); }
  Status lock_creation() override;
  void unlock_creation() override { locks_.creation.unlock(); }
  Status pause(Step) override { return Status::Ok(); }

 private:
  bool passes_log(const PieceWrite& piece) const;
  Status write_past_log(const PieceWrite& piece, uint16_t* item);
  Status append_piece(BufferPool::Frame* frame, const PieceWrite& piece, uint16_t* item);
  Lsn append(Log::Insertion* insertion, const Record& record);

  const StoreFile file_;
  DataFile& pages_;
  BufferPool& pool_;
  Log* log_;
  StoreLocks& locks_;
  Xid xid_ = kNoXid;
  Xid lane_holder_ = kNoXid;
  Writing* writing_ = nullptr;
  bool wrote_ = false;
  uint64_t gets_ = 0;
  uint64_t put_bytes_ = 0;
  PageRun run_;
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_FILE_PAGER_H_
