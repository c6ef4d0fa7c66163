// The map, page by page: what it says of each extent against what was reached and claimed.
//
// A single page is in use exactly if something leads to it.  The numbers of a counted extent are
// the bytes of pieces found in it, and those that no value claims and no dead range either.

#include "engine/map_page.h"
#include "engine/meta.h"
#include "engine/piece_owner.h"
#include "engine/tree.h"
#include "engine/value_page.h"
#include "engine/verify_parts.h"

namespace toaststore {

namespace {

// Marks the pages of a chain as reached, and notes whether a block is among them.
class ChainMarker final : public ChainVisitor {
 public:
  ChainMarker(Verification* verification, Block wanted)
      : verification_(verification), wanted_(wanted) {}
  Status visit(Block block, const std::byte*) override {
    verification_->reach(block);
    found = found || block == wanted_;
    return Status::Ok();
  }
  bool found = false;

 private:
  Verification* verification_;
  const Block wanted_;
};

// Adds up what the list of dead ranges claims of an extent.
class PendingCounter final : public ChainVisitor {
 public:
  PendingCounter(Context& context, Extent extent) : context_(context), extent_(extent) {}

  Status visit(Block, const std::byte* page) override {
    const auto tail = tail_of<ChainTail>(page);
    for (uint16_t i = tail.consumed; i < tail.count; i++) {
      const auto record = record_at<DeadRecord>(page, i);
      if (record.block < kFirstExtentBlock) continue;
      const Status status = each_dead_run(
          context_, record, i == tail.consumed ? tail.next_id : 0, [this](const RunRef& run) {
            if (run.block < kFirstExtentBlock) return;
            each_piece(context_.options.kind, run, [this](Extent extent, uint32_t length) {
              if (extent == extent_) bytes += length;
            });
          });
      const bool lost = status.is(Code::kRetry) || status.is(Code::kCorruption);
      if (!lost) TOASTSTORE_TRY(status);
      complete = complete && !lost;
    }
    return Status::Ok();
  }

  uint64_t bytes = 0;
  bool complete = true;  // every dead range could be read

 private:
  Context& context_;
  const Extent extent_;
};

// What lies in an extent.
struct ExtentBytes {
  uint64_t stored = 0;
  uint64_t unowned = 0;
  bool complete = true;     // the owner of every piece could be told
  Block untidy = kNoBlock;  // a page whose pieces do not lie one below the other
};

bool same_entry(const MapEntry& a, const MapEntry& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

bool page_in_use(const MapEntry& entry, uint32_t page) {
  return entry.kind == ExtentKind::kPages && (entry.pages.used[page / 64] >> (page % 64) & 1) != 0;
}

// What an entry says by itself.
const char* entry_fault(const MapEntry& entry, Extent extent) {
  constexpr const char* kImpossible = "map entry holds impossible values";
  MapEntry blank{};
  blank.check = entry.check;
  switch (entry.kind) {
    case ExtentKind::kFree:
      return same_entry(entry, blank) ? nullptr : kImpossible;
    case ExtentKind::kPages:
      for (uint32_t page = extent_blocks(extent); page < 128; page++) {
        if (page_in_use(entry, page)) return kImpossible;
      }
      return entry.stored_bytes == 0 ? nullptr : kImpossible;
    case ExtentKind::kValues: {
      const bool counted = (entry.values.flags & kCounted) != 0;
      if (entry.lane >= kLanes || (entry.values.flags & ~kCounted) != 0 ||
          entry.values.dead_bytes > entry.stored_bytes || (!counted && entry.stored_bytes != 0)) {
        return kImpossible;
      }
      const bool dead = counted && entry.values.dead_bytes == entry.stored_bytes;
      return dead ? "extent holds nothing alive but is not free" : nullptr;
    }
  }
  return kImpossible;
}

class SpaceVerifier {
 public:
  explicit SpaceVerifier(Verification* verification)
      : verification_(*verification),
        context_(verification->context),
        owners_(verification->context),
        space_(verification->context.memory) {}

  Status run() {
    TOASTSTORE_TRY(space_.allocate(sizeof(Work)));
    for (uint32_t index = 0; index < verification_.meta.map_pages; index++) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyPage));
      verification_.reach(map_block(index));
      const Status status = check_map_page(index);
      TOASTSTORE_TRY(verification_.report(status));
    }
    return Status::Ok();
  }

 private:
  struct Work {
    MapEntry entries[kExtentsPerMapPage];
    std::byte page[kPageBytes];
    std::byte before[kPageBytes];
  };

  Status check_map_page(uint32_t index) {
    bool before_hint = false;
    {
      PageGuard page;
      TOASTSTORE_TRY(page.read(context_.pager, map_block(index), Latch::kShare, PageKind::kMap));
      if (page.tail<PlainTail>().index != index) {
        return Status::Corruption(page.block(), "map page is another one");
      }
      std::memcpy(static_cast<void*>(work().entries), page.data() + kPageHeaderBytes,
                  sizeof(work().entries));
      // The hint and a free extent are set in one change.
      MetaBody meta;
      TOASTSTORE_TRY(read_meta(context_, &meta));
      before_hint = index < meta.map_hint;
    }
    for (uint32_t i = 0; i < kExtentsPerMapPage; i++) {
      const MapEntry& entry = work().entries[i];
      if (!record_sound(entry)) {
        return Status::Corruption(map_block(index), "map entry does not match its check");
      }
      const Extent extent = index * kExtentsPerMapPage + i;
      const char* reason = entry_fault(entry, extent);
      if (reason != nullptr) {
        TOASTSTORE_TRY(verification_.fault(extent_start(extent), reason));
        continue;
      }
      if (before_hint && entry.kind == ExtentKind::kFree) {
        TOASTSTORE_TRY(
            verification_.fault(extent_start(extent), "free extent is never looked for"));
        before_hint = false;  // one of the page is enough
      }
      TOASTSTORE_TRY(check_pages(extent, entry));
      if (entry.kind == ExtentKind::kValues && (entry.values.flags & kCounted) != 0) {
        TOASTSTORE_TRY(check_counted(extent, entry));
      }
    }
    return Status::Ok();
  }

  // ---- single pages --------------------------------------------------------------------------

  Status check_pages(Extent extent, const MapEntry& entry) {
    const Block end = entry.kind == ExtentKind::kPages
                          ? extent_end(extent)
                          : std::min(extent_end(extent), verification_.blocks);
    for (Block block = extent_start(extent); block < end; block++) {
      const uint32_t page = block - extent_start(extent);
      const bool used = page_in_use(entry, page);
      if (used == verification_.was_reached(block) || (used && verification_.cut_off)) continue;
      if (verification_.beside == VerifyBeside::kNobody) {
        TOASTSTORE_TRY(report_use(block, used));
      } else {
        TOASTSTORE_TRY(check_use(block));
      }
    }
    return Status::Ok();
  }

  Status report_use(Block block, bool used) {
    return verification_.fault(block, used ? "page is in use but nothing leads to it"
                                           : "page is reached but free in the map");
  }

  // A page goes in and out of use with its contents: while they stay, the map must say whether
  // something leads to it.
  Status check_use(Block block) {
    for (int look = 0; look < kMaxVerifyLooks; look++) {
      bool there, still, led;
      TOASTSTORE_TRY(copy_page(block, work().before, &there));
      TOASTSTORE_TRY(is_led_to(block, &led));
      MapEntry entry;
      const Status status = read_map_entry(context_, extent_of(block), &entry);
      if (status.is(Code::kCorruption)) return Status::Ok();
      TOASTSTORE_TRY(status);
      const bool used = page_in_use(entry, block - extent_start(extent_of(block)));
      if (used == led) return Status::Ok();
      TOASTSTORE_TRY(copy_page(block, work().page, &still));
      if (there != still || std::memcmp(work().before, work().page, kPageBytes) != 0) continue;
      if (used && verification_.cut_off) return Status::Ok();
      return report_use(block, used);
    }
    return Status::Ok();
  }

  // All zero where there is no such page.
  Status copy_page(Block block, std::byte* copy, bool* there) {
    PageGuard page;
    const Status status = page.read(context_.pager, block, Latch::kShare);
    *there = status.ok();
    std::memset(copy, 0, kPageBytes);
    if (status.is(Code::kRetry)) return Status::Ok();
    TOASTSTORE_TRY(status);
    std::memcpy(copy, page.data(), kPageBytes);
    return Status::Ok();
  }

  // By what the page, copied to work().before, says of itself.
  Status is_led_to(Block block, bool* led) {
    *led = false;
    const std::byte* page = work().before;
    const auto start = load<TailStart>(page, kTailOffset);
    const auto kind = static_cast<PageKind>(start.kind);
    if (!check_page(page, block, kind).ok()) return Status::Ok();
    switch (kind) {
      case PageKind::kLeaf:
      case PageKind::kInner:
        return is_tree_page(block, tail_of<TreeTail>(page), led);
      case PageKind::kJournal:
        return is_chain_page(block, ChainId::journal(start.level), led);
      case PageKind::kDead:
        return is_chain_page(block, ChainId::dead(), led);
      case PageKind::kMap:
        return is_map_page(block, tail_of<PlainTail>(page).index, led);
      default:
        return Status::Ok();
    }
  }

  Status is_tree_page(Block block, const TreeTail& tail, bool* led) {
    PageGuard page;
    const Status status = descend(context_, tail.low, tail.start.level, Latch::kShare, &page);
    const bool moved = (tail.flags & kMoved) != 0;
    *led = status.ok() && page.block() == (moved ? tail.right : block);
    return status.is(Code::kCorruption) ? Status::Ok() : status;
  }

  Status is_chain_page(Block block, ChainId chain, bool* led) {
    if (chain.kind == PageKind::kJournal && chain.lane >= kLanes) return Status::Ok();
    ChainMarker marker(&verification_, block);
    Status broken;
    TOASTSTORE_TRY(walk_chain(context_, chain, &marker, &broken));
    if (!broken.ok()) verification_.cut_off = true;
    *led = marker.found;
    return Status::Ok();
  }

  Status is_map_page(Block block, uint32_t index, bool* led) {
    MetaBody meta;
    TOASTSTORE_TRY(read_meta(context_, &meta));
    *led = index < meta.map_pages && map_block(index) == block;
    return Status::Ok();
  }

  // ---- counted extents -----------------------------------------------------------------------

  // What does not add up is counted piece by piece, at a moment.
  Status check_counted(Extent extent, const MapEntry& entry) {
    uint32_t claimed;
    if (!verification_.claimed(extent, &claimed)) return Status::Ok();
    ExtentBytes found;
    TOASTSTORE_TRY(add_up(extent, nullptr, &found));
    const bool adds_up = found.stored == entry.stored_bytes &&
                         found.stored == uint64_t{entry.values.dead_bytes} + claimed;
    return adds_up && found.untidy == kNoBlock && !in_a_run(extent) ? Status::Ok()
                                                                    : recount(extent);
  }

  bool in_a_run(Extent extent) const {
    for (const LaneState& lane : verification_.lanes) {
      if (extent_start(extent) < lane.run.end && extent_end(extent) > lane.run.start) return true;
    }
    return false;
  }

  // Nobody adds pieces to a counted extent, and whoever gives up some of them lists these as dead:
  // while the extent's entry and the list stay, so do the numbers.
  Status recount(Extent extent) {
    for (int look = 0; look < kMaxVerifyLooks; look++) {
      DeadListState list, list_after;
      MapEntry entry, entry_after;
      TOASTSTORE_TRY(read_dead_state(context_, &list));
      TOASTSTORE_TRY(read_map_entry(context_, extent, &entry));
      if (entry.kind != ExtentKind::kValues || (entry.values.flags & kCounted) == 0) {
        return Status::Ok();
      }
      ExtentBytes found;
      owners_.forget();
      TOASTSTORE_TRY(add_up(extent, &owners_, &found));
      PendingCounter pending(context_, extent);
      Status broken;
      TOASTSTORE_TRY(walk_chain(context_, ChainId::dead(), &pending, &broken));
      for (uint8_t lane = 0; lane < kLanes; lane++) {
        TOASTSTORE_TRY(read_lane(context_, lane, &verification_.lanes[lane]));
      }
      TOASTSTORE_TRY(read_map_entry(context_, extent, &entry_after));
      TOASTSTORE_TRY(read_dead_state(context_, &list_after));
      if (list != list_after || !same_entry(entry, entry_after)) continue;
      // Faults that keep it from being judged have been reported.
      const bool judged = found.complete && pending.complete && broken.ok();
      return report_counted(extent, entry, found, pending.bytes, judged);
    }
    return Status::Ok();
  }

  Status report_counted(Extent extent, const MapEntry& entry, const ExtentBytes& found,
                        uint64_t pending, bool judged) {
    const Block start = extent_start(extent);
    if (found.untidy != kNoBlock) {
      return verification_.fault(found.untidy, "pieces do not lie one below the other");
    }
    if (in_a_run(extent)) {
      return verification_.fault(start, "extent is counted, but a lane writes to it");
    }
    if (found.stored != entry.stored_bytes) {
      return verification_.fault(start, "extent does not hold the bytes that the map says");
    }
    if (judged && found.unowned != entry.values.dead_bytes + pending) {
      return verification_.fault(start, "extent does not hold the dead bytes that the map says");
    }
    return Status::Ok();
  }

  // Bytes of pieces; whose they are only where there is somebody to ask.
  Status add_up(Extent extent, OwnerFinder* owners, ExtentBytes* found) {
    const Block last = std::min(extent_end(extent), context_.pager.blocks());
    for (Block block = extent_start(extent); block < last; block++) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyPage));
      bool there;
      TOASTSTORE_TRY(copy_page(block, work().page, &there));
      TOASTSTORE_TRY(add_up_page(block, owners, found));
    }
    return Status::Ok();
  }

  Status add_up_page(Block block, OwnerFinder* owners, ExtentBytes* found) {
    const std::byte* page = work().page;
    PageFill fill;
    if (!read_fill(page, block, &fill).ok()) return Status::Ok();
    uint32_t above = kPageBytes;
    bool tidy = true;
    for (uint16_t item = 1; item <= fill.items; item++) {
      PieceClaim claim;
      if (!read_piece(page, block, context_.options.kind, item, &claim).ok()) {
        tidy = false;
        continue;
      }
      const uint32_t length = piece_overhead(context_.options.kind) + uint32_t{claim.length};
      tidy = tidy && claim.offset + ((length + 7) & ~7u) == above;
      above = claim.offset;
      found->stored += claim.length;
      if (owners != nullptr)
        TOASTSTORE_TRY(ask(owners, {claim.id, claim.sequence, block, item}, claim.length, found));
    }
    if (!tidy && found->untidy == kNoBlock) found->untidy = block;
    return Status::Ok();
  }

  Status ask(OwnerFinder* owners, const PiecePlace& place, uint16_t length, ExtentBytes* found) {
    PieceOwner owner;
    const Status status = owners->find(place, &owner);
    if (status.is(Code::kRetry) || status.is(Code::kCorruption)) {
      found->complete = false;
      return Status::Ok();
    }
    TOASTSTORE_TRY(status);
    if (!owner.owned) found->unowned += length;
    return Status::Ok();
  }

  Work& work() { return *space_.as<Work>(); }

  Verification& verification_;
  Context& context_;
  OwnerFinder owners_;
  Scratch space_;
};

}  // namespace

Status verify_space(Verification* verification) { return SpaceVerifier(verification).run(); }

}  // namespace toaststore
