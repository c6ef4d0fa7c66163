// The write-ahead log on disk.
//
// The log is a stream of bytes; a position in it is an LSN.  It lies in segment files of fixed
// size, `log-` and the segment's number in 16 hexadecimal digits; LSN x is byte x % size of segment
// x / size.  LSN 0 is none: the first segment is number 1.
//
// What is written at once is a group: a header and the records gathered since the last one.
//
//   offset size
//        0    8  lsn          position of the group
//        8    4  length       of the group with this header
//       12    4  crc          CRC-32C of the store's number and of everything in the group but this
//       16    8  synced       up to here the log was durable when the group was written
//       24    4  flags        kEndOfSegment: the next group begins the next segment
//       28    4  zero
//       32       records
//
// A record is one atomic change of pages, or the end of a transaction.
//
//        0    4  length       of the record
//        4    1  kind         RecordKind
//        5    1  step         engine/step.h, for people who read logs
//        6    1  pages
//        7    1  patches
//        8    4  xid          the transaction whose doing it is; 0 is none
//       12  8 p  pages        block (4), flags (1), zero (3)
//        +  8 q  patches      page (1), zero (1), offset (2), length (2), zero (2)
//        +       bytes of the patches, one after the other
//
// A page with kNamesFile is one of the file of names, any other one of the data file.
//
// A page with kImage is logged whole, as its first two patches: from its start to pd_lower, and
// from pd_upper to its end; what is between is zero.  It has no other patches.  A page with kFresh
// is zero before its patches.  The first change of a page after a checkpoint began logs an image,
// so that a page that a crash tore in writing is made anew.
//
// Where the log ends.  A group counts if its lsn is its place and its CRC is right.  The first one
// that doesn't is the end, unless something durable says that the log went on: the control file, or
// a later group that was written when the log had been synced beyond that place.  Then the log is
// damaged, which is an error.  Whoever goes on writing begins a segment of a number that was never
// used.
//
// A segment's file may have been an older segment: behind the end lie groups of the past, whole
// ones too, whose lsn is not their place.

#ifndef TOASTSTORE_FILE_LOG_FORMAT_H_
#define TOASTSTORE_FILE_LOG_FORMAT_H_

#include "engine/pager.h"

namespace toaststore {

using Lsn = uint64_t;
inline constexpr Lsn kNoLsn = 0;

inline constexpr uint32_t kGroupHeaderBytes = 32;
// A group that has as many bytes, or a quarter of a segment, is written; one record more may
// follow.
inline constexpr uint32_t kGroupBytes = 1024 * 1024;
inline constexpr uint64_t kDefaultSegmentBytes = 16 * 1024 * 1024;
inline constexpr uint64_t kMinSegmentBytes = 256 * 1024;

inline constexpr uint32_t kEndOfSegment = 1;

struct GroupHeader {
  Lsn lsn;
  uint32_t length;
  uint32_t crc;
  Lsn synced;
  uint32_t flags;
  uint32_t zero;
};
static_assert(sizeof(GroupHeader) == kGroupHeaderBytes);

// On disk: never renumber.
enum class RecordKind : uint8_t { kChange = 1, kCommit = 2, kAbort = 3 };

struct RecordHeader {
  uint32_t length;
  RecordKind kind;
  uint8_t step;
  uint8_t pages;
  uint8_t patches;
  uint32_t xid;
};
static_assert(sizeof(RecordHeader) == 12);

inline constexpr uint8_t kImage = 1;
inline constexpr uint8_t kFresh = 2;
inline constexpr uint8_t kNamesFile = 4;

struct RecordPage {
  Block block;
  uint8_t flags;
  uint8_t zero[3];

  // Does the record make the page anew, whatever it was?
  bool whole() const { return (flags & (kImage | kFresh)) != 0; }
};
static_assert(sizeof(RecordPage) == 8);

struct RecordPatch {
  uint8_t page;
  uint8_t zero;
  uint16_t offset;
  uint16_t length;
  uint16_t zero_too;
};
static_assert(sizeof(RecordPatch) == 8);

inline constexpr int kMaxRecordPages = Change::kMaxPages;
// Images take two patches each.
inline constexpr int kMaxRecordPatches = Change::kMaxPatches + 2 * kMaxRecordPages;
inline constexpr uint32_t kMaxRecordBytes =
    sizeof(RecordHeader) + kMaxRecordPages * sizeof(RecordPage) +
    kMaxRecordPatches * sizeof(RecordPatch) + (kMaxRecordPages + 1) * kPageBytes;
static_assert(kGroupHeaderBytes + kMinSegmentBytes / 4 + kMaxRecordBytes < kMinSegmentBytes);

// A record in memory, read or to be written.
struct Record {
  RecordHeader header;
  RecordPage pages[kMaxRecordPages];
  RecordPatch patches[kMaxRecordPatches];
  const std::byte* bytes[kMaxRecordPatches];

  void start(RecordKind kind, uint32_t xid);
  int add_page(Block block, uint8_t flags);
  void add_patch(int page, uint16_t offset, const void* bytes, uint16_t length);
  // The page as it is now, logged whole.  `file` is kNamesFile or 0.
  void add_image(Block block, uint8_t file, const std::byte* page);

  // Writes header.length bytes.
  void encode(std::byte* out) const;
  // Reads a record that begins at `from`, of `available` bytes at most, and checks all its bounds.
  // The patches' bytes stay where they are.
  Status decode(const std::byte* from, size_t available);
  // Makes the page what it was after the change.  Its header's lsn is the caller's business.
  void apply(int page, std::byte* bytes_of_page) const;
};

// CRC of a group of a store with this number.
uint32_t group_crc(uint64_t store_number, const std::byte* group, uint32_t length);

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_LOG_FORMAT_H_
