// Placing and finding pieces in value pages.

#include "engine/value_page.h"

#include <bit>
#include <cassert>

namespace toaststore {

namespace {

// As in PostgreSQL's htup_details.h.
constexpr uint16_t kColumns = 3;
constexpr uint16_t kHasVarWidth = 0x0002;
constexpr uint16_t kXminFrozen = 0x0300;
constexpr uint16_t kXmaxInvalid = 0x0800;
constexpr uint32_t kItemNormal = 1;

struct TupleHeader {
  uint32_t xmin;
  uint32_t xmax;
  uint32_t cid;
  uint16_t block_high;
  uint16_t block_low;
  uint16_t item;
  uint16_t infomask2;
  uint16_t infomask;
  uint8_t hoff;
  uint8_t zero;
};
static_assert(sizeof(TupleHeader) == kTupleHeaderBytes);

// The bit fields of ItemIdData and the length word of a varlena, which PostgreSQL lays out by byte
// order.
constexpr bool kLittle = std::endian::native == std::endian::little;

uint32_t item_pointer(uint32_t offset, uint32_t length) {
  return kLittle ? offset | kItemNormal << 15 | length << 17
                 : offset << 17 | kItemNormal << 15 | length;
}

uint32_t item_offset(uint32_t pointer) { return (kLittle ? pointer : pointer >> 17) & 0x7fff; }

uint32_t item_length(uint32_t pointer) { return (kLittle ? pointer >> 17 : pointer) & 0x7fff; }

uint32_t length_word(uint32_t bytes) { return kLittle ? (bytes + 4) << 2 : bytes + 4; }

template <typename T>
std::byte* store(std::byte* place, T value) {
  std::memcpy(place, &value, sizeof(T));
  return place + sizeof(T);
}

}  // namespace

Status read_fill(const std::byte* page, Block block, PageFill* fill) {
  const auto header = load<PageHeader>(page, 0);
  if (header.size_version != kSizeVersion || header.special != kPageBytes ||
      header.lower < kPageHeaderBytes || header.lower > header.upper || header.upper > kPageBytes ||
      header.lower % kItemBytes != 0 || header.upper % 8 != 0) {
    return Status::Error(Code::kRetry, "page is not a value page", block);
  }
  fill->free = static_cast<uint16_t>(header.upper - header.lower);
  fill->items = static_cast<uint16_t>((header.lower - kPageHeaderBytes) / kItemBytes);
  return Status::Ok();
}

Status check_fill(const std::byte* page, Block block, const PageFill& fill) {
  uint32_t lowest = kPageBytes;
  if (fill.items > 0) {
    const auto last = load<uint32_t>(page, kPageHeaderBytes + (fill.items - 1u) * kItemBytes);
    lowest = item_offset(last);
  }
  const auto header = load<PageHeader>(page, 0);
  if (header.upper == lowest) return Status::Ok();
  return Status::Error(Code::kRetry, "free space of a value page is not below its pieces", block);
}

void init_value_page(std::byte* page) {
  std::memset(page, 0, kPageBytes);
  PageHeader header{};
  header.lower = kPageHeaderBytes;
  header.upper = header.special = kPageBytes;
  header.size_version = kSizeVersion;
  std::memcpy(page, &header, sizeof(header));
}

PlacedPiece add_piece(std::byte* page, const PieceWrite& piece, Xid xmin) {
  auto header = load<PageHeader>(page, 0);
  const auto length = static_cast<uint16_t>(piece_overhead(piece.kind) + piece.length);
  const auto item = static_cast<uint16_t>((header.lower - kPageHeaderBytes) / kItemBytes + 1);
  assert(item <= kMaxItems && header.upper - header.lower >= piece_space(piece.kind, piece.length));

  const auto offset = static_cast<uint16_t>(header.upper - ((length + 7) & ~7));
  store(page + header.lower, item_pointer(offset, length));
  TupleHeader tuple{};
  tuple.xmin = xmin;
  tuple.block_high = static_cast<uint16_t>(piece.block >> 16);
  tuple.block_low = static_cast<uint16_t>(piece.block);
  tuple.item = item;
  tuple.infomask2 = kColumns;
  tuple.infomask = kHasVarWidth | kXminFrozen | kXmaxInvalid;
  tuple.hoff = kTupleHeaderBytes;
  std::byte* place = store(page + offset, tuple);
  place = piece.kind == StoreKind::kById ? store(place, piece.id)
                                         : store(place, static_cast<uint32_t>(piece.id));
  place = store(place, piece.sequence);
  place = store(place, length_word(piece.length));
  std::memcpy(place, piece.bytes, piece.length);

  header.lower = static_cast<uint16_t>(header.lower + kItemBytes);
  header.upper = offset;
  std::memcpy(page + offsetof(PageHeader, lower), &header.lower, 2 * sizeof(uint16_t));
  return {item, offset, length};
}

Status find_piece(const std::byte* page, Block block, const PieceKey& key,
                  const std::byte** bytes) {
  PageFill fill;
  TOASTSTORE_TRY(read_fill(page, block, &fill));
  if (key.item == 0 || key.item > fill.items) {
    return Status::Error(Code::kRetry, "piece is missing from its page", block);
  }
  const auto pointer = load<uint32_t>(page, kPageHeaderBytes + (key.item - size_t{1}) * kItemBytes);
  const uint32_t offset = item_offset(pointer);
  const uint32_t length = piece_overhead(key.kind) + uint32_t{key.length};
  if (pointer != item_pointer(offset, length) || offset + length > kPageBytes ||
      offset < kPageHeaderBytes + fill.items * uint32_t{kItemBytes} || offset % 8 != 0) {
    return Status::Error(Code::kRetry, "piece is not of the length it must have", block);
  }
  const std::byte* place = page + offset + kTupleHeaderBytes;
  const bool by_id = key.kind == StoreKind::kById;
  const uint64_t id = by_id ? load<uint64_t>(place, 0) : load<uint32_t>(place, 0);
  place += by_id ? sizeof(uint64_t) : sizeof(uint32_t);
  if (id != key.id) return Status::Error(Code::kRetry, "piece belongs to another value", block);
  if (load<uint32_t>(place, 0) != key.sequence) {
    return Status::Error(Code::kRetry, "piece is another part of its value", block);
  }
  if (load<uint32_t>(place, sizeof(uint32_t)) != length_word(key.length)) {
    return Status::Error(Code::kRetry, "piece has a foreign length word", block);
  }
  *bytes = place + 2 * sizeof(uint32_t);
  return Status::Ok();
}

Status read_piece(const std::byte* page, Block block, StoreKind kind, uint16_t item,
                  PieceClaim* claim) {
  const auto pointer = load<uint32_t>(page, kPageHeaderBytes + (item - size_t{1}) * kItemBytes);
  const uint32_t offset = item_offset(pointer);
  const uint32_t length = item_length(pointer);
  const auto lower = load<uint16_t>(page, offsetof(PageHeader, lower));
  if (pointer != item_pointer(offset, length) || offset < lower || offset % 8 != 0 ||
      offset + length > kPageBytes || length <= piece_overhead(kind)) {
    return Status::Error(Code::kRetry, "item does not point to a piece", block);
  }
  const std::byte* place = page + offset + kTupleHeaderBytes;
  const bool by_id = kind == StoreKind::kById;
  claim->id = by_id ? load<uint64_t>(place, 0) : load<uint32_t>(place, 0);
  claim->sequence = load<uint32_t>(place, by_id ? sizeof(uint64_t) : sizeof(uint32_t));
  claim->offset = static_cast<uint16_t>(offset);
  claim->length = static_cast<uint16_t>(length - piece_overhead(kind));
  const size_t word = offset + piece_overhead(kind) - sizeof(uint32_t);
  if (load<uint32_t>(page, word) != length_word(claim->length)) {
    return Status::Error(Code::kRetry, "piece has a foreign length word", block);
  }
  return Status::Ok();
}

}  // namespace toaststore
