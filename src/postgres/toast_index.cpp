// The index that core makes on every pg_toast relation, which stays empty where that is a store;
// and what follows from it: by-id stores have no index at all.
//
// Core's own toaster writes chunk rows with heap_insert(), whatever the access method of the
// relation: on a store they would land between the pages of values.  Our tables leave it nothing to
// write (toaster.cpp).  Should it come to it all the same, by a table whose catalog entry was
// changed by hand or by a mistake of ours, it is stopped here: before it writes a value it looks
// the new id up in the index, and that asks the store to begin a fetch.

#include "postgres/store_am.h"

extern "C" {
#include "optimizer/plancat.h"
}

namespace toaststore {

namespace {

// Looks that core may take before it is taken for a writer.
struct ExpectedLooks {
  Oid store;
  int left;
};
ExpectedLooks expected_looks{InvalidOid, 0};

[[noreturn]] void no_index(Relation rel) { unsupported(rel, "an index", kIndexHint); }

}  // namespace

void expect_core_deletes(Oid store, int values) { expected_looks = {store, values}; }

IndexFetchTableData* index_fetch_begin(Relation rel) {
  if (kind_of(rel) != StoreKind::kToast) no_index(rel);
  if (expected_looks.store != RelationGetRelid(rel) || expected_looks.left == 0) {
    ereport(
        ERROR,
        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
         errmsg("the server's own toaster cannot write to toaststore \"%s\"",
                RelationGetRelationName(rel)),
         errdetail("Its rows would come between the values."),
         errhint("A table and its TOAST table must have access methods that belong together.")));
  }
  expected_looks.left--;
  auto* data = static_cast<IndexFetchTableData*>(palloc0(sizeof(IndexFetchTableData)));
  data->rel = rel;
  return data;
}

void index_fetch_reset(IndexFetchTableData* data) { (void)data; }

void index_fetch_end(IndexFetchTableData* data) { pfree(data); }

bool index_fetch_tuple(IndexFetchTableData* data, ItemPointer tid, Snapshot snapshot,
                       TupleTableSlot* slot, bool* call_again, bool* all_dead) {
  (void)tid, (void)snapshot, (void)slot, (void)call_again, (void)all_dead;
  no_index(data->rel);
}

TransactionId index_delete_tuples(Relation rel, TM_IndexDeleteOp* state) {
  (void)state;
  no_index(rel);
}

double index_build_range_scan(Relation rel, Relation index, IndexInfo* info, bool allow_sync,
                              bool any_visible, bool progress, BlockNumber start,
                              BlockNumber blocks, IndexBuildCallback callback, void* state,
                              TableScanDesc scan) {
  (void)index, (void)info, (void)allow_sync, (void)any_visible, (void)progress, (void)start;
  (void)blocks, (void)callback, (void)state;
  if (kind_of(rel) != StoreKind::kToast) no_index(rel);
  if (scan != nullptr) table_endscan(scan);
  return 0;
}

void index_validate_scan(Relation rel, Relation index, IndexInfo* info, Snapshot snapshot,
                         ValidateIndexState* state) {
  (void)index, (void)info, (void)snapshot, (void)state;
  if (kind_of(rel) != StoreKind::kToast) no_index(rel);
}

namespace {

// An error may have come between the promise of deletes and the deletes.
void forget_looks_of_transaction(XactEvent event, void* argument) {
  (void)event, (void)argument;
  expected_looks = {InvalidOid, 0};
}
void forget_looks(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
                  void* argument) {
  (void)event, (void)id, (void)parent, (void)argument;
  expected_looks = {InvalidOid, 0};
}

get_relation_info_hook_type next_hook = nullptr;

// Who reads a pg_toast relation by hand must not be led to the empty index.
void hide_index(PlannerInfo* root, Oid relid, bool inherits, RelOptInfo* rel) {
  if (next_hook != nullptr) next_hook(root, relid, inherits, rel);
  if (rel->indexlist == NIL) return;
  Relation relation = table_open(relid, NoLock);
  if (is_store(relation)) rel->indexlist = NIL;
  table_close(relation, NoLock);
}

}  // namespace

void install_index_guard() {
  RegisterXactCallback(forget_looks_of_transaction, nullptr);
  RegisterSubXactCallback(forget_looks, nullptr);
  next_hook = get_relation_info_hook;
  get_relation_info_hook = hide_index;
}

}  // namespace toaststore
