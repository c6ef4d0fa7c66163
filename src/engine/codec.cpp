// Compression of one contiguous run of bytes, and the cheap test that spares bytes without
// redundancy.

#include "engine/codec.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace toaststore {

namespace {

constexpr size_t kSmallest = 64;   // shorter runs are kept as they are
constexpr size_t kSampled = 1024;  // bytes counted of longer runs
constexpr size_t kShort = 8192;    // up to here LZ4's table of 16 kB costs more than a look
constexpr size_t kShortSampled = 256;
constexpr size_t kNeedle = 8;  // a repetition worth to be found is at least as long

size_t worth(size_t length) { return length - length / 16; }

// Compares the sum of squared byte counts with that of bytes that are all as likely: 1/256 of the
// square of their number, and their number by chance.  Entropy coding saves a sixteenth only where
// it is 1.41 times as large, as 2^-H bounds it from below.  Only an entropy coder gains from skewed
// counts without repetition.
bool bytes_skewed(const std::byte* bytes, size_t length, size_t samples) {
  // An odd step, so that the columns of a table of numbers all have their turn.
  const size_t step = std::max<size_t>(length / samples, 1) | 1;
  uint16_t counts[256] = {};
  uint64_t sampled = 0;
  uint64_t squares = 0;
  for (size_t i = 0; i < length; i += step, sampled++) {
    squares += 2u * counts[static_cast<uint8_t>(bytes[i])]++ + 1u;  // (n + 1)^2 - n^2
  }
  return squares * 256 > sampled * sampled * 5 / 4 + sampled * 256;
}

// Does what stands at `anchor` stand again behind it?
bool stands_again(const std::byte* bytes, size_t length, size_t anchor) {
  const std::byte* needle = bytes + anchor;
  const std::byte* from = needle + 1;
  const std::byte* last = bytes + length - kNeedle;
  while (from <= last) {
    from = static_cast<const std::byte*>(
        std::memchr(from, static_cast<int>(*needle), static_cast<size_t>(last - from) + 1));
    if (from == nullptr) return false;
    if (std::memcmp(from, needle, kNeedle) == 0) return true;
    from++;
  }
  return false;
}

// LZ4 gives up on bytes without repetition by itself: it steps the faster over them the longer it
// finds nothing, so that trying the whole costs less than a sample would miss.
int compress_lz4(const std::byte* bytes, size_t length, std::byte* out) {
  return LZ4_compress_default(reinterpret_cast<const char*>(bytes), reinterpret_cast<char*>(out),
                              static_cast<int>(length), static_cast<int>(worth(length)));
}

// One context a thread, made on first use and kept: creating one costs more than a small value.
// Where there was no memory for it, the next use tries again.
ZSTD_CCtx* compressor() {
  static thread_local ZSTD_CCtx* context = nullptr;
  if (context == nullptr) context = ZSTD_createCCtx();
  return context;
}

ZSTD_DCtx* decompressor() {
  static thread_local ZSTD_DCtx* context = nullptr;
  if (context == nullptr) context = ZSTD_createDCtx();
  return context;
}

}  // namespace

size_t compress_space(size_t length) { return worth(length); }

// Bytes as likely as any other, and no block of them that comes again.
bool looks_random(const std::byte* bytes, size_t length) {
  return length <= kShort && !bytes_skewed(bytes, length, kShortSampled) &&
         !stands_again(bytes, length, length / 3);
}

void compress(const Compression& compression, const std::byte* bytes, size_t length, std::byte* out,
              size_t* stored) {
  *stored = 0;
  if (compression.codec == Codec::kNone || length < kSmallest) return;
  if (looks_random(bytes, length)) return;
  if (compression.codec == Codec::kLz4) {
    *stored = static_cast<size_t>(compress_lz4(bytes, length, out));
    return;
  }
  // Zstd takes long to find out that there is nothing to save.
  if (!bytes_skewed(bytes, length, kSampled) && compress_lz4(bytes, length, out) == 0) return;
  ZSTD_CCtx* context = compressor();
  if (context == nullptr) return;
  const int level = compression.level == 0 ? ZSTD_CLEVEL_DEFAULT : compression.level;
  const size_t written = ZSTD_compressCCtx(context, out, worth(length), bytes, length, level);
  if (ZSTD_isError(written) == 0) *stored = written;
}

Status decompress(Codec codec, const std::byte* bytes, size_t stored, std::byte* out, size_t raw) {
  if (codec == Codec::kLz4) {
    const int written =
        LZ4_decompress_safe(reinterpret_cast<const char*>(bytes), reinterpret_cast<char*>(out),
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

Status decompress_prefix(Codec codec, const std::byte* bytes, size_t stored, std::byte* out,
                         size_t raw, size_t wanted) {
  if (codec != Codec::kLz4 || wanted == raw) return decompress(codec, bytes, stored, out, raw);
  const int written = LZ4_decompress_safe_partial(
      reinterpret_cast<const char*>(bytes), reinterpret_cast<char*>(out), static_cast<int>(stored),
      static_cast<int>(wanted), static_cast<int>(raw));
  if (written >= 0 && static_cast<size_t>(written) >= wanted) return Status::Ok();
  return Status::Error(Code::kRetry, "compressed bytes do not decode");
}

}  // namespace toaststore
