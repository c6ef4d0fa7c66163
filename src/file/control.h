// The control file: what recovery begins with.
//
//   offset size
//        0    8  magic          "toastctl"
//        8    4  version        kControlVersion
//       12    4  crc            CRC-32C of everything but itself
//       16    8  store_number   random; part of every CRC in the log
//       24    8  segment_bytes  of the log
//       32    8  redo           where recovery begins to read the log
//       40    8  synced         the log is durable up to here
//       48    4  next_xid
//       52    4  unfinished     how many transactions follow
//       56    4  blocks         the data file is durable with at least as many
//       60    4  name_blocks    the names file too
//       64  4 n  transactions that aborted, or whose commit record is not before redo
//
// It is replaced whole, by a rename; the file `control` is there from the moment that the store is.

#ifndef TOASTSTORE_FILE_CONTROL_H_
#define TOASTSTORE_FILE_CONTROL_H_

#include <memory>

#include "engine/transactions.h"
#include "file/files.h"
#include "file/log_format.h"

namespace toaststore {

// Bump when the control file or the log change.
inline constexpr uint32_t kControlVersion = 1;

struct Control {
  uint64_t store_number = 0;
  uint64_t segment_bytes = kDefaultSegmentBytes;
  Lsn redo = kNoLsn;
  Lsn synced = kNoLsn;
  Xid next_xid = kFirstNormalXid;
  uint32_t unfinished = 0;
  Block blocks = 0;
  Block name_blocks = 0;
  std::unique_ptr<Xid[]> xids;
};

// kNotFound where there is no store.
Status read_control(Files& files, const char* directory, Control* control);
Status write_control(Files& files, const char* directory, const Control& control);

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_CONTROL_H_
