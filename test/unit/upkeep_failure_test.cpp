// Cleaning and compaction fail at every call into the host, or die after every step: the store is
// sound at once, has lost nothing, and the next run finishes the work.
//
//   TOASTSTORE_UPKEEP_STRIDE=1    everything fails in turn; minutes

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "engine/cleaner.h"
#include "engine/meta.h"
#include "engine/tidy.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

// The script below, give or take: one that has become much shorter tests less than it says.
constexpr uint64_t kLeastCalls = 2000;

// What fails costs two runs and a verification, so one in so many does.
uint64_t stride(uint64_t otherwise) {
  const char* text = std::getenv("TOASTSTORE_UPKEEP_STRIDE");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}
constexpr uint64_t kLeastSteps = 60;

class UpkeepFailure : public ::testing::Test {
 protected:
  // Extents that are all dead, then some that mostly are, of every layout; aborted puts and aborted
  // deletes; and a tree and values behind all that, before which there is room then.
  UpkeepFailure() {
    std::vector<uint64_t> dead;
    for (int i = 0; i < 80; i++) dead.push_back(put(60000));
    for (int i = 0; i < 200; i++) dead.push_back(put(10));
    const size_t lengths[] = {300, 3000, 8120, 20000, 70000};
    for (int i = 0; i < 40; i++) {
      const uint64_t id = put(lengths[i % 5]);
      if (i % 8 != 0) dead.push_back(id);
    }
    store_.commit();
    for (int i = 0; i < 10; i++) {
      store_.put(random_bytes(seed_++, i * 2000));
      if (i % 5 == 4) store_.session.abort();
      store_.next_command();
    }
    for (int i = 0; i < 400; i++) put(10);
    for (int i = 0; i < 4; i++) put(50000);
    store_.commit();
    store_.next_command();
    store_.erase(live_.rbegin()->first);
    store_.session.abort();
    store_.next_command();
    for (const uint64_t id : dead) {
      store_.erase(id);
      live_.erase(id);
    }
    store_.commit();
    store_.world.horizon = store_.world.next();
    store_.pager.mark();
  }

  uint64_t put(size_t length) {
    const Bytes bytes = random_bytes(seed_++, length);
    const uint64_t id = store_.put(bytes);
    live_[id] = bytes;
    return id;
  }
  Status upkeep(CleanReport* report) {
    const Status status = clean(store_.context, report);
    return status.ok() ? compact(store_.context, 0.5, report) : status;
  }
  Status upkeep() {
    CleanReport report;
    return upkeep(&report);
  }
  void expect_finished() {
    EXPECT_EQ(store_.scan().size(), live_.size());
    expect_nothing_lost();
  }
  void expect_nothing_lost() {
    store_.next_command();
    for (const auto& [id, bytes] : live_) EXPECT_EQ(store_.get(id), bytes);
    store_.expect_sound();
  }

  TestStore store_;
  std::map<uint64_t, Bytes> live_;
  uint64_t seed_ = 1;
};

// What the tests below interrupt does all there is to do.
TEST_F(UpkeepFailure, LeavesNothingToDoWhereNothingFails) {
  Block before, after;
  ASSERT_OK(find_end(store_.context, &before));
  CleanReport report;
  ASSERT_OK(upkeep(&report));
  EXPECT_GT(report.removed_values, 300u);
  EXPECT_GT(report.frozen_values, 400u);
  EXPECT_GT(report.counted_extents, 0u);
  EXPECT_GT(report.moved_bytes, 100000u);
  EXPECT_GT(report.freed_blocks, 600u);
  ASSERT_OK(find_end(store_.context, &after));
  EXPECT_LT(after, before / 2);
  expect_finished();
  CleanReport again;
  ASSERT_OK(upkeep(&again));
  EXPECT_EQ(again.removed_values + again.frozen_values + again.counted_extents, 0u);
  EXPECT_EQ(again.moved_bytes + again.freed_blocks, 0u);
}

TEST_F(UpkeepFailure, OfThePagerAtEveryCall) {
  for (uint64_t call = 1;; call += stride(29)) {
    SCOPED_TRACE("call " + std::to_string(call) + " fails");
    store_.reopen();
    store_.pager.fail_at(call, false);
    const Status status = upkeep();
    const bool happened = store_.pager.failed();
    store_.pager.fail_at(0, false);
    EXPECT_EQ(status.code, happened ? Code::kIo : Code::kOk) << status;
    store_.expect_idle("a failure");
    ASSERT_OK(upkeep());
    expect_finished();
    store_.pager.rewind();
    if (!happened || HasFailure()) {
      EXPECT_GE(call, kLeastCalls);
      return;
    }
  }
}

TEST_F(UpkeepFailure, OfTheMemoryAtEveryCall) {
  for (uint64_t call = 1;; call += stride(3)) {
    SCOPED_TRACE("allocation " + std::to_string(call) + " fails");
    store_.reopen();
    store_.memory.fail_at(call, false);
    const Status status = upkeep();
    const bool happened = store_.memory.calls() >= call;
    store_.memory.fail_at(0, false);
    EXPECT_EQ(status.code, happened ? Code::kNoMemory : Code::kOk) << status;
    store_.expect_idle("a failure");
    ASSERT_OK(upkeep());
    expect_finished();
    store_.pager.rewind();
    if (!happened || HasFailure()) return;
  }
}

TEST_F(UpkeepFailure, OfTheStoreAfterEveryStep) {
  for (uint64_t steps = 0;; steps += stride(3)) {
    SCOPED_TRACE("dies after " + std::to_string(steps) + " steps");
    store_.reopen();
    store_.pager.die_after(steps);
    const Status status = upkeep();
    const bool died = store_.pager.died();
    EXPECT_EQ(status.ok(), !died) << status;
    store_.reopen();
    expect_nothing_lost();
    ASSERT_OK(upkeep());
    expect_finished();
    store_.pager.rewind();
    if (!died || HasFailure()) {
      EXPECT_GE(steps, kLeastSteps);
      return;
    }
  }
}

}  // namespace
}  // namespace toaststore::test
