// Names of codecs, layouts and kinds, as the extension's SQL spells them.

#ifndef TOASTSTORE_CTL_NAMES_H_
#define TOASTSTORE_CTL_NAMES_H_

#include <string>

#include "toaststore/options.h"

namespace toaststore::ctl {

// "none", "lz4", "zstd", or "zstd:1" to "zstd:19".
Compression parse_compression(const std::string& text);

// "unknown" for a number that no codec has.
const char* name_of(Codec codec);
const char* name_of(Layout layout);
const char* name_of(StoreKind kind);

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_NAMES_H_
