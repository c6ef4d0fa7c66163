// Value pages: PostgreSQL heap pages whose tuples are pieces of values, so that core's own
// heap-insert records log, replay and decode them.
//
//   offset size
//        0   24  header         as page.h, but special is 8192: there is no tail
//       24  4 n  item pointers  offset (15 bits), state (2 bits: 1), length (15 bits)
//      ...       free
//      ...       pieces, each aligned to 8 bytes, placed downwards from the end of the page
//
// A piece is a heap tuple of three columns, as in a native toast table:
//
//        0    4  xmin           transaction of the log record (never read)
//        4    4  xmax           0
//        8    4  cid            0
//       12    6  ctid           its own place
//       18    2  infomask2      3 columns
//       20    2  infomask       frozen, no xmax, has variable-width columns
//       22    1  hoff           24
//       23    1  zero
//       24  8|4  id             8 bytes by id, 4 bytes behind TOAST pointers
//        +    4  sequence       of the piece in its value
//        +    4  length word    of a bytea: (n + 4) << 2
//        +    n  bytes
//
// Sequence numbers count the pieces of a value from 0, across its chunks; those of its chunk tables
// from kTableSequence, those of a table of tables from kTopTableSequence.
//
// Invariant: whoever follows a pointer to a piece proves id, sequence and length.

#ifndef TOASTSTORE_ENGINE_VALUE_PAGE_H_
#define TOASTSTORE_ENGINE_VALUE_PAGE_H_

#include "engine/pager.h"

namespace toaststore {

inline constexpr uint32_t kTableSequence = 0x40000000;
inline constexpr uint32_t kTopTableSequence = 0x60000000;
inline constexpr uint16_t kTupleHeaderBytes = 24;
// What core's heap redo accepts on a page (MaxHeapTuplesPerPage).
inline constexpr uint16_t kMaxItems = 291;
inline constexpr uint16_t kItemBytes = 4;

// Bytes of a piece before the value's own.
inline constexpr uint16_t piece_overhead(StoreKind kind) {
  return kind == StoreKind::kById ? 40 : 36;
}
// The largest piece: alone in a page.
inline constexpr uint16_t max_piece(StoreKind kind) {
  return static_cast<uint16_t>(8160 - piece_overhead(kind));
}
// Where a piece begins that is the first of its page.
inline constexpr uint16_t first_piece_offset(StoreKind kind, uint32_t length) {
  return static_cast<uint16_t>(kPageBytes - ((piece_overhead(kind) + length + 7) & ~7u));
}
// Free bytes that a piece of n bytes takes from a page.
inline constexpr uint16_t piece_space(StoreKind kind, uint16_t length) {
  return static_cast<uint16_t>(kItemBytes + ((piece_overhead(kind) + length + 7) & ~7));
}

// How full a value page is.
struct PageFill {
  uint16_t free = kPageBytes - kPageHeaderBytes;
  uint16_t items = 0;

  // The longest piece that still fits.
  uint16_t room(StoreKind kind) const {
    if (items >= kMaxItems || free < piece_space(kind, 1)) return 0;
    return static_cast<uint16_t>(((free - kItemBytes) & ~7) - piece_overhead(kind));
  }
  void add(StoreKind kind, uint16_t length) {
    free = static_cast<uint16_t>(free - piece_space(kind, length));
    items++;
  }
};

// Checks that a page is a value page with a sound header; kRetry where it is something else.
Status read_fill(const std::byte* page, Block block, PageFill* fill);
// Before a piece is appended: the free space must begin right below the last piece, or a damaged
// header would have it overwrite others.  kRetry where it does not.
Status check_fill(const std::byte* page, Block block, const PageFill& fill);

// A piece in place: what the host logs.
struct PlacedPiece {
  uint16_t item;
  uint16_t offset;  // of the tuple in the page
  uint16_t length;  // of the tuple, unaligned
};

// Appends a piece.  `page` was initialised or has room (REQUIRES: read_fill(...).room() >= length).
PlacedPiece add_piece(std::byte* page, const PieceWrite& piece, Xid xmin);
// Makes the page an empty value page.
void init_value_page(std::byte* page);

// The piece that must be at (block, item).  kRetry with the reason where anything else is there.
struct PieceKey {
  StoreKind kind;
  uint64_t id;
  uint32_t sequence;
  uint16_t item;
  uint16_t length;
};
Status find_piece(const std::byte* page, Block block, const PieceKey& key, const std::byte** bytes);

// What a piece says of itself, for whoever looks at a page without an entry that leads to it.
struct PieceClaim {
  uint64_t id;
  uint32_t sequence;
  uint16_t offset;  // of the tuple in the page
  uint16_t length;  // of the bytes
};
// kRetry where no piece can be.  REQUIRES: read_fill() has found the page and the item.
Status read_piece(const std::byte* page, Block block, StoreKind kind, uint16_t item,
                  PieceClaim* claim);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_VALUE_PAGE_H_
