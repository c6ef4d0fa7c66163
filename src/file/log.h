// Writing the log: records are gathered in memory and written a group at a time, by whoever needs
// them written; others go on gathering meanwhile, and the next one takes all of theirs along (group
// commit).
//
// Invariants:
//   * One thread at a time does file I/O; records get their places under the mutex.
//   * A segment exists, with its space reserved and its name durable, before a record is placed in
//     it, so that nothing but a failing disk stands between an appended record and the disk.
//   * A segment that recovery needs no more becomes a new one: the disk has its blocks already, so
//     that making one and syncing what is written to it cost little.  What it holds of the past has
//     other places (log_format.h).
//   * Pages may be written past the log, where nothing leads to them before a later record does: no
//     record reaches the disk before such pages that were written earlier are durable.
//   * After an I/O error the log takes nothing more: what the kernel still holds of it is unknown.

#ifndef TOASTSTORE_FILE_LOG_H_
#define TOASTSTORE_FILE_LOG_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "file/files.h"
#include "file/log_format.h"

namespace toaststore {

class DataFile;

// The path of a segment; `path` has room for kMaxPath bytes.
inline constexpr size_t kMaxPath = 4096;
void segment_path(const char* directory, uint64_t segment, char* path);
// The number in a segment's name; 0 where it is none.
uint64_t segment_of(const char* name);

class Log {
 public:
  // Keeps spare segments of as many bytes.
  Log(Files& files, const char* directory, uint64_t store_number, uint64_t segment_bytes,
      uint64_t spare_bytes)
      : files_(files),
        directory_(directory),
        store_number_(store_number),
        segment_bytes_(segment_bytes),
        spares_(spare_bytes / segment_bytes),
        group_bytes_(std::min<uint64_t>(kGroupBytes, segment_bytes / 4)) {}
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();

  // Begins at the first byte of a segment that does not exist yet.
  Status start(uint64_t segment);

  // The right to append records, each of which gets a place after the one before it.
  class Insertion {
   public:
    explicit Insertion(Log& log) : log_(log), lock_(log.mutex_) {}
    // Makes room for a record.  All that can fail comes here.
    Status prepare() { return log_.prepare(lock_); }
    // A page whose lsn is not beyond this one is logged whole.
    Lsn image_up_to() const { return log_.image_up_to_; }
    // Returns the lsn of the record's end.  REQUIRES: prepared.
    Lsn append(const Record& record) { return log_.append(record); }

   private:
    friend class Log;
    Log& log_;
    std::unique_lock<std::mutex> lock_;
  };

  // Makes everything up to `lsn` durable, or only writes it.  Not ok once the log has failed, even
  // where there is nothing to do.
  Status sync(Lsn lsn);
  Status write(Lsn lsn);

  // A checkpoint begins: recovery from here on needs no older record.
  Lsn begin_checkpoint(Insertion* insertion);
  // It is durable: recovery begins there.
  void end_checkpoint(Lsn redo);

  // No recovery needs segments before the one with `lsn`: they are spare, or are removed.  One that
  // could not be removed stays until the store is opened again.
  Status release_before(Lsn lsn);
  // Nobody will append any more.
  Status remove_spares();

  // Before others use the log: pages of this file may be written past it, by transactions that put
  // as many bytes.
  void let_past(DataFile* data, uint64_t bytes) {
    data_ = data;
    past_bytes_ = bytes;
  }
  bool lets_past(uint64_t bytes) const { return bytes >= past_bytes_; }
  // That has been done.
  void note_past() { past_.store(true, std::memory_order_release); }

  Lsn end();
  Lsn synced() const { return synced_.load(std::memory_order_acquire); }
  // Bytes since the last checkpoint that ended began.
  uint64_t since_checkpoint();
  // Not ok after a failure that only opening the store again can heal.
  Status health();
  // The store has failed elsewhere: nothing must reach the disk any more.  Returns why.
  Status fail(const Status& status);

 private:
  friend class Insertion;
  // Gathered records: a group with its header left out so far.
  struct Group {
    std::unique_ptr<std::byte[]> bytes;
    Lsn start = kNoLsn;
    uint32_t length = kGroupHeaderBytes;
  };

  Status prepare(std::unique_lock<std::mutex>& lock);
  Lsn place() const;
  Lsn append(const Record& record);
  Status write_group(std::unique_lock<std::mutex>& lock);
  Status advance(std::unique_lock<std::mutex>& lock, Lsn lsn, bool durable);
  Status make_segment(uint64_t segment);
  Status reuse_segment(uint64_t spare, uint64_t segment);
  Status remove_spares_beyond(uint64_t most);
  Status put_group(Group* group, Lsn* synced);
  Status open_segment(uint64_t segment, Lsn before, Lsn* synced);
  uint64_t left_in_segment(Lsn lsn) const { return segment_bytes_ - lsn % segment_bytes_; }

  Files& files_;
  const char* directory_;
  DataFile* data_ = nullptr;
  uint64_t past_bytes_ = UINT64_MAX;
  std::atomic<bool> past_{false};  // pages of it that may not be durable
  const uint64_t store_number_;
  const uint64_t segment_bytes_;
  const uint64_t spares_;  // at most
  const uint64_t group_bytes_;

  std::mutex mutex_;
  std::condition_variable idle_;
  bool busy_ = false;  // somebody writes or syncs
  Status health_;
  Group group_;  // takes records
  Group spare_;  // being written, or empty
  Lsn written_ = kNoLsn;
  std::atomic<Lsn> synced_{kNoLsn};
  Lsn redo_ = kNoLsn;
  Lsn image_up_to_ = kNoLsn;
  uint64_t made_ = 0;    // the newest segment that exists
  uint64_t oldest_ = 0;  // the oldest one: spare if it is not needed
  uint64_t needed_ = 0;  // the oldest one that recovery needs

  // Of whoever is busy.
  File* file_ = nullptr;
  uint64_t file_segment_ = 0;
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_LOG_H_
