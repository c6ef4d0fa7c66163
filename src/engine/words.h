// Words for codecs and layouts, as SQL and the command line spell them.

#ifndef TOASTSTORE_ENGINE_WORDS_H_
#define TOASTSTORE_ENGINE_WORDS_H_

#include <string_view>

#include "toaststore/options.h"

namespace toaststore {

// "none", "lz4", "zstd", or "zstd:" with a level from kZstdLevelMin to kZstdLevelMax (codec.h).
// False, with *compression as it was, for anything else.
bool parse_compression(std::string_view text, Compression* compression);

// "unknown" for a number that none has.
const char* name_of(Codec codec);
const char* name_of(Layout layout);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_WORDS_H_
