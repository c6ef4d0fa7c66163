// Pages that a host reads past its cache, without latches: they give the bytes that latched pages
// give, and what is wrong with them is never taken for a value.

#include <gtest/gtest.h>

#include <map>

#include "engine/cleaner.h"
#include "engine/value_page.h"
#include "engine/value_reader.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

class PastCacheTest : public ::testing::Test {
 protected:
  PastCacheTest() { store_.context.proof = Proof::kWhenDecoded; }

  uint64_t put(const Bytes& bytes) {
    const uint64_t id = store_.put(bytes);
    store_.commit();
    store_.next_command();
    return id;
  }
  void read_past_cache() { store_.pager.most_past_cache = 16; }

  TestStore store_;
  TestStore other_{store_, TestStore::plain()};
};

TEST_F(PastCacheTest, LeavesToTheCacheWhatIsReadOften) {
  const Bytes bytes = random_bytes(1, 300000);
  const uint64_t id = put(bytes);
  read_past_cache();
  store_.pager.reads_often = true;
  EXPECT_TRUE(store_.get(id) == bytes);
  EXPECT_EQ(store_.pager.pages_past_cache, 0u);
  store_.pager.reads_often = false;
  EXPECT_TRUE(store_.get(id) == bytes);
  EXPECT_GT(store_.pager.pages_past_cache, 0u);
}

// Whatever is in the cache, and however much the host reads at once.
TEST_F(PastCacheTest, GivesTheSameBytes) {
  Random random(1);
  for (const Codec codec : {Codec::kNone, Codec::kLz4}) {
    for (const Proof proof : {Proof::kWhenDecoded, Proof::kUnlessKnown, Proof::kAlways}) {
      Options options;
      options.compression.codec = codec;
      TestStore store(options);
      store.context.proof = proof;
      std::map<uint64_t, Bytes> values;
      for (const size_t size : {4000, 30000, 65536, 65537, 300000, 3000000}) {
        for (const Bytes& bytes : {text_bytes(size, size), random_bytes(size, size)}) {
          values[store.put(bytes)] = bytes;
        }
      }
      store.next_command();
      for (const uint32_t most : {1, 5, 16}) {
        store.pager.most_past_cache = most;
        for (const uint32_t cached_in_100 : {0, 10, 90}) {
          store.pager.cached.clear();
          for (Block block = 0; block < store.pager.blocks(); block++) {
            if (random.below(100) < cached_in_100) store.pager.cached.insert(block);
          }
          for (const auto& [id, bytes] : values) {
            ASSERT_TRUE(store.get(id) == bytes) << bytes.size();
            const uint64_t from = random.below(bytes.size());
            const uint64_t length = random.below(bytes.size());
            ASSERT_TRUE(store.slice(id, from, length) == bytes.substr(from, length));
          }
        }
      }
      EXPECT_GT(store.pager.pages_past_cache, 1000u);
      store.pager.expect_idle("reading past the cache");
    }
  }
}

// A large value is read in few calls, and none of its pages twice, though chunks share pages.
TEST_F(PastCacheTest, ReadsEveryPageOfALargeValueOnce) {
  const Bytes bytes = random_bytes(1, 2 << 20);
  const uint64_t id = put(bytes);
  store_.get(id);  // loads the hints
  read_past_cache();
  store_.pager.fail_at(0, false);
  EXPECT_TRUE(store_.get(id) == bytes);
  EXPECT_LE(store_.pager.calls(), 32u + 20u) << "an interruption a chunk, the tree and the tables";
  EXPECT_LE(store_.pager.pages_past_cache, bytes.size() / max_piece(StoreKind::kById) + 2);
  EXPECT_GE(store_.pager.pages_past_cache, bytes.size() / max_piece(StoreKind::kById) - 2);
}

// Small values, and small parts of large ones, are worth having in the cache.
TEST_F(PastCacheTest, FewPagesAreReadOneByOne) {
  const uint64_t small = put(random_bytes(1, 16000));
  const uint64_t large = put(random_bytes(2, 300000));
  read_past_cache();
  store_.get(small);
  store_.slice(large, 70000, 10000);
  store_.slice(large, 65536 - 100, 200);
  EXPECT_EQ(store_.pager.pages_past_cache, 0u);
  store_.slice(large, 70000, 50000);
  EXPECT_GT(store_.pager.pages_past_cache, 0u);
  EXPECT_LT(store_.pager.pages_past_cache, 9u) << "no more than is wanted";
}

// A copy of a page that is not what it should be is not believed: the latched page is asked.
TEST_F(PastCacheTest, AForeignPageIsReadAgain) {
  const Bytes bytes = random_bytes(1, 300000);
  const uint64_t id = put(bytes);
  read_past_cache();
  store_.pager.on_past_cache = [](std::byte* pages, Block, uint32_t count) {
    init_value_page(pages + size_t{count - 1} * kPageBytes);
  };
  EXPECT_TRUE(store_.get(id) == bytes);
  EXPECT_GT(store_.pager.pages_past_cache, 0u);
}

// Damage is the error that it is page by page, with and without proof by CRC.
TEST_F(PastCacheTest, DamageIsTheSameError) {
  const uint64_t id = put(random_bytes(1, 60000));
  const Block block = store_.entry(id).block + 3;
  store_.context.proof = Proof::kAlways;
  for (const uint32_t offset : {uint32_t{kPageHeaderBytes}, kPageBytes - 100}) {
    store_.pager.page(block)[offset] ^= std::byte{1};
    Bytes bytes;
    store_.pager.most_past_cache = 0;
    const Status latched = store_.try_get(id, &bytes);
    read_past_cache();
    const Status unlatched = store_.try_get(id, &bytes);
    EXPECT_EQ(latched.code, Code::kCorruption);
    EXPECT_EQ(unlatched.code, latched.code);
    EXPECT_EQ(unlatched.block, latched.block);
    EXPECT_STREQ(unlatched.reason, latched.reason);
    store_.pager.page(block)[offset] ^= std::byte{1};
  }
}

// Without a latch, and without a CRC that is checked, a page may be seen half as it was and half as
// its next user writes it. By then the value has moved, which is noticed.
TEST_F(PastCacheTest, AValueThatMovesMeanwhileIsReadAgain) {
  std::vector<uint64_t> dead;
  for (uint64_t i = 0; i < 40; i++) dead.push_back(put(random_bytes(i, 60000)));
  const Bytes bytes = random_bytes(100, 60000);
  const uint64_t id = put(bytes);
  for (uint64_t i = 0; i < 40; i++) dead.push_back(put(random_bytes(200 + i, 60000)));
  for (const uint64_t victim : dead) store_.erase(victim);
  store_.commit();
  store_.next_command();
  const Block before = store_.entry(id).block;
  read_past_cache();
  int moves = 0;
  store_.pager.on_past_cache = [&](std::byte* pages, Block, uint32_t) {
    if (moves++ > 0) return;
    other_.world.horizon = other_.world.next();
    CleanReport report;
    EXPECT_OK(compact(other_.context, 0.1, &report));
    EXPECT_GT(report.moved_bytes, 0u);
    std::memset(pages + kPageBytes - 5000, 'x', 4000);  // amidst the piece
  };
  EXPECT_TRUE(store_.get(id) == bytes);
  EXPECT_NE(store_.entry(id).block, before);
  EXPECT_GE(moves, 2);
}

}  // namespace
}  // namespace toaststore::test
