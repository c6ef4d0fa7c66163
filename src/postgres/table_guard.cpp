// Columns and indexes that a store cannot have: the commands that would make or drop them fail
// before they change anything.
//
// The server asks no table access method about them.  But to open a store is to have this library
// loaded, so its object access hook sees each such command on one.

#include "postgres/store_am.h"
#include "postgres/work_list.h"

extern "C" {
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "utils/fmgroids.h"
}

namespace toaststore {

namespace {

object_access_hook_type next_hook = nullptr;

// Is it a store by id?  Those behind tables are in the hands of the server.
bool names_store(Oid relid) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) return false;
  const auto* form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
  const Oid method = form->relam;
  const bool toast = IsToastNamespace(form->relnamespace);
  ReleaseSysCache(tuple);
  return !toast && OidIsValid(method) && method == get_am_oid(kAccessMethod, true);
}

// The table of an index that was made by the command under way, or nothing where it is no index.
Oid table_of_new_index(Oid index) {
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_index_indexrelid, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(index));
  Relation catalog = table_open(IndexRelationId, AccessShareLock);
  SysScanDesc scan = systable_beginscan(catalog, IndexRelidIndexId, true, SnapshotSelf, 1, &key);
  HeapTuple tuple = systable_getnext(scan);
  const Oid table = HeapTupleIsValid(tuple)
                        ? reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple))->indrelid
                        : InvalidOid;
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return table;
}

void guard(Oid relid, const char* what, const char* hint) {
  if (!names_store(relid)) return;
  Relation rel = table_open(relid, NoLock);
  unsupported(rel, what, hint);
}

// The column of an identity is also dropped by itself where the whole table goes. Only ALTER TABLE
// has the table open, or one that it inherits from.
bool being_altered(Oid relid) {
  check_stack_depth();
  Relation rel = RelationIdGetRelation(relid);
  if (!RelationIsValid(rel)) return false;
  bool altered = rel->rd_refcnt > 1;
  RelationClose(rel);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(relid));
  Relation catalog = table_open(InheritsRelationId, AccessShareLock);
  SysScanDesc scan = systable_beginscan(catalog, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
  HeapTuple tuple;
  while (!altered && HeapTupleIsValid(tuple = systable_getnext(scan))) {
    altered = being_altered(reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple))->inhparent);
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return altered;
}

void on_access(ObjectAccessType access, Oid catalog, Oid object, int column, void* argument) {
  if (next_hook != nullptr) next_hook(access, catalog, object, column, argument);
  if (catalog == DatabaseRelationId && access == OAT_POST_CREATE) note_new_database(object);
  if (catalog != RelationRelationId) return;
  if (access == OAT_POST_CREATE && column > 0) {
    guard(object, "ADD COLUMN", "Keep other columns in a table of your own that refers to the id.");
  } else if (access == OAT_POST_CREATE) {
    const Oid table = table_of_new_index(object);
    if (OidIsValid(table)) guard(table, "an index", kIndexHint);
  } else if (access == OAT_DROP && (column == 1 || column == 2) && being_altered(object)) {
    guard(object, "DROP COLUMN", "A store consists of ids and values.");
  }
}

}  // namespace

void install_guard() {
  next_hook = object_access_hook;
  object_access_hook = on_access;
}

}  // namespace toaststore
