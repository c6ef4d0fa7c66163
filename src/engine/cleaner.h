// What vacuum and compaction are made of.  Each works off what changed since it last ran, in steps
// that may be interrupted, fail or crash between any two: what was not done is done the next time.
//
//   journal  ->  entries that nobody needs go, their pieces are listed as dead
//   dead list -> the bytes of dead pieces are charged to their extents
//   count    ->  extents that writers have left are counted: from then on their numbers are exact
//   tidy     ->  what lanes and single pages do not need is free
//   compact  ->  values are copied out of extents that are mostly dead, and of the last ones
//
// An extent whose pieces are all dead is free at once: readers prove what they read.
//
// REQUIRES, of all functions here: nobody else cleans the same store, no latch is held, and the
// transactions port belongs to a caller without a transaction id of its own.

#ifndef TOASTSTORE_ENGINE_CLEANER_H_
#define TOASTSTORE_ENGINE_CLEANER_H_

#include "engine/context.h"

namespace toaststore {

enum class CleanPhase : uint8_t { kJournals, kDeadList, kCount, kCompact };

struct CleanReport {
  CleanPhase phase = CleanPhase::kJournals;
  uint64_t removed_values = 0;  // of aborted puts and committed deletes
  uint64_t frozen_values = 0;   // committed puts that every snapshot sees
  uint64_t counted_extents = 0;
  uint64_t freed_blocks = 0;
  uint64_t moved_bytes = 0;    // stored bytes of values copied
  uint64_t lost_ranges = 0;    // dead pieces whose table can not be read: counted with their extent
  uint64_t stuck_extents = 0;  // hold a damaged value, and stay as they are
  // Not counted yet, for whoever wrote to them may not be over:
  uint64_t left_extents = 0;
  Xid horizon = kNoXid;  // up to which the journals were looked at; kNoXid: there are none
  // Of compaction, how far it is:
  uint64_t extents_to_do = 0;
  uint64_t extents_done = 0;
  // Of the journal records that had to be left, for not every snapshot has seen how they ended:
  bool reads_left = true;    // asked for: all of them are read, not the first of each journal only
  Xid oldest_left = kNoXid;  // kNoXid: none is left
  uint64_t left_puts = 0;
  uint64_t left_deletes = 0;
};

// Consumes the journals up to the horizon.
Status clean_journals(Context& context, CleanReport* report);

// Consumes the list of dead ranges.
Status charge_dead(Context& context, CleanReport* report);

// Counts the extents that no writer appends to, or has pieces in without an entry, and that none
// has written to from transaction `before` on.
Status count_extents(Context& context, FullXid before, CleanReport* report);

// Gives back to the map what lanes hold beyond the extents that they are in the middle of, and
// extents of single pages that have none in use.
Status tidy_extents(Context& context, CleanReport* report);

// Copies the values out of counted extents of which more than `threshold` (0 to 1) is dead, then
// out of the last ones, as long as the file is larger than live data / (1 - threshold) and a
// constant and there is room for them before.
Status compact_extents(Context& context, double threshold, CleanReport* report);

// Does the map tell of extents that count_extents() would count, or compact_extents() would empty?
// They change nothing.
Status find_uncounted(Context& context, bool* found);
Status find_compactable(Context& context, double threshold, bool* found);

// All but compaction: the store is as tidy as it gets without moving values.
Status clean(Context& context, CleanReport* report);

// All of it.
Status compact(Context& context, double threshold, CleanReport* report);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_CLEANER_H_
