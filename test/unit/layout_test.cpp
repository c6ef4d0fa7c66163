// Which layout a value gets at every threshold, that every slice of it is right, and what all of it
// takes of the file.

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/chunk_table.h"
#include "engine/value_reader.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

class LayoutTest : public ::testing::Test {
 protected:
  // Puts, reads back, and tells how it is stored.
  static Entry put(TestStore* store, const Bytes& bytes) {
    const uint64_t id = store->put(bytes);
    store->next_command();
    EXPECT_TRUE(store->get(id) == bytes) << bytes.size() << " bytes";
    const Entry entry = store->entry(id);
    EXPECT_EQ(entry.raw_bytes, bytes.size());
    return entry;
  }
  static void expect_slices(TestStore* store, uint64_t id, const Bytes& bytes, uint64_t seed) {
    Random random(seed);
    std::vector<uint64_t> edges = {0, 1, bytes.size(), bytes.size() + 1};
    if (!bytes.empty()) edges.push_back(bytes.size() - 1);
    for (int i = 0; i < 12; i++) edges.push_back(random.below(bytes.size() + 1));
    for (const uint64_t page : {8119, 8120, 8121, 8192, 16240, 65535, 65536, 65537}) {
      if (page < bytes.size()) edges.push_back(page);
    }
    for (const uint64_t from : edges) {
      for (const uint64_t length : {uint64_t{0}, uint64_t{1}, random.below(9000),
                                    random.below(bytes.size() + 1), UINT64_MAX}) {
        const Bytes expected = from < bytes.size() ? bytes.substr(from, length) : "";
        ASSERT_TRUE(store->slice(id, from, length) == expected)
            << "slice (" << from << ", " << length << ") of " << bytes.size();
      }
    }
  }
};

TEST_F(LayoutTest, ThresholdsAreInclusive) {
  TestStore store;
  EXPECT_EQ(put(&store, random_bytes(1, 1)).layout, Layout::kDirect);
  EXPECT_EQ(put(&store, random_bytes(1, 4095)).layout, Layout::kDirect);
  EXPECT_EQ(put(&store, random_bytes(1, 4096)).layout, Layout::kDirect);
  EXPECT_EQ(put(&store, random_bytes(1, 4097)).layout, Layout::kExtent);
  EXPECT_EQ(put(&store, random_bytes(1, 65535)).layout, Layout::kExtent);
  EXPECT_EQ(put(&store, random_bytes(1, 65536)).layout, Layout::kExtent);
  EXPECT_EQ(put(&store, random_bytes(1, 65537)).layout, Layout::kChunked);
  store.expect_sound();
}

// Direct or extent goes by stored size, chunked by raw size.
TEST_F(LayoutTest, CompressedValuesAreDirectByWhatTheyTake) {
  Options options;
  TestStore store(options);
  Entry entry = put(&store, Bytes(60000, 'a'));
  EXPECT_EQ(entry.layout, Layout::kDirect);
  EXPECT_EQ(entry.codec, Codec::kLz4);
  EXPECT_LT(entry.stored_bytes, 1000u);
  entry = put(&store, Bytes(65537, 'a'));
  EXPECT_EQ(entry.layout, Layout::kChunked);
  EXPECT_EQ(entry.codec, Codec::kLz4);
  entry = put(&store, random_bytes(1, 65537));
  EXPECT_EQ(entry.codec, Codec::kNone);
  EXPECT_EQ(entry.stored_bytes, 65537u);
  store.expect_sound();
}

TEST_F(LayoutTest, TheEmptyValueTakesNoPiece) {
  TestStore store;
  const Entry entry = put(&store, "");
  EXPECT_EQ(entry.layout, Layout::kDirect);
  EXPECT_EQ(entry.item, 0);
  EXPECT_EQ(entry.pages, 0u);
  EXPECT_EQ(entry.stored_bytes, 0u);
  expect_slices(&store, entry.id, "", 1);
  store.expect_sound();
}

TEST_F(LayoutTest, ThresholdsOfZeroChunkEverything) {
  Options options = TestStore::plain();
  options.direct_max = options.extent_max = 0;
  TestStore store(options);
  EXPECT_EQ(put(&store, "").layout, Layout::kDirect);
  EXPECT_EQ(put(&store, "x").layout, Layout::kChunked);
  store.expect_sound();
}

TEST_F(LayoutTest, ThresholdsAtTheirLimits) {
  Options options = TestStore::plain();
  options.direct_max = kDirectMaxLimit;
  options.extent_max = kExtentMaxLimit;
  options.chunk_bytes = kChunkBytesLimit;
  TestStore store(options);
  EXPECT_EQ(put(&store, random_bytes(1, 8000)).layout, Layout::kDirect);
  EXPECT_EQ(put(&store, random_bytes(1, 8001)).layout, Layout::kExtent);
  EXPECT_EQ(put(&store, random_bytes(1, 262144)).layout, Layout::kExtent);
  EXPECT_EQ(put(&store, random_bytes(1, 262145)).layout, Layout::kChunked);
  store.expect_sound();
}

// Pages and slices of every kind, uncompressed, with and without proof of all reads.
TEST_F(LayoutTest, SlicesOfEveryLayout) {
  for (const Codec codec : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
    for (const bool prove : {true, false}) {
      Options options;
      options.compression.codec = codec;
      TestStore store(options);
      store.context.prove_all_reads = prove;
      for (const size_t size : {1, 3000, 4096, 8121, 20000, 65536, 65537, 131072, 200000}) {
        for (const bool text : {false, true}) {
          const Bytes bytes = text ? text_bytes(size, size) : random_bytes(size, size);
          const uint64_t id = store.put(bytes);
          store.next_command();
          expect_slices(&store, id, bytes, size);
        }
      }
      store.expect_sound();
    }
  }
}

// A chunked value of chunks that are compressed and chunks that are not.
TEST_F(LayoutTest, ChunksAreCompressedEachByItself) {
  TestStore store{Options()};
  const Bytes bytes = text_bytes(1, 65536) + random_bytes(2, 65536) + text_bytes(3, 10000);
  const uint64_t id = store.put(bytes);
  store.next_command();
  expect_slices(&store, id, bytes, 4);
  ChunkRef refs[3];
  ASSERT_OK(read_chunk_refs(store.context, store.entry(id), 0, 3, refs));
  EXPECT_EQ(refs[0].codec, Codec::kLz4);
  EXPECT_EQ(refs[1].codec, Codec::kNone);
  EXPECT_EQ(refs[2].codec, Codec::kLz4);
  EXPECT_EQ(store.store.chunks(store.entry(id)), 3u);
}

// More chunks than a table holds: a table of tables, at the boundary and beyond.
TEST_F(LayoutTest, TwoLevelChunkTables) {
  Options options = TestStore::plain();
  options.chunk_bytes = kChunkBytesMin;
  for (const uint64_t chunks : {2048, 2049, 4097}) {
    TestStore store(options);
    const Bytes bytes = random_bytes(chunks, chunks * kChunkBytesMin - 5);
    const Entry entry = put(&store, bytes);
    EXPECT_EQ(store.store.chunks(entry), chunks);
    const bool top = table_run_of(store.context, entry).sequence == kTopTableSequence;
    EXPECT_EQ(top, chunks > 2048);
    for (const uint64_t boundary : {uint64_t{2047}, uint64_t{2048}, uint64_t{4095}}) {
      const uint64_t from = boundary * kChunkBytesMin - 100;
      if (from >= bytes.size()) continue;
      EXPECT_TRUE(store.slice(entry.id, from, 200) == bytes.substr(from, 200));
      EXPECT_TRUE(store.slice(entry.id, from, 600000) == bytes.substr(from, 600000));
    }
    store.expect_sound();
  }
}

// A slice reads the table entries and the chunks it touches, not the value.
TEST_F(LayoutTest, ASliceOfALargeValueReadsLittle) {
  TestStore store;
  const Bytes bytes = random_bytes(1, 10 << 20);
  const uint64_t id = store.put(bytes);
  store.next_command();
  store.context.prove_all_reads = false;
  store.slice(id, 0, 1);  // loads the hints
  store.pager.fail_at(0, false);
  EXPECT_EQ(store.slice(id, 5000000, 4096), bytes.substr(5000000, 4096));
  // The leaf, the table's page or two, two pages of the chunk, and a breath.
  EXPECT_LE(store.pager.calls(), 7u);
}

TEST_F(LayoutTest, TooManyChunksAreRefused) {
  Options options = TestStore::plain();
  options.chunk_bytes = kChunkBytesMin;
  TestStore store(options);
  uint64_t id;
  // Nothing is read of a value that is refused.
  const uint64_t length = kMaxChunks * kChunkBytesMin + 1;
  EXPECT_EQ(store.store.put(nullptr, length, &id).code, Code::kLimit);
  EXPECT_EQ(store.store.put(nullptr, kMaxValueBytes + 1, &id).code, Code::kLimit);
  store.expect_idle("a refused put");
}

TEST_F(LayoutTest, IdsBehindToastPointersTakeFourBytesOfAPiece) {
  Options options = TestStore::plain();
  options.kind = StoreKind::kToast;
  TestStore store(options);
  for (const size_t size : {1, 3000, 20000, 65537, 200000}) {
    const Bytes bytes = random_bytes(size, size);
    const uint64_t id = store.put(bytes);
    store.next_command();
    expect_slices(&store, id, bytes, size);
  }
  store.put_at(UINT32_MAX, "last");
  store.next_command();
  EXPECT_EQ(store.get(UINT32_MAX), "last");
  EXPECT_EQ(store.try_put_at(uint64_t{UINT32_MAX} + 1, "no oid").code, Code::kInvalid);
  EXPECT_EQ(store.put("used again"), 6u) << "the first that is free";
  store.expect_sound();
}

// A value that failed half-way leaves its count of pages to nobody.
TEST_F(LayoutTest, PagesAreCountedForEachValueAlone) {
  TestStore store;
  store.put("makes the store");
  const Bytes large = random_bytes(1, 50000);
  int failures = 0;
  for (uint64_t call = 1; call < 30; call++) {
    uint64_t id = 0;
    {
      Batch batch(store.context);
      store.pager.fail_at(call, false);
      if (!batch.add(data_of(large), large.size(), 0, &id).ok()) failures++;
      store.pager.fail_at(0, false);
      ASSERT_OK(batch.add(data_of(large), large.size(), 0, &id));
      ASSERT_OK(batch.flush());
    }
    EXPECT_GE(store.entry(id).pages, 7u) << "call " << call;
    EXPECT_LE(store.entry(id).pages, 8u) << "call " << call;
  }
  EXPECT_GE(failures, 7);
}

TEST_F(LayoutTest, AStoreWithOneSmallValueTakesSixtyFourKilobytes) {
  TestStore store;
  store.put(random_bytes(1, 3000));
  EXPECT_LE(store.pager.blocks(), 8u);
}

// Random bytes, so that stored bytes are known; put one by one as by 4,000 transactions.
TEST_F(LayoutTest, MixedValuesArePackedTightly) {
  TestStore store;
  Random random(11);
  uint64_t stored = 0;
  for (int i = 0; i < 4000; i++) {
    const size_t size = random.between(2048, 8192);
    store.put(random_bytes(random.next(), size));
    stored += size;
  }
  const double bytes = static_cast<double>(store.pager.blocks()) * kPageBytes;
  EXPECT_LE(bytes / static_cast<double>(stored), 1.08);
  RecordProperty("bytes_of_file_per_stored_byte_x1000",
                 static_cast<int>(bytes / static_cast<double>(stored) * 1000));
  store.expect_sound();
}

// Sizes that would leave a page half empty, were each piece alone in its page.
TEST_F(LayoutTest, NoSizeWastesAPage) {
  for (const size_t size : {2700, 3000, 4050, 4096, 5000, 8121, 8500, 16300, 65536, 70000}) {
    TestStore store;
    const uint64_t count = 6'000'000 / size;
    for (uint64_t i = 0; i < count; i++) store.put(random_bytes(i, size));
    const double bytes = static_cast<double>(store.pager.blocks()) * kPageBytes;
    EXPECT_LE(bytes / static_cast<double>(count * size), 1.10) << size;
  }
}

}  // namespace
}  // namespace toaststore::test
