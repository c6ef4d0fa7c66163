// Consuming the list of dead ranges: their bytes are charged to the extents they lie in.
//
// One change consumes records and charges one map page, so charging is exact however often it is
// interrupted.  A chunked value is charged in parts (its chunks, its tables, the table of tables),
// a map page's worth at a time; how far is in the list's page.
//
// Only counted extents are charged.  What is dead in another will be found when it is counted, and
// counting demands an empty list.

#include <algorithm>

#include "engine/chain.h"
#include "engine/chunk_table.h"
#include "engine/cleaner.h"
#include "engine/map_page.h"
#include "engine/meta.h"
#include "engine/value_reader.h"

namespace toaststore {

namespace {

// Runs gathered for one change: bounds the time between two of them.
constexpr uint32_t kMaxRuns = 4096;

// The dead bytes in the extents of one map page.
struct Bill {
  bool open = false;
  uint32_t map_page = 0;
  uint32_t runs = 0;
  uint64_t bytes[kExtentsPerMapPage];

  // False where the run belongs on another bill.
  bool add(StoreKind kind, const RunRef& run) {
    const uint32_t page = map_page_of(extent_of(run.block));
    if (!open) {
      open = true;
      map_page = page;
      std::fill(bytes, bytes + kExtentsPerMapPage, 0);
    }
    if (page != map_page || runs == kMaxRuns) return false;
    runs++;
    uint32_t piece = run.first_bytes;
    uint32_t left = run.stored_bytes;
    for (Block block = run.block; left > 0; block++) {
      piece = std::min(piece, left);
      bytes[extent_of(block) % kExtentsPerMapPage] += piece;
      left -= piece;
      piece = max_piece(kind);
    }
    return true;
  }
};

class Charger {
 public:
  Charger(Context& context, CleanReport* report)
      : context_(context), report_(report), space_(context.memory) {}

  Status run() {
    const Status status = load_hints(context_);
    if (status.is(Code::kNotFound)) return Status::Ok();
    TOASTSTORE_TRY(status);
    TOASTSTORE_TRY(space_.allocate(sizeof(Work)));
    for (bool more = true; more;) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kClean));
      TOASTSTORE_TRY(charge_page(&more));
    }
    return Status::Ok();
  }

 private:
  struct Work {
    DeadRecord records[kDeadCapacity];
    Bill bill;
  };

  // One bill of the first page.
  Status charge_page(bool* more) {
    *more = false;
    ChainTail tail;
    Block block;
    const ChainId list = ChainId::dead();
    TOASTSTORE_TRY(read_first_page(context_, list, &block, &tail, work().records));
    if (block == kNoBlock) return Status::Ok();
    if (tail.consumed == tail.count) {
      if (tail.next == kNoBlock) return Status::Ok();
      *more = true;
      return unlink_first_page(context_, list, block);
    }
    *more = true;
    bill() = Bill();
    uint16_t index = tail.consumed;
    uint64_t part = tail.next_id;
    while (index < tail.count) {
      bool whole = false;
      TOASTSTORE_TRY(add_record(work().records[index], &part, &whole));
      if (!whole) break;
      index++;
      part = 0;
    }
    return commit(block, index, part);
  }

  // Puts the record's parts from *part on on the bill.  *whole: all of them fit.
  Status add_record(const DeadRecord& record, uint64_t* part, bool* whole) {
    Entry entry{};
    entry.id = record.id;
    entry.block = record.block;
    entry.item = record.item;
    entry.first_bytes = record.first_bytes;
    entry.layout = record.layout;
    entry.raw_bytes = entry.stored_bytes = record.bytes;
    *whole = true;
    if (record.block < kFirstExtentBlock) return Status::Ok();
    if (record.layout != Layout::kChunked) {
      *whole = bill().add(context_.options.kind, run_of(entry));
      return Status::Ok();
    }
    for (const uint64_t parts = part_count(context_, entry); *part < parts; ++*part) {
      RunRef run;
      const Status status = read_part(context_, entry, *part, &run);
      if (status.is(Code::kRetry) || status.is(Code::kCorruption)) {
        report_->lost_ranges++;
        return Status::Ok();
      }
      TOASTSTORE_TRY(status);
      *whole = bill().add(context_.options.kind, run);
      if (!*whole) return Status::Ok();
    }
    return Status::Ok();
  }

  Status commit(Block block, uint16_t consumed, uint64_t part) {
    PageGuard list;
    TOASTSTORE_TRY(list.read(context_.pager, block, Latch::kExclusive, PageKind::kDead));
    auto tail = list.tail<ChainTail>();
    tail.consumed = consumed;
    tail.next_id = part;
    Change change(context_.pager, Step::kChargeDead);
    change.put_tail(change.add(list), tail);
    MapPage map;
    MetaGuard meta;
    uint64_t freed = 0;
    if (bill().open) {
      TOASTSTORE_TRY(map.open(context_, bill().map_page));
      Extent from = map.first() + kExtentsPerMapPage;
      Extent to = map.first();
      for (uint32_t i = 0; i < kExtentsPerMapPage; i++) {
        if (!charge(&map.entries[i], bill().bytes[i])) continue;
        if (map.entries[i].kind == ExtentKind::kFree) freed += extent_blocks(map.first() + i);
        from = std::min(from, map.first() + i);
        to = map.first() + i + 1;
      }
      if (from < to) map.stage(&change, from, to);
      if (freed > 0) TOASTSTORE_TRY(stage_free_extent(context_, bill().map_page, &meta, &change));
    }
    report_->freed_blocks += freed;
    return change.commit();
  }

  // False where nothing is changed.  An extent charged with more than it holds is counted again.
  static bool charge(MapEntry* entry, uint64_t bytes) {
    if (bytes == 0 || entry->kind != ExtentKind::kValues) return false;
    if ((entry->values.flags & kCounted) == 0) return false;
    const uint64_t dead = entry->values.dead_bytes + bytes;
    if (dead == entry->stored_bytes) {
      *entry = MapEntry{};
    } else if (dead > entry->stored_bytes) {
      entry->values.flags &= ~kCounted;
      entry->values.dead_bytes = entry->stored_bytes = 0;
    } else {
      entry->values.dead_bytes = static_cast<uint32_t>(dead);
    }
    return true;
  }

  Work& work() { return *space_.as<Work>(); }
  Bill& bill() { return work().bill; }

  Context& context_;
  CleanReport* report_;
  Scratch space_;
};

}  // namespace

Status charge_dead(Context& context, CleanReport* report) { return Charger(context, report).run(); }

}  // namespace toaststore
