// The callbacks of the table access method toaststore_values, by file.

#ifndef TOASTSTORE_POSTGRES_STORE_AM_H_
#define TOASTSTORE_POSTGRES_STORE_AM_H_

#include "postgres/host.h"

namespace toaststore {

// 0A000 with a hint.
[[noreturn]] void unsupported(Relation rel, const char* what, const char* hint);

constexpr char kIndexHint[] = "The store finds values by id without an index.";

// ---- table_guard.cpp -------------------------------------------------------------------------

// Called once, when the library is loaded.
void install_guard();

// ---- table_scan.cpp --------------------------------------------------------------------------
TableScanDesc scan_begin(Relation rel, Snapshot snapshot, int nkeys, ScanKeyData* keys,
                         ParallelTableScanDesc parallel, uint32 flags);
void scan_end(TableScanDesc scan);
void scan_rescan(TableScanDesc scan, ScanKeyData* keys, bool set_params, bool allow_strat,
                 bool allow_sync, bool allow_pagemode);
bool scan_getnextslot(TableScanDesc scan, ScanDirection direction, TupleTableSlot* slot);
Size parallelscan_estimate(Relation rel);
Size parallelscan_initialize(Relation rel, ParallelTableScanDesc parallel);
void parallelscan_reinitialize(Relation rel, ParallelTableScanDesc parallel);
bool scan_analyze_next_block(TableScanDesc scan, BlockNumber block, BufferAccessStrategy strategy);
bool scan_analyze_next_tuple(TableScanDesc scan, TransactionId oldest_xmin, double* live,
                             double* dead, TupleTableSlot* slot);

// ---- table_slot.cpp --------------------------------------------------------------------------

// Virtual slots whose heap tuples know their place.
const TupleTableSlotOps* slot_callbacks(Relation rel);

// What the value column of a slot points to: it is fetched when somebody looks at it.
struct LazyValue {
  ExpandedObjectHeader header;
  Oid relid;
  uint64_t id;
  uint64_t raw_bytes;
  char pointer[TOAST_POINTER_SIZE];
  char empty[VARHDRSZ];
  Datum stand_in = 0;  // see store_sampled_entry(); 0: none yet
};

// Stores an entry in a slot; `lazy` lives as long as the slot keeps the row.
void store_entry(Relation rel, const Entry& entry, LazyValue* lazy, TupleTableSlot* slot);
// For slots that outlive the scan: with the value read.
void store_kept_entry(Relation rel, const Entry& entry, TupleTableSlot* slot);
// For ANALYZE, which copies thousands of rows: long values without a TOAST pointer are stood in
// for.
void store_sampled_entry(Relation rel, const Entry& entry, LazyValue* lazy, TupleTableSlot* slot);
bool tuple_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot,
                             TupleTableSlot* slot);
// The entry of a value that a row vouches for: no visibility is asked for.  Raises where it is not
// there, or of another length.  REQUIRES: the handle was made without a snapshot.
Entry vouched_entry(StoreHandle* handle, uint64_t id, uint64_t raw_bytes);
void relation_fetch_toast_slice(Relation rel, Oid value_id, int32 attribute_size,
                                int32 slice_offset, int32 slice_length, varlena* result);

// ---- toast_index.cpp -------------------------------------------------------------------------

// Core makes an index on every pg_toast relation, and looks into it before it writes or deletes
// chunk rows of its own.  It stays empty.  Deleting is harmless then; writing would put rows into
// the file of a store behind its back, so that only as many looks as there are values to delete are
// let through.
IndexFetchTableData* index_fetch_begin(Relation rel);
void index_fetch_reset(IndexFetchTableData* data);
void index_fetch_end(IndexFetchTableData* data);
bool index_fetch_tuple(IndexFetchTableData* data, ItemPointer tid, Snapshot snapshot,
                       TupleTableSlot* slot, bool* call_again, bool* all_dead);
TransactionId index_delete_tuples(Relation rel, TM_IndexDeleteOp* state);
double index_build_range_scan(Relation rel, Relation index, IndexInfo* info, bool allow_sync,
                              bool any_visible, bool progress, BlockNumber start,
                              BlockNumber blocks, IndexBuildCallback callback, void* state,
                              TableScanDesc scan);
void index_validate_scan(Relation rel, Relation index, IndexInfo* info, Snapshot snapshot,
                         ValidateIndexState* state);

// Core is about to look for the chunk rows of so many values of a table's store, and of no other.
void expect_core_deletes(Oid store, int values);

// Called once, when the library is loaded.
void install_index_guard();

// ---- table_modify.cpp ------------------------------------------------------------------------
void tuple_insert(Relation rel, TupleTableSlot* slot, CommandId command, int options,
                  BulkInsertStateData* state);
void multi_insert(Relation rel, TupleTableSlot** slots, int count, CommandId command, int options,
                  BulkInsertStateData* state);
TM_Result tuple_lock(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot* slot,
                     CommandId command, LockTupleMode mode, LockWaitPolicy policy, uint8 flags,
                     TM_FailureData* failure);
TM_Result tuple_delete(Relation rel, ItemPointer tid, CommandId command, Snapshot snapshot,
                       Snapshot crosscheck, bool wait, TM_FailureData* failure,
                       bool changing_partition);

// ---- table_ddl.cpp ---------------------------------------------------------------------------
void relation_set_new_filenode(Relation rel, const RelFileNode* file, char persistence,
                               TransactionId* freeze_xid, MultiXactId* min_multi);
void relation_nontransactional_truncate(Relation rel);
void finish_bulk_insert(Relation rel, int options);
void relation_copy_data(Relation rel, const RelFileNode* file);
void relation_copy_for_cluster(Relation rel, Relation target, Relation index, bool use_sort,
                               TransactionId oldest_xmin, TransactionId* xid_cutoff,
                               MultiXactId* multi_cutoff, double* tuples, double* vacuumed,
                               double* recently_dead);
void relation_estimate_size(Relation rel, int32* widths, BlockNumber* pages, double* tuples,
                            double* all_visible);
uint64 relation_size(Relation rel, ForkNumber fork);

// ---- vacuum.cpp ------------------------------------------------------------------------------
void relation_vacuum(Relation rel, VacuumParams* params, BufferAccessStrategy strategy);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_STORE_AM_H_
