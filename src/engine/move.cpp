// Moving values out of extents.
//
// A live piece is moved with its whole run; of a chunked value the runs that begin in the extent,
// with a new table for them.  The copies go into a lane like any value's pieces; then one change
// points the entry to them, lists the old places as dead and logs the lane's position.  Where the
// entry has gone or points elsewhere by then, the copies are listed as dead instead.
//
// A copy has the sequence numbers of the original and no more pieces: a piece is its run's alone.

#include "engine/move.h"

#include <algorithm>

#include "engine/chain.h"
#include "engine/piece_owner.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

// Chunks of one value moved at a time: a new table is written for them.
constexpr uint32_t kMaxChunksMoved = 100;
// With a table and the table of tables.
constexpr uint32_t kMaxRunsMoved = kMaxChunksMoved + 2;

DeadRecord dead_run(const RunRef& run) {
  DeadRecord record{};
  record.id = run.id;
  record.bytes = run.stored_bytes;
  record.block = run.block;
  record.sequence = run.sequence;
  record.item = run.item;
  record.first_bytes = run.first_bytes;
  record.layout = Layout::kExtent;
  return record;
}

// The runs of one move: where they were, and where the copies are.
struct Move {
  uint16_t runs = 0;
  DeadRecord old_runs[kMaxRunsMoved];
  DeadRecord copies[kMaxRunsMoved];

  void add(const RunRef& old, const RunRef& copy) {
    old_runs[runs] = dead_run(old);
    copies[runs] = dead_run(copy);
    runs++;
  }
};

class Mover {
 public:
  Mover(Context& context, CleanReport* report)
      : context_(context), report_(report), owners_(context), space_(context.memory) {}

  Status prepare() { return space_.allocate(sizeof(Work)); }

  // Moves every live piece out of the extent, with the whole of its run.
  Status empty_extent(Extent extent) {
    bool stuck = false;
    const Block end = std::min(extent_end(extent), context_.pager.blocks());
    for (Block block = extent_start(extent); block < end; block++) {
      TOASTSTORE_TRY(empty_page(block, &stuck));
    }
    if (stuck) report_->stuck_extents++;
    return Status::Ok();
  }

 private:
  struct Work {
    std::byte page[kPageBytes];
    Move move;
    ChunkRef refs[kTableEntries];    // the table that leads to the chunks
    ChunkRef tables[kTableEntries];  // the table of tables
  };

  Status empty_page(Block block, bool* stuck) {
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
      Status status = owners_.find({claim.id, claim.sequence, block, item}, &owner);
      if (status.ok() && owner.owned) {
        TOASTSTORE_TRY(context_.pager.pause(Step::kMoveRun));
        status = move(owner);
        owners_.forget();
      }
      // A value that can not be read can not be moved.
      if (status.is(Code::kRetry) || status.is(Code::kCorruption)) {
        *stuck = true;
      } else {
        TOASTSTORE_TRY(status);
      }
    }
    return Status::Ok();
  }

  Status move(const PieceOwner& owner) {
    Appender appender(context_, Writer::kCleaner);
    TOASTSTORE_TRY(appender.open());
    appender.take_pages_written();
    work().move.runs = 0;
    Entry moved = owner.entry;
    if (moved.layout == Layout::kChunked) {
      TOASTSTORE_TRY(copy_chunks(&appender, owner, &moved));
    } else {
      RunRef copy;
      TOASTSTORE_TRY(copy_run(&appender, run_of(moved), &copy));
      point_at(copy, &moved);
      moved.pages = appender.take_pages_written();
    }
    return swing(appender, owner.entry, moved);
  }

  static void point_at(const RunRef& run, Entry* entry) {
    entry->block = run.block;
    entry->item = run.item;
    entry->first_bytes = run.first_bytes;
    entry->crc = run.crc;
  }

  static void point_at(const RunRef& run, ChunkRef* ref) {
    ref->block = run.block;
    ref->item = run.item;
    ref->first_bytes = run.first_bytes;
    ref->crc = run.crc;
    seal_record(ref);
  }

  Status copy_run(Appender* appender, const RunRef& old, RunRef* copy) {
    Scratch bytes(context_.memory);
    TOASTSTORE_TRY(bytes.allocate(old.stored_bytes));
    TOASTSTORE_TRY(read_whole_run(context_, old, bytes.as()));
    TOASTSTORE_TRY(appender->append_copy(old, bytes.as(), copy));
    work().move.add(old, *copy);
    report_->moved_bytes += old.stored_bytes;
    return Status::Ok();
  }

  // Reads a table of a chunked value, every entry proven.
  Status read_table(const RunRef& run, ChunkRef* refs, uint32_t* count) {
    *count = run.stored_bytes / sizeof(ChunkRef);
    if (*count > kTableEntries) return Status::Error(Code::kRetry, "chunk table is too long");
    TOASTSTORE_TRY(
        read_run(context_, run, 0, run.stored_bytes, reinterpret_cast<std::byte*>(refs)));
    if (crc32c(refs, run.stored_bytes) != run.crc) {
      return Status::Error(Code::kRetry, "chunk table does not match its CRC", run.block);
    }
    return Status::Ok();
  }

  Status copy_table(Appender* appender, const ChunkRef* refs, const RunRef& old, RunRef* copy) {
    RunRef changed = old;
    changed.crc = crc32c(refs, old.stored_bytes);
    TOASTSTORE_TRY(appender->append_copy(changed, reinterpret_cast<const std::byte*>(refs), copy));
    work().move.add(old, *copy);
    return Status::Ok();
  }

  // From the part that was met on, the chunks that begin in the same extent, as far as one table
  // leads to them; then that table, and the table of tables.
  Status copy_chunks(Appender* appender, const PieceOwner& owner, Entry* entry) {
    const uint64_t chunks = chunk_count(entry->raw_bytes, context_.options.chunk_bytes);
    const uint64_t tables = table_count(chunks);
    const bool is_chunk = owner.part < chunks;
    const bool is_top = owner.part + 1 == part_count(context_, *entry);
    RunRef top = table_run_of(context_, *entry);
    RunRef copy;
    if (tables > 1) {
      uint32_t count;
      TOASTSTORE_TRY(read_table(top, work().tables, &count));
    }
    if (is_chunk || !is_top) {
      const uint64_t table = is_chunk ? owner.part / kTableEntries : owner.part - chunks;
      RunRef lower = tables > 1 ? run_of(work().tables[table], entry->id) : top;
      uint32_t count;
      TOASTSTORE_TRY(read_table(lower, work().refs, &count));
      if (is_chunk) {
        TOASTSTORE_TRY(copy_some(appender, owner.part % kTableEntries, count, entry->id));
      }
      TOASTSTORE_TRY(copy_table(appender, work().refs, lower, &copy));
      if (tables > 1) point_at(copy, &work().tables[table]);
    }
    if (tables > 1) {
      TOASTSTORE_TRY(copy_table(appender, work().tables, top, &copy));
    } else if (is_top && !is_chunk) {
      uint32_t count;
      TOASTSTORE_TRY(read_table(top, work().refs, &count));
      TOASTSTORE_TRY(copy_table(appender, work().refs, top, &copy));
    }
    point_at(copy, entry);
    count_pages(appender->take_pages_written(), entry);
    return Status::Ok();
  }

  Status copy_some(Appender* appender, uint64_t first, uint32_t count, uint64_t id) {
    ChunkRef* refs = work().refs;
    const Extent extent = extent_of(refs[first].block);
    for (uint64_t i = first; i < count && i - first < kMaxChunksMoved; i++) {
      if (extent_of(refs[i].block) != extent) break;
      RunRef copy;
      TOASTSTORE_TRY(copy_run(appender, run_of(refs[i], id), &copy));
      point_at(copy, &refs[i]);
    }
    return Status::Ok();
  }

  // Pages that runs share are counted once where they are written together.
  void count_pages(uint32_t written, Entry* entry) {
    uint64_t left = 0;
    Block last = kNoBlock;
    for (uint16_t i = 0; i < work().move.runs; i++) {
      const DeadRecord& run = work().move.old_runs[i];
      const uint32_t pieces =
          piece_count(context_.options.kind, static_cast<uint32_t>(run.bytes), run.first_bytes);
      left += pieces - (run.block == last ? 1 : 0);
      last = run.block + pieces - 1;
    }
    entry->pages = static_cast<uint32_t>(entry->pages > left ? entry->pages - left : 0) + written;
  }

  // The one change.
  Status swing(const Appender& appender, const Entry& old, const Entry& moved) {
    const ChainId journal = ChainId::journal(appender.lane());
    const Move& move = work().move;
    for (;;) {
      LeafPlace place;
      TOASTSTORE_TRY(find_place(context_, old.id, Latch::kExclusive, &place));
      PageGuard position, list;
      Status status = try_chain_tail(context_, journal, 0, &position);
      if (status.ok()) status = try_chain_tail(context_, ChainId::dead(), move.runs, &list);
      if (status.is(Code::kRetry)) {
        position.release();
        place.leaf.release();
        TOASTSTORE_TRY(ensure_chain_room(context_, journal, 0));
        TOASTSTORE_TRY(ensure_chain_room(context_, ChainId::dead(), move.runs));
        continue;
      }
      TOASTSTORE_TRY(status);
      const bool same = place.found && same_place(place.entry, old);
      auto tail = position.tail<ChainTail>();
      tail.next_id = appender.following_id();
      tail.position = appender.position();
      Change change(context_.pager, same ? Step::kMoveValue : Step::kDropCopy);
      if (same) {
        Entry entry = place.entry;
        entry.block = moved.block;
        entry.item = moved.item;
        entry.first_bytes = moved.first_bytes;
        entry.crc = moved.crc;
        entry.pages = moved.pages;
        seal_record(&entry);
        stage_replace(place, entry, &change);
      }
      change.put_tail(change.add(position), tail);
      stage_records(list, list.tail<ChainTail>(), same ? move.old_runs : move.copies, move.runs,
                    &change);
      return change.commit();
    }
  }

  Work& work() { return *space_.as<Work>(); }

  Context& context_;
  CleanReport* report_;
  OwnerFinder owners_;
  Scratch space_;
};

}  // namespace

Status empty_extents(Context& context, ExtentQueue* queue, CleanReport* report) {
  Mover mover(context, report);
  TOASTSTORE_TRY(mover.prepare());
  for (;;) {
    Extent extent;
    bool found = false;
    TOASTSTORE_TRY(queue->next(&extent, &found));
    if (!found) return Status::Ok();
    TOASTSTORE_TRY(mover.empty_extent(extent));
    // What was moved is dead in its old place: an extent that was emptied is free at once.
    TOASTSTORE_TRY(charge_dead(context, report));
    report->extents_done++;
  }
}

}  // namespace toaststore
