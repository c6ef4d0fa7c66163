// Values that are copied into another store as they are stored: the bytes and their form are the
// same, and nothing is copied that its CRC does not prove.

#include <algorithm>

#include "engine/cleaner.h"
#include "engine/value_copy.h"
#include "engine/value_reader.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

Options with(Codec codec, StoreKind kind) {
  Options options;
  options.kind = kind;
  options.direct_max = 4000;
  options.extent_max = 12000;
  options.chunk_bytes = kChunkBytesMin;
  options.compression.codec = codec;
  return options;
}

class CopyTest : public testing::TestWithParam<Codec> {
 protected:
  Status try_copy(uint64_t id, uint64_t as, bool* failed = nullptr) {
    Entry value = from_.entry(id);
    Batch batch(to_.context);
    TOASTSTORE_TRY(batch.prepare());
    EXPECT_TRUE(cut_alike(from_.context.options, to_.context.options));
    CopiedParts parts(from_.context, &value);
    const Status status = batch.add_parts_at(as, &parts, value.raw_bytes);
    if (failed != nullptr) *failed = parts.failed();
    TOASTSTORE_TRY(status);
    return batch.flush();
  }

  TestStore from_{with(GetParam(), StoreKind::kById)};
  // Pieces of another size, and another codec for what is put here.
  TestStore to_{with(Codec::kNone, StoreKind::kToast)};
};

TEST_P(CopyTest, IsStoredAsItWas) {
  std::vector<Bytes> values = {"",
                               "x",
                               random_bytes(1, 3999),
                               text_bytes(2, 4001),
                               random_bytes(3, 12000),
                               text_bytes(4, 12000),
                               random_bytes(5, 12001),
                               text_bytes(6, 500000),
                               random_bytes(7, 20000) + text_bytes(8, 20000),
                               text_bytes(9, kChunkBytesMin * 2100)};
  std::vector<uint64_t> ids;
  for (const Bytes& value : values) ids.push_back(from_.put(value));
  from_.commit();
  from_.next_command();
  for (const uint64_t id : ids) EXPECT_OK(try_copy(id, id + 1000));
  to_.commit();
  to_.next_command();
  for (size_t i = 0; i < ids.size(); i++) {
    EXPECT_TRUE(to_.get(ids[i] + 1000) == values[i]) << values[i].size() << " bytes";
    const Entry was = from_.entry(ids[i]);
    const Entry is = to_.entry(ids[i] + 1000);
    EXPECT_EQ(is.codec, was.codec) << values[i].size() << " bytes";
    EXPECT_EQ(is.layout, was.layout);
    EXPECT_EQ(is.stored_bytes, was.stored_bytes);
  }
  to_.expect_sound();
}

// The entry was read before compaction moved the value, and its old place is used for something
// else.
TEST_P(CopyTest, IsFollowedWhereItMoves) {
  std::vector<uint64_t> others;
  const auto fill = [&] {
    for (uint64_t i = 0; i < 40; i++) others.push_back(from_.put(random_bytes(i, 60000)));
  };
  fill();
  const Bytes value = text_bytes(1, 100000);
  const uint64_t id = from_.put(value);
  fill();
  from_.commit();
  from_.next_command();
  for (const uint64_t other : others) from_.erase(other);
  from_.commit();
  from_.world.horizon = from_.world.next();
  Entry stale = from_.entry(id);
  const Entry before = stale;
  CleanReport report;
  EXPECT_OK(compact(from_.context, 0.1, &report));
  ASSERT_FALSE(same_entry(from_.entry(id), before)) << "it has moved";
  for (uint32_t i = 0; i < before.pages; i++) {
    std::fill_n(from_.pager.page(before.block - i), kPageBytes, std::byte{0});
  }
  uint64_t copy;
  {
    Batch batch(to_.context);
    EXPECT_OK(batch.prepare());
    CopiedParts parts(from_.context, &stale);
    EXPECT_OK(batch.add_parts(&parts, value.size(), 0, &copy));
    EXPECT_OK(batch.flush());
  }
  EXPECT_TRUE(same_entry(stale, from_.entry(id)));
  to_.commit();
  to_.next_command();
  EXPECT_TRUE(to_.get(copy) == value);
}

// Every byte of the pages that hold it in turn: a flipped one is found, or it is not the value's.
TEST_P(CopyTest, IsNotCopiedDamaged) {
  for (const Bytes& value : {random_bytes(1, 3000), text_bytes(2, 11000), text_bytes(3, 40000),
                             random_bytes(4, 30000)}) {
    const uint64_t id = from_.put(value);
    from_.commit();
    from_.next_command();
    const Entry entry = from_.entry(id);
    // A chunk table begins behind its chunks.
    const Block first =
        entry.layout == Layout::kChunked ? entry.block + 1 - entry.pages : entry.block;
    int refused = 0;
    for (Block block = first; block < first + entry.pages; block++) {
      for (uint32_t at = kPageHeaderBytes; at < kPageBytes; at += 97) {
        std::byte& byte = from_.pager.page(block)[at];
        byte ^= std::byte{0x10};
        bool failed = false;
        const Status status = try_copy(id, block * kPageBytes + at, &failed);
        byte ^= std::byte{0x10};
        if (status.ok()) {
          to_.next_command();
          ASSERT_TRUE(to_.get(block * kPageBytes + at) == value) << "byte " << at;
        } else {
          EXPECT_TRUE(status.is(Code::kCorruption)) << status;
          EXPECT_TRUE(failed) << "the source is at fault";
          refused++;
        }
        to_.session.abort();
      }
    }
    EXPECT_GT(refused, 20);
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, CopyTest, testing::Values(Codec::kNone, Codec::kLz4, Codec::kZstd),
                         [](const testing::TestParamInfo<Codec>& codec) {
                           return codec.param == Codec::kNone  ? "None"
                                  : codec.param == Codec::kLz4 ? "Lz4"
                                                               : "Zstd";
                         });

}  // namespace
}  // namespace toaststore::test
