// Spelling, both ways.

#include "ctl/words.h"

#include <cstdio>

#include "ctl/command.h"
#include "engine/codec.h"

namespace toaststore::ctl {

std::string in_quotes(std::string_view name) {
  std::string text = "\"";
  for (const char byte : name) {
    if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\') {
      char escaped[5];
      std::snprintf(escaped, sizeof(escaped), "\\x%02x", static_cast<unsigned char>(byte));
      text += escaped;
    } else {
      text += byte;
    }
  }
  return text + "\"";
}

Compression parse_compression(const std::string& text) {
  if (text == "none") return {Codec::kNone, 0};
  if (text == "lz4") return {Codec::kLz4, 0};
  if (text == "zstd") return {Codec::kZstd, 0};
  const std::string prefix = "zstd:";
  if (text.starts_with(prefix)) {
    const uint64_t level = parse_number(text.substr(prefix.size()), "the level of zstd");
    if (level >= kZstdLevelMin && level <= kZstdLevelMax) {
      return {Codec::kZstd, static_cast<int>(level)};
    }
  }
  throw Failure(kUsage,
                "no compression '" + text + "'; there are none, lz4, zstd, zstd:1 to zstd:19");
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

const char* name_of(StoreKind kind) {
  switch (kind) {
    case StoreKind::kById:
      return "by id";
    case StoreKind::kToast:
      return "behind TOAST pointers";
  }
  return "unknown";
}

}  // namespace toaststore::ctl
