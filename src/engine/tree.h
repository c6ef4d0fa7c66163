// The tree of ids: a B-link tree after Lehman and Yao, as PostgreSQL's nbtree does it, with two
// departures.
//
//   * No left links.  Ids are integers, so the page before one whose low key is k is found by a
//     descent for k - 1; splits touch two pages and the map, and nothing but right links can be
//     stale.
//   * A search proves its answer.  Each record carries a check; a binary search that ends between
//     two neighbours whose checks hold, in a page whose bounds hold, is right whatever else the
//     page contains.  No page checksum is needed for that.
//
// Locking: a reader latches one page at a time.  It may arrive with an old pointer; low key, high
// key and level tell it to move right or to start over, so freed pages are reused at once.  A
// writer splits a page in one change (both halves and the map) that leaves a mark, and puts the
// downlink in a second; whoever meets the mark on the way to a write finishes it first.
//
// A leaf or inner page that holds little is absorbed by a neighbour under the same parent, if the
// two are at most half full together, or one is empty (has one child left): one change (parent,
// left, right, map).  The rightmost page of a level is never removed, the root never changes but by
// growing.
//
// A page is moved to another block in two changes as well: first its records go to a fresh right
// sibling, and what is left is an empty range with the mark kMoved that everybody passes through;
// then its left sibling and its parent are pointed past it.  Nobody needs the second change to go
// on.

#ifndef TOASTSTORE_ENGINE_TREE_H_
#define TOASTSTORE_ENGINE_TREE_H_

#include "engine/context.h"

namespace toaststore {

// Where an id is, or would be, in a leaf.
struct LeafPlace {
  PageGuard leaf;
  uint64_t unfinished = kInfinity;  // for writers: as descend()'s
  uint16_t index = 0;
  bool found = false;
  Entry entry{};  // when found
};

// kNotFound where the store has no tree yet.
Status find_place(Context& context, uint64_t id, Latch latch, LeafPlace* place);

// Finds an id's entry.  *found is false where there is none.
Status find_entry(Context& context, uint64_t id, Entry* entry, bool* found);

// Ids from start up to, but not including, end.
struct IdRange {
  uint64_t start;
  uint64_t end;
};
// Finds ids that no entry has, from `from` to `last`: the first such that a look at a few pages
// shows.  kNotFound where there is none, or no tree.
Status find_gap(Context& context, uint64_t from, uint64_t last, IdRange* gap);

// As find_place, exclusively, in a leaf with room for `room` more entries.
Status find_room(Context& context, uint64_t id, uint16_t room, LeafPlace* place);

// Stages the insertion of `count` entries, ascending, that all belong at the place, which holds no
// entry between them.  `scratch` is a page's worth of memory that lives until the change commits.
void stage_insert(const LeafPlace& place, const Entry* entries, uint16_t count, std::byte* scratch,
                  Change* change);
// Stages new contents of the place's entry.  REQUIRES: place.found.
void stage_replace(const LeafPlace& place, const Entry& entry, Change* change);
// Stages its removal.  REQUIRES: place.found; scratch as above.
void stage_remove(const LeafPlace& place, std::byte* scratch, Change* change);

// Pages that hold no more are worth a look at their neighbours.
inline constexpr uint16_t kSparseLeaf = kLeafCapacity / 4;
inline constexpr uint16_t kSparseInner = kInnerCapacity / 4;

// Absorbs the leaf that would hold `id` into a neighbour, or a neighbour into it, if the two hold
// little; then does the same for inner pages above that hold little by then.
// REQUIRES: no latch is held.
Status absorb_sparse(Context& context, uint64_t id);

// Moves the tree page at a block, if one is there, to a block that the map gives, or finishes such
// a move.  REQUIRES: no latch is held, and nobody else moves pages.
Status move_tree_page(Context& context, Block block);

// A leaf's entries in [low, high), copied out, every one proven.
struct LeafBatch {
  uint16_t count = 0;
  uint64_t next = 0;  // the key to go on with; kInfinity or 0 (backwards) when done
  Entry entries[kLeafCapacity];
};
// Entries with ids >= from, ascending, of the leaf that holds `from`.
Status read_forward(Context& context, uint64_t from, LeafBatch* batch);
// Entries with ids <= from, ascending, of the leaf that holds `from`.
Status read_backward(Context& context, uint64_t from, LeafBatch* batch);

// -- For the parts of the tree only ---------------------------------------------------------

// Latches the page of `level` whose range holds `key`.  A writer asks for `unfinished`: the low key
// of a page of that level on the way whose split is not finished, or kInfinity.
Status descend(Context& context, uint64_t key, uint8_t level, Latch latch, PageGuard* page,
               uint64_t* unfinished = nullptr);
// Index of the first record whose key is >= `key`, with both neighbours proven.
Status lower_bound(const PageGuard& leaf, uint64_t key, uint16_t* index);
// The child whose range holds `key`, and its index.
Status child_for(const PageGuard& inner, uint64_t key, uint16_t* index, Child* child);
// Splits the page of `level` that holds `key`, unless it has room by now.
Status split_page(Context& context, uint64_t key, uint8_t level, uint16_t room);
// Gives the right sibling of a page marked kSplitIncomplete its downlink.
Status finish_split(Context& context, uint64_t key, uint8_t level);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_TREE_H_
