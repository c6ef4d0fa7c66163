// Spelling, both ways.

#include "ctl/words.h"

#include <cstdio>

#include "ctl/command.h"

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

Compression read_compression(const std::string& text) {
  Compression compression;
  if (parse_compression(text, &compression)) return compression;
  throw Failure(kUsage,
                "no compression '" + text + "'; there are none, lz4, zstd, zstd:1 to zstd:19");
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
