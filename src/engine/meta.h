// The meta page: root, counters, lanes.  Read seldom (hints), changed seldom (batches of ids, runs
// of blocks, new pages of chains, a new root).

#ifndef TOASTSTORE_ENGINE_META_H_
#define TOASTSTORE_ENGINE_META_H_

#include "engine/context.h"

namespace toaststore {

// The meta page under a latch, with a copy of its body to modify.
class MetaGuard {
 public:
  // kNotFound where the store has no meta page yet.
  Status open(Context& context, Latch latch);

  // Stages the body as it is now.  REQUIRES: opened exclusively; the guard outlives the change.
  void stage(Change* change);
  void release() { guard_.release(); }

  MetaBody body;

 private:
  PageGuard guard_;
  PlainTail tail_;
};

// A copy of the meta page, which also refreshes the hints and the options' thresholds.
Status read_meta(Context& context, MetaBody* body);

// Makes sure that the hints are loaded.  kNotFound where the store has no meta page yet.
Status load_hints(Context& context);

// Notes how new values are compressed, for hosts without a catalog.
Status store_compression(Context& context);

// Adds an entry to the tally, or takes it away.
void count_in(const Entry& entry, Tally* tally);
void count_out(const Entry& entry, Tally* tally);

// Notes when the host compacted, or checkpointed, the store; 0 leaves what was noted.
Status note_upkeep(Context& context, int64_t compacted_at, int64_t checkpointed_at);

// Makes an empty store (block 0, meta, first map page, root leaf) unless there is one already.
Status create_store_pages(Context& context);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_META_H_
