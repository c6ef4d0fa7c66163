// The space map: which extents are free, which hold single pages, which hold values.
//
// Runs of blocks for values are taken whole extents at a time and logged as taken before a piece
// goes into them.  Single pages (tree, journal, dead list) are taken one by one in the same change
// that links them, so none can leak.
//
// Invariants:
//   * A run never crosses a map page.
//   * An extent that may hold pieces without an entry carries the full transaction id of the last
//     writer that put them there: stamped when it is opened and when it is left.

#ifndef TOASTSTORE_ENGINE_SPACE_MAP_H_
#define TOASTSTORE_ENGINE_SPACE_MAP_H_

#include "engine/context.h"
#include "engine/geometry.h"

namespace toaststore {

// A single page picked but not yet taken: the map page stays latched until the change commits.
struct PagePick {
  PageGuard map;
  Block block = kNoBlock;
};

// Picks a free page.  kRetry: none is left in the open extent; release every latch, call
// refill_pages() and start over.
Status pick_page(Context& context, PagePick* pick);
void stage_pick(const PagePick& pick, Change* change);

// Opens another extent for single pages.  REQUIRES: no latch is held.
Status refill_pages(Context& context);

// Makes single pages be taken from an extent before another.  *found is false where none has room.
// REQUIRES: no latch is held.
Status take_pages_before(Context& context, Extent before, bool* found);

// Latches the map page of a single page that is to be freed, and stages the freeing.
Status latch_map_of(Context& context, Block block, PageGuard* map);
Status stage_free(const PageGuard& map, Block block, Change* change);

// A run of blocks of one lane.
struct Run {
  Block start = kNoBlock;
  Block end = kNoBlock;
};

struct RunRequest {
  uint8_t lane;
  Run old;                 // the lane's open run; start == end: none
  Block position;          // its last page with a piece in it, or its start
  uint32_t extend_blocks;  // needed behind `old`, if it is extended
  uint32_t fresh_blocks;   // needed contiguously, if another run is opened
  uint32_t want_blocks;    // useful
  FullXid writer;
};

// Opens a run in a hole before the lane's, or extends that in place if the blocks behind it are
// free (then *run starts at the extent of `position`), or opens another.  Logged before it returns.
Status take_run(Context& context, const RunRequest& request, Run* run);

// Are so many free blocks together before an extent?
Status find_room_before(Context& context, Extent before, uint32_t blocks, bool* found);

// The entries of a map page just created: its own extent holds pages, the first of them itself.
void fresh_map_entries(MapEntry* entries);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_SPACE_MAP_H_
