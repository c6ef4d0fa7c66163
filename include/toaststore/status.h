// The engine's one error convention: a trivially destructible status that every fallible call
// returns.  Hosts convert it at one seam (src/postgres/errors.cpp inside the server).
//
// Invariants:
//   * `reason` is a string literal: a status may be dropped by a longjmp without leaking.
//   * `block` is kNoBlock, or the page that the reason speaks of; `id` is 0, or the value; `error`
//   is
//     0, or the operating system's errno.

#ifndef TOASTSTORE_STATUS_H_
#define TOASTSTORE_STATUS_H_

#include <cstdint>

namespace toaststore {

using Block = uint32_t;

// Block 0 never holds anything of the store's own, so it serves as "no block".
inline constexpr Block kNoBlock = 0;

enum class Code : uint8_t {
  kOk,
  kNotFound,     // no such value for this reader
  kExists,       // the id is taken
  kConflict,     // a concurrent transaction won: serialization failure
  kInvalid,      // an argument is out of its range
  kLimit,        // a named limit of the program is exceeded
  kCorruption,   // bytes on disk are not what they must be
  kNewerFormat,  // the store was written by a later version
  kNoSpace,      // the disk or the id space is full
  kIo,           // the host could not read or write
  kNoMemory,     // the host could not give memory
  kRetry,        // internal: something moved, look again; never leaves the engine
};

struct [[nodiscard]] Status {
  Code code = Code::kOk;
  Block block = kNoBlock;
  const char* reason = "";
  uint64_t id = 0;
  int error = 0;

  bool ok() const { return code == Code::kOk; }
  bool is(Code other) const { return code == other; }

  static Status Ok() { return {}; }
  static Status Error(Code code, const char* reason, Block block = kNoBlock) {
    return {code, block, reason, 0, 0};
  }
  static Status Corruption(Block block, const char* reason) {
    return {Code::kCorruption, block, reason, 0, 0};
  }
  static Status Exists(uint64_t id, const char* reason) {
    return {Code::kExists, kNoBlock, reason, id, 0};
  }
  static Status System(Code code, const char* reason, int error) {
    return {code, kNoBlock, reason, 0, error};
  }
};

}  // namespace toaststore

// Returns from the calling function with the first status that is not ok.
#define TOASTSTORE_TRY(expression)                                                           \
  do {                                                                                       \
    if (::toaststore::Status try_status = (expression); !try_status.ok()) return try_status; \
  } while (0)

#endif  // TOASTSTORE_STATUS_H_
