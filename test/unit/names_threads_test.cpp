// Names from many threads: setters of one name come one after the other, readers never find it
// missing, pages split under everybody, and a scan sees every batch whole or not at all.

#include <atomic>
#include <thread>

#include "support/named_store.h"

namespace toaststore::test {
namespace {

constexpr int kThreads = 4;

class NamesThreads : public NamedStore {
 protected:
  NamesThreads() { options_.cache_bytes = 1024 * 1024; }

  // Runs `work(thread)` in each of them.
  template <typename Work>
  void in_threads(Work work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
  }
  // Runs `watch()` again and again while the work is done.
  template <typename Watch, typename Work>
  void watched(Watch watch, Work work) {
    std::atomic<bool> done = false;
    std::thread watcher([&] {
      do watch();
      while (!done && !HasFailure());
    });
    in_threads(work);
    done = true;
    watcher.join();
  }
};

// Of all who set a new name one finds that it is new.  Once it is there, no reader misses it while
// it goes from one value to the next.
TEST_F(NamesThreads, OneNameIsSetByAllAndAlwaysThere) {
  open();
  for (int round = 0; round < 20; round++) {
    const Bytes key = "contended " + std::to_string(round);
    std::atomic<int> created = 0;
    std::atomic<bool> there = false;
    watched(
        [&] {
          const bool must_be = there;
          Buffer buffer;
          const Status status = store_->get_named(key.data(), key.size(), &buffer);
          EXPECT_TRUE(status.ok() || (!must_be && status.is(Code::kNotFound))) << status;
          if (status.ok()) {
            EXPECT_EQ(buffer.size(), 50u);
          }
        },
        [&](int thread) {
          for (int i = 0; i < 100; i++) {
            const Bytes value = random_bytes(static_cast<uint64_t>(thread), 50);
            bool replaced = false;
            EXPECT_OK(store_->set(key.data(), key.size(), value.data(), value.size(), &replaced));
            if (!replaced) created++;
            there = true;
          }
        });
    EXPECT_EQ(created, 1);
    EXPECT_EQ(keys_with(key).size(), 1u);
  }
  expect_sound();
}

// Each thread sets and erases names of its own, next to those of the others.
TEST_F(NamesThreads, PagesSplitUnderWritersAndReaders) {
  open();
  std::map<Bytes, Bytes> models[kThreads];
  const auto key_of = [](int thread, uint64_t i) {
    return random_bytes(i / 2, 1 + i * i % 400) + static_cast<char>('a' + thread);
  };
  watched(
      [&] {
        Bytes last;
        for (const Bytes& key : keys()) {
          EXPECT_LT(last, key);
          last = key;
        }
      },
      [&](int thread) {
        Random random(static_cast<uint64_t>(thread));
        std::map<Bytes, Bytes>& model = models[thread];
        for (int i = 0; i < 3000 && !HasFailure(); i++) {
          const Bytes key = key_of(thread, random.below(1000));
          if (random.below(4) == 0) {
            const Status status = store_->erase_named(key.data(), key.size());
            EXPECT_EQ(status.code, model.erase(key) == 1 ? Code::kOk : Code::kNotFound);
          } else {
            model[key] = random_bytes(random.next(), random.below(100));
            EXPECT_OK(store_->set(key.data(), key.size(), model[key].data(), model[key].size()));
          }
          const Bytes other = key_of(thread, random.below(1000));
          const auto expected = model.find(other);
          const std::optional<Bytes> found = get(other);
          EXPECT_EQ(found.has_value(), expected != model.end());
          EXPECT_TRUE(!found || *found == expected->second);
        }
      });
  std::map<Bytes, Bytes> all;
  for (const auto& model : models) all.insert(model.begin(), model.end());
  expect_holds(all);
  expect_sound();
  crash();
  expect_holds(all);
  expect_sound();
}

// Each batch sets the same number of bytes under names far apart.
TEST_F(NamesThreads, AScanSeesABatchWholeOrNotAtAll) {
  open();
  for (int i = 0; i < 500; i++) set("m" + random_bytes(static_cast<uint64_t>(i), 100), "");
  constexpr int kPairs = 5;
  const auto set_both = [&](int pair, const Bytes& value) {
    WriteBatch batch(store_.get());
    for (const Bytes head : {"a", "z"}) {
      const Bytes key = head + std::to_string(pair);
      EXPECT_OK(batch.set(key.data(), key.size(), value.data(), value.size()));
    }
    EXPECT_OK(batch.commit());
  };
  for (int pair = 0; pair < kPairs; pair++) set_both(pair, "");
  std::atomic<int> scans = 0;
  watched(
      [&] {
        std::map<Bytes, uint64_t> sizes;
        for (const FoundName& name : scan()) sizes[name.key] = name.raw_bytes;
        EXPECT_EQ(sizes.size(), 500u + 2 * kPairs);
        for (int pair = 0; pair < kPairs; pair++) {
          EXPECT_EQ(sizes["a" + std::to_string(pair)], sizes["z" + std::to_string(pair)]);
        }
        scans++;
      },
      [&](int thread) {
        Random random(static_cast<uint64_t>(thread));
        for (int i = 0; i < 1000 && !HasFailure(); i++) {
          set_both(static_cast<int>(random.below(kPairs)), Bytes(random.below(1000), 'v'));
        }
      });
  EXPECT_GT(scans, 3);
  expect_sound();
}

}  // namespace
}  // namespace toaststore::test
