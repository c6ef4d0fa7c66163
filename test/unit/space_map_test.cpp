// Who owns which blocks: runs never overlap, stay within a map page, are stamped with their
// writers, and single pages come and go with what links them.

#include "engine/space_map.h"

#include <gtest/gtest.h>

#include <set>

#include "engine/meta.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

class SpaceMap : public ::testing::Test {
 protected:
  SpaceMap() { EXPECT_OK(create_store_pages(store_.context)); }

  MapEntry entry_of(Extent extent) {
    const Block block = map_block(map_page_of(extent));
    return record_at<MapEntry>(store_.pager.page(block), extent % kExtentsPerMapPage);
  }
  MetaBody meta() {
    MetaBody body{};
    EXPECT_OK(read_meta(store_.context, &body));
    return body;
  }
  Status try_take(RunRequest request, toaststore::Run* run) {
    const Status status = take_run(store_.context, request, run);
    store_.expect_idle("take_run");
    return status;
  }
  // Takes a run for a lane as the appender does, and remembers who owns which block.
  toaststore::Run take(uint8_t lane, uint32_t blocks, uint32_t want, FullXid writer) {
    const Lane before = meta().lanes[lane];
    RunRequest request{};
    request.lane = lane;
    request.old = {before.run_start, before.run_end};
    request.position = before.run_end == 0 ? kNoBlock : before.run_end - 1;
    request.extend_blocks = request.fresh_blocks = blocks;
    request.want_blocks = want;
    request.writer = writer;
    toaststore::Run run;
    EXPECT_OK(try_take(request, &run));
    const Lane after = meta().lanes[lane];
    EXPECT_EQ(run.start, after.run_start);
    EXPECT_EQ(run.end, after.run_end);
    const bool extended =
        before.run_end != 0 && run.start < before.run_end && before.run_end < run.end;
    const Block first_new = extended ? before.run_end : run.start;
    EXPECT_GE(run.end - first_new, blocks);
    for (Block block = first_new; block < run.end; block++) {
      EXPECT_TRUE(owned_.insert(block).second) << "block " << block << " is given out twice";
      EXPECT_EQ(entry_of(extent_of(block)).kind, ExtentKind::kValues);
      EXPECT_EQ(entry_of(extent_of(block)).lane, lane);
      EXPECT_EQ(entry_of(extent_of(block)).values.writer, writer);
    }
    EXPECT_EQ(map_page_of(extent_of(run.start)), map_page_of(extent_of(run.end - 1)));
    EXPECT_EQ(extent_start(extent_of(run.start)), run.start);
    EXPECT_EQ(extent_end(extent_of(run.end - 1)), run.end);
    return run;
  }
  // Takes a single page and links it nowhere.
  Block take_page() {
    for (;;) {
      PagePick pick;
      const Status status = pick_page(store_.context, &pick);
      if (status.is(Code::kRetry)) {
        pick.map.release();
        EXPECT_OK(refill_pages(store_.context));
        continue;
      }
      EXPECT_OK(status);
      Change change(store_.pager, Step::kLinkChainPage);
      stage_pick(pick, &change);
      EXPECT_OK(change.commit());
      return pick.block;
    }
  }

  TestStore store_;
  std::set<Block> owned_;
};

TEST_F(SpaceMap, ANewStoreOwnsItsMapAndItsRoot) {
  EXPECT_EQ(store_.pager.blocks(), 4u);
  EXPECT_EQ(entry_of(0).kind, ExtentKind::kPages);
  EXPECT_EQ(entry_of(0).pages.used[0], 3u);
  EXPECT_EQ(entry_of(1).kind, ExtentKind::kFree);
  store_.expect_sound();
}

TEST_F(SpaceMap, RunsOfManyLanesNeverOverlap) {
  Random random(5);
  for (int i = 0; i < 400; i++) {
    const auto lane = static_cast<uint8_t>(random.below(kLanes));
    const auto blocks = static_cast<uint32_t>(random.between(1, 33));
    take(lane, blocks, static_cast<uint32_t>(random.below(300)), 100 + i);
    if (i % 10 == 0) {
      EXPECT_TRUE(owned_.insert(take_page()).second) << "a run's block is given out as a page";
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(meta().map_pages, 1u) << "the map never grew";
}

TEST_F(SpaceMap, ALaneAloneExtendsItsRunInPlace) {
  toaststore::Run last = take(0, 1, 1, 100);
  for (int i = 0; i < 100; i++) {
    const toaststore::Run run = take(0, 1, 1, 101 + i);
    EXPECT_LT(run.start, last.end);
    EXPECT_GT(run.end, last.end);
    last = run;
  }
}

// Extents that the writer leaves behind may hold pieces of its own without an entry.
TEST_F(SpaceMap, ARunThatIsLeftCarriesItsLastWriter) {
  const toaststore::Run first = take(0, 4, 4, 100);
  take(1, 4, 4, 200);  // lies behind it: lane 0 has to go elsewhere
  const toaststore::Run second = take(0, 4, 4, 300);
  EXPECT_EQ(entry_of(extent_of(first.start)).values.writer, 300u);
  // A later writer with an older transaction does not take the stamp back: neither where it goes on
  // behind the run, nor where it leaves it.
  take(0, 4, 4, 250);
  EXPECT_EQ(entry_of(extent_of(second.start)).values.writer, 300u);
  const toaststore::Run third = take(0, 4, 4, 400);
  take(1, 4, 4, 250);
  take(0, 4, 4, 250);
  EXPECT_EQ(entry_of(extent_of(third.start)).values.writer, 400u);
}

TEST_F(SpaceMap, ARunThatIsExtendedIsStampedFromItsPosition) {
  const toaststore::Run first = take(0, 4, 4, 100);
  const toaststore::Run second = take(0, 4, 4, 300);
  EXPECT_EQ(second.start, first.start);
  EXPECT_EQ(entry_of(extent_of(first.start)).values.writer, 300u);
}

// Requests that no map page but a fresh one can meet, from a lane whose run is in an older one.
TEST_F(SpaceMap, TheMapGrowsByAPageAndLeavesRunsBehind) {
  uint32_t pages = meta().map_pages;
  for (int i = 0; i < 1200; i++) {
    take(static_cast<uint8_t>(i % 2), 33, 128, 100 + i);
    ASSERT_FALSE(HasFailure());
    if (meta().map_pages > pages) {
      const Block block = map_block(pages);
      EXPECT_TRUE(check_page(store_.pager.page(block), block, PageKind::kMap).ok());
      EXPECT_FALSE(owned_.contains(block));
      pages = meta().map_pages;
    }
  }
  EXPECT_GE(pages, 4u);
  EXPECT_GT(meta().map_hint, 0u);
  store_.expect_sound();
}

TEST_F(SpaceMap, SinglePagesAreGivenOutOnceAndAgainWhenFreed) {
  std::vector<Block> pages;
  for (int i = 0; i < 500; i++) pages.push_back(take_page());
  EXPECT_EQ(std::set<Block>(pages.begin(), pages.end()).size(), pages.size());
  const Block blocks = store_.pager.blocks();
  for (const Block block : pages) {
    PageGuard map;
    ASSERT_OK(latch_map_of(store_.context, block, &map));
    Change change(store_.pager, Step::kAbsorbPage);
    ASSERT_OK(stage_free(map, block, &change));
    ASSERT_OK(change.commit());
  }
  for (size_t i = 0; i < pages.size(); i++) take_page();
  // The open extent is used up first.
  EXPECT_LE(store_.pager.blocks(), blocks + 32) << "freed pages are not used again";
}

TEST_F(SpaceMap, APageIsFreedOnce) {
  const Block block = take_page();
  PageGuard map;
  ASSERT_OK(latch_map_of(store_.context, block, &map));
  Change change(store_.pager, Step::kAbsorbPage);
  ASSERT_OK(stage_free(map, block, &change));
  ASSERT_OK(change.commit());
  Change again(store_.pager, Step::kAbsorbPage);
  EXPECT_EQ(stage_free(map, block, &again).code, Code::kCorruption);
}

// The run left behind ends with its map page, which is damaged: an error, and no latch stays.
TEST_F(SpaceMap, ADamagedMapPageIsAnErrorThatHoldsNothing) {
  while (meta().map_hint == 0) take(0, 1, 1, 100);
  ASSERT_EQ(meta().lanes[0].run_end, map_block(1));
  store_.pager.page(kFirstMapBlock)[record_offset<MapEntry>(200)] ^= std::byte{1};
  const Lane lane = meta().lanes[0];
  RunRequest request{};
  request.old = {lane.run_start, lane.run_end};
  request.position = lane.run_start;
  request.extend_blocks = request.fresh_blocks = request.want_blocks = 200;
  request.writer = 500;
  toaststore::Run run;
  const Status status = try_take(request, &run);
  EXPECT_EQ(status.code, Code::kCorruption);
  EXPECT_EQ(status.block, kFirstMapBlock);
}

// What is not logged as taken is not handed to the writer.
TEST_F(SpaceMap, AFailedRequestLeavesTheRunAsItWas) {
  const toaststore::Run before = take(0, 4, 4, 100);
  RunRequest request{};
  request.old = before;
  request.position = before.start;
  request.extend_blocks = request.fresh_blocks = request.want_blocks = 4;
  for (uint64_t call = 1;; call++) {
    store_.pager.fail_at(call, true);
    toaststore::Run run = before;
    const Status status = try_take(request, &run);
    store_.pager.fail_at(0, false);
    if (status.ok()) break;
    EXPECT_EQ(run.start, before.start) << "call " << call;
    EXPECT_EQ(run.end, before.end) << "call " << call;
  }
}

}  // namespace
}  // namespace toaststore::test
