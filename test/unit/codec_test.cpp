// Compression and back: what can shrink does, what cannot is left as it is, and bytes that are no
// compressed bytes give an error.

#include "engine/codec.h"

#include <gtest/gtest.h>

#include "support/test_store.h"

namespace toaststore::test {
namespace {

Bytes base64_bytes(uint64_t seed, size_t length) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  Random random(seed);
  Bytes bytes;
  while (bytes.size() < length) bytes += kDigits[random.below(64)];
  return bytes;
}

Bytes repeated(const Bytes& block, size_t length) {
  Bytes bytes;
  while (bytes.size() < length) bytes += block;
  bytes.resize(length);
  return bytes;
}

class CodecTest : public ::testing::TestWithParam<Codec> {
 protected:
  size_t shrink(const Bytes& bytes, int level = 0) {
    out_.assign(compress_space(bytes.size()) + kFence, kFenceByte);
    size_t stored = 0;
    compress({GetParam(), level}, data_of(bytes), bytes.size(),
             reinterpret_cast<std::byte*>(out_.data()), &stored);
    EXPECT_LE(stored, bytes.size() - bytes.size() / 16) << "saves too little";
    EXPECT_EQ(out_.substr(out_.size() - kFence), Bytes(kFence, kFenceByte))
        << "writes more than compress_space()";
    return stored;
  }
  Status restore(const Bytes& stored, size_t raw, Bytes* bytes) {
    bytes->assign(raw, '?');
    return decompress(GetParam(), data_of(stored), stored.size(),
                      reinterpret_cast<std::byte*>(bytes->data()), raw);
  }
  void expect_round_trip(const Bytes& bytes, int level = 0) {
    const size_t stored = shrink(bytes, level);
    ASSERT_GT(stored, 0u) << "left as it is, though it can shrink";
    Bytes back;
    ASSERT_OK(restore(out_.substr(0, stored), bytes.size(), &back));
    EXPECT_TRUE(back == bytes);
  }

  static constexpr size_t kFence = 16;
  static constexpr char kFenceByte = '\x7e';
  Bytes out_;
};

TEST_P(CodecTest, TextComesBackAtEverySize) {
  for (const size_t size : {200, 1000, 2560, 8191, 8192, 8193, 20000, 65536, 262144}) {
    SCOPED_TRACE(size);
    expect_round_trip(text_bytes(size, size));
  }
}

TEST_P(CodecTest, RandomBytesAreLeftAsTheyAre) {
  for (const size_t size : {1, 64, 65, 1000, 2560, 8192, 8193, 65536, 262144}) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
      EXPECT_EQ(shrink(random_bytes(seed, size)), 0u) << size << " bytes";
    }
  }
}

// Repetition at any distance that LZ4 reaches, wherever it lies.
TEST_P(CodecTest, RepeatedRandomBlocksAreFound) {
  for (const size_t block : {50, 700, 2048, 4096, 5001, 16384, 30011}) {
    expect_round_trip(repeated(random_bytes(block, block), 65536));
  }
  // Short runs are only looked at before LZ4 sees them.
  for (const size_t size : {200, 2560, 4096, 8192}) {
    for (const size_t block : {16, 50, 99}) {
      expect_round_trip(repeated(random_bytes(block, block), size));
    }
    expect_round_trip(repeated(random_bytes(size, size / 2), size));
  }
  expect_round_trip(random_bytes(1, 3000) + text_bytes(2, 2000) + random_bytes(3, 3000));
  expect_round_trip(random_bytes(1, 30000) + text_bytes(2, 14000) + random_bytes(3, 20000));
  expect_round_trip(text_bytes(2, 14000) + random_bytes(3, 50000));
}

// Columns of numbers: a few constant bytes in each.
TEST_P(CodecTest, RecordsWithAConstantPartAreFound) {
  Random random(3);
  Bytes records;
  while (records.size() < 60000) records += "record: " + random_bytes(random.next(), 24);
  expect_round_trip(records);
}

TEST_P(CodecTest, EveryLevelComesBack) {
  for (int level = kZstdLevelMin; level <= kZstdLevelMax; level++) {
    expect_round_trip(text_bytes(level, 30000), level);
  }
}

// A slice decodes no more than it needs, and that much is right.
TEST_P(CodecTest, APrefixIsThatOfTheWhole) {
  const Bytes text = text_bytes(7, 65536);
  const size_t stored = shrink(text);
  ASSERT_GT(stored, 0u);
  for (const size_t wanted : {1, 7, 100, 4096, 32768, 65535, 65536}) {
    Bytes back(text.size() + kFence, kFenceByte);
    ASSERT_OK(decompress_prefix(GetParam(), data_of(out_), stored,
                                reinterpret_cast<std::byte*>(back.data()), text.size(), wanted));
    EXPECT_TRUE(back.substr(0, wanted) == text.substr(0, wanted)) << wanted;
    EXPECT_EQ(back.substr(text.size()), Bytes(kFence, kFenceByte)) << "writes beyond the value";
  }
}

// Values on disk are proven by CRC before they are decoded; the decoder has to be safe all the
// same.
TEST_P(CodecTest, GarbageGivesAnError) {
  const Bytes text = text_bytes(1, 5000);
  const Bytes good = [&] {
    const size_t stored = shrink(text);
    return out_.substr(0, stored);
  }();
  Bytes back;
  for (uint64_t seed = 0; seed < 2000; seed++) {
    Random random(seed);
    Bytes bad = seed % 2 == 0 ? random_bytes(seed, random.between(1, 3000)) : good;
    if (seed % 2 == 1) bad[random.below(bad.size())] ^= static_cast<char>(random.between(1, 255));
    const Status status = restore(bad, text.size(), &back);
    EXPECT_TRUE(status.ok() || status.is(Code::kRetry)) << status;
    if (!status.ok()) {
      EXPECT_STRNE(status.reason, "");
    }
  }
  for (const size_t cut : {size_t{0}, size_t{1}, good.size() / 2, good.size() - 1}) {
    EXPECT_EQ(restore(good.substr(0, cut), text.size(), &back).code, Code::kRetry) << cut;
  }
  EXPECT_EQ(restore(good, text.size() - 1, &back).code, Code::kRetry);
  EXPECT_EQ(restore(good, text.size() + 1, &back).code, Code::kRetry);
}

INSTANTIATE_TEST_SUITE_P(Codecs, CodecTest, ::testing::Values(Codec::kLz4, Codec::kZstd));

// Nothing repeats, but only 64 of 256 bytes occur: an entropy coder saves a quarter.
TEST(CodecSkew, ZstdTakesSkewedBytes) {
  for (const size_t size : {1000, 2560, 8192, 65536}) {
    const Bytes bytes = base64_bytes(size, size);
    Bytes out(compress_space(size), '\0');
    size_t stored = 0;
    compress({Codec::kZstd, 0}, data_of(bytes), size, reinterpret_cast<std::byte*>(out.data()),
             &stored);
    EXPECT_GT(stored, 0u) << size;
    EXPECT_LT(stored, size * 85 / 100) << size;
  }
}

TEST(CodecNone, CompressesNothingAndDecodesNothing) {
  const Bytes text = text_bytes(1, 1000);
  Bytes out(2000, '\0');
  size_t stored = 1;
  compress({Codec::kNone, 0}, data_of(text), text.size(), reinterpret_cast<std::byte*>(out.data()),
           &stored);
  EXPECT_EQ(stored, 0u);
  EXPECT_EQ(decompress(static_cast<Codec>(77), data_of(text), 10,
                       reinterpret_cast<std::byte*>(out.data()), 10)
                .code,
            Code::kRetry);
}

}  // namespace
}  // namespace toaststore::test
