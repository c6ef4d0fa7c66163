// Walking everything: the tree from its root, the chains from their heads, the map page by page.

#include "engine/verify.h"

#include "engine/chain.h"
#include "engine/meta.h"
#include "engine/space_map.h"
#include "engine/tree.h"
#include "engine/value_reader.h"

namespace toaststore {

namespace {

// An upper bound that a damaged neighbour keeps from being known; no sound page has it.
constexpr uint64_t kUnknown = 0;

class Verifier {
 public:
  Verifier(Context& context, FaultSink* sink)
      : context_(context), sink_(sink), reached_(context.memory), pages_(context.memory) {}

  Status run() {
    Status status = read_meta(context_, &meta_);
    if (status.is(Code::kNotFound)) return Status::Ok();
    if (!status.ok()) return report(status, 0);
    blocks_ = context_.pager.blocks();
    TOASTSTORE_TRY(reached_.allocate(blocks_ / 8 + 1));
    std::memset(reached_.as(), 0, blocks_ / 8 + 1);
    TOASTSTORE_TRY(pages_.allocate(size_t{kMaxTreeLevels} * kPageBytes));
    TOASTSTORE_TRY(walk_tree());
    for (uint8_t lane = 0; lane < kLanes; lane++) {
      TOASTSTORE_TRY(walk_chain(ChainId::journal(lane)));
      TOASTSTORE_TRY(check_lane(meta_.lanes[lane]));
    }
    TOASTSTORE_TRY(walk_chain(ChainId::dead()));
    return check_map();
  }

 private:
  // Faults of the store are reported; failures of the verification itself are returned. A newer
  // format is none of the store's faults.
  Status report(const Status& status, uint64_t id) {
    switch (status.code) {
      case Code::kOk:
        return status;
      case Code::kRetry:
      case Code::kCorruption:
        return sink_->report({status.block, id, status.reason});
      default:
        return status;
    }
  }
  Status fault(Block block, const char* reason) { return sink_->report({block, 0, reason}); }

  // Notes that a single page is in use.  False: it was reached before.
  bool reach(Block block) {
    if (block >= blocks_) return true;  // reading it will fail
    auto& byte = reached_.as<uint8_t>()[block / 8];
    const auto bit = static_cast<uint8_t>(1u << (block % 8));
    const bool first = (byte & bit) == 0;
    byte |= bit;
    return first;
  }
  bool was_reached(Block block) const {
    return block < blocks_ && (reached_.as<uint8_t>()[block / 8] >> (block % 8) & 1) != 0;
  }

  // ---- the tree ----------------------------------------------------------------------------

  Status walk_tree() {
    for (Block& next : next_) next = kNoBlock;
    TOASTSTORE_TRY(walk(meta_.root, meta_.root_level, 0, kInfinity));
    for (uint8_t level = 0; level <= meta_.root_level; level++) {
      if (next_[level] != kNoBlock && !links_broken_[level]) {
        TOASTSTORE_TRY(fault(next_[level], "page is linked but has no downlink"));
      }
    }
    return Status::Ok();
  }

  // Pages below are out of reach: neither the links to them nor their use can be judged.
  void cut_off(uint8_t level) {
    for (int below = 0; below <= level; below++) links_broken_[below] = true;
    cut_off_ = true;
  }

  // The page at `block` and, where its split is unfinished, those right of it: together they must
  // cover [low, high).
  Status walk(Block block, uint8_t level, uint64_t low, uint64_t high) {
    for (;;) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyPage));
      std::byte* page = pages_.as() + size_t{level} * kPageBytes;
      if (!reach(block)) {
        cut_off(level);
        return fault(block, "tree page is reached twice");
      }
      const Status status = copy_page(block, level, page);
      if (!status.ok()) {
        cut_off(level);
        return report(status, 0);
      }
      const auto tail = tail_of<TreeTail>(page);
      if (tail.low != low || (high != kUnknown && tail.high > high)) {
        TOASTSTORE_TRY(fault(block, "tree page's range is not its downlink's"));
      }
      if (begun_[level] && !links_broken_[level] && next_[level] != block) {
        TOASTSTORE_TRY(fault(block, "right link of the page before leads elsewhere"));
      }
      begun_[level] = true;
      links_broken_[level] = false;
      next_[level] = tail.right;
      TOASTSTORE_TRY(level == 0 ? check_leaf(block, page) : check_inner(block, level, page));
      const auto here = tail_of<TreeTail>(page);
      const bool moved = (here.flags & kMoved) != 0;
      const bool incomplete = (here.flags & kSplitIncomplete) != 0 || moved;
      if (high == kUnknown ? !incomplete : here.high >= high || (here.high <= low && !moved)) {
        return Status::Ok();
      }
      if (!incomplete) {
        cut_off(level);
        return fault(here.right, "page has no downlink though its split is finished");
      }
      low = here.high;
      block = here.right;
    }
  }

  Status copy_page(Block block, uint8_t level, std::byte* page) {
    PageGuard guard;
    TOASTSTORE_TRY(guard.read(context_.pager, block, Latch::kShare,
                              level == 0 ? PageKind::kLeaf : PageKind::kInner));
    std::memcpy(page, guard.data(), kPageBytes);
    const auto tail = tail_of<TreeTail>(page);
    const bool moved = (tail.flags & kMoved) != 0;
    if (tail.start.level != level || tail.low >= tail.high + (moved ? 1 : 0) ||
        (tail.right == kNoBlock) != (tail.high == kInfinity)) {
      return Status::Corruption(block, "tree page holds impossible values");
    }
    return Status::Ok();
  }

  // A record that proves nothing is one fault; its neighbours are judged without it.
  Status check_inner(Block block, uint8_t level, const std::byte* page) {
    const auto tail = tail_of<TreeTail>(page);
    const auto below = static_cast<uint8_t>(level - 1);
    if (tail.count == 0) {
      return (tail.flags & kMoved) != 0 ? Status::Ok() : fault(block, "inner page is empty");
    }
    uint64_t least = tail.low;
    for (uint16_t i = 0; i < tail.count; i++) {
      const auto child = record_at<Child>(page, i);
      if (!record_sound(child)) {
        cut_off(below);
        TOASTSTORE_TRY(fault(block, "inner entry does not match its check"));
        continue;
      }
      const bool first = i == 0;
      if (child.key < least || child.key >= tail.high || (first && child.key != tail.low)) {
        cut_off(below);
        TOASTSTORE_TRY(fault(block, "inner entries are out of order"));
        continue;
      }
      least = child.key + 1;
      uint64_t next = tail.high;
      if (i + 1 < tail.count) {
        const auto neighbour = record_at<Child>(page, i + 1u);
        const bool ordered = neighbour.key > child.key && neighbour.key < tail.high;
        next = record_sound(neighbour) && ordered ? neighbour.key : kUnknown;
      }
      TOASTSTORE_TRY(walk(child.child, below, child.key, next));
    }
    return Status::Ok();
  }

  Status check_leaf(Block block, const std::byte* page) {
    const auto tail = tail_of<TreeTail>(page);
    uint64_t least = tail.low;
    for (uint16_t i = 0; i < tail.count; i++) {
      const auto entry = record_at<Entry>(page, i);
      if (!record_sound(entry)) {
        TOASTSTORE_TRY(fault(block, "leaf entry does not match its check"));
        continue;
      }
      if (entry.id < least || entry.id >= tail.high) {
        TOASTSTORE_TRY(sink_->report({block, entry.id, "leaf entries are out of order"}));
        continue;
      }
      least = entry.id + 1;
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyValue));
      Status status = prove_value(context_, entry);
      if (status.block == kNoBlock) status.block = block;
      TOASTSTORE_TRY(report(status, entry.id));
      if (status.ok()) TOASTSTORE_TRY(check_places(entry));
    }
    return Status::Ok();
  }

  // Every run of a sound value lies where the map has values.  One fault a value is enough.
  Status check_places(const Entry& entry) {
    if (entry.raw_bytes == 0) return Status::Ok();
    bool sound = true;
    if (entry.layout != Layout::kChunked) return check_run(run_of(entry), &sound);
    TOASTSTORE_TRY(check_run(table_run_of(context_, entry), &sound));
    const uint64_t chunks = chunk_count(entry.raw_bytes, context_.options.chunk_bytes);
    for (uint64_t chunk = 0; sound && chunk < chunks; chunk++) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyChunk));
      ChunkRef ref;
      const Status status = read_chunk_refs(context_, entry, chunk, 1, &ref);
      if (!status.ok()) return report(status, entry.id);
      TOASTSTORE_TRY(check_run(run_of(ref, entry.id), &sound));
    }
    return Status::Ok();
  }

  // A run is contiguous and so are the extents of a lane's run: its ends tell.
  Status check_run(const RunRef& run, bool* sound) {
    const uint32_t pieces = piece_count(meta_.kind, run.stored_bytes, run.first_bytes);
    bool first = true;
    TOASTSTORE_TRY(check_extent(run.block, run.id, &first));
    bool last = true;
    if (first) TOASTSTORE_TRY(check_extent(run.block + pieces - 1, run.id, &last));
    *sound = first && last;
    return Status::Ok();
  }

  // ---- chains, lanes, map ------------------------------------------------------------------

  Status walk_chain(ChainId chain) {
    Block block = chain_head(&meta_, chain);
    const Block last = chain_tail(&meta_, chain);
    while (block != kNoBlock) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyPage));
      PageGuard page;
      if (!reach(block)) return fault(block, "chain page is reached twice");
      Status status = page.read(context_.pager, block, Latch::kShare, chain.kind);
      if (!status.ok()) {
        cut_off_ = true;
        return report(status, 0);
      }
      TOASTSTORE_TRY(report(check_chain_page(page, chain), 0));
      const Block next = page.tail<ChainTail>().next;
      if ((next == kNoBlock) != (block == last)) {
        TOASTSTORE_TRY(fault(block, "chain does not end where meta says"));
      }
      block = next;
    }
    return Status::Ok();
  }

  Status check_lane(const Lane& lane) {
    if (lane.run_start == lane.run_end) return Status::Ok();
    if (lane.run_start > lane.run_end || lane.run_start < kFirstExtentBlock) {
      return fault(kMetaBlock, "lane's run is impossible");
    }
    bool sound = true;
    TOASTSTORE_TRY(check_extent(lane.run_start, 0, &sound));
    return check_extent(lane.run_end - 1, 0, &sound);
  }

  Status map_entry(Extent extent, MapEntry* entry) {
    if (extent >= uint64_t{meta_.map_pages} * kExtentsPerMapPage) {
      return Status::Corruption(extent_start(extent), "block lies beyond the map");
    }
    const Block block = map_block(map_page_of(extent));
    PageGuard map;
    TOASTSTORE_TRY(map.read(context_.pager, block, Latch::kShare, PageKind::kMap));
    *entry = record_at<MapEntry>(map.data(), extent % kExtentsPerMapPage);
    if (!record_sound(*entry)) {
      return Status::Corruption(block, "map entry does not match its check");
    }
    return Status::Ok();
  }

  Status check_extent(Block block, uint64_t id, bool* sound) {
    MapEntry entry;
    const Status status = map_entry(extent_of(block), &entry);
    *sound = status.ok() && entry.kind == ExtentKind::kValues;
    if (!status.ok()) return report(status, id);
    if (*sound) return Status::Ok();
    return sink_->report({block, id, "value lies in an extent that is not mapped as values"});
  }

  Status check_map() {
    for (uint32_t index = 0; index < meta_.map_pages; index++) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyPage));
      reach(map_block(index));
      const Extent first = index * kExtentsPerMapPage;
      for (Extent extent = first; extent < first + kExtentsPerMapPage; extent++) {
        MapEntry entry;
        const Status status = map_entry(extent, &entry);
        TOASTSTORE_TRY(report(status, 0));
        if (!status.ok()) break;
        TOASTSTORE_TRY(check_pages(extent, entry));
      }
    }
    return Status::Ok();
  }

  Status check_pages(Extent extent, const MapEntry& entry) {
    for (uint32_t page = 0; page < extent_blocks(extent); page++) {
      const Block block = extent_start(extent) + page;
      const bool used =
          entry.kind == ExtentKind::kPages && (entry.pages.used[page / 64] >> (page % 64) & 1) != 0;
      if (used && !was_reached(block) && !cut_off_) {
        TOASTSTORE_TRY(fault(block, "page is in use but nothing leads to it"));
      } else if (!used && was_reached(block)) {
        TOASTSTORE_TRY(fault(block, "page is reached but free in the map"));
      }
    }
    return Status::Ok();
  }

  Context& context_;
  FaultSink* sink_;
  MetaBody meta_;
  Block blocks_ = 0;
  Scratch reached_;  // a bit per block
  Scratch pages_;    // the page being looked at on each level
  Block next_[kMaxTreeLevels];
  bool begun_[kMaxTreeLevels] = {};
  bool links_broken_[kMaxTreeLevels] = {};
  bool cut_off_ = false;  // not every page in use was reached
};

}  // namespace

Status verify(Context& context, FaultSink* sink) { return Verifier(context, sink).run(); }

}  // namespace toaststore
