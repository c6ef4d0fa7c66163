// The callbacks of the table access method toaststore that are not heap's own, by file.

#ifndef TOASTSTORE_POSTGRES_HEAP_AM_H_
#define TOASTSTORE_POSTGRES_HEAP_AM_H_

#include "postgres/host.h"

namespace toaststore {

// ---- heap_modify.cpp -------------------------------------------------------------------------
void heap_tuple_insert(Relation rel, TupleTableSlot* slot, CommandId command, int options,
                       BulkInsertStateData* state);
void heap_tuple_insert_speculative(Relation rel, TupleTableSlot* slot, CommandId command,
                                   int options, BulkInsertStateData* state, uint32 token);
void heap_tuple_complete_speculative(Relation rel, TupleTableSlot* slot, uint32 token,
                                     bool succeeded);
void heap_multi_insert_rows(Relation rel, TupleTableSlot** slots, int count, CommandId command,
                            int options, BulkInsertStateData* state);
TM_Result heap_tuple_delete(Relation rel, ItemPointer tid, CommandId command, Snapshot snapshot,
                            Snapshot crosscheck, bool wait, TM_FailureData* failure,
                            bool changing_partition);
TM_Result heap_tuple_update(Relation rel, ItemPointer tid, TupleTableSlot* slot, CommandId command,
                            Snapshot snapshot, Snapshot crosscheck, bool wait,
                            TM_FailureData* failure, LockTupleMode* lock_mode,
                            bool* update_indexes);

// ---- heap_index_build.cpp --------------------------------------------------------------------
double heap_index_build_range_scan(Relation table, Relation index, IndexInfo* info, bool allow_sync,
                                   bool any_visible, bool progress, BlockNumber start,
                                   BlockNumber blocks, IndexBuildCallback callback, void* state,
                                   TableScanDesc scan);

// ---- heap_index_validate.cpp -----------------------------------------------------------------
void heap_index_validate_scan(Relation table, Relation index, IndexInfo* info, Snapshot snapshot,
                              ValidateIndexState* state);

// ---- heap_rewrite.cpp ------------------------------------------------------------------------
void heap_relation_copy_for_cluster(Relation table, Relation target, Relation index, bool use_sort,
                                    TransactionId oldest_xmin, TransactionId* xid_cutoff,
                                    MultiXactId* multi_cutoff, double* tuples, double* vacuumed,
                                    double* recently_dead);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_HEAP_AM_H_
