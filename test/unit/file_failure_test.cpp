// Every call into the system fails in turn: the store says so, loses nothing that it acknowledged,
// and can be opened again.  What failed to become durable ends the handle; a full disk does not.

#include "support/file_life.h"

namespace toaststore::test {
namespace {

// A store that needs recovery, with more in it than the cache holds.
struct Crashed {
  Crashed() {
    SimFiles files;
    FileLife life(&files, sim_options(&files, Sync::kAlways), {}, 1);
    EXPECT_TRUE(life.open());
    life.fill(1100000);
    EXPECT_OK(life.store()->checkpoint());
    life.work(40);
    life.die();
    EXPECT_TRUE(life.failures().empty());
    disk = files.disk();
    contents = life.ledger().now();
  }
  SimDisk disk;
  Contents contents;
};

const Crashed& crashed() {
  static const Crashed store;
  return store;
}

void open_and_check(const SimDisk& disk, const Ledger& ledger, size_t operations) {
  SimFiles files(disk);
  Store* opened = nullptr;
  ASSERT_OK(Store::open(kSimStore, sim_options(&files, Sync::kAlways), &opened));
  const std::unique_ptr<Store> store(opened);
  expect_sound(store.get());
  ledger.check(store.get(), operations);
  files.crash_process();
}

// After the process has died, and after the machine has.
void check_after_crash(const SimFiles& files, const Ledger& ledger, Random* random) {
  CrashedDisks crashes(files.start(), files.journal());
  while (crashes.advance()) continue;
  {
    SCOPED_TRACE("the process died");
    open_and_check(crashes.everything(), ledger, files.operations());
  }
  {
    SCOPED_TRACE("the machine crashed, and nothing unsynced is left");
    open_and_check(crashes.nothing_else(), ledger, files.operations());
  }
  {
    SCOPED_TRACE("the machine crashed, and something is left");
    open_and_check(crashes.something(random), ledger, files.operations());
  }
}

struct FailureCase {
  const char* name;
  bool fresh;  // a new store, else one that is to be recovered
  Sync sync;
  SimFailure failure;
};

class FileFailure : public ::testing::TestWithParam<FailureCase> {};

TEST_P(FileFailure, OfEveryCallLosesNothing) {
  const FailureCase& test = GetParam();
  Random random(7);
  SimFailure failure = test.failure;
  for (failure.call = 1; !HasFailure(); failure.call++) {
    SCOPED_TRACE("call " + std::to_string(failure.call) + " fails");
    SimFiles files(test.fresh ? SimDisk() : crashed().disk);
    FileLife life(&files, sim_options(&files, test.sync),
                  test.fresh ? Contents() : crashed().contents, 5);
    files.fail(failure);
    bool opened = life.open();
    const bool full = failure.of == SimFailure::Of::kSpace;
    if (opened) {
      life.work(90);
      if (!full) life.close();
    }
    const bool happened = files.failed();
    EXPECT_EQ(life.failures().empty(), !happened);
    for (const Status& status : life.failures()) {
      EXPECT_EQ(status.code, full ? Code::kNoSpace : Code::kIo) << status;
      EXPECT_STRNE(status.reason, "");
      EXPECT_NE(status.error, 0) << status;
    }
    files.fail({});
    if (happened && (full || !opened)) {
      // There is space again, or somebody tries again.
      const size_t before = life.failures().size();
      if (!opened) opened = life.open();
      ASSERT_TRUE(opened);
      life.work(10);
      for (size_t i = before; i < life.failures().size(); i++) ADD_FAILURE() << life.failures()[i];
      expect_sound(life.store());
      if (full) EXPECT_OK(life.store()->close());
    }
    life.die();
    check_after_crash(files, life.ledger(), &random);
    if (!happened) break;
  }
  EXPECT_GT(failure.call, failure.of == SimFailure::Of::kSpace ? 20u : 150u);
}

constexpr auto kAny = SimFailure::Of::kAnything;
constexpr auto kSpace = SimFailure::Of::kSpace;

INSTANTIATE_TEST_SUITE_P(
    Calls, FileFailure,
    ::testing::Values(
        FailureCase{"OnceInANewStore", true, Sync::kAlways, {0, false, kAny, true}},
        FailureCase{"OnceInAnOldStore", false, Sync::kNever, {0, false, kAny, true}},
        FailureCase{"FromThenOnInANewStore", true, Sync::kNever, {0, true, kAny, false}},
        FailureCase{"FromThenOnInAnOldStore", false, Sync::kAlways, {0, true, kAny, false}},
        FailureCase{"OfSpaceOnceInANewStore", true, Sync::kAlways, {0, false, kSpace, false}},
        FailureCase{"OfSpaceOnceInAnOldStore", false, Sync::kNever, {0, false, kSpace, true}},
        FailureCase{"OfSpaceFromThenOnInANewStore", true, Sync::kNever, {0, true, kSpace, true}},
        FailureCase{
            "OfSpaceFromThenOnInAnOldStore", false, Sync::kAlways, {0, true, kSpace, false}}),
    [](const auto& info) { return info.param.name; });

// Nobody knows what the disk holds after a failed sync: the handle writes nothing more and answers
// every change with the error, until the store is opened again.
TEST(FileSyncFailure, EndsTheHandleAndSaysSo) {
  Random random(8);
  for (uint64_t call = 1; !::testing::Test::HasFailure(); call++) {
    SCOPED_TRACE("sync " + std::to_string(call) + " fails");
    SimFiles files(crashed().disk);
    FileLife life(&files, sim_options(&files, Sync::kAlways), crashed().contents, 3);
    files.fail({call, false, SimFailure::Of::kSyncs, false});
    const bool opened = life.open();
    if (opened) {
      for (int i = 0; i < 40 && !files.failed(); i++) life.work(1);
      if (!files.failed()) break;
      const size_t operations = files.operations();
      uint64_t id;
      EXPECT_EQ(life.store()->put("x", 1, &id).code, Code::kIo);
      EXPECT_EQ(life.store()->put_at(100000, "x", 1).code, Code::kIo);
      EXPECT_EQ(life.store()->erase(life.ledger().now().begin()->first).code, Code::kIo);
      EXPECT_EQ(life.store()->sync().code, Code::kIo);
      EXPECT_EQ(life.store()->checkpoint().code, Code::kIo);
      EXPECT_EQ(life.store()->close().code, Code::kIo);
      // Readers need room in the cache, which is full of pages that must not be written.
      Buffer buffer;
      for (const auto& [number, bytes] : life.ledger().now()) {
        const Status status = life.store()->get(number, &buffer);
        const bool erased = status.is(Code::kNotFound) && life.ledger().doubtful();
        EXPECT_TRUE(status.ok() || status.is(Code::kIo) || erased) << status;
      }
      EXPECT_EQ(files.operations(), operations) << "something was written all the same";
    }
    EXPECT_FALSE(life.failures().empty());
    life.die();
    check_after_crash(files, life.ledger(), &random);
    // What the system still shows of the log is gone if the machine crashes while it is recovered.
    ASSERT_TRUE(life.open());
    life.die();
    CrashedDisks crashes(files.start(), files.journal());
    while (crashes.advance()) {
      SCOPED_TRACE("crash after operation " + std::to_string(crashes.done()));
      const SimDisk disk = crashes.something(&random);
      if (random.below(20) == 0) open_and_check(disk, life.ledger(), crashes.done());
    }
  }
}

}  // namespace
}  // namespace toaststore::test
