// Scans of a store in the order of ids: a leaf at a time, copied out, so that no latch is held
// while the executor works.  No value page is read.
//
// A parallel scan hands out ranges of ids: each worker reads the leaf at the shared next key, and
// owns it if it can move the key past the leaf; else another worker was first, and it looks again.

#include <new>

#include "engine/geometry.h"
#include "postgres/store_am.h"

extern "C" {
#include "port/atomics.h"
}

namespace toaststore {

namespace {

struct ParallelScan {
  ParallelTableScanDescData base;
  pg_atomic_uint64 next_key;
};

struct StoreScan {
  TableScanDescData base;
  StoreHandle handle;
  LazyValue lazy;
  LeafBatch batch;
  int index;  // of the entry returned last
  bool started;
  bool backward;  // the direction that the batch was read in

  StoreScan(Relation rel, Snapshot snapshot) : handle(rel, snapshot) {}
};

StoreScan* scan_of(TableScanDesc scan) { return reinterpret_cast<StoreScan*>(scan); }

void restart(StoreScan* scan) {
  scan->started = false;
  scan->backward = false;
  scan->batch.count = 0;
  scan->batch.next = 0;
  scan->index = -1;
}

void read_batch(StoreScan* scan, uint64_t from, bool backward) {
  Context& context = scan->handle.context();
  scan->backward = backward;
  check(backward ? read_backward(context, from, &scan->batch)
                 : read_forward(context, from, &scan->batch),
        scan->base.rs_rd);
  scan->index = backward ? scan->batch.count : -1;
}

// The next leaf for a forward scan.  False at the end.
bool next_leaf(StoreScan* scan) {
  if (scan->base.rs_parallel == nullptr) {
    if (scan->started && scan->batch.next == kInfinity) return false;
    read_batch(scan, scan->started ? scan->batch.next : 0, false);
    scan->started = true;
    return true;
  }
  auto* shared = reinterpret_cast<ParallelScan*>(scan->base.rs_parallel);
  uint64 key = pg_atomic_read_u64(&shared->next_key);
  while (key != kInfinity) {
    CHECK_FOR_INTERRUPTS();
    read_batch(scan, key, false);
    if (pg_atomic_compare_exchange_u64(&shared->next_key, &key, scan->batch.next)) return true;
  }
  return false;
}

bool previous_leaf(StoreScan* scan) {
  if (scan->started && scan->batch.next == 0) return false;
  read_batch(scan, scan->started ? scan->batch.next : kInfinity - 1, true);
  scan->started = true;
  return true;
}

// A scan that turns round reads on from the id it is at.
void turn(StoreScan* scan, bool backward) {
  if (!scan->started || scan->backward == backward) return;
  const LeafBatch& batch = scan->batch;
  const bool on_entry = scan->index >= 0 && scan->index < batch.count;
  uint64_t from;
  if (on_entry) {
    from = backward ? batch.entries[scan->index].id - 1 : batch.entries[scan->index].id + 1;
  } else {
    from = backward ? kInfinity - 1 : 0;  // past the end, or before the beginning
  }
  read_batch(scan, from, backward);
}

const Entry* next_visible(StoreScan* scan, bool backward) {
  turn(scan, backward);
  for (;;) {
    scan->index += backward ? -1 : 1;
    if (scan->index >= 0 && scan->index < scan->batch.count) {
      const Entry& entry = scan->batch.entries[scan->index];
      if (scan->handle.transactions().visible(entry.stamps())) return &entry;
      continue;
    }
    CHECK_FOR_INTERRUPTS();
    if (!(backward ? previous_leaf(scan) : next_leaf(scan))) return nullptr;
  }
}

}  // namespace

TableScanDesc scan_begin(Relation rel, Snapshot snapshot, int nkeys, ScanKeyData* keys,
                         ParallelTableScanDesc parallel, uint32 flags) {
  (void)nkeys;
  (void)keys;
  if ((flags & SO_TYPE_SAMPLESCAN) != 0) {
    unsupported(rel, "TABLESAMPLE", "Sample the ids instead: SELECT id FROM the store.");
  }
  RelationIncrementReferenceCount(rel);
  auto* scan = new (palloc0(sizeof(StoreScan))) StoreScan(rel, snapshot);
  scan->base.rs_rd = rel;
  scan->base.rs_snapshot = snapshot;
  scan->base.rs_flags = flags;
  scan->base.rs_parallel = parallel;
  restart(scan);
  scan->handle.transactions().note_read();
  pgstat_count_heap_scan(rel);
  return &scan->base;
}

void scan_end(TableScanDesc scan) {
  scan_of(scan)->handle.keep();
  if ((scan->rs_flags & SO_TEMP_SNAPSHOT) != 0) UnregisterSnapshot(scan->rs_snapshot);
  RelationDecrementReferenceCount(scan->rs_rd);
  pfree(scan);
}

void scan_rescan(TableScanDesc scan, ScanKeyData* keys, bool set_params, bool allow_strat,
                 bool allow_sync, bool allow_pagemode) {
  (void)keys;
  (void)set_params;
  (void)allow_strat;
  (void)allow_sync;
  (void)allow_pagemode;
  restart(scan_of(scan));
}

bool scan_getnextslot(TableScanDesc base, ScanDirection direction, TupleTableSlot* slot) {
  StoreScan* scan = scan_of(base);
  const Entry* entry = next_visible(scan, ScanDirectionIsBackward(direction));
  if (entry == nullptr) {
    ExecClearTuple(slot);
    return false;
  }
  store_entry(base->rs_rd, *entry, &scan->lazy, slot);
  pgstat_count_heap_getnext(base->rs_rd);
  return true;
}

Size parallelscan_estimate(Relation rel) {
  (void)rel;
  return sizeof(ParallelScan);
}

Size parallelscan_initialize(Relation rel, ParallelTableScanDesc parallel) {
  auto* shared = reinterpret_cast<ParallelScan*>(parallel);
  shared->base.phs_relid = RelationGetRelid(rel);
  shared->base.phs_syncscan = false;
  pg_atomic_init_u64(&shared->next_key, 0);
  return sizeof(ParallelScan);
}

void parallelscan_reinitialize(Relation rel, ParallelTableScanDesc parallel) {
  (void)rel;
  pg_atomic_write_u64(&reinterpret_cast<ParallelScan*>(parallel)->next_key, 0);
}

// ANALYZE samples blocks; those that are leaves have rows.
bool scan_analyze_next_block(TableScanDesc base, BlockNumber block, BufferAccessStrategy strategy) {
  (void)strategy;
  StoreScan* scan = scan_of(base);
  scan->index = -1;
  scan->batch.count = 0;
  if (block <= kMetaBlock) return false;
  uint64_t low;
  {
    PageGuard leaf;
    const Status status =
        leaf.read(scan->handle.context().pager, block, Latch::kShare, PageKind::kLeaf);
    if (status.is(Code::kRetry)) return false;  // another sound page, or a reserved one
    check(status, base->rs_rd);
    low = leaf.tail<TreeTail>().low;
  }
  read_batch(scan, low, false);
  return true;
}

bool scan_analyze_next_tuple(TableScanDesc base, TransactionId oldest_xmin, double* live,
                             double* dead, TupleTableSlot* slot) {
  (void)oldest_xmin;
  StoreScan* scan = scan_of(base);
  while (++scan->index < scan->batch.count) {
    const Entry& entry = scan->batch.entries[scan->index];
    Xid holder;
    switch (scan->handle.transactions().fate(entry.stamps(), &holder)) {
      case Fate::kLive:
      case Fate::kUnseen:
      case Fate::kBusy:
        *live += 1;
        store_sampled_entry(base->rs_rd, entry, &scan->lazy, slot);
        return true;
      case Fate::kDeleted:
      case Fate::kOwnDeleted:
      case Fate::kAbsent:
        *dead += 1;
        break;
      case Fate::kCreating:
        break;
    }
  }
  ExecClearTuple(slot);
  return false;
}

}  // namespace toaststore
