// A machine crashes between any two operations on its disk, also while the store recovers from the
// crash before: what was acknowledged as durable is there, every batch is there whole or not at
// all, nothing else is, and the store is sound and goes on working.
//
//   TOASTSTORE_CRASH_SEED   where the random numbers begin
//   TOASTSTORE_CRASH_LIVES  how many crashes in a row each store goes through

#include <algorithm>
#include <cstdlib>

#include "support/file_life.h"

namespace toaststore::test {
namespace {

uint64_t setting(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

uint64_t first_seed() { return setting("TOASTSTORE_CRASH_SEED", 1); }

// Sanitizers are slow, and look for something else.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kLives = 1;
constexpr size_t kEvery = 10;
#else
constexpr uint64_t kLives = 3;
constexpr size_t kEvery = 1;
#endif

struct Found {
  SimDisk disk;
  Contents contents;
};

// Opens what a crash left, and looks at everything.
Contents check_disk(const SimDisk& disk, const Ledger& ledger, size_t operations, Sync sync) {
  SimFiles files(disk);
  const StoreOptions options = sim_options(&files, sync);
  Store* opened = nullptr;
  const Status status = Store::open(kSimStore, options, &opened);
  const std::unique_ptr<Store> store(opened);
  EXPECT_OK(status);
  if (!status.ok()) return {};
  expect_sound(store.get());
  Contents contents = ledger.check(store.get(), operations);
  files.crash_process();  // closing takes time
  return contents;
}

bool reuses_segment(const SimOp& op) {
  return op.kind == SimOp::Kind::kRename && op.path.starts_with("/sim/store/log-");
}

// The control file begins anew, at 0.
bool cuts_data(const SimOp& op) { return op.kind == SimOp::Kind::kTruncate && op.offset > 0; }

struct CrashCase {
  Sync sync;
  uint64_t seed;
};

class FileCrash : public ::testing::TestWithParam<CrashCase> {
 protected:
  // Crashes after every operation of a life, from one on; returns what one of the crashes left, to
  // go on with.
  Found crash_everywhere(const SimFiles& files, const Ledger& ledger, size_t chosen,
                         size_t from = 0) {
    CrashedDisks crashes(files.start(), files.journal());
    Found found;
    do {
      const size_t done = crashes.done();
      if (done < from || (done % kEvery != 0 && done != chosen)) continue;
      SCOPED_TRACE("crash after operation " + std::to_string(done));
      SimDisk disk = crashes.nothing_else();
      Contents contents = check(disk, ledger, done, "nothing unsynced is left");
      if (crashes.anything_unsynced()) {
        if (done % 4 == 0) check(crashes.everything(), ledger, done, "everything is left");
        disk = crashes.something(&random_);
        contents = check(disk, ledger, done, "something is left");
      }
      if (done == chosen) found = {std::move(disk), std::move(contents)};
    } while (!HasFailure() && crashes.advance());
    return found;
  }

  Contents check(const SimDisk& disk, const Ledger& ledger, size_t operations, const char* what) {
    SCOPED_TRACE(what);
    points_++;
    return check_disk(disk, ledger, operations, GetParam().sync);
  }

  Random random_{GetParam().seed};
  uint64_t points_ = 0;
};

TEST_P(FileCrash, AfterEveryOperationLosesNothingAcknowledged) {
  Found now;
  for (uint64_t life = 0; life <= setting("TOASTSTORE_CRASH_LIVES", kLives); life++) {
    SCOPED_TRACE("seed " + std::to_string(GetParam().seed) + ", life " + std::to_string(life));
    SimFiles files(now.disk);
    FileLife work(&files, sim_options(&files, GetParam().sync), now.contents, random_.next());
    ASSERT_TRUE(work.open());
    if (life == 0) {
      work.fill(800000);
      work.checkpoint();
      work.fill(800000);
      ASSERT_TRUE(std::any_of(files.journal().begin(), files.journal().end(), reuses_segment));
    }
    work.work(40);
    // First only the process, then, while the next one recovers, the machine.
    work.die();
    ASSERT_TRUE(work.open());
    work.work(30);
    if (life % 2 == 1) work.close();
    work.die();
    for (const Status& status : work.failures()) ADD_FAILURE() << status;
    ASSERT_FALSE(HasFailure());
    now = crash_everywhere(files, work.ledger(), random_.below(files.operations()));
    ASSERT_FALSE(HasFailure());
  }
  RecordProperty("crash_points", std::to_string(points_));
  std::printf("seed %llu: %llu crash points\n", static_cast<unsigned long long>(GetParam().seed),
              static_cast<unsigned long long>(points_));
}

// From before the checkpoint that lets it be cut until it has grown again.
TEST_P(FileCrash, AroundACutOfTheFileLosesNothingAcknowledged) {
  constexpr ptrdiff_t kBefore = 30;
  SimFiles files;
  FileLife work(&files, sim_options(&files, GetParam().sync), {}, random_.next());
  ASSERT_TRUE(work.open());
  work.fill(100000);
  work.grow_and_shrink();
  work.fill(200000);
  work.die();
  for (const Status& status : work.failures()) ADD_FAILURE() << status;
  const auto begin = files.journal().begin();
  const auto cut = std::find_if(begin, files.journal().end(), cuts_data);
  ASSERT_NE(cut, files.journal().end());
  crash_everywhere(files, work.ledger(), 0, static_cast<size_t>(cut - begin - kBefore));
}

std::vector<CrashCase> cases() {
  std::vector<CrashCase> all;
  for (uint64_t i = 0; i < 2; i++) {
    for (const Sync sync : {Sync::kAlways, Sync::kInterval, Sync::kNever}) {
      all.push_back({sync, first_seed() * 100 + all.size()});
    }
  }
  return all;
}

std::string name_of_case(const ::testing::TestParamInfo<CrashCase>& info) {
  const char* const modes[] = {"Always", "Interval", "Never"};
  return modes[static_cast<int>(info.param.sync)] + std::to_string(info.param.seed);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FileCrash, ::testing::ValuesIn(cases()), name_of_case);

}  // namespace
}  // namespace toaststore::test
