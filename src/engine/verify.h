// Verification of a whole store: every page and entry reachable, ordered, linked and within
// bounds, every page in use accounted for, every piece and CRC of every value.
//
// REQUIRES: nobody writes to the store meanwhile.

#ifndef TOASTSTORE_ENGINE_VERIFY_H_
#define TOASTSTORE_ENGINE_VERIFY_H_

#include "engine/context.h"

namespace toaststore {

struct Fault {
  Block block;
  uint64_t id;  // of the value concerned, or 0
  const char* reason;
};

class FaultSink {
 public:
  virtual Status report(const Fault& fault) = 0;

 protected:
  ~FaultSink() = default;
};

// Reports each fault found; the status is of the verification itself.
Status verify(Context& context, FaultSink* sink);

// Everything of one value: all pieces, all CRCs, all chunk tables, and that it decompresses.
// kRetry or kCorruption with block and reason where something is wrong.
Status prove_value(Context& context, const Entry& entry);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_VERIFY_H_
