// Which extents are emptied: those that are mostly dead, then the last ones.
//
// The dead share of each bounds what is wasted within extents, and the size of the file what is
// wasted between them: with B blocks of live data, an extent counting for as much of its blocks as
// is alive in it, the file ends before B / (1 - threshold) + kSlackBlocks.
//
// It settles: moving values changes neither B nor the bound, and an extent is moved only where the
// copies go before it.

#include <algorithm>

#include "engine/chain.h"
#include "engine/map_page.h"
#include "engine/meta.h"
#include "engine/move.h"
#include "engine/space_map.h"
#include "engine/tidy.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

// Not worth moving values for: 2 MB.
constexpr uint32_t kSlackBlocks = 256;
// What a round does shows what else can be done; the third mostly finds nothing.
constexpr int kMostRounds = 16;
// The longest run, and its successor's first page.
constexpr uint32_t kMostRunBlocks = kExtentMaxLimit / 8000 + 2;

bool counted(const MapEntry& entry) {
  return entry.kind == ExtentKind::kValues && (entry.values.flags & kCounted) != 0;
}

bool mostly_dead(const MapEntry& entry, double threshold) {
  return counted(entry) && entry.values.dead_bytes > threshold * entry.stored_bytes;
}

// What the map says of the whole store.
class Survey {
 public:
  double live_blocks = 0;
  uint64_t used_blocks = kFirstExtentBlock;
  uint64_t end = kFirstExtentBlock;  // behind the last extent that is needed
  uint64_t mostly_dead = 0;

  void add(const MapPage& map, Extent extent, double threshold) {
    const MapEntry& entry = map.entries[extent - map.first()];
    if (entry.kind == ExtentKind::kFree) return;
    const uint32_t blocks = extent_blocks(extent);
    map_blocks_ += blocks;
    if (!map.holds_something(extent)) return;
    used_blocks += map_blocks_;
    live_blocks += map_blocks_;
    map_blocks_ = 0;
    end = extent_end(extent);
    if (!counted(entry)) return;
    live_blocks -= static_cast<double>(entry.values.dead_bytes) / entry.stored_bytes * blocks;
    if (toaststore::mostly_dead(entry, threshold)) mostly_dead++;
  }

 private:
  uint64_t map_blocks_ = 0;  // of the map's own extents, as long as nothing follows them
};

class Compactor {
 public:
  Compactor(Context& context, double threshold, CleanReport* report)
      : context_(context),
        threshold_(threshold),
        report_(report),
        before_(context.transactions.oldest_running()) {}

  // Would run() move values?  Single pages alone are not worth a visit.
  Status find(bool* found) {
    Survey survey;
    TOASTSTORE_TRY(look(&survey));
    *found = survey.mostly_dead > 0;
    const Block target = bound(survey);
    if (*found || survey.end <= target) return Status::Ok();
    Extent extent;
    return LastExtents(this, static_cast<Block>(survey.end), target).next(&extent, found);
  }

  Status run() {
    const Status status = load_hints(context_);
    if (status.is(Code::kNotFound)) return Status::Ok();
    TOASTSTORE_TRY(status);
    uint64_t before = UINT64_MAX;
    for (int round = 0; round < kMostRounds && done() != before; round++) {
      before = done();
      Survey survey;
      TOASTSTORE_TRY(look(&survey));
      if (survey.mostly_dead > 0) {
        report_->extents_to_do += survey.mostly_dead;
        MostlyDead queue(this);
        TOASTSTORE_TRY(empty_extents(context_, &queue, report_));
      }
      // Those that hold a damaged value stay mostly dead.
      if (done() == before) TOASTSTORE_TRY(shrink(survey));
      // Lanes have moved on, and what they left may be mostly dead.
      TOASTSTORE_TRY(tidy_extents(context_, report_));
      TOASTSTORE_TRY(count_extents(context_, before_, report_));
    }
    return Status::Ok();
  }

 private:
  // From the first to the last, as they were when their map page was looked at.
  class MostlyDead final : public ExtentQueue {
   public:
    explicit MostlyDead(Compactor* compactor) : compactor_(compactor) {}

    Status next(Extent* extent, bool* found) override {
      *found = false;
      MetaBody meta;
      TOASTSTORE_TRY(read_meta(compactor_->context_, &meta));
      while (!*found && map_page_of(next_) < meta.map_pages) {
        MapPage map;
        TOASTSTORE_TRY(map.open(compactor_->context_, map_page_of(next_), Latch::kShare));
        const Extent end = map.first() + kExtentsPerMapPage;
        for (; next_ < end && !*found; next_++) {
          *found = mostly_dead(map.of(next_), compactor_->threshold_);
          *extent = next_;
        }
      }
      return Status::Ok();
    }

   private:
    Compactor* compactor_;
    Extent next_ = 0;
  };

  // From the last down to a block, as long as there is room before.
  class LastExtents final : public ExtentQueue {
   public:
    LastExtents(Compactor* compactor, Block from, Block to)
        : compactor_(compactor), next_(extent_of(from - 1)), first_(extent_of(to - 1) + 1) {}

    Status next(Extent* extent, bool* found) override {
      *found = false;
      Context& context = compactor_->context_;
      for (; !*found && next_ >= first_; next_--) {
        MapPage map;
        TOASTSTORE_TRY(map.open(context, map_page_of(next_), Latch::kShare));
        *found = counted(map.of(next_));
        *extent = next_;
      }
      if (!*found) return Status::Ok();
      const uint32_t blocks = std::max(extent_blocks(*extent), kMostRunBlocks);
      return find_room_before(context, *extent, blocks, found);
    }

   private:
    Compactor* compactor_;
    Extent next_;
    const Extent first_;
  };

  // Grows with everything that changes what a survey finds.
  uint64_t done() const {
    return report_->moved_bytes + report_->freed_blocks + report_->counted_extents;
  }

  Status look(Survey* survey) {
    MetaBody meta;
    TOASTSTORE_TRY(read_meta(context_, &meta));
    for (uint32_t index = 0; index < meta.map_pages; index++) {
      MapPage map;
      TOASTSTORE_TRY(map.open(context_, index, Latch::kShare));
      for (Extent extent = map.first(); extent < map.first() + kExtentsPerMapPage; extent++) {
        survey->add(map, extent, threshold_);
      }
    }
    return Status::Ok();
  }

  // Where the file may end.
  Block bound(const Survey& survey) const {
    const double most = survey.live_blocks / (1 - threshold_) + kSlackBlocks;
    const double fits = static_cast<double>(survey.used_blocks + kSlackBlocks);
    return static_cast<Block>(std::min(std::max(most, fits), static_cast<double>(UINT32_MAX)));
  }

  Status shrink(const Survey& survey) {
    const Block target = bound(survey);
    if (survey.end <= target) return Status::Ok();
    TOASTSTORE_TRY(move_pages(static_cast<Block>(survey.end), target));
    TOASTSTORE_TRY(leave_lanes(context_, target, report_));
    TOASTSTORE_TRY(count_extents(context_, before_, report_));
    report_->extents_to_do += extent_of(static_cast<Block>(survey.end - 1)) - extent_of(target - 1);
    LastExtents queue(this, static_cast<Block>(survey.end), target);
    return empty_extents(context_, &queue, report_);
  }

  // Single pages first, so that their extents are free when values are moved.
  Status move_pages(Block from, Block to) {
    bool found;
    const Extent first = extent_of(to - 1) + 1;
    TOASTSTORE_TRY(take_pages_before(context_, first, &found));
    if (!found) return Status::Ok();
    for (uint8_t lane = 0; lane < kLanes; lane++) {
      TOASTSTORE_TRY(renew_if_behind(ChainId::journal(lane), to));
    }
    TOASTSTORE_TRY(renew_if_behind(ChainId::dead(), to));
    for (Extent extent = extent_of(from - 1); extent >= first; extent--) {
      MapEntry entry;
      {
        MapPage map;
        TOASTSTORE_TRY(map.open(context_, map_page_of(extent), Latch::kShare));
        entry = map.of(extent);
      }
      if (entry.kind != ExtentKind::kPages) continue;
      for (uint32_t page = 0; page < extent_blocks(extent); page++) {
        if ((entry.pages.used[page / 64] >> (page % 64) & 1) == 0) continue;
        TOASTSTORE_TRY(context_.pager.pause(Step::kMoveRun));
        TOASTSTORE_TRY(move_tree_page(context_, extent_start(extent) + page));
      }
    }
    return tidy_extents(context_, report_);
  }

  Status renew_if_behind(ChainId chain, Block end) {
    MetaBody meta;
    TOASTSTORE_TRY(read_meta(context_, &meta));
    return chain_tail(&meta, chain) >= end ? renew_chain(context_, chain) : Status::Ok();
  }

  Context& context_;
  const double threshold_;
  CleanReport* report_;
  // What is written from now on is left to the next time: writers may be faster.
  const FullXid before_;
};

}  // namespace

Status compact_extents(Context& context, double threshold, CleanReport* report) {
  return Compactor(context, threshold, report).run();
}

Status find_compactable(Context& context, double threshold, bool* found) {
  CleanReport unused;
  return Compactor(context, threshold, &unused).find(found);
}

}  // namespace toaststore
