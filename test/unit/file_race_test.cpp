// Writers, readers, scans, checkpoints, compaction and verification at the same time, on real files
// and with a cache that is much too small: every read proves its bytes, every scan sees each batch
// whole or not at all, and in the end there is what was committed.  Meant for ThreadSanitizer, too:
// make -f test/unit/Makefile SAN=thread.
//
//   TOASTSTORE_RACE_SEED  where the random numbers begin
//   TOASTSTORE_RACE_MS    for how long, and on until everybody has had a turn

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "support/ledger.h"

namespace toaststore::test {
namespace {

uint64_t setting(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// A value proves itself: it begins with the seed of its bytes.
Bytes proven_bytes(uint64_t seed) {
  Random random(seed);
  const uint64_t kind = random.below(20);
  const size_t length = random.below(kind == 0 ? 60000 : kind < 5 ? 8000 : 800);
  Bytes bytes(sizeof(seed), '\0');
  std::memcpy(bytes.data(), &seed, sizeof(seed));
  return bytes + (kind % 2 == 0 ? random_bytes(seed, length) : text_bytes(seed, length));
}

class Racers {
 public:
  Racers() {
    std::string name = std::filesystem::temp_directory_path() / "toaststore.XXXXXX";
    directory_ = mkdtemp(name.data());
    options_.values.direct_max = 1000;
    options_.values.extent_max = 8000;
    options_.values.chunk_bytes = kChunkBytesMin;
    options_.cache_bytes = 1024 * 1024;
    options_.sync = Sync::kInterval;
    options_.sync_interval_ms = 5;
    options_.checkpoint_bytes = 2 * 1024 * 1024;
    options_.log_segment_bytes = 256 * 1024;
    options_.compaction_threshold = 0.2;
    open();
    const Bytes bytes = proven_bytes(1);
    EXPECT_OK(store_->put_at(kHandedOut, bytes.data(), bytes.size()));
    values_[kHandedOut] = 1;
  }
  ~Racers() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void run() {
    constexpr int kWriters = 3;
    using std::chrono::steady_clock;
    const auto end =
        steady_clock::now() + std::chrono::milliseconds(setting("TOASTSTORE_RACE_MS", 3000));
    const auto at_the_latest = end + std::chrono::minutes(2);
    std::vector<std::thread> threads;
    const auto start = [&](auto body) {
      const uint64_t seed = setting("TOASTSTORE_RACE_SEED", 1) * 100 + threads.size();
      threads.emplace_back([this, end, at_the_latest, body, seed] {
        Random random(seed);
        const auto goes_on = [&] {
          const auto now = steady_clock::now();
          return now < end || (!everybody_had_a_turn() && now < at_the_latest);
        };
        while (goes_on() && !::testing::Test::HasFailure()) (this->*body)(&random);
      });
    };
    for (int i = 0; i < kWriters; i++) start(&Racers::write);
    for (int i = 0; i < 2; i++) start(&Racers::read);
    start(&Racers::scan);
    start(&Racers::look_after);
    start(&Racers::compact);
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(everybody_had_a_turn());
  }

  // After closing and opening, too.
  void check() {
    for (int round = 0; round < 2; round++) {
      expect_sound(store_.get());
      const std::map<uint64_t, Bytes> found = read_all(store_.get());
      EXPECT_EQ(found.size(), values_.size());
      for (const auto& [id, seed] : values_) {
        const auto at = found.find(id);
        ASSERT_NE(at, found.end()) << "lost " << id;
        EXPECT_TRUE(at->second == proven_bytes(seed)) << id;
      }
      EXPECT_OK(store_->close());
      open();
    }
  }

 private:
  // Ids that everybody wants are the first.
  static constexpr uint64_t kWanted = 4000;
  // Ids of a group are put and erased together.
  static constexpr uint64_t kGroup = 6;
  static constexpr uint64_t kGroups = 10000;
  // Ids that the store hands out come behind all others.
  static constexpr uint64_t kHandedOut = uint64_t{1} << 40;

  bool everybody_had_a_turn() const {
    return commits_ > 20 && reads_ > 20 && scans_ > 0 && checkpoints_ > 0 && removed_ > 0;
  }

  void open() {
    store_.reset();
    Store* store = nullptr;
    EXPECT_OK(Store::open((directory_ + "/store").c_str(), options_, &store));
    store_.reset(store);
  }

  // What a batch did, if it could.
  struct Done {
    std::map<uint64_t, uint64_t> put;  // seeds by id
    std::vector<uint64_t> erased;
  };

  void finish(WriteBatch* batch, const Status& status, const Done& done) {
    if (!status.ok()) {
      // Somebody else was first.
      EXPECT_TRUE(status.is(Code::kExists) || status.is(Code::kNotFound) ||
                  status.is(Code::kConflict))
          << status;
      return;
    }
    EXPECT_OK(batch->commit());
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [id, seed] : done.put) {
      if (gone_.erase(id) == 0) values_[id] = seed;
    }
    // An eraser may be here before the one that put what it erased.
    for (const uint64_t id : done.erased) {
      if (values_.erase(id) == 0) gone_.insert(id);
    }
    commits_++;
  }

  Status put_at(WriteBatch* batch, uint64_t id, Random* random, Done* done) {
    const uint64_t seed = random->next();
    const Bytes bytes = proven_bytes(seed);
    TOASTSTORE_TRY(batch->put_at(id, bytes.data(), bytes.size()));
    done->put[id] = seed;
    return Status::Ok();
  }

  Status put(WriteBatch* batch, Random* random, Done* done) {
    const uint64_t seed = random->next();
    const Bytes bytes = proven_bytes(seed);
    uint64_t id;
    TOASTSTORE_TRY(batch->put(bytes.data(), bytes.size(), &id));
    done->put[id] = seed;
    latest_ = id;
    return Status::Ok();
  }

  // An id that the store was about to hand out itself.
  Status put_ahead(WriteBatch* batch, Random* random, Done* done) {
    return put_at(batch, latest_ + 1 + random->below(200), random, done);
  }

  Status erase(WriteBatch* batch, uint64_t id, Done* done) {
    TOASTSTORE_TRY(batch->erase(id));
    done->erased.push_back(id);
    return Status::Ok();
  }

  Status put_group(WriteBatch* batch, Random* random, Done* done) {
    const uint64_t first = kGroups + kGroup * groups_++;
    for (uint64_t i = 0; i < kGroup; i++) TOASTSTORE_TRY(put_at(batch, first + i, random, done));
    return Status::Ok();
  }

  Status erase_group(WriteBatch* batch, Random* random, Done* done) {
    const uint64_t first = kGroups + kGroup * random->below(groups_ + 1);
    // From either end, so that two of them may wait for each other.
    const bool up = random->below(2) == 0;
    for (uint64_t i = 0; i < kGroup; i++) {
      TOASTSTORE_TRY(erase(batch, first + (up ? i : kGroup - 1 - i), done));
    }
    return Status::Ok();
  }

  // Ids that others want at the same time, in any order.
  Status put_wanted(WriteBatch* batch, Random* random, Done* done) {
    const uint64_t base = random->below(kWanted);
    for (int i = 0; i < 3; i++) {
      const uint64_t id = 1 + base + random->below(6);
      if (done->put.contains(id)) continue;
      TOASTSTORE_TRY(put_at(batch, id, random, done));
    }
    return Status::Ok();
  }

  void write(Random* random) {
    WriteBatch batch(store_.get());
    Done done;
    Status status;
    switch (random->below(9)) {
      case 0:
      case 1:
        status = put_group(&batch, random, &done);
        break;
      case 2:
        status = erase_group(&batch, random, &done);
        break;
      case 3:
      case 4:
        status = put_wanted(&batch, random, &done);
        break;
      case 5:
        status = erase(&batch, 1 + random->below(kWanted), &done);
        break;
      case 6:
        for (int i = 0; i < 4 && status.ok(); i++) status = put(&batch, random, &done);
        if (status.ok()) return;  // dropped
        break;
      case 7:
        status = put_ahead(&batch, random, &done);
        break;
      default:
        status = put(&batch, random, &done);
    }
    finish(&batch, status, done);
  }

  void read(Random* random) {
    uint64_t id = 1 + random->below(kWanted);
    if (random->below(2) == 0) id = kGroups + random->below(kGroup * groups_ + 1);
    Buffer buffer;
    Status status = store_->get(id, &buffer);
    reads_++;
    if (status.is(Code::kNotFound)) return;
    ASSERT_OK(status);
    uint64_t seed;
    ASSERT_GE(buffer.size(), sizeof(seed));
    std::memcpy(&seed, buffer.data(), sizeof(seed));
    const Bytes expected = proven_bytes(seed);
    ASSERT_EQ(buffer.size(), expected.size());
    ASSERT_EQ(std::memcmp(buffer.data(), expected.data(), expected.size()), 0) << id;
    const uint64_t offset = random->below(expected.size());
    status = store_->get_slice(id, offset, 500, &buffer);
    if (status.is(Code::kNotFound)) return;
    ASSERT_OK(status);
    const Bytes slice = expected.substr(offset, 500);
    ASSERT_TRUE(buffer.size() == slice.size() &&
                std::memcmp(buffer.data(), slice.data(), slice.size()) == 0)
        << id;
  }

  void scan(Random* random) {
    class Groups final : public ValueVisitor {
     public:
      Status value(uint64_t id, uint64_t) override {
        EXPECT_GT(id, last_) << "ids are not in order";
        last_ = id;
        if (id >= kGroups && id < kHandedOut) members[(id - kGroups) / kGroup]++;
        return Status::Ok();
      }
      std::map<uint64_t, uint64_t> members;

     private:
      uint64_t last_ = 0;
    } groups;
    const uint64_t from = random->below(2) == 0 ? 0 : kGroups + kGroup * random->below(groups_ + 1);
    ASSERT_OK(store_->scan(from, UINT64_MAX, &groups));
    for (const auto& [group, count] : groups.members) {
      ASSERT_EQ(count, kGroup) << "a part of batch " << group << " is seen";
    }
    scans_++;
  }

  void look_after(Random* random) {
    Statistics statistics;
    EXPECT_OK(store_->statistics(&statistics));
    if (random->below(10) == 0) {
      expect_sound(store_.get());
    } else if (random->below(2) == 0) {
      EXPECT_OK(store_->sync());
    } else {
      EXPECT_OK(store_->checkpoint());
      checkpoints_++;
    }
  }

  // Not all the time: who verifies waits for a moment in which nobody writes.
  void compact(Random* random) {
    for (int i = 0; i < 20; i++) read(random);
    Compaction done;
    EXPECT_OK(store_->compact(&done));
    removed_ += done.removed_values;
  }

  std::string directory_;
  StoreOptions options_;
  std::unique_ptr<Store> store_;
  std::atomic<uint64_t> groups_{0};
  std::atomic<uint64_t> latest_{kHandedOut};
  std::atomic<uint64_t> commits_{0}, reads_{0}, scans_{0}, checkpoints_{0};
  std::atomic<uint64_t> removed_{0};
  std::mutex mutex_;
  std::map<uint64_t, uint64_t> values_;  // seeds by id
  std::set<uint64_t> gone_;
};

TEST(FileRace, OfEverybodyLosesNothingAndShowsNothingHalf) {
  Racers racers;
  racers.run();
  racers.check();
}

}  // namespace
}  // namespace toaststore::test
