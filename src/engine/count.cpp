// Counting extents: how many bytes of pieces are in one, and how many of them nobody owns.
//
// An extent is counted once all who wrote to it have left it and are over: what has no entry then
// never will.  Numbers are right only as of a moment at which the list of dead ranges is empty, or
// a range would be charged twice: a list that has grown meanwhile is consumed first.

#include <algorithm>

#include "engine/chain.h"
#include "engine/cleaner.h"
#include "engine/map_page.h"
#include "engine/meta.h"
#include "engine/piece_owner.h"

namespace toaststore {

namespace {

// The end of the list of dead ranges, to tell whether it has grown.
struct ListEnd {
  Block block = kNoBlock;
  uint16_t count = 0;
  friend bool operator==(const ListEnd&, const ListEnd&) = default;
};

// Is it in nobody's run, and not counted yet?
bool uncounted(const MetaBody& meta, Extent extent, const MapEntry& entry) {
  if (entry.kind != ExtentKind::kValues || (entry.values.flags & kCounted) != 0) return false;
  const Block start = extent_start(extent);
  for (const Lane& lane : meta.lanes) {
    if (start < lane.run_end && extent_end(extent) > lane.run_start) return false;
  }
  return true;
}

class Counter {
 public:
  Counter(Context& context, FullXid before, CleanReport* report)
      : context_(context),
        report_(report),
        owners_(context),
        space_(context.memory),
        oldest_(before) {}

  Status run() {
    Status status = load_hints(context_);
    if (status.is(Code::kNotFound)) return Status::Ok();
    TOASTSTORE_TRY(status);
    TOASTSTORE_TRY(space_.allocate(sizeof(Work)));
    MetaBody meta;
    // Who has begun by now may stamp an extent that is looked at below, and is not over then.
    oldest_ = std::min(oldest_, context_.transactions.oldest_running());
    TOASTSTORE_TRY(read_meta(context_, &meta));
    report_->left_extents = 0;
    for (uint32_t index = 0; index < meta.map_pages; index++) {
      TOASTSTORE_TRY(copy_map(index));
      for (uint32_t i = 0; i < kExtentsPerMapPage; i++) {
        const Extent extent = index * kExtentsPerMapPage + i;
        const MapEntry& entry = work().entries[i];
        if (!uncounted(meta, extent, entry)) continue;
        if (entry.values.writer < oldest_) {
          TOASTSTORE_TRY(count(extent, entry));
        } else {
          report_->left_extents++;
        }
      }
    }
    return Status::Ok();
  }

 private:
  struct Work {
    MapEntry entries[kExtentsPerMapPage];
    std::byte page[kPageBytes];
  };

  Status copy_map(uint32_t index) {
    MapPage map;
    TOASTSTORE_TRY(map.open(context_, index, Latch::kShare));
    std::memcpy(static_cast<void*>(work().entries), map.entries, sizeof(map.entries));
    return Status::Ok();
  }

  Status count(Extent extent, const MapEntry& seen) {
    for (bool done = false; !done;) {
      ListEnd end;
      TOASTSTORE_TRY(drain(&end));
      owners_.forget();
      MapEntry counted = seen;
      counted.values.flags |= kCounted;
      counted.values.dead_bytes = counted.stored_bytes = 0;
      const Block last = std::min(extent_end(extent), context_.pager.blocks());
      for (Block block = extent_start(extent); block < last; block++) {
        TOASTSTORE_TRY(context_.pager.pause(Step::kCountPage));
        TOASTSTORE_TRY(count_page(block, &counted));
      }
      TOASTSTORE_TRY(commit(extent, seen, counted, end, &done));
    }
    return Status::Ok();
  }

  // Consumes the list until it is seen empty.
  Status drain(ListEnd* end) {
    for (bool empty = false; !empty;) {
      TOASTSTORE_TRY(charge_dead(context_, report_));
      TOASTSTORE_TRY(look_at_end(end, &empty));
    }
    return Status::Ok();
  }

  Status look_at_end(ListEnd* end, bool* empty) {
    PageGuard page;
    return latch_end(&page, end, empty);
  }

  Status latch_end(PageGuard* page, ListEnd* end, bool* empty) {
    *end = ListEnd();
    *empty = true;
    const Status status = latch_chain_tail(context_, ChainId::dead(), Latch::kShare, page);
    if (status.is(Code::kRetry)) return Status::Ok();  // there is no list yet
    TOASTSTORE_TRY(status);
    const auto tail = page->tail<ChainTail>();
    *end = {page->block(), tail.count};
    MetaBody meta;
    TOASTSTORE_TRY(read_meta(context_, &meta));
    *empty = tail.consumed == tail.count && meta.dead_head == page->block();
    return Status::Ok();
  }

  // What does not look like a page of pieces holds none.
  Status count_page(Block block, MapEntry* counted) {
    {
      PageGuard page;
      TOASTSTORE_TRY(page.read(context_.pager, block, Latch::kShare));
      std::memcpy(work().page, page.data(), kPageBytes);
    }
    PageFill fill;
    if (!read_fill(work().page, block, &fill).ok()) return Status::Ok();
    for (uint16_t item = 1; item <= fill.items; item++) {
      PieceClaim claim;
      if (!read_piece(work().page, block, context_.options.kind, item, &claim).ok()) continue;
      PieceOwner owner;
      const Status status = owners_.find({claim.id, claim.sequence, block, item}, &owner);
      // A damaged chunk table tells nothing: what may be its value's counts as alive.
      const bool unknown = status.is(Code::kRetry) || status.is(Code::kCorruption);
      if (!unknown) TOASTSTORE_TRY(status);
      counted->stored_bytes += claim.length;
      if (!unknown && !owner.owned) counted->values.dead_bytes += claim.length;
    }
    return Status::Ok();
  }

  // *done is false where the list of dead ranges has grown: count again.
  Status commit(Extent extent, const MapEntry& seen, const MapEntry& counted, const ListEnd& end,
                bool* done) {
    *done = false;
    PageGuard list;
    ListEnd now;
    bool empty;
    TOASTSTORE_TRY(latch_end(&list, &now, &empty));
    if (now != end) return Status::Ok();
    MapPage map;
    TOASTSTORE_TRY(map.open(context_, map_page_of(extent)));
    *done = true;
    // Where a writer has come back to it, it is counted another time.
    if (std::memcmp(&map.of(extent), &seen, sizeof(seen)) == 0) {
      return stage(extent, counted, &map);
    }
    return Status::Ok();
  }

  Status stage(Extent extent, const MapEntry& counted, MapPage* map) {
    Change change(context_.pager, Step::kCountExtent);
    MetaGuard meta;
    const bool free = counted.values.dead_bytes == counted.stored_bytes;
    map->of(extent) = free ? MapEntry{} : counted;
    map->stage(&change, extent, extent + 1);
    if (free) {
      TOASTSTORE_TRY(stage_free_extent(context_, map->index, &meta, &change));
      report_->freed_blocks += extent_blocks(extent);
    } else {
      report_->counted_extents++;
    }
    return change.commit();
  }

  Work& work() { return *space_.as<Work>(); }

  Context& context_;
  CleanReport* report_;
  OwnerFinder owners_;
  Scratch space_;
  FullXid oldest_;
};

}  // namespace

Status count_extents(Context& context, FullXid before, CleanReport* report) {
  return Counter(context, before, report).run();
}

Status find_uncounted(Context& context, bool* found) {
  *found = false;
  const FullXid oldest = context.transactions.oldest_running();
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  for (uint32_t index = 0; index < meta.map_pages && !*found; index++) {
    MapPage map;
    TOASTSTORE_TRY(map.open(context, index, Latch::kShare));
    for (Extent extent = map.first(); extent < map.first() + kExtentsPerMapPage; extent++) {
      *found |= uncounted(meta, extent, map.of(extent)) && map.of(extent).values.writer < oldest;
    }
  }
  return Status::Ok();
}

}  // namespace toaststore
