// Words for things, beside the engine's: what --compression takes, kinds of stores, names of
// values.

#ifndef TOASTSTORE_CTL_WORDS_H_
#define TOASTSTORE_CTL_WORDS_H_

#include <string>
#include <string_view>

#include "engine/words.h"

namespace toaststore::ctl {

// A name as a person can read it: in quotes, with \xNN for what is not printable ASCII.
std::string in_quotes(std::string_view name);

// "none", "lz4", "zstd", or "zstd:1" to "zstd:19".
Compression read_compression(const std::string& text);

using toaststore::name_of;
// "unknown" for a number that no kind has.
const char* name_of(StoreKind kind);

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_WORDS_H_
