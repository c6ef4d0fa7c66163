// What compaction is made of, piece by piece: tree pages move to other blocks under everybody's
// eyes, lanes give up what they do not need, the end of the store is found and map pages behind it
// go.

#include <gtest/gtest.h>

#include <map>

#include "engine/cleaner.h"
#include "engine/map_page.h"
#include "engine/meta.h"
#include "engine/space_map.h"
#include "engine/tidy.h"
#include "engine/tree.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

class CompactTest : public ::testing::Test {
 protected:
  CompactTest() {
    for (int i = 0; i < 500; i++) put(20);
    store_.commit();
    store_.next_command();
  }

  uint64_t put(size_t length) {
    const Bytes bytes = random_bytes(seed_++, length);
    const uint64_t id = store_.put(bytes);
    live_[id] = bytes;
    return id;
  }
  MetaBody meta() {
    MetaBody body{};
    EXPECT_OK(read_meta(store_.context, &body));
    return body;
  }
  PageKind kind(Block block) {
    return static_cast<PageKind>(load<TailStart>(store_.pager.page(block), kTailOffset).kind);
  }
  std::vector<Block> tree_pages() {
    std::vector<Block> blocks;
    for (Block block = kFirstExtentBlock; block < store_.pager.blocks(); block++) {
      const std::byte* page = store_.pager.page(block);
      for (const PageKind wanted : {PageKind::kLeaf, PageKind::kInner}) {
        if (kind(block) == wanted && check_page(page, block, wanted).ok()) blocks.push_back(block);
      }
    }
    return blocks;
  }
  void expect_unchanged() {
    store_.next_command();
    std::vector<uint64_t> ids;
    for (const auto& [id, bytes] : live_) {
      ids.push_back(id);
      EXPECT_EQ(store_.get(id), bytes);
    }
    EXPECT_EQ(store_.scan(), ids);
    EXPECT_EQ(store_.scan(true).size(), ids.size());
    store_.expect_sound();
  }
  // Gives a lane so many blocks.
  void take(uint8_t lane, uint32_t blocks) {
    const Lane old = meta().lanes[lane];
    RunRequest request{};
    request.lane = lane;
    request.old = {old.run_start, old.run_end};
    request.position = old.run_start;
    request.extend_blocks = request.fresh_blocks = request.want_blocks = blocks;
    toaststore::Run run;
    ASSERT_OK(take_run(store_.context, request, &run));
  }

  TestStore store_;
  std::map<uint64_t, Bytes> live_;
  uint64_t seed_ = 1;
};

// ---- tree pages -------------------------------------------------------------------------------

TEST_F(CompactTest, EveryPageOfTheTreeMoves) {
  const std::vector<Block> pages = tree_pages();
  ASSERT_GE(pages.size(), 5u);
  for (const Block block : pages) {
    SCOPED_TRACE(block);
    ASSERT_OK(move_tree_page(store_.context, block));
    store_.expect_idle("a move");
    EXPECT_EQ(kind(block), PageKind::kRetired);
    store_.expect_sound();
  }
  expect_unchanged();
}

// Writers who fill extents faster than they are counted are left behind.
TEST_F(CompactTest, EndsThoughWritersGoOn) {
  for (int i = 0; i < 20; i++) put(300000);
  store_.commit();
  TestStore other(store_, TestStore::plain());
  constexpr uint64_t kEnough = 20000;
  uint64_t reads = 0;
  store_.pager.on_read = [&] {
    if (++reads % 40 != 0 || reads > kEnough) return;
    const Bytes bytes = random_bytes(seed_++, 500000);
    uint64_t id = 0;
    ASSERT_OK(other.store.put(data_of(bytes), bytes.size(), &id));
    other.commit();
    live_[id] = bytes;
  };
  CleanReport report;
  ASSERT_OK(compact(store_.context, 0.5, &report));
  store_.pager.on_read = nullptr;
  EXPECT_GT(report.left_extents, 0u);
  EXPECT_LT(reads, kEnough);
  expect_unchanged();
}

// A page without a parent cannot be moved: it gets one.
TEST_F(CompactTest, ARootThatMovesGetsARootAbove) {
  const MetaBody before = meta();
  ASSERT_OK(move_tree_page(store_.context, before.root));
  EXPECT_EQ(meta().root_level, before.root_level + 1);
  EXPECT_NE(meta().root, before.root);
  EXPECT_EQ(kind(before.root), PageKind::kRetired);
  expect_unchanged();
}

// Between the two changes an empty range stands where the page was: readers, writers and cleaners
// pass through it, and the next run finishes the move.
TEST_F(CompactTest, AMoveThatWasInterruptedHindersNobody) {
  for (const Block block : tree_pages()) {
    SCOPED_TRACE(block);
    if (block == meta().root) continue;
    store_.pager.die_after(1);
    EXPECT_FALSE(move_tree_page(store_.context, block).ok());
    store_.reopen();
    EXPECT_NE(kind(block), PageKind::kRetired);
    expect_unchanged();
    const uint64_t victim = live_.begin()->first;
    store_.erase(victim);
    live_.erase(victim);
    for (int i = 0; i < 150; i++) put(20);
    store_.commit();
    store_.world.horizon = store_.world.next();
    CleanReport report;
    ASSERT_OK(clean(store_.context, &report));
    EXPECT_EQ(report.removed_values, 1u);
    expect_unchanged();
    ASSERT_OK(move_tree_page(store_.context, block));
    EXPECT_EQ(kind(block), PageKind::kRetired);
    expect_unchanged();
  }
}

// The map may be older than the page that it was asked for.
TEST_F(CompactTest, WhatIsNoTreePageIsLeftAlone) {
  const MetaBody body = meta();
  const uint64_t steps = store_.pager.steps();
  for (const Block block : {body.lanes[0].journal_tail, kFirstMapBlock, store_.entry(1).block}) {
    ASSERT_OK(move_tree_page(store_.context, block));
  }
  EXPECT_EQ(store_.pager.steps(), steps);
}

// ---- lanes ------------------------------------------------------------------------------------

TEST_F(CompactTest, ALaneKeepsTheExtentThatItIsInTheMiddleOf) {
  put(100000);
  store_.commit();
  take(0, 2000);
  const uint64_t last = put(5000);
  store_.commit();
  const Lane before = meta().lanes[0];
  CleanReport report;
  ASSERT_OK(leave_lanes(store_.context, UINT32_MAX, &report));
  const Lane lane = meta().lanes[0];
  const Extent extent = extent_of(store_.entry(last).block);
  EXPECT_EQ(lane.run_start, extent_start(extent));
  EXPECT_EQ(lane.run_end, extent_end(extent));
  EXPECT_EQ(report.freed_blocks, before.run_end - lane.run_end);
  EXPECT_GT(report.freed_blocks, 1000u);
  expect_unchanged();
  // It goes on where it was.
  const uint64_t next = put(100);
  EXPECT_EQ(extent_of(store_.entry(next).block), extent);
}

TEST_F(CompactTest, ALaneLeavesWhatLiesBehindTheEnd) {
  CleanReport report;
  const Block position = store_.entry(live_.rbegin()->first).block;
  ASSERT_OK(leave_lanes(store_.context, position, &report));
  EXPECT_EQ(meta().lanes[0].run_start, meta().lanes[0].run_end);
  const uint64_t next = put(100);
  EXPECT_NE(extent_of(store_.entry(next).block), extent_of(position));
  expect_unchanged();
}

TEST_F(CompactTest, ALaneInUseStaysAsItIs) {
  take(0, 2000);
  const Lane before = meta().lanes[0];
  CleanReport report;
  store_.pager.set_lane_locked(0, true);
  ASSERT_OK(leave_lanes(store_.context, UINT32_MAX, &report));
  store_.pager.set_lane_locked(0, false);
  EXPECT_EQ(meta().lanes[0].run_start, before.run_start);
  EXPECT_EQ(meta().lanes[0].run_end, before.run_end);
  EXPECT_EQ(report.freed_blocks, 0u);
}

// ---- the end ----------------------------------------------------------------------------------

// A map page describes what comes behind it: when nothing does, it is not the end of the store, and
// the file can do without it.
TEST_F(CompactTest, AMapPageBehindTheLastExtentGoes) {
  Block end, later;
  ASSERT_OK(find_end(store_.context, &end));
  for (uint8_t lane = 1; meta().map_pages < 3; lane++) take(lane, 8000);
  ASSERT_OK(find_end(store_.context, &later));
  EXPECT_GT(later, map_block(2));
  CleanReport report;
  ASSERT_OK(leave_lanes(store_.context, UINT32_MAX, &report));
  ASSERT_OK(find_end(store_.context, &later));
  EXPECT_LE(later, end);
  EXPECT_EQ(meta().map_pages, 3u);
  // It is nothing that compaction would have to empty.
  report = CleanReport();
  ASSERT_OK(compact_extents(store_.context, 0.5, &report));
  EXPECT_EQ(report.extents_to_do, 0u);
  expect_unchanged();
  ASSERT_OK(drop_map_pages(store_.context));
  EXPECT_EQ(meta().map_pages, 1u);
  EXPECT_EQ(kind(map_block(1)), PageKind::kRetired);
  store_.pager.truncate(later);
  store_.hints = Hints();
  expect_unchanged();
  // They come again when they are needed.
  for (uint8_t lane = 1; meta().map_pages < 2; lane++) take(lane, 8000);
  expect_unchanged();
}

TEST_F(CompactTest, AMapPageThatDescribesSomethingStays) {
  for (uint8_t lane = 1; meta().map_pages < 2; lane++) take(lane, 8000);
  ASSERT_OK(drop_map_pages(store_.context));
  EXPECT_EQ(meta().map_pages, 2u);
}

// ---- the tally --------------------------------------------------------------------------------

// What cleaning has settled is counted by layout, and forgotten when it goes.
TEST_F(CompactTest, TheTallyCountsWhatCleaningHasSettled) {
  const uint64_t extent = put(20000);
  const uint64_t chunked = put(200000);
  store_.commit();
  EXPECT_EQ(meta().settled.all_values(), 0u);
  const auto clean_all = [this] {
    store_.world.horizon = store_.world.next();
    CleanReport report;
    EXPECT_OK(clean(store_.context, &report));
  };
  clean_all();
  EXPECT_EQ(meta().settled.values[0], 500u);
  EXPECT_EQ(meta().settled.values[1], 1u);
  EXPECT_EQ(meta().settled.values[2], 1u);
  EXPECT_EQ(meta().settled.raw_bytes, 500u * 20 + 220000);
  EXPECT_EQ(meta().settled.stored_bytes, 500u * 20 + 220000);
  store_.next_command();
  store_.erase(chunked);
  store_.commit();
  EXPECT_EQ(meta().settled.values[2], 1u) << "others may still see it";
  clean_all();
  EXPECT_EQ(meta().settled.values[2], 0u);
  EXPECT_OK(store_.try_purge(extent));
  EXPECT_EQ(meta().settled.all_values(), 500u);
  EXPECT_EQ(meta().settled.raw_bytes, 500u * 20);
  live_.erase(extent);
  live_.erase(chunked);
  expect_unchanged();
}

// A deleted value whose id is given to another leaves the tally with its entry.
TEST_F(CompactTest, TheTallyForgetsAValueThatGivesWay) {
  const uint64_t id = live_.rbegin()->first;
  store_.world.horizon = store_.world.next();
  CleanReport report;
  ASSERT_OK(clean(store_.context, &report));
  store_.erase(id);
  store_.commit();
  store_.world.horizon = store_.world.next();
  store_.next_command();
  store_.put_at(id, "another");
  live_[id] = "another";
  store_.commit();
  EXPECT_EQ(meta().settled.values[0], 499u);
  expect_unchanged();
}

}  // namespace
}  // namespace toaststore::test
