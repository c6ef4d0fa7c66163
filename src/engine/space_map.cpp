// Taking runs of blocks and single pages from the map, and giving single pages back.

#include "engine/space_map.h"

#include <algorithm>
#include <new>

#include "engine/map_page.h"
#include "engine/meta.h"

namespace toaststore {

namespace {

bool has_free_page(const MapEntry& entry, Extent extent, uint32_t* page) {
  if (entry.kind != ExtentKind::kPages) return false;
  const uint32_t blocks = extent_blocks(extent);
  for (uint32_t word = 0; word < 2; word++) {
    const auto bit = static_cast<uint32_t>(std::countr_one(entry.pages.used[word]));
    const uint32_t found = word * 64 + bit;
    if (bit < 64 && found < blocks) {
      *page = found;
      return true;
    }
  }
  return false;
}

// Adds a map page at the end of the map.  REQUIRES: no latch is held.
Status grow_map(Context& context, uint32_t map_page) {
  if ((map_page + 1) * uint64_t{kExtentsPerMapPage} >= kMaxExtents) {
    return Status::Error(Code::kLimit, "store has reached its largest size");
  }
  const Block block = map_block(map_page);
  TOASTSTORE_TRY(context.pager.reserve(block + 1, block + 1));
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  if (meta.body.map_pages != map_page) return Status::Ok();  // another backend was first
  meta.body.map_pages = map_page + 1;
  // Not before: what another backend made of the block matters.
  PageGuard page;
  TOASTSTORE_TRY(page.create(context.pager, block));

  MapEntry entries[kExtentsPerMapPage];
  fresh_map_entries(entries);
  auto tail = new_tail<PlainTail>(PageKind::kMap, block);
  tail.index = map_page;
  Change change(context.pager, Step::kGrowMap);
  const int slot = change.add(page);
  change.init(slot, tail, kTailOffset);
  change.write(slot, kPageHeaderBytes, entries, sizeof(entries));
  meta.stage(&change);
  return change.commit();
}

}  // namespace

void fresh_map_entries(MapEntry* entries) {
  std::memset(static_cast<void*>(entries), 0, sizeof(MapEntry) * kExtentsPerMapPage);
  entries[0].kind = ExtentKind::kPages;
  entries[0].pages.used[0] = 1;
  for (uint32_t i = 0; i < kExtentsPerMapPage; i++) seal_record(&entries[i]);
}

// ---------------------------------------------------------------------------------------------
// Single pages

Status pick_page(Context& context, PagePick* pick) {
  TOASTSTORE_TRY(load_hints(context));
  const Extent extent = context.hints.page_extent;
  const Block block = map_block(map_page_of(extent));
  TOASTSTORE_TRY(pick->map.read(context.pager, block, Latch::kExclusive, PageKind::kMap));
  const auto entry = record_at<MapEntry>(pick->map.data(), extent % kExtentsPerMapPage);
  if (!record_sound(entry)) {
    return Status::Corruption(block, "map entry does not match its check");
  }
  uint32_t page;
  if (!has_free_page(entry, extent, &page)) {
    pick->map.release();
    return Status::Error(Code::kRetry, "no free page in the open extent");
  }
  pick->block = extent_start(extent) + page;
  return context.pager.reserve(pick->block + 1, extent_end(extent));
}

namespace {

void stage_bit(const PageGuard& map, Block block, bool used, Change* change) {
  const Extent extent = extent_of(block);
  const uint32_t index = extent % kExtentsPerMapPage;
  auto entry = record_at<MapEntry>(map.data(), index);
  const uint32_t page = block - extent_start(extent);
  const uint64_t bit = uint64_t{1} << (page % 64);
  if (used) {
    entry.pages.used[page / 64] |= bit;
  } else {
    entry.pages.used[page / 64] &= ~bit;
  }
  seal_record(&entry);
  change->put(change->add(map), record_offset<MapEntry>(index), entry);
}

}  // namespace

void stage_pick(const PagePick& pick, Change* change) {
  stage_bit(pick.map, pick.block, true, change);
}

Status latch_map_of(Context& context, Block block, PageGuard* map) {
  const Block at = map_block(map_page_of(extent_of(block)));
  Status status = map->read(context.pager, at, Latch::kExclusive, PageKind::kMap);
  if (status.is(Code::kRetry)) return Status::Corruption(at, "map page is missing");
  return status;
}

Status stage_free(const PageGuard& map, Block block, Change* change) {
  const Extent extent = extent_of(block);
  const auto entry = record_at<MapEntry>(map.data(), extent % kExtentsPerMapPage);
  const uint32_t page = block - extent_start(extent);
  if (!record_sound(entry) || entry.kind != ExtentKind::kPages ||
      (entry.pages.used[page / 64] >> (page % 64) & 1) == 0) {
    return Status::Corruption(map.block(), "map does not know of a page in use");
  }
  stage_bit(map, block, false, change);
  return Status::Ok();
}

namespace {

// The first extent of a map page, before another, that has or can have free single pages.
bool find_page_extent(const MapPage& map, Extent before, Extent* found) {
  for (Extent extent = map.first(); extent < before && extent - map.first() < kExtentsPerMapPage;
       extent++) {
    const MapEntry& entry = map.entries[extent - map.first()];
    uint32_t page;
    *found = extent;
    if (entry.kind == ExtentKind::kFree || has_free_page(entry, extent, &page)) return true;
  }
  return false;
}

// Single pages are taken from an extent of this map page from now on, if there is one before
// another, and they are taken from `old` still.
Status turn_to(Context& context, uint32_t index, Extent old, Extent before, bool* found) {
  MapPage map;
  TOASTSTORE_TRY(map.open(context, index));
  Extent chosen;
  *found = find_page_extent(map, before, &chosen);
  if (!*found) return Status::Ok();
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  if (meta.body.page_extent != old) return Status::Ok();
  meta.body.page_extent = chosen;
  Change change(context.pager, Step::kOpenPageExtent);
  if (map.of(chosen).kind == ExtentKind::kFree) {
    map.of(chosen).kind = ExtentKind::kPages;
    map.stage(&change, chosen, chosen + 1);
  }
  meta.stage(&change);
  return change.commit();
}

}  // namespace

Status refill_pages(Context& context) {
  const Extent full = context.hints.page_extent;
  MetaBody seen;
  TOASTSTORE_TRY(read_meta(context, &seen));
  if (seen.page_extent != full) return Status::Ok();  // another backend was first
  // The first one there is, for single pages are not as easily moved as values.  Before the first
  // free extent another may have come to have free pages; only then a new map page.
  const uint32_t start = std::min(seen.map_hint, seen.map_pages - 1);
  bool found = false;
  for (uint32_t step = 0; !found; step++) {
    uint32_t index = (start + step) % seen.map_pages;
    if (step == seen.map_pages) {
      index = step;
      TOASTSTORE_TRY(grow_map(context, index));
      TOASTSTORE_TRY(read_meta(context, &seen));
    }
    TOASTSTORE_TRY(turn_to(context, index, full, kMaxExtents, &found));
  }
  return read_meta(context, &seen);
}

Status take_pages_before(Context& context, Extent before, bool* found) {
  MetaBody seen;
  TOASTSTORE_TRY(read_meta(context, &seen));
  *found = seen.page_extent < before;
  for (uint32_t index = 0; !*found && index <= map_page_of(before); index++) {
    TOASTSTORE_TRY(turn_to(context, index, seen.page_extent, before, found));
  }
  return read_meta(context, &seen);
}

// ---------------------------------------------------------------------------------------------
// Runs

namespace {

// Map pages looked at for a hole before a run that could be extended.
constexpr int kLooksBefore = 4;

struct Window {
  Extent from = 0;
  Extent to = 0;
  uint32_t blocks = 0;
};

// Free extents from `from` on, until `want` blocks are together.
Window free_window(MapPage* map, Extent from, uint32_t want) {
  Window window{from, from, 0};
  const Extent end = map->first() + kExtentsPerMapPage;
  while (window.to < end && map->of(window.to).kind == ExtentKind::kFree && window.blocks < want) {
    window.blocks += extent_blocks(window.to);
    window.to++;
  }
  return window;
}

// The first window of at least `min` blocks that starts before an extent.
bool find_window(MapPage* map, uint32_t min, uint32_t want, Extent before, Window* window) {
  const Extent end = std::min(map->first() + kExtentsPerMapPage, before);
  for (Extent extent = map->first(); extent < end;) {
    *window = free_window(map, extent, std::max(min, want));
    if (window->blocks >= min) return true;
    extent = window->to + 1;
  }
  return false;
}

void open_extents(MapPage* map, Extent from, Extent to, const RunRequest& request) {
  for (Extent extent = from; extent < to; extent++) {
    MapEntry& entry = map->of(extent);
    entry = MapEntry{};
    entry.kind = ExtentKind::kValues;
    entry.lane = request.lane;
    entry.values.writer = request.writer;
  }
}

// The old run's extents that the writer may have pieces in, without entries yet.
Status stamp_extents(MapPage* map, Extent from, Extent to, const RunRequest& request) {
  for (Extent extent = from; extent < to; extent++) {
    MapEntry& entry = map->of(extent);
    if (entry.kind != ExtentKind::kValues) {
      return Status::Corruption(map->guard.block(), "a lane's run is not mapped as values");
    }
    entry.values.writer = std::max(entry.values.writer, request.writer);
  }
  return Status::Ok();
}

bool same_run(const Lane& lane, const Run& run) {
  return lane.run_start == run.start && lane.run_end == run.end;
}

// Logs the run in the lane.  `old_map` is null where `map` describes the old run too, or there is
// none.
Status commit_run(Context& context, const RunRequest& request, const Run& run, MapPage* map,
                  Extent from, Extent to, MapPage* old_map) {
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  Lane& lane = meta.body.lanes[request.lane];
  if (!same_run(lane, request.old)) {
    return Status::Corruption(kMetaBlock, "a lane's run changed under its lock");
  }
  lane.run_start = run.start;
  lane.run_end = run.end;
  bool free_left = false;
  for (const MapEntry& entry : map->entries) free_left |= entry.kind == ExtentKind::kFree;
  if (!free_left && meta.body.map_hint == map->index) meta.body.map_hint = map->index + 1;
  Change change(context.pager, Step::kTakeRun);
  map->stage(&change, from, to);
  if (old_map != nullptr) {
    old_map->stage(&change, extent_of(request.old.start), extent_of(request.old.end - 1) + 1);
  }
  meta.stage(&change);
  return change.commit();
}

// Extends the open run over the free extents behind it.
Status extend_run(Context& context, const RunRequest& request, MapPage* map, Run* run,
                  bool* extended) {
  *extended = false;
  const Extent first = extent_of(request.old.start);
  const Extent next = extent_of(request.old.end - 1) + 1;
  if (map_page_of(first) != map_page_of(next)) return Status::Ok();
  TOASTSTORE_TRY(map->open(context, map_page_of(first)));
  const Window window =
      free_window(map, next, std::max(request.extend_blocks, request.want_blocks));
  if (window.blocks < request.extend_blocks) {
    map->guard.release();
    return Status::Ok();
  }
  TOASTSTORE_TRY(stamp_extents(map, first, next, request));
  open_extents(map, next, window.to, request);
  run->start = extent_start(extent_of(request.position));
  run->end = extent_end(window.to - 1);
  *extended = true;
  return commit_run(context, request, *run, map, first, window.to, nullptr);
}

// The map page of the run that is left, where that is another than the one searched.
class OldMap {
 public:
  explicit OldMap(Memory& memory) : scratch_(memory) {}
  OldMap(const OldMap&) = delete;
  OldMap& operator=(const OldMap&) = delete;
  ~OldMap() {
    if (page_ != nullptr) page_->guard.release();
  }
  Status open(Context& context, uint32_t index) {
    TOASTSTORE_TRY(scratch_.allocate(sizeof(MapPage)));
    page_ = new (scratch_.as()) MapPage();
    return page_->open(context, index);
  }
  MapPage* get() { return page_; }

 private:
  Scratch scratch_;
  MapPage* page_ = nullptr;
};

// Opens a run in one map page, before an extent.  kNotFound: it has no window that is large enough.
Status open_run_in(Context& context, const RunRequest& request, uint32_t index, Extent before,
                   Run* run) {
  const bool leaves_old = request.old.start != request.old.end;
  const uint32_t old_index = leaves_old ? map_page_of(extent_of(request.old.start)) : index;
  // Map pages are latched in ascending order.
  OldMap old_map(context.memory);
  MapPage map;
  if (old_index < index) TOASTSTORE_TRY(old_map.open(context, old_index));
  TOASTSTORE_TRY(map.open(context, index));
  Window window;
  if (!find_window(&map, request.fresh_blocks, request.want_blocks, before, &window)) {
    return Status::Error(Code::kNotFound, "no free extents");
  }
  if (old_index > index) TOASTSTORE_TRY(old_map.open(context, old_index));
  open_extents(&map, window.from, window.to, request);
  run->start = extent_start(window.from);
  run->end = extent_end(window.to - 1);
  Extent from = window.from;
  Extent to = window.to;
  if (leaves_old) {
    const Extent old_from = extent_of(request.old.start);
    const Extent old_to = extent_of(request.old.end - 1) + 1;
    const bool same = old_map.get() == nullptr;
    TOASTSTORE_TRY(stamp_extents(same ? &map : old_map.get(), old_from, old_to, request));
    if (same) {
      from = std::min(from, old_from);
      to = std::max(to, old_to);
    }
  }
  return commit_run(context, request, *run, &map, from, to, old_map.get());
}

// Opens a run elsewhere: the lowest window that is large enough.
Status open_run(Context& context, const RunRequest& request, Run* run) {
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  for (uint32_t index = meta.map_hint;; index++) {
    if (index == meta.map_pages) {
      TOASTSTORE_TRY(grow_map(context, index));
      TOASTSTORE_TRY(read_meta(context, &meta));
    }
    const Status status = open_run_in(context, request, index, kMaxExtents, run);
    if (!status.is(Code::kNotFound)) return status;
  }
}

// Opens a run before the one that is left, if a few looks find room there: a file does not grow
// while it has holes.
Status open_run_before(Context& context, const RunRequest& request, Run* run, bool* opened) {
  *opened = false;
  const Extent old = extent_of(request.old.start);
  const uint32_t last = map_page_of(old);
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  uint32_t& cursor = context.hints.map_cursor;
  for (int looks = 0; looks < kLooksBefore && meta.map_hint <= last; looks++) {
    if (cursor < meta.map_hint || cursor > last) cursor = meta.map_hint;
    const Status status = open_run_in(context, request, cursor, old, run);
    *opened = status.ok();
    if (!status.is(Code::kNotFound)) return status;
    if (cursor++ == last && meta.map_hint == last) break;
  }
  return Status::Ok();
}

}  // namespace

Status find_room_before(Context& context, Extent before, uint32_t blocks, bool* found) {
  *found = false;
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  for (uint32_t index = meta.map_hint; index <= map_page_of(before) && !*found; index++) {
    MapPage map;
    TOASTSTORE_TRY(map.open(context, index, Latch::kShare));
    Window window;
    *found = find_window(&map, blocks, blocks, before, &window) && window.to <= before;
  }
  return Status::Ok();
}

Status take_run(Context& context, const RunRequest& request, Run* run) {
  Run taken;
  bool extended = false;
  if (request.old.start != request.old.end) {
    TOASTSTORE_TRY(open_run_before(context, request, &taken, &extended));
  }
  if (!extended && request.old.start != request.old.end) {
    MapPage map;
    TOASTSTORE_TRY(extend_run(context, request, &map, &taken, &extended));
  }
  if (!extended) TOASTSTORE_TRY(open_run(context, request, &taken));
  *run = taken;  // only now: a run that is not logged is nobody's
  return Status::Ok();
}

}  // namespace toaststore
