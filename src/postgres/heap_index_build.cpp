// CREATE INDEX and REINDEX on a table: heap's build scan over scans by slot.
//
// Heap's own (heapam_index_build_range_scan) is all that is needed but for one call,
// heap_getnext(), which refuses relations of other access methods.
//
// Expressions and predicates may look at large values, also of rows that are dead to all but some
// old snapshot.  Their values must not be cleaned away meanwhile, so the store is locked against
// cleaning before it is settled which rows those are.

#include "postgres/heap_am.h"

extern "C" {
#include "catalog/index.h"
#include "commands/progress.h"
#include "executor/executor.h"
}

namespace toaststore {

namespace {

// What to do with a row version.
enum class Verdict : uint8_t {
  kSkip,       // in no snapshot's sight
  kIndex,      // live
  kIndexDead,  // dead to new snapshots: not looked at for uniqueness
  kWait,       // depends on another transaction
};

class BuildScan {
 public:
  BuildScan(Relation table, Relation index, IndexInfo* info, bool any_visible, bool progress)
      : table_(table),
        index_(index),
        info_(info),
        any_visible_(any_visible),
        progress_(progress),
        unique_(info->ii_Unique || info->ii_ExclusionOps != nullptr),
        state_(CreateExecutorState()),
        slot_(table_slot_create(table, nullptr)) {
    GetPerTupleExprContext(state_)->ecxt_scantuple = slot_;
    predicate_ = ExecPrepareQual(info->ii_Predicate, state_);
    if (reads_values()) {
      store_ = table->rd_rel->reltoastrelid;
      LockRelationOid(store_, ShareUpdateExclusiveLock);
    }
    // VACUUM's own transactions are of no concern.
    if (!info->ii_Concurrent) oldest_xmin_ = GetOldestNonRemovableTransactionId(table);
  }
  BuildScan(const BuildScan&) = delete;
  BuildScan& operator=(const BuildScan&) = delete;

  void begin(TableScanDesc scan, bool allow_sync, BlockNumber start, BlockNumber blocks) {
    if (scan == nullptr) {
      snapshot_ = SnapshotAny;
      if (!TransactionIdIsValid(oldest_xmin_)) {
        snapshot_ = own_snapshot_ = RegisterSnapshot(GetTransactionSnapshot());
      }
      scan = table_beginscan_strat(table_, snapshot_, 0, nullptr, true, allow_sync);
    } else {
      snapshot_ = scan->rs_snapshot;  // of a parallel build
    }
    scan_ = reinterpret_cast<HeapScanDesc>(scan);
    if (!allow_sync) heap_setscanlimits(scan, start, blocks);
    report(PROGRESS_SCAN_BLOCKS_TOTAL, total_blocks());
  }

  double run(IndexBuildCallback callback, void* argument) {
    while (heap_getnextslot(&scan_->rs_base, ForwardScanDirection, slot_)) {
      CHECK_FOR_INTERRUPTS();
      report_block();
      learn_roots(false);
      bool alive = true;
      if (snapshot_ == SnapshotAny) {
        const Verdict verdict = judge_until_settled();
        if (verdict == Verdict::kSkip) continue;
        alive = verdict == Verdict::kIndex;
      } else {
        rows_ += 1;
      }
      index_row(callback, argument, alive);
    }
    report(PROGRESS_SCAN_BLOCKS_DONE, total_blocks());
    return rows_;
  }

  void end() {
    table_endscan(&scan_->rs_base);
    if (own_snapshot_ != nullptr) UnregisterSnapshot(own_snapshot_);
    ExecDropSingleTupleTableSlot(slot_);
    FreeExecutorState(state_);
    // They pointed into what has just been freed.
    info_->ii_ExpressionsState = NIL;
    info_->ii_PredicateState = nullptr;
    if (OidIsValid(store_)) UnlockRelationOid(store_, ShareUpdateExclusiveLock);
  }

 private:
  bool reads_values() const {
    return OidIsValid(table_->rd_rel->reltoastrelid) &&
           (info_->ii_Expressions != NIL || info_->ii_Predicate != NIL);
  }

  HeapTuple row() { return &scan_->rs_ctup; }

  void report(int parameter, BlockNumber value) const {
    if (progress_) pgstat_progress_update_param(parameter, value);
  }

  ParallelBlockTableScanDesc shared() const {
    return reinterpret_cast<ParallelBlockTableScanDesc>(scan_->rs_base.rs_parallel);
  }
  BlockNumber total_blocks() const {
    return shared() != nullptr ? shared()->phs_nblocks : scan_->rs_nblocks;
  }

  void report_block() {
    const BlockNumber block = scan_->rs_cblock;
    if (!progress_ || block == reported_) return;
    const BlockNumber start = shared() != nullptr ? shared()->phs_startblock : scan_->rs_startblock;
    // A scan that joins another begins in the middle and wraps.
    report(PROGRESS_SCAN_BLOCKS_DONE,
           block > start ? block - start : total_blocks() - start + block);
    reported_ = block;
  }

  // Where the chain of each heap-only tuple of the page begins: it is indexed there.
  void learn_roots(bool again) {
    if (scan_->rs_cblock == roots_block_ && !again) return;
    LockBuffer(scan_->rs_cbuf, BUFFER_LOCK_SHARE);
    heap_get_root_tuples(buffer_page(scan_->rs_cbuf), roots_);
    LockBuffer(scan_->rs_cbuf, BUFFER_LOCK_UNLOCK);
    roots_block_ = scan_->rs_cblock;
  }

  ItemPointerData root_of_row() {
    ItemPointerData tid = row()->t_self;
    if (!HeapTupleIsHeapOnly(row())) return tid;
    const OffsetNumber offset = ItemPointerGetOffsetNumber(&tid);
    // It may have been added since the page was first looked at.
    if (roots_[offset - 1] == InvalidOffsetNumber) learn_roots(true);
    if (!OffsetNumberIsValid(roots_[offset - 1])) {
      ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                      errmsg_internal("failed to find parent tuple for heap-only tuple at (%u,%u) "
                                      "in table \"%s\"",
                                      ItemPointerGetBlockNumber(&tid), offset,
                                      RelationGetRelationName(table_))));
    }
    ItemPointerSetOffsetNumber(&tid, roots_[offset - 1]);
    return tid;
  }

  Verdict judge_until_settled() {
    for (;;) {
      TransactionId other = InvalidTransactionId;
      LockBuffer(scan_->rs_cbuf, BUFFER_LOCK_SHARE);
      const Verdict verdict = judge(&other);
      LockBuffer(scan_->rs_cbuf, BUFFER_LOCK_UNLOCK);
      if (verdict != Verdict::kWait) return verdict;
      XactLockTableWait(other, table_, &row()->t_self, XLTW_InsertIndexUnique);
      CHECK_FOR_INTERRUPTS();
    }
  }

  // The rows counted are those that ANALYZE counts.
  Verdict judge(TransactionId* other) {
    switch (HeapTupleSatisfiesVacuum(row(), oldest_xmin_, scan_->rs_cbuf)) {
      case HEAPTUPLE_DEAD:
        return Verdict::kSkip;
      case HEAPTUPLE_LIVE:
        rows_ += 1;
        return Verdict::kIndex;
      case HEAPTUPLE_RECENTLY_DEAD:
        return judge_dead();
      case HEAPTUPLE_INSERT_IN_PROGRESS:
        return judge_inserting(other);
      case HEAPTUPLE_DELETE_IN_PROGRESS:
        return judge_deleting(other);
    }
    elog(ERROR, "unexpected HeapTupleSatisfiesVacuum result");
    pg_unreachable();
  }

  // Of a chain only the live end is indexed, so that snapshots which see this version must not use
  // the index.
  Verdict judge_dead() {
    if (!HeapTupleIsHotUpdated(row())) return Verdict::kIndexDead;
    info_->ii_BrokenHotChain = true;
    return Verdict::kSkip;
  }

  // Another's insertion is seen only where writers are let through.
  Verdict judge_inserting(TransactionId* other) {
    *other = HeapTupleHeaderGetXmin(row()->t_data);
    if (any_visible_ || TransactionIdIsCurrentTransactionId(*other)) {
      rows_ += 1;
      return Verdict::kIndex;
    }
    warn("insert");
    return unique_ ? Verdict::kWait : Verdict::kIndex;
  }

  Verdict judge_deleting(TransactionId* other) {
    if (any_visible_) {
      rows_ += 1;
      return Verdict::kIndexDead;
    }
    *other = HeapTupleHeaderGetUpdateXid(row()->t_data);
    if (TransactionIdIsCurrentTransactionId(*other)) return judge_dead();
    warn("delete");
    // It may abort; then this version counts, and is the end of its chain.
    if (unique_ || HeapTupleIsHotUpdated(row())) return Verdict::kWait;
    rows_ += 1;
    return Verdict::kIndexDead;
  }

  void warn(const char* what) const {
    if (IsSystemRelation(table_)) return;
    elog(WARNING, "concurrent %s in progress within table \"%s\"", what,
         RelationGetRelationName(table_));
  }

  void index_row(IndexBuildCallback callback, void* argument, bool alive) {
    ExprContext* context = GetPerTupleExprContext(state_);
    MemoryContextReset(context->ecxt_per_tuple_memory);
    if (predicate_ != nullptr && !ExecQual(predicate_, context)) return;
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    FormIndexDatum(info_, slot_, state_, values, nulls);
    ItemPointerData tid = root_of_row();
    callback(index_, &tid, values, nulls, alive, argument);
  }

  Relation table_;
  Relation index_;
  IndexInfo* info_;
  const bool any_visible_;
  const bool progress_;
  const bool unique_;
  EState* state_;
  TupleTableSlot* slot_;
  ExprState* predicate_;
  Oid store_ = InvalidOid;  // locked
  TransactionId oldest_xmin_ = InvalidTransactionId;
  Snapshot snapshot_ = nullptr;
  Snapshot own_snapshot_ = nullptr;
  HeapScanDesc scan_ = nullptr;
  double rows_ = 0;
  BlockNumber reported_ = InvalidBlockNumber;
  BlockNumber roots_block_ = InvalidBlockNumber;
  OffsetNumber roots_[MaxHeapTuplesPerPage];
};

}  // namespace

double heap_index_build_range_scan(Relation table, Relation index, IndexInfo* info, bool allow_sync,
                                   bool any_visible, bool progress, BlockNumber start,
                                   BlockNumber blocks, IndexBuildCallback callback, void* state,
                                   TableScanDesc scan) {
  BuildScan build(table, index, info, any_visible, progress);
  build.begin(scan, allow_sync, start, blocks);
  const double rows = build.run(callback, state);
  build.end();
  return rows;
}

}  // namespace toaststore
