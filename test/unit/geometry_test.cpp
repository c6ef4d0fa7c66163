// The arithmetic of extents, against a walk that counts them out one by one.

#include "engine/geometry.h"

#include <gtest/gtest.h>

namespace toaststore {
namespace {

TEST(Geometry, ExtentsTileTheFileFromBlockTwo) {
  Block block = 2;
  uint32_t size = 4;
  for (Extent extent = 0; extent < 2000; extent++) {
    if (extent > 0 && extent % 16 == 0 && size < 128) size *= 2;
    ASSERT_EQ(extent_start(extent), block);
    ASSERT_EQ(extent_blocks(extent), size);
    ASSERT_EQ(extent_end(extent), block + size);
    for (const Block inside : {block, block + 1, block + size - 1}) {
      ASSERT_EQ(extent_of(inside), extent) << "block " << inside;
    }
    block += size;
  }
}

TEST(Geometry, TheLastExtentFitsThirtyTwoBits) {
  const Extent last = kMaxExtents - 1;
  EXPECT_EQ(extent_of(extent_start(last)), last);
  EXPECT_EQ(extent_of(extent_end(last) - 1), last);
  EXPECT_GT(extent_end(last), extent_start(last));
  EXPECT_LT(uint64_t{extent_end(last)}, uint64_t{0xfffffffe});
}

TEST(Geometry, MapPagesAreTheFirstBlocksOfTheirExtents) {
  for (uint32_t page = 0; page < 1000; page++) {
    const Block block = map_block(page);
    ASSERT_EQ(map_page_of(extent_of(block)), page);
    ASSERT_EQ(extent_start(extent_of(block)), block);
    if (page > 0) {
      ASSERT_EQ(map_page_of(extent_of(block - 1)), page - 1);
    }
  }
  EXPECT_EQ(map_block(0), Block{2});
}

}  // namespace
}  // namespace toaststore
