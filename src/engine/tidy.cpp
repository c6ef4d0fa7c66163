// Giving up space that is held and not needed.
//
// A lane that was asked for many blocks, or whose writer failed, holds more than it is in the
// middle of: extents before the one with its position can be counted like others, those behind it
// hold nothing that anybody leads to.  Whoever holds a lane's lock knows that nobody has pieces in
// its run that are to have an entry.

#include "engine/tidy.h"

#include <algorithm>

#include "engine/chain.h"
#include "engine/map_page.h"
#include "engine/meta.h"
#include "engine/space_map.h"

namespace toaststore {

namespace {

// Worth it: a megabyte, or a sixteenth of a smaller file.
constexpr Block kLeastBlocks = 128;
constexpr Block kLeastShare = 16;

bool same_run(const Lane& a, const Lane& b) {
  return a.run_start == b.run_start && a.run_end == b.run_end;
}

// The lane's last page with a committed piece, or nothing.
Status find_position(Context& context, uint8_t lane, Block* position) {
  *position = kNoBlock;
  PageGuard page;
  const Status status = latch_chain_tail(context, ChainId::journal(lane), Latch::kShare, &page);
  if (status.is(Code::kRetry)) return Status::Ok();
  TOASTSTORE_TRY(status);
  *position = page.tail<ChainTail>().position;
  return Status::Ok();
}

// Leaves the lane the extent of its position, if that ends at `end` or before.
// REQUIRES: the lane is locked.
Status trim_locked(Context& context, uint8_t lane, Block end, CleanReport* report) {
  MetaBody seen;
  TOASTSTORE_TRY(read_meta(context, &seen));
  const Lane old = seen.lanes[lane];
  if (old.run_start == old.run_end) return Status::Ok();
  Block position;
  TOASTSTORE_TRY(find_position(context, lane, &position));
  const bool begun = position >= old.run_start && position < old.run_end;
  Lane kept = old;
  kept.run_start = kept.run_end = kNoBlock;
  if (begun && extent_end(extent_of(position)) <= end) {
    kept.run_start = extent_start(extent_of(position));
    kept.run_end = extent_end(extent_of(position));
  }
  if (same_run(old, kept)) return Status::Ok();

  const Extent from = extent_of(old.run_start);
  const Extent to = extent_of(old.run_end - 1) + 1;
  MapPage map;
  TOASTSTORE_TRY(map.open(context, map_page_of(from)));
  uint64_t freed = 0;
  for (Extent extent = from; extent < to; extent++) {
    if (map.of(extent).kind != ExtentKind::kValues) {
      return Status::Corruption(map.guard.block(), "a lane's run is not mapped as values");
    }
    if (begun && extent <= extent_of(position)) continue;
    map.of(extent) = MapEntry{};
    freed += extent_blocks(extent);
  }
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  meta.body.lanes[lane].run_start = kept.run_start;
  meta.body.lanes[lane].run_end = kept.run_end;
  if (freed > 0) meta.body.map_hint = std::min(meta.body.map_hint, map.index);
  Change change(context.pager, Step::kTrimLane);
  if (freed > 0) map.stage(&change, from, to);
  meta.stage(&change);
  TOASTSTORE_TRY(change.commit());
  report->freed_blocks += freed;
  return Status::Ok();
}

Status trim_lane(Context& context, uint8_t lane, Block end, CleanReport* report) {
  bool locked;
  TOASTSTORE_TRY(context.pager.lock_lane(lane, false, &locked));
  if (!locked) return Status::Ok();
  const Status status = trim_locked(context, lane, end, report);
  context.pager.unlock_lane(lane);
  return status;
}

bool unused_pages(const MapEntry& entry) {
  return entry.kind == ExtentKind::kPages && (entry.pages.used[0] | entry.pages.used[1]) == 0;
}

// Frees the map page's extents of single pages that have none in use.
Status free_page_extents(Context& context, uint32_t index, CleanReport* report) {
  MapPage map;
  TOASTSTORE_TRY(map.open(context, index, Latch::kShare));
  bool some = false;
  for (const MapEntry& entry : map.entries) some |= unused_pages(entry);
  map.guard.release();
  if (!some) return Status::Ok();
  TOASTSTORE_TRY(map.open(context, index));
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  uint64_t freed = 0;
  for (Extent extent = map.first(); extent < map.first() + kExtentsPerMapPage; extent++) {
    if (!unused_pages(map.of(extent)) || extent == meta.body.page_extent) continue;
    map.of(extent) = MapEntry{};
    freed += extent_blocks(extent);
  }
  if (freed == 0) return Status::Ok();
  Change change(context.pager, Step::kFreeExtent);
  map.stage(&change, map.first(), map.first() + kExtentsPerMapPage);
  if (meta.body.map_hint > index) {
    meta.body.map_hint = index;
    meta.stage(&change);
  }
  TOASTSTORE_TRY(change.commit());
  report->freed_blocks += freed;
  return Status::Ok();
}

// The map page's last extent in use; false where there is none but its own.
bool last_in_use(const MapPage& map, Extent* last) {
  for (uint32_t i = kExtentsPerMapPage; i-- > 0;) {
    *last = map.first() + i;
    if (map.holds_something(*last)) return true;
  }
  return false;
}

}  // namespace

Status leave_lanes(Context& context, Block end, CleanReport* report) {
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    TOASTSTORE_TRY(trim_lane(context, lane, end, report));
  }
  return Status::Ok();
}

Status tidy_extents(Context& context, CleanReport* report) {
  MetaBody meta;
  const Status status = read_meta(context, &meta);
  if (status.is(Code::kNotFound)) return Status::Ok();
  TOASTSTORE_TRY(status);
  TOASTSTORE_TRY(leave_lanes(context, UINT32_MAX, report));
  for (uint32_t index = 0; index < meta.map_pages; index++) {
    TOASTSTORE_TRY(free_page_extents(context, index, report));
  }
  return Status::Ok();
}

Status find_end(Context& context, Block* end) {
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  *end = kFirstExtentBlock;
  for (uint32_t index = meta.map_pages; index-- > 0;) {
    MapPage map;
    TOASTSTORE_TRY(map.open(context, index, Latch::kShare));
    Extent last;
    if (!last_in_use(map, &last)) continue;
    *end = extent_end(last);
    return Status::Ok();
  }
  return Status::Ok();
}

bool worth_giving_back(Block blocks, Block needed) {
  return blocks > needed && blocks - needed >= std::min(kLeastBlocks, blocks / kLeastShare);
}

Status drop_map_pages(Context& context) {
  for (;;) {
    MetaBody seen;
    TOASTSTORE_TRY(read_meta(context, &seen));
    const uint32_t index = seen.map_pages - 1;
    MapPage map;
    TOASTSTORE_TRY(map.open(context, index));
    Extent last;
    if (last_in_use(map, &last)) return Status::Ok();
    MetaGuard meta;
    TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
    meta.body.map_pages = index;
    meta.body.map_hint = std::min(meta.body.map_hint, index);
    if (map_page_of(meta.body.page_extent) == index) meta.body.page_extent = 0;
    Change change(context.pager, Step::kDropMapPage);
    const int slot = change.add(map.guard);
    change.put_lower(slot, kPageHeaderBytes);
    change.put_tail(slot, new_tail<PlainTail>(PageKind::kRetired, map.guard.block()));
    meta.stage(&change);
    TOASTSTORE_TRY(change.commit());
  }
}

}  // namespace toaststore
