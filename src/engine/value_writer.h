// Writing a value in the layout that its size asks for.
//
//   chunked  above extent_max raw bytes
//   direct   up to direct_max stored bytes: one piece, or two on adjacent pages
//   extent   between: a run of contiguous pages
//
// Nothing refers to the pieces until the entry is inserted.

#ifndef TOASTSTORE_ENGINE_VALUE_WRITER_H_
#define TOASTSTORE_ENGINE_VALUE_WRITER_H_

#include "engine/appender.h"

namespace toaststore {

inline constexpr uint64_t kMaxValueBytes = uint64_t{1} << 36;

// Fills in all of *entry but its stamps and check.
Status write_value(Context& context, Appender* appender, uint64_t id, const std::byte* bytes,
                   uint64_t length, Entry* entry);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_VALUE_WRITER_H_
