// Verification of a whole store: every page and entry reachable, ordered, linked and within
// bounds, every page in use accounted for, every piece and CRC of every value, no two claims on one
// place, the map's numbers what is found, the journals and the list of dead ranges in step with
// the tree.
//
// It may run beside writers and the cleaner.  Whatever seems wrong and speaks of more than one page
// is looked at again until nothing has changed meanwhile: what is wrong then was never right.  What
// others keep changing is not judged.
//
// The store is read twice, by its entries and by its extents.  Memory, whatever the number of
// values: a bit a page and 4 bytes an extent (20 MB for 1 TB), a filter of the journals' records
// (two bytes a record, at most 64 MB, above which it misses some), and what one value's chunk
// takes.

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

// Who else may change the store meanwhile.
enum class VerifyBeside : uint8_t {
  kNobody,   // everything is judged
  kWriters,  // and the cleaner: journal records of transactions that have not ended are not missed
};

// Reports each fault found; the status is of the verification itself.
Status verify(Context& context, FaultSink* sink, VerifyBeside beside = VerifyBeside::kNobody);

// Everything of one value: all pieces, all CRCs, all chunk tables, and that it decompresses.
// kRetry or kCorruption with block and reason where something is wrong.
Status prove_value(Context& context, const Entry& entry);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_VERIFY_H_
