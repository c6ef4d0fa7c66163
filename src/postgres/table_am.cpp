// The table access method toaststore_values: its routine, and what it does not do.

#include "postgres/store_am.h"

namespace toaststore {

void unsupported(Relation rel, const char* what, const char* hint) {
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("%s is not supported on toaststore \"%s\"", what, RelationGetRelationName(rel)),
           errhint("%s", hint)));
  pg_unreachable();
}

namespace {

constexpr char kUpdateHint[] = "Delete the value and put the new one, which gets an id of its own.";

// Offsets beyond those that tid_of() makes would name the ids of another block.
bool tuple_tid_valid(TableScanDesc scan, ItemPointer tid) {
  (void)scan;
  const OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(tid);
  return offset >= 1 && offset <= kTidOffsets;
}
// A value has one version.
void tuple_get_latest_tid(TableScanDesc scan, ItemPointer tid) { (void)scan, (void)tid; }
bool tuple_satisfies_snapshot(Relation rel, TupleTableSlot* slot, Snapshot snapshot) {
  StoreHandle handle(rel, snapshot);
  Entry entry;
  const Status status = handle.store().lookup(id_of(slot->tts_tid), &entry);
  if (!status.is(Code::kNotFound)) check(status, rel, id_of(slot->tts_tid));
  return status.ok();
}

void tuple_insert_speculative(Relation rel, TupleTableSlot* slot, CommandId command, int options,
                              BulkInsertStateData* state, uint32 token) {
  (void)slot, (void)command, (void)options, (void)state, (void)token;
  unsupported(rel, "ON CONFLICT", "Look the id up first with toaststore.length().");
}
void tuple_complete_speculative(Relation rel, TupleTableSlot* slot, uint32 token, bool succeeded) {
  (void)slot, (void)token, (void)succeeded;
  unsupported(rel, "ON CONFLICT", "Look the id up first with toaststore.length().");
}
TM_Result tuple_update(Relation rel, ItemPointer tid, TupleTableSlot* slot, CommandId command,
                       Snapshot snapshot, Snapshot crosscheck, bool wait, TM_FailureData* failure,
                       LockTupleMode* lock_mode, bool* update_indexes) {
  (void)tid, (void)slot, (void)command, (void)snapshot, (void)crosscheck, (void)wait;
  (void)failure, (void)lock_mode, (void)update_indexes;
  unsupported(rel, "UPDATE", kUpdateHint);
}
bool relation_needs_toast_table(Relation rel) {
  (void)rel;
  return false;
}
Oid relation_toast_am(Relation rel) { return rel->rd_rel->relam; }

bool scan_sample_next_block(TableScanDesc scan, SampleScanState* state) {
  (void)state;
  unsupported(scan->rs_rd, "TABLESAMPLE", "Sample the ids instead.");
}
bool scan_sample_next_tuple(TableScanDesc scan, SampleScanState* state, TupleTableSlot* slot) {
  (void)state, (void)slot;
  unsupported(scan->rs_rd, "TABLESAMPLE", "Sample the ids instead.");
}

constexpr TableAmRoutine make_routine() {
  TableAmRoutine am{};
  am.type = T_TableAmRoutine;
  am.slot_callbacks = slot_callbacks;
  am.scan_begin = scan_begin;
  am.scan_end = scan_end;
  am.scan_rescan = scan_rescan;
  am.scan_getnextslot = scan_getnextslot;
  am.parallelscan_estimate = parallelscan_estimate;
  am.parallelscan_initialize = parallelscan_initialize;
  am.parallelscan_reinitialize = parallelscan_reinitialize;
  am.index_fetch_begin = index_fetch_begin;
  am.index_fetch_reset = index_fetch_reset;
  am.index_fetch_end = index_fetch_end;
  am.index_fetch_tuple = index_fetch_tuple;
  am.tuple_fetch_row_version = tuple_fetch_row_version;
  am.tuple_tid_valid = tuple_tid_valid;
  am.tuple_get_latest_tid = tuple_get_latest_tid;
  am.tuple_satisfies_snapshot = tuple_satisfies_snapshot;
  am.index_delete_tuples = index_delete_tuples;
  am.tuple_insert = tuple_insert;
  am.tuple_insert_speculative = tuple_insert_speculative;
  am.tuple_complete_speculative = tuple_complete_speculative;
  am.multi_insert = multi_insert;
  am.tuple_delete = tuple_delete;
  am.tuple_update = tuple_update;
  am.tuple_lock = tuple_lock;
  am.finish_bulk_insert = finish_bulk_insert;
  am.relation_set_new_filenode = relation_set_new_filenode;
  am.relation_nontransactional_truncate = relation_nontransactional_truncate;
  am.relation_copy_data = relation_copy_data;
  am.relation_copy_for_cluster = relation_copy_for_cluster;
  am.relation_vacuum = relation_vacuum;
  am.scan_analyze_next_block = scan_analyze_next_block;
  am.scan_analyze_next_tuple = scan_analyze_next_tuple;
  am.index_build_range_scan = index_build_range_scan;
  am.index_validate_scan = index_validate_scan;
  am.relation_size = relation_size;
  am.relation_needs_toast_table = relation_needs_toast_table;
  am.relation_toast_am = relation_toast_am;
  am.relation_fetch_toast_slice = relation_fetch_toast_slice;
  am.relation_estimate_size = relation_estimate_size;
  am.scan_sample_next_block = scan_sample_next_block;
  am.scan_sample_next_tuple = scan_sample_next_tuple;
  return am;
}

}  // namespace

constinit const TableAmRoutine store_routine = make_routine();

}  // namespace toaststore

extern "C" {

PG_FUNCTION_INFO_V1(toaststore_values_handler);

Datum toaststore_values_handler(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  PG_RETURN_POINTER(&toaststore::store_routine);
}
}
