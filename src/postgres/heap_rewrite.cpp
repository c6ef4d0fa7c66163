// VACUUM FULL and CLUSTER of a table: heap's own copy (heapam_relation_copy_for_cluster), which
// would have core's toaster write the values.

#include "postgres/heap_am.h"
#include "postgres/rewrite_writer.h"
#include "postgres/toaster.h"

extern "C" {
#include "access/rewriteheap.h"
#include "commands/progress.h"
#include "utils/tuplesort.h"
}

namespace toaststore {

namespace {

// What is to be counted, for the caller.
struct Counts {
  double rows = 0;
  double vacuumed = 0;
  double recently_dead = 0;
};

class TableCopy {
 public:
  TableCopy(Relation table, Relation target, RewriteState rewrite, TransactionId oldest_xmin)
      : table_(table),
        target_(target),
        rewrite_(rewrite),
        oldest_xmin_(oldest_xmin),
        writer_(target),
        slot_(table_slot_create(table, nullptr)) {
    const auto natts = static_cast<Size>(RelationGetDescr(target)->natts);
    values_ = static_cast<Datum*>(palloc(natts * sizeof(Datum)));
    nulls_ = static_cast<bool*>(palloc(natts * sizeof(bool)));
  }
  TableCopy(const TableCopy&) = delete;
  TableCopy& operator=(const TableCopy&) = delete;

  void copy_in_order_of(Relation index) {
    const int parameters[] = {PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_INDEX_RELID};
    const int64 phase[] = {PROGRESS_CLUSTER_PHASE_INDEX_SCAN_HEAP, RelationGetRelid(index)};
    pgstat_progress_update_multi_param(2, parameters, phase);
    IndexScanDesc scan = index_beginscan(table_, index, SnapshotAny, 0, 0);
    index_rescan(scan, nullptr, 0, nullptr, 0);
    while (index_getnext_slot(scan, ForwardScanDirection, slot_)) {
      CHECK_FOR_INTERRUPTS();
      if (scan->xs_recheck) elog(ERROR, "CLUSTER does not support lossy index conditions");
      if (is_needed()) copy_row(row());
    }
    index_endscan(scan);
  }

  void copy_as_found() {
    scan_table([&](HeapTuple found) { copy_row(found); });
  }

  void copy_sorted_by(Relation index) {
    Tuplesortstate* sort = tuplesort_begin_cluster(RelationGetDescr(table_), index,
                                                   maintenance_work_mem, nullptr, TUPLESORT_NONE);
    scan_table([&](HeapTuple found) {
      tuplesort_putheaptuple(sort, found);
      report(PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED, counts_.rows);
    });
    report(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_SORT_TUPLES);
    tuplesort_performsort(sort);
    report(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_WRITE_NEW_HEAP);
    HeapTuple sorted;
    for (double written = 1; (sorted = tuplesort_getheaptuple(sort, true)) != nullptr; written++) {
      CHECK_FOR_INTERRUPTS();
      reform(sorted);
      report(PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN, written);
    }
    tuplesort_end(sort);
  }

  // Rows whose later versions never came are written, too: their values are still promised.
  Counts end() {
    end_heap_rewrite(rewrite_);
    writer_.finish();
    ExecDropSingleTupleTableSlot(slot_);
    return counts_;
  }

 private:
  static void report(int parameter, double value) {
    pgstat_progress_update_param(parameter, static_cast<int64>(value));
  }

  HeapTuple row() { return ExecFetchSlotHeapTuple(slot_, false, nullptr); }
  Buffer buffer() const { return reinterpret_cast<BufferHeapTupleTableSlot*>(slot_)->buffer; }

  template <typename Visit>
  void scan_table(Visit visit) {
    report(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_SEQ_SCAN_HEAP);
    TableScanDesc scan = table_beginscan(table_, SnapshotAny, 0, nullptr);
    auto* heap = reinterpret_cast<HeapScanDesc>(scan);
    report(PROGRESS_CLUSTER_TOTAL_HEAP_BLKS, heap->rs_nblocks);
    BlockNumber reported = InvalidBlockNumber;
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot_)) {
      CHECK_FOR_INTERRUPTS();
      // The scan may begin in the middle and wrap.
      const BlockNumber block = heap->rs_cblock;
      if (block != reported) {
        report(PROGRESS_CLUSTER_HEAP_BLKS_SCANNED,
               (block + heap->rs_nblocks - heap->rs_startblock) % heap->rs_nblocks + 1);
        reported = block;
      }
      if (is_needed()) visit(row());
    }
    report(PROGRESS_CLUSTER_HEAP_BLKS_SCANNED, heap->rs_nblocks);
    table_endscan(scan);
  }

  // Does any snapshot see the row, or will it?
  bool is_needed() {
    HeapTuple found = row();
    LockBuffer(buffer(), BUFFER_LOCK_SHARE);
    const HTSV_Result state = HeapTupleSatisfiesVacuum(found, oldest_xmin_, buffer());
    if (state == HEAPTUPLE_INSERT_IN_PROGRESS) {
      warn_of_other(HeapTupleHeaderGetXmin(found->t_data), "insert");
    } else if (state == HEAPTUPLE_DELETE_IN_PROGRESS) {
      warn_of_other(HeapTupleHeaderGetUpdateXid(found->t_data), "delete");
    }
    LockBuffer(buffer(), BUFFER_LOCK_UNLOCK);
    if (state == HEAPTUPLE_DEAD) {
      counts_.vacuumed += 1;
      // An earlier version that was taken for needed is dead with it.
      if (rewrite_heap_dead_tuple(rewrite_, found)) {
        counts_.vacuumed += 1;
        counts_.recently_dead -= 1;
      }
      return false;
    }
    if (state == HEAPTUPLE_RECENTLY_DEAD || state == HEAPTUPLE_DELETE_IN_PROGRESS) {
      counts_.recently_dead += 1;
    }
    counts_.rows += 1;
    return true;
  }

  // The table is locked against everybody else.
  void warn_of_other(TransactionId xid, const char* what) const {
    if (TransactionIdIsCurrentTransactionId(xid)) return;
    elog(WARNING, "concurrent %s in progress within table \"%s\"", what,
         RelationGetRelationName(table_));
  }

  void copy_row(HeapTuple found) {
    reform(found);
    const int parameters[] = {PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED,
                              PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN};
    const auto rows = static_cast<int64>(counts_.rows);
    const int64 done[] = {rows, rows};
    pgstat_progress_update_multi_param(2, parameters, done);
  }

  // The row without what dropped columns had, for the new table.
  void reform(HeapTuple found) {
    TupleDesc columns = RelationGetDescr(target_);
    heap_deform_tuple(found, RelationGetDescr(table_), values_, nulls_);
    for (int i = 0; i < columns->natts; i++) {
      if (TupleDescAttr(columns, i)->attisdropped) nulls_[i] = true;
    }
    HeapTuple formed = heap_form_tuple(columns, values_, nulls_);
    if (needs_toasting(target_, formed)) {
      rewrite_toasted(found, formed);
    } else {
      rewrite_heap_tuple(rewrite_, found, formed);
    }
    heap_freetuple(formed);
  }

  // A row may be held back until its later version is written, and its values with it.
  void rewrite_toasted(HeapTuple found, HeapTuple formed) {
    MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "toaststore rewritten row",
                                                 ALLOCSET_SMALL_SIZES);
    MemoryContext outer = MemoryContextSwitchTo(memory);
    auto* promises = static_cast<RewrittenRow*>(palloc(sizeof(RewrittenRow)));
    *promises = {memory, deleter_of(found->t_data), 0};
    writer_.begin_row(promises);
    HeapTuple toasted = toast_row(&writer_, heap_copytuple(formed), nullptr);
    MemoryContextSwitchTo(outer);
    rewrite_heap_tuple(rewrite_, found, toasted);
    if (promises->promises == 0) MemoryContextDelete(memory);
  }

  // The transaction that deleted a row which some snapshot still sees, or none.
  static TransactionId deleter_of(HeapTupleHeader header) {
    if ((header->t_infomask & HEAP_XMAX_INVALID) != 0 ||
        HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask)) {
      return InvalidTransactionId;
    }
    const TransactionId xid = HeapTupleHeaderGetUpdateXid(header);
    const bool deleted = TransactionIdIsCurrentTransactionId(xid) || TransactionIdDidCommit(xid);
    return deleted ? xid : InvalidTransactionId;
  }

  Relation table_;
  Relation target_;
  RewriteState rewrite_;
  const TransactionId oldest_xmin_;
  RewriteWriter writer_;
  TupleTableSlot* slot_;
  Datum* values_;
  bool* nulls_;
  Counts counts_;
};

}  // namespace

void heap_relation_copy_for_cluster(Relation table, Relation target, Relation index, bool use_sort,
                                    TransactionId oldest_xmin, TransactionId* xid_cutoff,
                                    MultiXactId* multi_cutoff, double* tuples, double* vacuumed,
                                    double* recently_dead) {
  RewriteState rewrite = begin_heap_rewrite(table, target, oldest_xmin, *xid_cutoff, *multi_cutoff);
  TableCopy copy(table, target, rewrite, oldest_xmin);
  if (use_sort) {
    copy.copy_sorted_by(index);
  } else if (index != nullptr) {
    copy.copy_in_order_of(index);
  } else {
    copy.copy_as_found();
  }
  const Counts counts = copy.end();
  *tuples = counts.rows;
  *vacuumed = counts.vacuumed;
  *recently_dead = counts.recently_dead;
}

}  // namespace toaststore
