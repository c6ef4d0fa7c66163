// What a store says of itself agrees with what was done to it.

#include "engine/measure.h"

#include <gtest/gtest.h>

#include "engine/cleaner.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

class MeasureTest : public ::testing::Test {
 protected:
  Measure measure() {
    Measure result;
    EXPECT_OK(toaststore::measure(store_.context, &result));
    return result;
  }
  // Everything that has ended has been seen by everybody, and is worked off.
  void clean_all() {
    store_.world.horizon = store_.world.next();
    CleanReport report;
    EXPECT_OK(toaststore::clean(store_.context, &report));
  }

  TestStore store_;
};

TEST_F(MeasureTest, AnEmptyStoreMeasuresNothing) {
  const Measure result = measure();
  EXPECT_EQ(result.page_bytes + result.open_bytes + result.free_bytes, 0u);
  EXPECT_EQ(result.oldest_xid, kNoXid);
}

TEST_F(MeasureTest, ChangesAreCountedUntilTheyAreCleaned) {
  const uint64_t id = store_.put("first");
  const Xid first = store_.session.current();
  store_.commit();
  store_.put("second");
  store_.commit();
  store_.erase(id);
  store_.commit();
  Measure result = measure();
  EXPECT_EQ(result.journal_records, 3u);
  EXPECT_EQ(result.oldest_xid, first);
  clean_all();
  result = measure();
  EXPECT_EQ(result.journal_records, 0u);
  EXPECT_EQ(result.oldest_xid, kNoXid);
}

TEST_F(MeasureTest, WhatASnapshotHoldsBackKeepsItsTransaction) {
  store_.put("first");
  store_.commit();
  store_.world.horizon = store_.world.next();
  store_.put("second");
  const Xid second = store_.session.current();
  store_.commit();
  CleanReport report;
  EXPECT_OK(clean(store_.context, &report));
  EXPECT_EQ(measure().journal_records, 1u);
  EXPECT_EQ(measure().oldest_xid, second);
}

TEST_F(MeasureTest, LiveAndDeadBytesAreThoseOfThePieces) {
  constexpr uint64_t kValues = 100;
  constexpr size_t kBytes = 20000;
  std::vector<uint64_t> ids;
  for (uint64_t seed = 0; seed < kValues; seed++) {
    ids.push_back(store_.put(random_bytes(seed, kBytes)));
  }
  store_.commit();
  EXPECT_GE(measure().open_bytes, kValues * kBytes);
  for (size_t i = 0; i < ids.size(); i += 4) store_.erase(ids[i]);
  store_.commit();
  clean_all();
  const Measure result = measure();
  EXPECT_GT(result.dead_bytes, 0u);
  // Of the last extents, which the lane is in the middle of, nothing is known yet.
  EXPECT_LE(result.live_bytes, kValues * 3 / 4 * kBytes);
  EXPECT_GE(result.live_bytes + result.open_bytes, kValues * 3 / 4 * kBytes);
  EXPECT_LE(result.dead_bytes, kValues / 4 * kBytes);
}

}  // namespace
}  // namespace toaststore::test
