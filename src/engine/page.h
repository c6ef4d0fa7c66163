// Pages: the part of their layout that all kinds share, and the check every read goes through.
//
// A page is 8 kB and starts with PostgreSQL's PageHeaderData, so that the server's checksums,
// hole-compressed full-page images and tools understand it:
//
//   offset size
//        0    8  lsn            of the last logged change (the host's business)
//        8    2  checksum       PostgreSQL's data checksum, set by the host on write-out
//       10    2  flags          0
//       12    2  lower          end of the page's records
//       14    2  upper          start of the tail; for value pages start of the tuples
//       16    2  special        start of the tail: 8152; for value pages 8192
//       18    2  size_version   8192 | 4
//       20    4  prune_xid      0
//       24  ...  records, fixed size, dense
//     8152   40  tail           kind-specific, see below
//
// Value pages are the exception: they are PostgreSQL heap pages (value_page.h).
//
// Every tail begins and ends alike:
//
//        0    2  kind           PageKind
//        2    1  version        kPageVersion
//        3    1  level or lane
//        4    4  block          the page's own block number
//        8   28  kind-specific
//       36    4  check          CRC-32C of the tail's first 36 bytes (meta: of its body too)
//
// Invariants:
//   * lower, upper and special agree with the kind and its record count.
//   * Each record is proven by a check of its own or by a running CRC in the tail, so that a page
//     is never trusted further than what was read of it was proven, with or without data checksums.

#ifndef TOASTSTORE_ENGINE_PAGE_H_
#define TOASTSTORE_ENGINE_PAGE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/crc32c.h"
#include "toaststore/status.h"

namespace toaststore {

inline constexpr uint32_t kPageBytes = 8192;
inline constexpr uint16_t kPageHeaderBytes = 24;
inline constexpr uint16_t kTailBytes = 40;
inline constexpr uint16_t kTailOffset = kPageBytes - kTailBytes;
inline constexpr uint16_t kRecordSpace = kTailOffset - kPageHeaderBytes;
inline constexpr uint16_t kSizeVersion = kPageBytes | 4;  // PG_PAGE_LAYOUT_VERSION
// Bump when the layout of any page but the meta page's body changes.
inline constexpr uint8_t kPageVersion = 1;

// On disk: never renumber.
enum class PageKind : uint16_t {
  kMeta = 0x7301,
  kLeaf = 0x7302,
  kInner = 0x7303,
  kMap = 0x7304,
  kJournal = 0x7305,
  kDead = 0x7306,
  kRetired = 0x7307,  // was a tree page, is free now
};

struct PageHeader {
  uint64_t lsn;
  uint16_t checksum;
  uint16_t flags;
  uint16_t lower;
  uint16_t upper;
  uint16_t special;
  uint16_t size_version;
  uint32_t prune_xid;
};
static_assert(sizeof(PageHeader) == kPageHeaderBytes);

// The start that all tails share.
struct TailStart {
  uint16_t kind;
  uint8_t version;
  uint8_t level;
  uint32_t block;
};
static_assert(sizeof(TailStart) == 8);

// Tails of pages that need nothing more than the start (meta, map, retired).
struct PlainTail {
  TailStart start;
  uint32_t index;  // map pages: their ordinal
  uint32_t zero[6];
  uint32_t check;
};
static_assert(sizeof(PlainTail) == kTailBytes);

template <typename T>
inline T load(const std::byte* page, size_t offset) {
  T value;
  std::memcpy(&value, page + offset, sizeof(T));
  return value;
}

template <typename T>
inline T tail_of(const std::byte* page) {
  static_assert(sizeof(T) == kTailBytes);
  return load<T>(page, kTailOffset);
}

// Fills in the check of a tail that is otherwise complete.
template <typename T>
inline void seal_tail(T* tail) {
  static_assert(sizeof(T) == kTailBytes);
  tail->check = crc32c(tail, offsetof(T, check));
}

// A header for a page whose records end at `lower`.
inline PageHeader header_for(uint16_t lower) {
  PageHeader header{};
  header.lower = lower;
  header.upper = kTailOffset;
  header.special = kTailOffset;
  header.size_version = kSizeVersion;
  return header;
}

template <typename T>
inline T new_tail(PageKind kind, Block block, uint8_t level = 0) {
  T tail{};
  tail.start = {static_cast<uint16_t>(kind), kPageVersion, level, block};
  return tail;
}

// The kind a page claims; 0 for a page never initialised.
inline uint16_t claimed_kind(const std::byte* page) { return load<uint16_t>(page, kTailOffset); }

bool is_zero_page(const std::byte* page);

// Checks header and tail of a page that must be of `kind` and lie at `block`; records are not
// looked at.  kCorruption with the reason, or kRetry (not an error yet) where the page is a sound
// page of another kind, as a reader with an old pointer may meet.
Status check_page(const std::byte* page, Block block, PageKind kind);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_PAGE_H_
