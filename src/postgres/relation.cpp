// Opening a store, and what a backend remembers of it between calls.

#include <new>

#include "postgres/host.h"

namespace toaststore {

// Kept in the relation cache (rd_amcache), which drops it with every invalidation.  It is copied in
// and out of a handle, so that an invalidation in the middle of a call takes nothing away.
struct StoreCache {
  RelFileNode file;  // the incarnation it speaks of
  Options options;
  Hints hints;
  Block blocks;
  Restrictions restrictions;  // change only under a lock that no user of the cache lets through
};

namespace {

StoreCache cache_of(Relation rel) {
  if (rel->rd_amcache != nullptr) {
    StoreCache cache = *static_cast<StoreCache*>(rel->rd_amcache);
    if (RelFileNodeEquals(cache.file, rel->rd_node)) return cache;
    forget_store(rel);
  }
  check_columns(rel);
  StoreCache cache{};
  cache.file = rel->rd_node;
  cache.options = catalog_options(rel);
  cache.restrictions = catalog_restrictions(rel);
  return cache;
}

}  // namespace

StoreHandle::StoreHandle(Relation rel, Snapshot snapshot)
    : StoreHandle(rel, snapshot, cache_of(rel)) {}

StoreHandle::StoreHandle(Relation rel, Snapshot snapshot, const StoreCache& cache)
    : rel_(rel),
      hints_(cache.hints),
      pager_(rel, cache.blocks),
      transactions_(rel, snapshot),
      // A page that came in although its checksum failed proves nothing.
      context_{pager_,
               transactions_,
               memory_,
               hints_,
               cache.options,
               DataChecksumsEnabled() && !ignore_checksum_failure ? Proof::kWhenDecoded
                                                                  : Proof::kAlways},
      store_(context_),
      has_checks_(cache.restrictions.has_checks),
      binds_id_(cache.restrictions.binds_id) {}

void StoreHandle::keep() {
  if (rel_->rd_amcache == nullptr) {
    rel_->rd_amcache = MemoryContextAlloc(CacheMemoryContext, sizeof(StoreCache));
  }
  // On a standby replay shortens the file, and tells nobody who looks here.
  const Block blocks = RecoveryInProgress() ? 0 : pager_.known_blocks();
  new (rel_->rd_amcache)
      StoreCache{rel_->rd_node, context_.options, hints_, blocks, {has_checks_, binds_id_}};
}

void forget_store(Relation rel) {
  if (rel->rd_amcache != nullptr) pfree(rel->rd_amcache);
  rel->rd_amcache = nullptr;
}

void forget_store_everywhere(Relation rel) {
  SharedInvalidationMessage message;
  message.rc.id = SHAREDINVALRELCACHE_ID;
  message.rc.dbId = rel->rd_rel->relisshared ? InvalidOid : MyDatabaseId;
  message.rc.relId = RelationGetRelid(rel);
  SendSharedInvalidMessages(&message, 1);
}

bool is_store(Relation rel) { return rel->rd_tableam == &store_routine; }

namespace {

[[noreturn]] void not_a_store(const char* name, bool table) {
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a toaststore", name),
                  table ? errdetail("It is a table whose large values are in a store.") : 0,
                  table ? errhint("Read and change its rows with SQL.")
                        : errhint("Create one with toaststore.create_store().")));
  pg_unreachable();
}

[[noreturn]] void not_there(Oid relid) {
  ereport(ERROR,
          (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relid)));
  pg_unreachable();
}

// As the statement that a function stands for: SELECT of a value by its id looks at both columns,
// INSERT gives the value only.
bool may(Oid relid, Right right) {
  const Oid role = GetUserId();
  const AclMode mode = right == Right::kGet   ? ACL_SELECT
                       : right == Right::kPut ? ACL_INSERT
                                              : ACL_DELETE;
  if (pg_class_aclcheck(relid, role, mode) == ACLCHECK_OK) return true;
  if (right == Right::kDelete) return false;
  if (pg_attribute_aclcheck(relid, 2, role, mode) != ACLCHECK_OK) return false;
  return right == Right::kPut || pg_attribute_aclcheck(relid, 1, role, mode) == ACLCHECK_OK;
}

// May a table be named in the place of its store?
enum class Naming : uint8_t { kStore, kStoreOrTable };

bool is_named_well(Oid method, Naming naming) {
  if (!OidIsValid(method)) return false;
  if (method == get_am_oid(kAccessMethod, false)) return true;
  return naming == Naming::kStoreOrTable && method == get_am_oid(kTableAccessMethod, false);
}

// What can be known of a relation without a lock on it: whoever may not use a store must not make
// others wait behind the lock either.
void check_right(Oid relid, Right right, Naming naming) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) not_there(relid);
  const auto* form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
  const char* name = pstrdup(NameStr(form->relname));
  const char kind = form->relkind;
  const Oid method = form->relam;
  ReleaseSysCache(tuple);
  if (!is_named_well(method, naming)) {
    not_a_store(name, is_named_well(method, Naming::kStoreOrTable));
  }
  if (right == Right::kOwn) {
    if (!pg_class_ownercheck(relid, GetUserId())) {
      aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(kind), name);
    }
    return;
  }
  if (!may(relid, right)) aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(kind), name);
}

Relation open_named(Oid relid, LOCKMODE lock_mode, Right right, Naming naming) {
  check_right(relid, right, naming);
  const uint64 seen = SharedInvalidMessageCounter;
  Relation rel = try_relation_open(relid, lock_mode);
  // Whoever was waited for may have dropped the store or taken the right away.
  if (rel == nullptr) not_there(relid);
  if (SharedInvalidMessageCounter != seen) check_right(relid, right, naming);
  if (!is_named_well(rel->rd_rel->relam, naming)) {
    not_a_store(RelationGetRelationName(rel), is_table(rel));
  }
  if (right != Right::kOwn && check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED) {
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("row security applies to toaststore \"%s\"", RelationGetRelationName(rel)),
             errdetail("The functions by id cannot apply a policy."),
             errhint("Use SELECT, INSERT and DELETE instead.")));
  }
  return rel;
}

bool names_table(Oid relid) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) return false;
  const Oid method = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relam;
  ReleaseSysCache(tuple);
  return OidIsValid(method) && method == get_am_oid(kTableAccessMethod, false);
}

}  // namespace

Relation open_store(Oid relid, LOCKMODE lock_mode, Right right) {
  return open_named(relid, lock_mode, right, Naming::kStore);
}

Relation open_store_of(Oid relid, LOCKMODE lock_mode, Right right, Relation* table) {
  *table = nullptr;
  LOCKMODE named_mode = lock_mode;
  if (lock_mode == ShareUpdateExclusiveLock && names_table(relid)) named_mode = AccessShareLock;
  Relation rel = open_named(relid, named_mode, right, Naming::kStoreOrTable);
  if (is_store(rel)) return rel;
  if (!OidIsValid(rel->rd_rel->reltoastrelid)) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("table \"%s\" has no store", RelationGetRelationName(rel)),
                    errdetail("None of its columns can have large values.")));
  }
  *table = rel;
  return table_open(rel->rd_rel->reltoastrelid, lock_mode);
}

StoreKind kind_of(Relation rel) {
  TupleDesc columns = RelationGetDescr(rel);
  const bool toast = columns->natts >= 1 && TupleDescAttr(columns, 0)->atttypid == OIDOID;
  return toast ? StoreKind::kToast : StoreKind::kById;
}

void check_columns(Relation rel) {
  TupleDesc columns = RelationGetDescr(rel);
  if (columns->natts == 3 && TupleDescAttr(columns, 0)->atttypid == OIDOID &&
      TupleDescAttr(columns, 1)->atttypid == INT4OID &&
      TupleDescAttr(columns, 2)->atttypid == BYTEAOID && IsToastRelation(rel)) {
    return;
  }
  bool sound = columns->natts >= 2 && TupleDescAttr(columns, 0)->atttypid == INT8OID &&
               TupleDescAttr(columns, 1)->atttypid == BYTEAOID;
  // A column added by mistake is undone by dropping it.
  for (int i = 2; i < columns->natts; i++) {
    sound = sound && TupleDescAttr(columns, i)->attisdropped;
  }
  if (sound) return;
  ereport(ERROR, (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
                  errmsg("toaststore \"%s\" must have exactly the columns (id bigint, value bytea)",
                         RelationGetRelationName(rel)),
                  errhint("Create stores with toaststore.create_store(), and keep other columns in "
                          "a table of your own that refers to the id.")));
}

namespace {

// Constraints, triggers and the rest that INSERT and DELETE obey.
const char* beyond_functions(const StoreHandle& handle) {
  Relation rel = handle.rel();
  if (rel->rd_rel->relkind != RELKIND_RELATION) return "is not a plain table";
  if (rel->rd_rel->relispartition) return "is a partition";
  if (rel->trigdesc != nullptr) return "has triggers or foreign keys";
  if (rel->rd_rules != nullptr) return "has rules";
  if (handle.has_checks()) return "has check constraints";
  return nullptr;
}

}  // namespace

void check_writable(const StoreHandle& handle, const char* function) {
  Relation rel = handle.rel();
  PreventCommandDuringRecovery(function);
  PreventCommandIfParallelMode(function);
  if (!rel->rd_islocaltemp) PreventCommandIfReadOnly(function);
  const char* reason = beyond_functions(handle);
  if (reason != nullptr) {
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("%s cannot change toaststore \"%s\"", function, RelationGetRelationName(rel)),
             errdetail("It %s, which the functions by id cannot obey.", reason),
             errhint("Use INSERT and DELETE instead.")));
  }
}

}  // namespace toaststore
