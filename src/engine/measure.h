// What a store's own books say of it: meta, map and journals are read, no tree page and no value.

#ifndef TOASTSTORE_ENGINE_MEASURE_H_
#define TOASTSTORE_ENGINE_MEASURE_H_

#include "engine/context.h"

namespace toaststore {

struct Measure {
  Tally settled{};  // of the values whose journal records have been consumed
  int64_t compacted_at = 0;
  int64_t checkpointed_at = 0;
  // Each extent of the file is in one of these.
  uint64_t live_bytes = 0;  // of pieces, in extents that have been counted
  uint64_t dead_bytes = 0;  // of pieces, in the same
  uint64_t open_bytes = 0;  // size of extents of values that have not been counted
  uint64_t page_bytes = 0;  // size of extents of single pages
  uint64_t free_bytes = 0;  // size of free extents
  // Journal records that have not been consumed, and the oldest transaction of one; kNoXid: none.
  uint64_t journal_records = 0;
  Xid oldest_xid = kNoXid;
};

// Nothing is measured at one moment: writers go on.  An empty store measures nothing.
Status measure(Context& context, Measure* result);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_MEASURE_H_
