// The bytes on disk of every page the engine keeps for itself: meta, tree, map, journal and list
// of dead ranges.  Value pages are in value_page.h, chunk tables in chunk_table.h.
//
// All integers are in the machine's byte order, as in PostgreSQL's own files.  A change of any
// struct here bumps kPageVersion (page.h), one of MetaBody bumps kFormatVersion below.

#ifndef TOASTSTORE_ENGINE_FORMAT_H_
#define TOASTSTORE_ENGINE_FORMAT_H_

#include "engine/page.h"
#include "engine/transactions.h"
#include "toaststore/options.h"

namespace toaststore {

inline constexpr uint32_t kMagic = 0x54534f54;  // "TOST"
inline constexpr uint16_t kFormatVersion = 1;

// --------------------------------------------------------------------------------------------
// Fixed places.  Block 0 is always an empty standard page, or absent; meta is block 1.
inline constexpr Block kMetaBlock = 1;
inline constexpr Block kFirstMapBlock = 2;
inline constexpr Block kFirstRootBlock = 3;

// --------------------------------------------------------------------------------------------
// Ids.  47 bits, so that an id maps to a tuple identifier (32-bit block, 15-bit offset).
inline constexpr uint64_t kMinId = 1;
inline constexpr uint64_t kMaxId = (uint64_t{1} << 47) - (uint64_t{1} << 16);
// Behind a TOAST pointer an id has 32 bits.
inline constexpr uint64_t max_id(StoreKind kind) {
  return kind == StoreKind::kToast ? UINT32_MAX : kMaxId;
}
inline constexpr uint64_t kInfinity = UINT64_MAX;  // high key of the rightmost page of a level

// --------------------------------------------------------------------------------------------
// Leaf entry: what the store knows of one value.
//
//   offset size
//        0    8  id
//        8    4  xmin           creating transaction; 2 when frozen
//       12    4  xmax           deleting transaction, or 0
//       16    4  cmin           creating command
//       20    4  cmax           deleting command
//       24    8  raw_bytes      length of the value
//       32    8  stored_bytes   length of its pieces' bytes, chunk tables not counted
//       40    4  block          first piece of the value, or of its chunk table
//       44    2  item           its item number in that page, from 1; 0 for the empty value
//       46    1  layout
//       47    1  codec          of the bytes; chunked: of at least one chunk
//       48    4  crc            CRC-32C of the stored bytes; chunked: of the (top) chunk table
//       52    4  pages          value pages that hold a piece of it
//       56    2  first_bytes    bytes in the first piece at (block, item)
//       58    2  zero
//       60    4  check          CRC-32C of the 60 bytes before
struct Entry {
  uint64_t id;
  Xid xmin;
  Xid xmax;
  uint32_t cmin;
  uint32_t cmax;
  uint64_t raw_bytes;
  uint64_t stored_bytes;
  Block block;
  uint16_t item;
  Layout layout;
  Codec codec;
  uint32_t crc;
  uint32_t pages;
  uint16_t first_bytes;
  uint16_t zero;
  uint32_t check;

  Stamps stamps() const { return {xmin, xmax, cmin, cmax}; }
  // Does the tally count it?
  bool settled() const { return xmin < kFirstNormalXid; }
};
static_assert(sizeof(Entry) == 64 && offsetof(Entry, check) == 60);

// Inner entry: a child and the lowest key it may hold.
//
//        0    8  key
//        8    4  child          block
//       12    4  check          CRC-32C of the 12 bytes before
struct Child {
  uint64_t key;
  Block child;
  uint32_t check;
};
static_assert(sizeof(Child) == 16);

inline constexpr uint16_t kLeafCapacity = kRecordSpace / sizeof(Entry);
inline constexpr uint16_t kInnerCapacity = kRecordSpace / sizeof(Child);
static_assert(kLeafCapacity == 127 && kInnerCapacity == 508);

// Tail of leaf and inner pages: keys in [low, high).
//
//        8    8  low
//       16    8  high           kInfinity on the rightmost page of a level
//       24    4  right          right sibling, or 0
//       28    2  count          records
//       30    2  flags          kSplitIncomplete: the right sibling has no downlink yet
//                               kMoved: the records are in the right sibling, which has none either
//       32    4  zero
struct TreeTail {
  TailStart start;  // level 0 is the leaves
  uint64_t low;
  uint64_t high;
  Block right;
  uint16_t count;
  uint16_t flags;
  uint32_t zero;
  uint32_t check;
};
static_assert(sizeof(TreeTail) == kTailBytes && offsetof(TreeTail, check) == 36);

inline constexpr uint16_t kSplitIncomplete = 1;
inline constexpr uint16_t kMoved = 2;  // low == high, no records
// 508^8 children: no sound tree is deeper.
inline constexpr uint8_t kMaxTreeLevels = 9;

// --------------------------------------------------------------------------------------------
// Map entry: one extent.  A free extent is all zero but for the check.
//
//        0    1  kind           ExtentKind
//        1    1  lane           that opened it (values)
//        2    2  zero
//        4    4  stored_bytes   bytes of pieces in it (values), if kCounted
//        8    4  dead_bytes     of them charged as dead (values), if kCounted
//       12    4  flags          kCounted: stored_bytes and dead_bytes are exact (values)
//       16    8  writer         full xid of the last writer that may have pieces without an entry
//                               in it (values)
//       24    4  zero
//       28    4  check          CRC-32C of the 28 bytes before
//
// For extents of single pages bytes 8..23 are a bitmap of the pages in use.
//
// Pieces without an entry are dead only when no transaction that could have written them runs any
// more: the extent lies in no lane's open run, and every running transaction began after `writer`.
// A writer is stamped when it opens an extent and when it leaves one.  If that (sub)transaction
// committed, all it had in the extent has its entry.
enum class ExtentKind : uint8_t { kFree = 0, kPages = 1, kValues = 2 };

struct MapEntry {
  ExtentKind kind;
  uint8_t lane;
  uint16_t zero1;
  uint32_t stored_bytes;
  union {
    struct {
      uint32_t dead_bytes;
      uint32_t flags;
      FullXid writer;
    } values;
    struct {
      uint64_t used[2];  // bit b of word w: page 64 * w + b of the extent
    } pages;
  };
  uint32_t zero3;
  uint32_t check;
};
static_assert(sizeof(MapEntry) == 32 && offsetof(MapEntry, check) == 28);

inline constexpr uint32_t kCounted = 1;

inline constexpr uint32_t kExtentsPerMapPage = kRecordSpace / sizeof(MapEntry);
static_assert(kExtentsPerMapPage == 254);

// --------------------------------------------------------------------------------------------
// Chains of append-only pages: the journal (one chain per lane) and the list of dead ranges.

// Journal record: a change that the cleaner must look at when its transaction is over.
//
//        0    8  id
//        8    4  xid            that created or deleted the value
//       12    1  action         JournalAction
//       13    3  zero
enum class JournalAction : uint8_t { kPut = 1, kDelete = 2 };

struct JournalRecord {
  uint64_t id;
  Xid xid;
  JournalAction action;
  uint8_t zero[3];
};
static_assert(sizeof(JournalRecord) == 16);

// Dead range: the pieces of one run that no entry points to any more.
//
//        0    8  id             that the pieces carry
//        8    8  bytes          stored bytes of the run; kChunked: raw bytes of the value
//       16    4  block          first piece
//       20    4  sequence       of the first piece
//       24    2  item           of the first piece
//       26    2  first_bytes    in the first piece
//       28    1  layout         kChunked: the run is a (top) chunk table, whose chunks are dead too
//       29    3  zero
struct DeadRecord {
  uint64_t id;
  uint64_t bytes;
  Block block;
  uint32_t sequence;
  uint16_t item;
  uint16_t first_bytes;
  Layout layout;
  uint8_t zero[3];
};
static_assert(sizeof(DeadRecord) == 32);

// Tail of chain pages.  On the last page of a lane's journal, next_id and position are the lane's
// own: they are logged in the same change as the entry they follow from, so neither can fall
// behind a live value in a crash.  On a page of the dead list next_id is how many chunks of the
// first record not consumed are charged already: a large value is consumed in steps.
//
//        3    1  lane
//        8    8  next_id        journal: the next id of the lane's batch; dead list: chunks done
//       16    4  position       journal: block of the lane's last page with a committed piece, or 0
//       20    4  min_xid        journal: the oldest transaction in the page, or 0
//       24    4  next           next page of the chain, or 0
//       28    2  count          records
//       30    2  consumed       of them done with
//       32    4  records_crc    CRC-32C of the records
struct ChainTail {
  TailStart start;
  uint64_t next_id;
  Block position;
  Xid min_xid;
  Block next;
  uint16_t count;
  uint16_t consumed;
  uint32_t records_crc;
  uint32_t check;
};
static_assert(sizeof(ChainTail) == kTailBytes && offsetof(ChainTail, check) == 36);

inline constexpr uint16_t kJournalCapacity = kRecordSpace / sizeof(JournalRecord);
inline constexpr uint16_t kDeadCapacity = kRecordSpace / sizeof(DeadRecord);

// --------------------------------------------------------------------------------------------
// Meta page.
//
// Lane: a writer's own place to append.
//
//        0    4  run_start      first block of the open run
//        4    4  run_end        block after its last; equal to run_start: none open
//        8    8  id_start       first id of the batch the lane hands out
//       16    8  id_end         id after its last
//       24    4  journal_head   first page of the lane's journal, or 0
//       28    4  journal_tail   last page
//       32    8  zero
struct Lane {
  Block run_start;
  Block run_end;
  uint64_t id_start;
  uint64_t id_end;
  Block journal_head;
  Block journal_tail;
  uint64_t zero;
};
static_assert(sizeof(Lane) == 40);

inline constexpr uint8_t kLanes = 16;

// Tally: what the values amount to that cleaning has settled, those with a frozen creator.  Changed
// with the entries that it speaks of.
//
//        0   24  values         by layout: direct, extent, chunked
//       24    8  raw_bytes
//       32    8  stored_bytes
struct Tally {
  uint64_t values[3];
  uint64_t raw_bytes;
  uint64_t stored_bytes;

  uint64_t all_values() const { return values[0] + values[1] + values[2]; }
};
static_assert(sizeof(Tally) == 40);

//   offset size  (of the body, which starts at byte 24 of the page)
//        0    4  magic
//        4    2  format_version
//        6    1  kind           StoreKind
//        7    1  root_level
//        8    4  direct_max
//       12    4  extent_max
//       16    4  chunk_bytes
//       20    4  root           block of the tree's root
//       24    8  next_id        first id never handed out to a lane; behind TOAST pointers it
//                               counts on when the ids have wrapped
//       32    4  map_pages
//       36    4  map_hint       no map page before it has a free extent
//       40    4  page_extent    extent that single pages are taken from
//       44    4  dead_head      first page of the list of dead ranges, or 0
//       48    4  dead_tail
//       52    1  codec          of new values; inside the server the catalog's word counts
//       53    1  level          its level, 0 for the default
//       54    2  zero
//       56   40  settled        Tally
//       96    8  compacted_at   microseconds since 2000-01-01 00:00 UTC, or 0: never
//      104    8  checkpointed_at
//      112   72  zero
//      184  640  lanes          16 of 40 bytes
//      824  176  zero
struct MetaBody {
  uint32_t magic;
  uint16_t format_version;
  StoreKind kind;
  uint8_t root_level;
  uint32_t direct_max;
  uint32_t extent_max;
  uint32_t chunk_bytes;
  Block root;
  uint64_t next_id;
  uint32_t map_pages;
  uint32_t map_hint;
  uint32_t page_extent;
  Block dead_head;
  Block dead_tail;
  Codec codec;
  uint8_t level;
  uint16_t zero1;
  Tally settled;
  int64_t compacted_at;
  int64_t checkpointed_at;
  uint64_t zero2[9];
  Lane lanes[kLanes];
  uint64_t zero3[22];
};
static_assert(sizeof(MetaBody) == 1000 && offsetof(MetaBody, settled) == 56 &&
              offsetof(MetaBody, lanes) == 184);

// Fills in the check of a record that ends with one.
template <typename T>
inline void seal_record(T* record) {
  record->check = crc32c(record, offsetof(T, check));
}

template <typename T>
inline bool record_sound(const T& record) {
  return record.check == crc32c(&record, offsetof(T, check));
}

// The i-th record of a page.
template <typename T>
inline T record_at(const std::byte* page, uint32_t index) {
  return load<T>(page, kPageHeaderBytes + index * sizeof(T));
}

template <typename T>
inline constexpr uint16_t record_offset(uint32_t index) {
  return static_cast<uint16_t>(kPageHeaderBytes + index * sizeof(T));
}

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_FORMAT_H_
