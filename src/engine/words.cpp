// Spelling, both ways.

#include "engine/words.h"

#include <charconv>

#include "engine/codec.h"

namespace toaststore {

namespace {

constexpr Codec kCodecs[] = {Codec::kNone, Codec::kLz4, Codec::kZstd};

}  // namespace

bool parse_compression(std::string_view text, Compression* compression) {
  for (const Codec codec : kCodecs) {
    if (text != name_of(codec)) continue;
    *compression = {codec, 0};
    return true;
  }
  constexpr std::string_view kLevel = "zstd:";
  if (!text.starts_with(kLevel)) return false;
  const char* end = text.data() + text.size();
  int level = 0;
  const auto [last, error] = std::from_chars(text.data() + kLevel.size(), end, level);
  if (error != std::errc() || last != end) return false;
  if (level < kZstdLevelMin || level > kZstdLevelMax) return false;
  *compression = {Codec::kZstd, level};
  return true;
}

const char* name_of(Codec codec) {
  switch (codec) {
    case Codec::kNone:
      return "none";
    case Codec::kLz4:
      return "lz4";
    case Codec::kZstd:
      return "zstd";
  }
  return "unknown";
}

const char* name_of(Layout layout) {
  switch (layout) {
    case Layout::kDirect:
      return "direct";
    case Layout::kExtent:
      return "extent";
    case Layout::kChunked:
      return "chunked";
  }
  return "unknown";
}

}  // namespace toaststore
