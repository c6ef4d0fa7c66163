// The store dies between any two atomic steps.  What was acknowledged is there after the restart,
// what was not is gone, every page is sound, and writing goes on.

#include <gtest/gtest.h>

#include "support/script.h"

namespace toaststore::test {
namespace {

// Steps of the script on these stores, give or take; a script that has become much shorter tests
// less than it says.
constexpr uint64_t kLeastSteps = 150;

uint64_t die_at_every_step(TestStore* store, const std::map<uint64_t, Bytes>& live) {
  store->pager.mark();
  for (uint64_t steps = 0;; steps++) {
    SCOPED_TRACE("dies after " + std::to_string(steps) + " steps");
    store->reopen();
    store->pager.die_after(steps);
    Script script(store, live);
    script.play(true);
    const bool died = store->pager.died();
    EXPECT_EQ(died, !script.failures().empty());
    store->reopen();
    script.check();
    script.play(false);
    EXPECT_TRUE(script.failures().empty()) << script.failures()[0];
    script.check();
    store->pager.rewind();
    if (!died || ::testing::Test::HasFailure()) return steps;
  }
}

TEST(CrashPoint, InANewStore) {
  TestStore store(script_options());
  EXPECT_GE(die_at_every_step(&store, {}), kLeastSteps);
}

TEST(CrashPoint, WhereEverythingOverflows) {
  TestStore store(script_options());
  std::map<uint64_t, Bytes> live;
  bring_to_the_edge(&store, &live);
  EXPECT_GE(die_at_every_step(&store, live), kLeastSteps);
}

// A death may follow a death: the second while the first one's traces are being finished.
TEST(CrashPoint, TwiceInARow) {
  TestStore store(script_options());
  std::map<uint64_t, Bytes> live;
  bring_to_the_edge(&store, &live);
  store.pager.mark();
  for (uint64_t first = 0; first < kLeastSteps; first += 7) {
    for (uint64_t second = 0; second < 20 && !HasFailure(); second++) {
      SCOPED_TRACE("dies after " + std::to_string(first) + " and " + std::to_string(second));
      store.reopen();
      Script script(&store, live);
      for (const uint64_t steps : {first, second}) {
        store.pager.die_after(steps);
        script.play(true);
        store.reopen();
        script.check();
      }
      store.pager.rewind();
    }
  }
}

}  // namespace
}  // namespace toaststore::test
