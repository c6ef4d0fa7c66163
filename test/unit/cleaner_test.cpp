// Cleaning: what nobody needs goes, what somebody may need stays, dead bytes are exact, extents
// that are emptied are used again, and moved values stay readable.

#include "engine/cleaner.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/chain.h"
#include "engine/map_page.h"
#include "engine/meta.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

class CleanerTest : public ::testing::Test {
 protected:
  CleanReport clean() {
    CleanReport report;
    EXPECT_OK(toaststore::clean(store_.context, &report));
    return report;
  }
  CleanReport compact(double threshold = 0.5) {
    CleanReport report;
    EXPECT_OK(toaststore::compact(store_.context, threshold, &report));
    return report;
  }
  // Everything that has ended has been seen by everybody.
  void settle() { store_.world.horizon = store_.world.next(); }
  MetaBody meta() {
    MetaBody body{};
    EXPECT_OK(read_meta(store_.context, &body));
    return body;
  }
  // The map's word on an extent.
  MapEntry extent(Extent extent) {
    MapPage map;
    EXPECT_OK(map.open(store_.context, map_page_of(extent), Latch::kShare));
    return map.of(extent);
  }
  // Leaves the lane's open extents, so that they can be counted.
  void leave_extents() {
    const Lane lane = meta().lanes[0];
    while (meta().lanes[0].run_start < lane.run_end) store_.put(random_bytes(seed_++, 60000));
    store_.commit();
  }

  TestStore store_;
  uint64_t seed_ = 1000;
};

TEST_F(CleanerTest, AnEmptyStoreIsClean) {
  const CleanReport report = compact();
  EXPECT_EQ(report.removed_values, 0u);
}

TEST_F(CleanerTest, AValueDeletedBeforeTheHorizonGoes) {
  const uint64_t id = store_.put("short");
  const uint64_t kept = store_.put("kept");
  store_.commit();
  store_.erase(id);
  store_.commit();
  settle();
  const CleanReport report = clean();
  EXPECT_EQ(report.removed_values, 1u);
  EXPECT_EQ(report.frozen_values, 1u);
  EXPECT_EQ(report.oldest_left, kNoXid);
  EXPECT_EQ(store_.scan(), std::vector<uint64_t>{kept});
  EXPECT_EQ(store_.entry(kept).xmin, 2u);
  EXPECT_EQ(store_.get(kept), "kept");
  store_.expect_sound();
}

TEST_F(CleanerTest, AValueThatASnapshotMayNeedStays) {
  const uint64_t id = store_.put("short");
  store_.commit();
  store_.world.horizon = store_.world.next();
  store_.erase(id);
  const Xid deleter = store_.session.current();
  store_.commit();
  const CleanReport report = clean();
  EXPECT_EQ(report.removed_values, 0u);
  EXPECT_EQ(report.oldest_left, deleter);
  EXPECT_EQ(store_.scan(), std::vector<uint64_t>{id});
  settle();
  EXPECT_EQ(clean().removed_values, 1u);
  EXPECT_TRUE(store_.scan().empty());
}

TEST_F(CleanerTest, AnAbortedPutGoesAndAnAbortedDeleteIsForgotten) {
  const uint64_t kept = store_.put("kept");
  store_.commit();
  store_.put("aborted");
  store_.session.abort();
  store_.next_command();
  store_.erase(kept);
  store_.session.abort();
  settle();
  EXPECT_EQ(clean().removed_values, 1u);
  EXPECT_EQ(store_.scan(), std::vector<uint64_t>{kept});
  EXPECT_EQ(store_.entry(kept).xmax, kNoXid);
  // Nobody who sees the value is in the way of that: there is no conflict to tell of.
  EXPECT_EQ(store_.world.removals.size(), 1u) << "for freezing";
}

TEST_F(CleanerTest, AnUnfinishedPutStays) {
  const uint64_t id = store_.put("unfinished");
  store_.world.horizon = store_.session.current();
  EXPECT_EQ(clean().oldest_left, store_.session.current());
  store_.commit();
  store_.next_command();
  EXPECT_EQ(store_.get(id), "unfinished");
}

// The journal's record of the first is older than the second, and must not remove it.
TEST_F(CleanerTest, ARecordOfAReplacedEntryIsAboutNothing) {
  store_.put_at(7, "first");
  store_.session.abort();
  store_.next_command();
  store_.put_at(7, "second");
  store_.commit();
  store_.next_command();
  settle();
  EXPECT_EQ(clean().removed_values, 0u);
  EXPECT_EQ(store_.get(7), "second");
}

TEST_F(CleanerTest, ConsumedPagesAreUsedAgain) {
  std::vector<uint64_t> ids;
  for (int round = 0; round < 8; round++) {
    for (int i = 0; i < 1000; i++) ids.push_back(store_.put("x"));
    store_.commit();
    for (const uint64_t id : ids) {
      store_.next_command();
      store_.erase(id);
    }
    store_.commit();
    ids.clear();
    settle();
    EXPECT_EQ(clean().removed_values, 1000u);
    const MetaBody body = meta();
    EXPECT_EQ(body.lanes[0].journal_head, body.lanes[0].journal_tail);
    EXPECT_EQ(body.dead_head, body.dead_tail);
    store_.expect_sound();
  }
  EXPECT_LT(store_.pager.blocks(), 200u);
  EXPECT_TRUE(store_.scan().empty());
}

TEST_F(CleanerTest, AnExtentWhoseValuesAreAllDeadIsUsedAgain) {
  Block most = 0;
  for (int round = 0; round < 20; round++) {
    std::vector<uint64_t> ids;
    for (int i = 0; i < 20; i++) ids.push_back(store_.put(random_bytes(seed_++, 100000)));
    store_.commit();
    store_.next_command();
    for (const uint64_t id : ids) store_.erase(id);
    store_.commit();
    settle();
    compact();
    if (round == 4) most = store_.pager.blocks();
  }
  EXPECT_LE(store_.pager.blocks(), most + 2 * kSteadyExtent);
  store_.expect_sound();
}

// Values of all layouts, some dead: what the map says is what a walk finds, and moving the rest
// leaves each value as it was.
TEST_F(CleanerTest, CompactionMovesValuesOfEveryLayoutAndFreesWhereTheyWere) {
  std::map<uint64_t, Bytes> model;
  const size_t lengths[] = {1, 300, 3000, 8120, 20000, 65536, 200000, 700000};
  for (int i = 0; i < 80; i++) {
    const Bytes bytes = random_bytes(seed_++, lengths[i % 8]);
    model[store_.put(bytes)] = bytes;
  }
  store_.commit();
  store_.next_command();
  leave_extents();
  for (auto it = model.begin(); it != model.end();) {
    if (seed_++ % 4 != 0) {
      store_.erase(it->first);
      it = model.erase(it);
    } else {
      ++it;
    }
  }
  store_.commit();
  settle();
  const CleanReport report = compact(0.3);
  EXPECT_GT(report.moved_bytes, 0u);
  EXPECT_GT(report.freed_blocks, 0u);
  store_.next_command();
  for (const auto& [id, bytes] : model) EXPECT_EQ(store_.get(id), bytes);
  store_.expect_sound();
  EXPECT_EQ(compact(0.3).moved_bytes, 0u) << "nothing is left to do";
}

// Pieces of a put that failed have no entry: they are dead once their transaction is over.
TEST_F(CleanerTest, PiecesWithoutAnEntryAreCountedAsDead) {
  store_.put(random_bytes(seed_++, 5000000));
  store_.session.abort();
  store_.next_command();
  leave_extents();
  settle();
  const CleanReport report = compact();
  EXPECT_GT(report.freed_blocks, 400u);
  store_.expect_sound();
}

}  // namespace
}  // namespace toaststore::test
