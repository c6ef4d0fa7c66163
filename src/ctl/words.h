// Words for things: codecs, layouts and kinds as the extension's SQL spells them, names of values.

#ifndef TOASTSTORE_CTL_WORDS_H_
#define TOASTSTORE_CTL_WORDS_H_

#include <string>
#include <string_view>

#include "toaststore/options.h"

namespace toaststore::ctl {

// A name as a person can read it: in quotes, with \xNN for what is not printable ASCII.
std::string in_quotes(std::string_view name);

// "none", "lz4", "zstd", or "zstd:1" to "zstd:19".
Compression parse_compression(const std::string& text);

// "unknown" for a number that no codec has.
const char* name_of(Codec codec);
const char* name_of(Layout layout);
const char* name_of(StoreKind kind);

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_WORDS_H_
