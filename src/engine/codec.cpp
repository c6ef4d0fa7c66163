// Compression of one contiguous run of bytes, and the cheap test that spares bytes without
// redundancy.

#include "engine/codec.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>

namespace toaststore {

namespace {

constexpr size_t kSmallest = 64;         // shorter runs are kept as they are
constexpr size_t kSampleBytes = 2048;    // of each of the samples
constexpr size_t kSampledFrom = 8192;    // runs longer than this are sampled first

size_t worth(size_t length) { return length - length / 16; }

// Sum of squared byte counts: 1/256 of the square of the length when every byte is as likely as
// any other.  Only an entropy coder gains from skewed counts without repetition.
bool bytes_skewed(const std::byte* bytes, size_t length) {
  uint32_t counts[256] = {};
  for (size_t i = 0; i < length; i++) counts[static_cast<uint8_t>(bytes[i])]++;
  uint64_t squares = 0;
  for (const uint32_t count : counts) squares += uint64_t{count} * count;
  // A uniform sample exceeds its expectation by about `length`; a sixteenth saved needs far more.
  return squares * 256 > uint64_t{length} * length * 5 / 4 + uint64_t{length} * 256;
}

bool sample_compresses(Codec codec, const std::byte* bytes, size_t length) {
  char out[kSampleBytes];
  const size_t starts[2] = {length / 4, length / 2 + length / 4 - kSampleBytes};
  for (const size_t start : starts) {
    const auto* sample = reinterpret_cast<const char*>(bytes + start);
    if (LZ4_compress_default(sample, out, static_cast<int>(kSampleBytes),
                             static_cast<int>(worth(kSampleBytes))) > 0) {
      return true;
    }
    if (codec == Codec::kZstd && bytes_skewed(bytes + start, kSampleBytes)) return true;
  }
  return false;
}

// One context a thread, made on first use and kept: creating one costs more than a small value.
ZSTD_CCtx* compressor() {
  static thread_local ZSTD_CCtx* context = ZSTD_createCCtx();
  return context;
}

ZSTD_DCtx* decompressor() {
  static thread_local ZSTD_DCtx* context = ZSTD_createDCtx();
  return context;
}

}  // namespace

size_t compress_space(size_t length) { return worth(length); }

void compress(const Compression& compression, const std::byte* bytes, size_t length,
              std::byte* out, size_t* stored) {
  *stored = 0;
  if (compression.codec == Codec::kNone || length < kSmallest) return;
  if (length > kSampledFrom && !sample_compresses(compression.codec, bytes, length)) return;
  if (compression.codec == Codec::kLz4) {
    const int written = LZ4_compress_default(
        reinterpret_cast<const char*>(bytes), reinterpret_cast<char*>(out),
        static_cast<int>(length), static_cast<int>(worth(length)));
    if (written > 0) *stored = static_cast<size_t>(written);
    return;
  }
  if (length <= kSampledFrom && !bytes_skewed(bytes, std::min(length, kSampleBytes))) {
    char trial[kSampledFrom];
    if (LZ4_compress_default(reinterpret_cast<const char*>(bytes), trial,
                             static_cast<int>(length), static_cast<int>(worth(length))) <= 0) {
      return;
    }
  }
  ZSTD_CCtx* context = compressor();
  if (context == nullptr) return;
  const int level = compression.level == 0 ? ZSTD_CLEVEL_DEFAULT : compression.level;
  const size_t written = ZSTD_compressCCtx(context, out, worth(length), bytes, length, level);
  if (ZSTD_isError(written) == 0) *stored = written;
}

Status decompress(Codec codec, const std::byte* bytes, size_t stored, std::byte* out, size_t raw) {
  if (codec == Codec::kLz4) {
    const int written = LZ4_decompress_safe(reinterpret_cast<const char*>(bytes),
                                            reinterpret_cast<char*>(out),
                                            static_cast<int>(stored), static_cast<int>(raw));
    if (written >= 0 && static_cast<size_t>(written) == raw) return Status::Ok();
  } else if (codec == Codec::kZstd) {
    ZSTD_DCtx* context = decompressor();
    if (context == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
    const size_t written = ZSTD_decompressDCtx(context, out, raw, bytes, stored);
    if (ZSTD_isError(written) == 0 && written == raw) return Status::Ok();
  } else {
    return Status::Error(Code::kRetry, "bytes are of an unknown codec");
  }
  return Status::Error(Code::kRetry, "compressed bytes do not decode");
}

}  // namespace toaststore
