// The process runs out of memory at every place in turn: the call that needed it says so, the store
// works on as soon as there is memory again, and loses nothing.

#include "support/allocations.h"
#include "support/file_life.h"

namespace toaststore::test {
namespace {

class FileMemory : public ::testing::TestWithParam<bool> {
 protected:
  ~FileMemory() override { fail_allocation(0, false); }
};

TEST_P(FileMemory, ThatRunsOutAtEveryCallLosesNothing) {
  // A store that needs recovery and has aborted batches, so that every list there is is read.
  SimFiles before;
  FileLife old(&before, sim_options(&before, Sync::kAlways), {}, 1);
  ASSERT_TRUE(old.open());
  old.work(60);
  ASSERT_OK(old.store()->checkpoint());
  old.work(20);
  old.die();
  ASSERT_TRUE(old.failures().empty());

  uint64_t number = 1;
  for (; !HasFailure(); number++) {
    SCOPED_TRACE("allocation " + std::to_string(number) + " fails");
    SimFiles files(before.disk());
    FileLife life(&files, sim_options(&files, Sync::kAlways), old.ledger().now(), 6);
    fail_allocation(number, GetParam());
    bool opened = life.open();
    if (opened) life.work(60);
    const bool happened = allocation_failed();
    fail_allocation(0, false);
    EXPECT_EQ(life.failures().empty(), !happened);
    for (const Status& status : life.failures()) {
      EXPECT_EQ(status.code, Code::kNoMemory) << status;
      EXPECT_STRNE(status.reason, "");
    }
    const size_t failures = life.failures().size();
    if (!opened) opened = life.open();
    ASSERT_TRUE(opened);
    life.work(20);
    EXPECT_EQ(life.failures().size(), failures) << life.failures().back();
    expect_sound(life.store());
    EXPECT_OK(life.store()->close());
    life.die();
    SimFiles reopened(files.disk());
    FileLife next(&reopened, sim_options(&reopened, Sync::kAlways), {}, 7);
    ASSERT_TRUE(next.open());
    expect_sound(next.store());
    life.ledger().check(next.store(), files.operations());
    if (!happened) break;
  }
  EXPECT_GT(number, 100u);
}

INSTANTIATE_TEST_SUITE_P(Allocations, FileMemory, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "FromThenOn" : "Once"; });

}  // namespace
}  // namespace toaststore::test
