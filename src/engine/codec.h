// Codecs: one call each way, over lz4's block format and zstd's frame format.

#ifndef TOASTSTORE_ENGINE_CODEC_H_
#define TOASTSTORE_ENGINE_CODEC_H_

#include <cstddef>

#include "toaststore/options.h"
#include "toaststore/status.h"

namespace toaststore {

inline constexpr int kZstdLevelMin = 1;
inline constexpr int kZstdLevelMax = 19;

// Room that compress() may need: it never writes more than this.
size_t compress_space(size_t length);

// A cheap look at a run of at most 8 kB: are its bytes random, as far as it can tell?  Of longer
// runs it is not said: LZ4 is as fast to find out.
bool looks_random(const std::byte* bytes, size_t length);

// Compresses into `out` if that saves at least a sixteenth; *stored is the compressed length, or 0
// where the bytes are better kept as they are.  Bytes that do not compress are recognised cheaply.
// So are they kept where zstd finds no memory to compress them.
void compress(const Compression& compression, const std::byte* bytes, size_t length, std::byte* out,
              size_t* stored);

// Restores exactly `raw` bytes.  kRetry, with the reason, where the input does not decode to that.
Status decompress(Codec codec, const std::byte* bytes, size_t stored, std::byte* out, size_t raw);

// Restores at least the first `wanted` of them, with room for `raw` in `out`: lz4 stops there.
Status decompress_prefix(Codec codec, const std::byte* bytes, size_t stored, std::byte* out,
                         size_t raw, size_t wanted);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_CODEC_H_
