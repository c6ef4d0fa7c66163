// What a call may take at once: the pages between two looks for interrupts, and the bytes of
// memory, whatever the size of the value or of the store.

#include <gtest/gtest.h>

#include "engine/chunk_table.h"
#include "engine/codec.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

// A chunk of the largest size is 33 pages, a map page has 254 entries, and an insertion may split
// every level: a cancel waits for so many pages at most.
constexpr uint64_t kLongestStretch = 300;

// A writer keeps a chunk in the making and a chunk table; a reader a chunk and what it was
// decompressed from; verify both, and a page for each level of the tree.
constexpr uint64_t kTableBytes = kTableEntries * sizeof(ChunkRef);
uint64_t writer_bytes(uint32_t chunk_bytes) { return chunk_bytes + kTableBytes + 4096; }
uint64_t reader_bytes(uint32_t chunk_bytes) { return 2 * uint64_t{chunk_bytes}; }

Options of_chunks(uint32_t chunk_bytes, Codec codec) {
  Options options;
  options.extent_max = chunk_bytes;
  options.chunk_bytes = chunk_bytes;
  options.compression.codec = codec;
  return options;
}

class Limits : public ::testing::TestWithParam<uint32_t> {
 protected:
  // Runs the call and judges its longest stretch.
  template <typename Call>
  void expect_pauses(const char* what, Call call) {
    store_.pager.forget_stretches();
    call();
    EXPECT_LE(store_.pager.longest_stretch(), kLongestStretch) << what;
    EXPECT_GT(store_.pager.longest_stretch(), 0u) << what;
  }

  // The same for its memory.
  template <typename Call>
  void expect_memory(uint64_t bytes, const char* what, Call call) {
    store_.memory.forget_peak();
    call();
    EXPECT_LE(store_.memory.peak_bytes(), bytes) << what;
    EXPECT_GT(store_.memory.peak_bytes(), 0u) << what;
  }

  TestStore store_{of_chunks(GetParam(), Codec::kLz4)};
};

TEST_P(Limits, ValuesOfAnySizePauseBetweenChunks) {
  const Bytes plain = random_bytes(1, 20000000);
  const Bytes text = text_bytes(2, 20000000);
  uint64_t id = 0;
  expect_pauses("put of bytes that do not compress", [&] { id = store_.put(plain); });
  store_.next_command();
  expect_pauses("get", [&] { EXPECT_EQ(store_.get(id), plain); });
  expect_pauses("slice", [&] { EXPECT_EQ(store_.slice(id, 999, 19000000).size(), 19000000u); });
  expect_pauses("put of bytes that do", [&] { id = store_.put(text); });
  store_.next_command();
  expect_pauses("get of compressed chunks", [&] { EXPECT_EQ(store_.get(id), text); });
  expect_pauses("verify", [&] { store_.expect_sound(); });
}

TEST_P(Limits, ValuesOfAnySizeTakeTheMemoryOfAChunk) {
  const uint32_t chunk = GetParam();
  for (const Bytes& bytes : {random_bytes(1, 20000000), text_bytes(2, 20000000)}) {
    uint64_t id = 0;
    expect_memory(writer_bytes(chunk), "put", [&] { id = store_.put(bytes); });
    store_.next_command();
    store_.context.proof = Proof::kAlways;  // which takes more where a slice is not compressed
    expect_memory(reader_bytes(chunk), "slice",
                  [&] { EXPECT_EQ(store_.slice(id, 9999990, 4096), bytes.substr(9999990, 4096)); });
    expect_memory(2 * reader_bytes(chunk) + kTableBytes + kMaxTreeLevels * kPageBytes, "verify",
                  [&] { store_.expect_sound(); });
  }
  expect_memory(writer_bytes(chunk), "put of one run", [&] { store_.put(text_bytes(3, chunk)); });
}

INSTANTIATE_TEST_SUITE_P(Of, Limits, ::testing::Values(kChunkBytesMin, 65536, kChunkBytesLimit));

TEST(LimitsOfMany, SmallValuesPauseInBatchesAndTheirJournalInVerify) {
  TestStore store;
  const Bytes value = "small";
  // More pages of the journal than a stretch may have.
  const uint64_t count = (kLongestStretch + 20) * 508;
  store.pager.forget_stretches();
  {
    Batch batch(store.context);
    for (uint64_t i = 0; i < count; i++) {
      uint64_t id;
      ASSERT_OK(batch.add(data_of(value), value.size(), count - i, &id));
    }
    EXPECT_OK(batch.flush());
  }
  EXPECT_LE(store.pager.longest_stretch(), kLongestStretch) << "a batch";
  store.commit();
  store.pager.forget_stretches();
  store.expect_sound();
  EXPECT_LE(store.pager.longest_stretch(), kLongestStretch) << "verify";
}

TEST(LimitsOfMany, EntriesFarApartPauseInBatches) {
  TestStore store;
  const Bytes value = "small";
  // All residues of a prime, in an order in which neighbours follow each other in no leaf.
  constexpr uint64_t kPrime = 20011;
  Batch batch(store.context);
  for (uint64_t i = 1; i < kPrime; i++) {
    ASSERT_OK(batch.add_at((i * 7919 % kPrime) << 20, data_of(value), value.size()));
  }
  EXPECT_OK(batch.flush());
  EXPECT_LE(store.pager.longest_stretch(), kLongestStretch);
}

}  // namespace
}  // namespace toaststore::test
