// A machine crashes between any two operations on its disk: of transactions that set and erase
// names the first so many have happened, each whole, all among them that were acknowledged as
// durable, and the tree of names is sound and goes on working.

#include "support/ledger.h"
#include "support/named_store.h"
#include "support/sim_files.h"

namespace toaststore::test {
namespace {

constexpr char kStore[] = "/sim/store";
constexpr int kTransactions = 60;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kEvery = 7;
#else
constexpr size_t kEvery = 1;
#endif

using Model = std::map<Bytes, Bytes>;

// What there is once a transaction has happened, which began after so many operations on the disk
// and was acknowledged as durable after so many.
struct Moment {
  Model model;
  size_t begun;
  size_t durable;
};

class NamesCrash : public ::testing::TestWithParam<Sync> {
 protected:
  StoreOptions options(Files* files) const {
    StoreOptions options;
    options.cache_bytes = 1024 * 1024;
    options.sync = GetParam();
    options.sync_interval_ms = UINT32_MAX;
    options.checkpoint_bytes = uint64_t{1} << 40;
    options.log_segment_bytes = 256 * 1024;
    options.files = files;
    return options;
  }

  // Some are so long that a few fill a page.
  Bytes some_key() {
    const uint64_t which = random_.below(60);
    return which < 40 ? Bytes(990, 'p') + std::to_string(which) : "short " + std::to_string(which);
  }

  void transaction(Store* store, SimFiles* files) {
    Moment moment{moments_.back().model, files->operations(), SIZE_MAX};
    const uint64_t changes = random_.below(3) == 0 ? random_.between(2, 10) : 1;
    const bool commit = random_.below(6) > 0;
    WriteBatch batch(store);
    for (uint64_t i = 0; i < changes; i++) {
      const Bytes key = some_key();
      if (moment.model.contains(key) && random_.below(3) == 0) {
        ASSERT_OK(batch.erase_named(key.data(), key.size()));
        moment.model.erase(key);
      } else {
        const Bytes value = random_bytes(random_.next(), random_.below(200));
        ASSERT_OK(batch.set(key.data(), key.size(), value.data(), value.size()));
        moment.model[key] = value;
      }
    }
    if (!commit) return;
    ASSERT_OK(batch.commit());
    if (GetParam() == Sync::kAlways) moment.durable = files->operations();
    moments_.push_back(std::move(moment));
  }

  void live(SimFiles* files) {
    Store* opened = nullptr;
    ASSERT_OK(Store::open(kStore, options(files), &opened));
    const std::unique_ptr<Store> store(opened);
    moments_.front().durable = files->operations();
    for (int i = 0; i < kTransactions && !HasFatalFailure(); i++) {
      transaction(store.get(), files);
      if (random_.below(12) == 0) ASSERT_OK(store->compact());
      if (random_.below(12) != 0) continue;
      ASSERT_OK(store->checkpoint());
      for (Moment& moment : moments_)
        moment.durable = std::min(moment.durable, files->operations());
    }
    files->crash_process();
  }

  static Model model_of(Store* store) {
    class Keys final : public NameVisitor {
     public:
      Status name(const void* key, size_t length, uint64_t, uint64_t) override {
        keys.emplace_back(static_cast<const char*>(key), length);
        return Status::Ok();
      }
      std::vector<Bytes> keys;
    } found;
    EXPECT_OK(store->scan_names("", 0, "", 0, &found));
    Model model;
    for (const Bytes& key : found.keys) {
      Buffer value;
      EXPECT_OK(store->get_named(key.data(), key.size(), &value));
      model[key] = Bytes(reinterpret_cast<const char*>(value.data()), value.size());
    }
    return model;
  }

  void check(const SimDisk& disk, size_t operations, const char* what) {
    SCOPED_TRACE(what + (" after operation " + std::to_string(operations)));
    points_++;
    SimFiles files(disk);
    Store* opened = nullptr;
    ASSERT_OK(Store::open(kStore, options(&files), &opened));
    const std::unique_ptr<Store> store(opened);
    expect_sound(store.get());
    Model model = model_of(store.get());
    bool durable_seen = false;
    bool matches = false;
    for (auto moment = moments_.rbegin(); moment != moments_.rend() && !durable_seen; ++moment) {
      durable_seen = moment->durable <= operations;
      matches = matches || (moment->begun < operations && moment->model == model);
    }
    // A store that was being made is empty.
    EXPECT_TRUE(matches || (!durable_seen && model.empty()));
    const Bytes key = some_key();
    EXPECT_OK(store->set(key.data(), key.size(), "after", 5));
    model[key] = "after";
    EXPECT_EQ(model_of(store.get()), model);
    expect_sound(store.get());
    files.crash_process();  // closing takes time
  }

  Random random_{static_cast<uint64_t>(GetParam()) + 77};
  std::vector<Moment> moments_{{{}, 0, SIZE_MAX}};
  int points_ = 0;
};

TEST_P(NamesCrash, AfterEveryOperationLosesNothingAcknowledged) {
  SimFiles files;
  live(&files);
  ASSERT_FALSE(HasFailure());
  EXPECT_GT(moments_.size(), kTransactions / 2u);
  for (CrashedDisks crashes(files.start(), files.journal()); !HasFailure();) {
    const size_t done = crashes.done();
    if (done % kEvery == 0) {
      check(crashes.nothing_else(), done, "nothing unsynced is left");
      if (crashes.anything_unsynced()) {
        check(crashes.everything(), done, "everything is left");
        check(crashes.something(&random_), done, "something is left");
      }
    }
    if (!crashes.advance()) break;
  }
  EXPECT_GT(points_, 50);
  RecordProperty("crash_points", points_);
}

INSTANTIATE_TEST_SUITE_P(Modes, NamesCrash, ::testing::Values(Sync::kAlways, Sync::kNever),
                         [](const ::testing::TestParamInfo<Sync>& info) {
                           return info.param == Sync::kAlways ? "Always" : "Never";
                         });

}  // namespace
}  // namespace toaststore::test
