// The second scan of CREATE INDEX CONCURRENTLY on a table: rows that the first scan could not see
// are added.  Heap's own (heapam_index_validate_scan) over scans by slot, as heap_index_build.cpp.

#include "postgres/heap_am.h"

extern "C" {
#include "catalog/index.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "utils/tuplesort.h"
}

namespace toaststore {

namespace {

// Merges the rows of the table, in the order of their places, with the sorted places that the index
// has.  Rows of a chain are indexed under its root, and the roots of a page come in any order: what
// the index has of the page in hand is remembered.
class ValidateScan {
 public:
  ValidateScan(Relation table, Relation index, IndexInfo* info, ValidateIndexState* state)
      : table_(table),
        index_(index),
        info_(info),
        merge_(state),
        state_(CreateExecutorState()),
        slot_(table_slot_create(table, nullptr)) {
    GetPerTupleExprContext(state_)->ecxt_scantuple = slot_;
    predicate_ = ExecPrepareQual(info->ii_Predicate, state_);
  }
  ValidateScan(const ValidateScan&) = delete;
  ValidateScan& operator=(const ValidateScan&) = delete;

  void run(Snapshot snapshot) {
    // From block 0 on, as the places are sorted.
    TableScanDesc scan = table_beginscan_strat(table_, snapshot, 0, nullptr, true, false);
    scan_ = reinterpret_cast<HeapScanDesc>(scan);
    pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, scan_->rs_nblocks);
    while (heap_getnextslot(scan, ForwardScanDirection, slot_)) {
      CHECK_FOR_INTERRUPTS();
      merge_->htups += 1;
      if (scan_->rs_cblock != block_) turn_page();
      ItemPointerData root = root_of_row();
      advance_to(&root);
      if (!indexed(&root)) insert(&root);
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot_);
    FreeExecutorState(state_);
    // They pointed into what has just been freed.
    info_->ii_ExpressionsState = NIL;
    info_->ii_PredicateState = nullptr;
  }

 private:
  void turn_page() {
    block_ = scan_->rs_cblock;
    pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, block_);
    LockBuffer(scan_->rs_cbuf, BUFFER_LOCK_SHARE);
    heap_get_root_tuples(buffer_page(scan_->rs_cbuf), roots_);
    LockBuffer(scan_->rs_cbuf, BUFFER_LOCK_UNLOCK);
    memset(in_index_, 0, sizeof(in_index_));
  }

  ItemPointerData root_of_row() const {
    ItemPointerData tid = scan_->rs_ctup.t_self;
    if (!HeapTupleIsHeapOnly(&scan_->rs_ctup)) return tid;
    const OffsetNumber offset = ItemPointerGetOffsetNumber(&tid);
    const OffsetNumber root = roots_[offset - 1];
    if (!OffsetNumberIsValid(root)) {
      ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                      errmsg_internal("failed to find parent tuple for heap-only tuple at (%u,%u) "
                                      "in table \"%s\"",
                                      ItemPointerGetBlockNumber(&tid), offset,
                                      RelationGetRelationName(table_))));
    }
    ItemPointerSetOffsetNumber(&tid, root);
    return tid;
  }

  // Moves on in the index's places until they reach or pass the row's.
  void advance_to(ItemPointer root) {
    while (!exhausted_ && (!begun_ || ItemPointerCompare(&cursor_, root) < 0)) {
      if (begun_ && ItemPointerGetBlockNumber(&cursor_) == block_) {
        in_index_[ItemPointerGetOffsetNumber(&cursor_) - 1] = true;
      }
      Datum place;
      bool null;
      exhausted_ = !tuplesort_getdatum(merge_->tuplesort, true, &place, &null, nullptr);
      begun_ = true;
      if (!exhausted_) itemptr_decode(&cursor_, DatumGetInt64(place));
    }
  }

  bool indexed(ItemPointer root) {
    if (!exhausted_ && ItemPointerCompare(&cursor_, root) == 0) return true;
    return in_index_[ItemPointerGetOffsetNumber(root) - 1];
  }

  void insert(ItemPointer root) {
    ExprContext* context = GetPerTupleExprContext(state_);
    MemoryContextReset(context->ecxt_per_tuple_memory);
    if (predicate_ != nullptr && !ExecQual(predicate_, context)) return;
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    FormIndexDatum(info_, slot_, state_, values, nulls);
    // Also where the row is dead by now: what is checked is its chain.
    index_insert(index_, values, nulls, root, table_,
                 info_->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info_);
    merge_->tups_inserted += 1;
  }

  Relation table_;
  Relation index_;
  IndexInfo* info_;
  ValidateIndexState* merge_;
  EState* state_;
  TupleTableSlot* slot_;
  ExprState* predicate_;
  HeapScanDesc scan_ = nullptr;
  bool begun_ = false;
  bool exhausted_ = false;
  ItemPointerData cursor_;  // in the index's places
  BlockNumber block_ = InvalidBlockNumber;
  OffsetNumber roots_[MaxHeapTuplesPerPage];
  bool in_index_[MaxHeapTuplesPerPage];
};

}  // namespace

void heap_index_validate_scan(Relation table, Relation index, IndexInfo* info, Snapshot snapshot,
                              ValidateIndexState* state) {
  ValidateScan(table, index, info, state).run(snapshot);
}

}  // namespace toaststore
