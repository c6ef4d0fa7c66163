// The table access method toaststore: heap, with the large values of its rows in a store.
//
// Rows, their pages, visibility, locks and VACUUM are heap's own code.  What differs is where a row
// is written or deleted, and the few places in which heap's callbacks insist on heap's own routine.

#include "postgres/heap_am.h"

namespace toaststore {

namespace {

// Reading large values comes through the access method of the TOAST table.
Oid relation_toast_am(Relation rel) {
  (void)rel;
  return get_am_oid(kAccessMethod, false);
}

TableAmRoutine routine;

const TableAmRoutine* heap_routine() {
  if (routine.type == T_TableAmRoutine) return &routine;
  TableAmRoutine am = *GetHeapamTableAmRoutine();
  am.tuple_insert = heap_tuple_insert;
  am.tuple_insert_speculative = heap_tuple_insert_speculative;
  am.tuple_complete_speculative = heap_tuple_complete_speculative;
  am.multi_insert = heap_multi_insert_rows;
  am.tuple_delete = heap_tuple_delete;
  am.tuple_update = heap_tuple_update;
  am.index_build_range_scan = heap_index_build_range_scan;
  am.index_validate_scan = heap_index_validate_scan;
  am.relation_copy_for_cluster = heap_relation_copy_for_cluster;
  am.relation_toast_am = relation_toast_am;
  routine = am;
  return &routine;
}

}  // namespace

bool is_table(Relation rel) { return rel->rd_tableam == &routine; }

}  // namespace toaststore

extern "C" {

PG_FUNCTION_INFO_V1(toaststore_handler);

Datum toaststore_handler(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  PG_RETURN_POINTER(toaststore::heap_routine());
}
}
