// Any bytes as a compressed chunk, and any bytes compressed and restored.

#include <vector>

#include "engine/codec.h"

namespace {

using toaststore::Codec;
using Bytes = std::vector<std::byte>;

void restore(const Bytes& input, size_t raw) {
  for (const Codec codec : {Codec::kLz4, Codec::kZstd}) {
    Bytes out(raw);
    (void)toaststore::decompress(codec, input.data(), input.size(), out.data(), raw);
    (void)toaststore::decompress_prefix(codec, input.data(), input.size(), out.data(), raw,
                                        raw / 3);
  }
}

void there_and_back(const Bytes& input) {
  for (const toaststore::Compression compression :
       {toaststore::Compression{Codec::kLz4, 0}, toaststore::Compression{Codec::kZstd, 1}}) {
    Bytes packed(toaststore::compress_space(input.size()));
    size_t stored = 0;
    toaststore::compress(compression, input.data(), input.size(), packed.data(), &stored);
    if (stored == 0) continue;
    packed.resize(stored);
    Bytes out(input.size());
    const bool ok =
        toaststore::decompress(compression.codec, packed.data(), stored, out.data(), out.size())
            .ok();
    if (!ok || out != input) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t length) {
  if (length < 2) return 0;
  const size_t raw = (input[0] | size_t{input[1]} << 8) + 1;
  const auto* from = reinterpret_cast<const std::byte*>(input + 2);
  const Bytes bytes(from, from + length - 2);
  restore(bytes, raw);
  there_and_back(bytes);
  return 0;
}
