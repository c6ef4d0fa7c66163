// Every call into the host fails in turn: the engine says so, holds nothing afterwards, has lost
// nothing that it acknowledged, and the next call works.

#include <gtest/gtest.h>

#include "support/script.h"

namespace toaststore::test {
namespace {

struct Case {
  bool at_the_edge;
  bool persistent;
};

class Failure : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (GetParam().at_the_edge) bring_to_the_edge(&store_, &live_);
    store_.pager.mark();
  }
  void TearDown() override { store_.pager.rewind(); }

  // Plays the script with its n-th call failing, for every n; returns the number of calls.
  template <typename Arm, typename Failed, typename Clear>
  uint64_t fail_every_call(Code expected, Arm arm, Failed failed, Clear clear) {
    for (uint64_t call = 1;; call++) {
      SCOPED_TRACE("call " + std::to_string(call) + " fails");
      store_.reopen();
      Script script(&store_, live_);
      arm(call);
      script.play(false);
      const bool happened = failed(call);
      clear();
      for (const Status& status : script.failures()) {
        EXPECT_EQ(status.code, expected) << status;
        EXPECT_STRNE(status.reason, "");
      }
      script.check();
      store_.pager.rewind();
      if (!happened || HasFailure()) return call;
    }
  }

  TestStore store_{script_options()};
  std::map<uint64_t, Bytes> live_;
};

TEST_P(Failure, OfThePagerAtEveryCall) {
  const uint64_t calls = fail_every_call(
      Code::kIo, [&](uint64_t call) { store_.pager.fail_at(call, GetParam().persistent); },
      [&](uint64_t) { return store_.pager.failed(); }, [&] { store_.pager.fail_at(0, false); });
  EXPECT_GE(calls, 500u);
}

TEST_P(Failure, OfTheMemoryAtEveryCall) {
  const uint64_t calls = fail_every_call(
      Code::kNoMemory, [&](uint64_t call) { store_.memory.fail_at(call, GetParam().persistent); },
      [&](uint64_t call) { return store_.memory.calls() >= call; },
      [&] { store_.memory.fail_at(0, false); });
  EXPECT_GE(calls, 20u);
}

INSTANTIATE_TEST_SUITE_P(Once, Failure, ::testing::Values(Case{false, false}, Case{true, false}));
INSTANTIATE_TEST_SUITE_P(FromThenOn, Failure,
                         ::testing::Values(Case{false, true}, Case{true, true}));

// The disk is full at some block: a put that does not fit says so, and smaller ones still go.
TEST(FailureNoSpace, IsAnErrorAndNothingElse) {
  TestStore store(script_options());
  const uint64_t first = store.put(random_bytes(1, 3000));
  store.pager.disk_blocks = 40;
  uint64_t id;
  EXPECT_EQ(store.try_put(random_bytes(2, 600000), &id).code, Code::kNoSpace);
  store.session.commit();
  store.expect_sound();
  const uint64_t second = store.put(random_bytes(3, 3000));
  store.next_command();
  EXPECT_EQ(store.get(first), random_bytes(1, 3000));
  EXPECT_EQ(store.get(second), random_bytes(3, 3000));
}

}  // namespace
}  // namespace toaststore::test
