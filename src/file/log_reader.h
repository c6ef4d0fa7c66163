// Reading the log from a position to its end, and telling its end from damage.
//
// What can be read need not be on the disk: a process that died has left it to the system, or a
// sync that failed has dropped it.  Whoever recovers writes pages that follow from it, so what
// nothing proves to be durable is written once more and synced before it is handed out.

#ifndef TOASTSTORE_FILE_LOG_READER_H_
#define TOASTSTORE_FILE_LOG_READER_H_

#include <memory>

#include "file/files.h"
#include "file/log_format.h"

namespace toaststore {

class LogReader {
 public:
  enum class Purpose : uint8_t { kLook, kRecover };

  // `synced`: the log is known to be durable up to there.
  LogReader(Files& files, const char* directory, uint64_t store_number, uint64_t segment_bytes,
            Lsn synced, Purpose purpose)
      : files_(files),
        directory_(directory),
        store_number_(store_number),
        segment_bytes_(segment_bytes),
        purpose_(purpose),
        known_(synced) {}
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  // REQUIRES: a group begins at `from`, or the log ends there.  kCorruption where that segment is
  // missing.
  Status open(Lsn from);

  // The next record, whose bytes live until the next call, and the lsn of its end.  *more is false
  // at the end of the log.  kCorruption where the log is damaged.
  Status next(Record* record, Lsn* lsn, bool* more);

  // Where the log ends, once next() has come there.
  Lsn end() const { return place_; }

 private:
  Status load_segment(uint64_t segment, bool* there);
  Status make_durable(File* file);
  Status next_group(bool* more);
  // The group at an offset of the loaded segment; null unless it is one.
  const std::byte* group_at(uint64_t offset) const;
  uint64_t written_bytes() const;
  Status check_end();

  Files& files_;
  const char* directory_;
  const uint64_t store_number_;
  const uint64_t segment_bytes_;
  const Purpose purpose_;
  Lsn known_;

  std::unique_ptr<std::byte[]> segment_;
  uint64_t number_ = 0;  // of the loaded segment
  Lsn place_ = kNoLsn;   // of the next group
  const std::byte* group_ = nullptr;
  uint32_t length_ = 0;  // of the group
  uint32_t offset_ = 0;  // of the next record in it
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_LOG_READER_H_
