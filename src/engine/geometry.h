// Extents: how blocks are grouped, a function of the block number alone.
//
// Extents start small, so that a store with one value stays small, and grow to a steady megabyte:
// 16 extents each of 4, 8, 16, 32 and 64 blocks from block 2 on, then 128 blocks each.
//
// Map page m describes extents [254 m, 254 (m + 1)) and is the first block of the first of them.

#ifndef TOASTSTORE_ENGINE_GEOMETRY_H_
#define TOASTSTORE_ENGINE_GEOMETRY_H_

#include <bit>

#include "engine/format.h"

namespace toaststore {

using Extent = uint32_t;

inline constexpr uint32_t kSmallestExtent = 4;  // blocks
inline constexpr uint32_t kSteadyExtent = 128;
inline constexpr uint32_t kExtentsPerSize = 16;
inline constexpr Block kFirstExtentBlock = 2;
inline constexpr uint32_t kSmallSizes = 5;  // 4, 8, 16, 32, 64
inline constexpr Extent kFirstSteadyExtent = kExtentsPerSize * kSmallSizes;
inline constexpr Block kFirstSteadyBlock =
    kFirstExtentBlock + kExtentsPerSize * kSmallestExtent * ((1u << kSmallSizes) - 1);
static_assert(kSmallestExtent << kSmallSizes == kSteadyExtent);
// PostgreSQL numbers at most 2^32 - 1 blocks.
inline constexpr Extent kMaxExtents = (0xfffffff0u - kFirstSteadyBlock) / kSteadyExtent;

inline constexpr uint32_t extent_blocks(Extent extent) {
  return extent >= kFirstSteadyExtent ? kSteadyExtent
                                      : kSmallestExtent << (extent / kExtentsPerSize);
}

inline constexpr Block extent_start(Extent extent) {
  if (extent >= kFirstSteadyExtent) {
    return kFirstSteadyBlock + (extent - kFirstSteadyExtent) * kSteadyExtent;
  }
  const uint32_t size = extent / kExtentsPerSize;
  return kFirstExtentBlock + kExtentsPerSize * kSmallestExtent * ((1u << size) - 1) +
         (extent % kExtentsPerSize) * (kSmallestExtent << size);
}

inline constexpr Block extent_end(Extent extent) {
  return extent_start(extent) + extent_blocks(extent);
}

// REQUIRES: block >= kFirstExtentBlock.
inline constexpr Extent extent_of(Block block) {
  if (block >= kFirstSteadyBlock) {
    return kFirstSteadyExtent + (block - kFirstSteadyBlock) / kSteadyExtent;
  }
  const uint32_t group = kExtentsPerSize * kSmallestExtent;
  const uint32_t offset = block - kFirstExtentBlock;
  const uint32_t size = std::bit_width(offset / group + 1) - 1;
  return size * kExtentsPerSize + (offset - group * ((1u << size) - 1)) / (kSmallestExtent << size);
}

inline constexpr uint32_t map_page_of(Extent extent) { return extent / kExtentsPerMapPage; }

inline constexpr Block map_block(uint32_t map_page) {
  return extent_start(map_page * kExtentsPerMapPage);
}
static_assert(map_block(0) == kFirstMapBlock);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_GEOMETRY_H_
