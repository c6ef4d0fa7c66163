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
      context_{pager_, transactions_, memory_, hints_, cache.options, !DataChecksumsEnabled()},
      store_(context_) {}

void StoreHandle::keep() {
  if (rel_->rd_amcache == nullptr) {
    rel_->rd_amcache = MemoryContextAlloc(CacheMemoryContext, sizeof(StoreCache));
  }
  new (rel_->rd_amcache) StoreCache{rel_->rd_node, context_.options, hints_, pager_.known_blocks()};
}

void forget_store(Relation rel) {
  if (rel->rd_amcache != nullptr) pfree(rel->rd_amcache);
  rel->rd_amcache = nullptr;
}

bool is_store(Relation rel) { return rel->rd_tableam == &store_routine; }

Relation open_store(Oid relid, LOCKMODE lock_mode, AclMode required) {
  Relation rel = relation_open(relid, lock_mode);
  if (!is_store(rel)) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("\"%s\" is not a toaststore", RelationGetRelationName(rel)),
                    errhint("Create one with toaststore.create_store().")));
  }
  if (required == ACL_NO_RIGHTS) return rel;  // the caller checks ownership
  const AclResult result = pg_class_aclcheck(relid, GetUserId(), required);
  if (result != ACLCHECK_OK) {
    aclcheck_error(result, get_relkind_objtype(rel->rd_rel->relkind), RelationGetRelationName(rel));
  }
  if (check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED) {
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("row security applies to toaststore \"%s\"", RelationGetRelationName(rel)),
             errdetail("The functions by id cannot apply a policy."),
             errhint("Use SELECT, INSERT and DELETE instead.")));
  }
  return rel;
}

void check_columns(Relation rel) {
  TupleDesc columns = RelationGetDescr(rel);
  if (columns->natts == 2 && TupleDescAttr(columns, 0)->atttypid == INT8OID &&
      TupleDescAttr(columns, 1)->atttypid == BYTEAOID) {
    return;
  }
  ereport(ERROR, (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
                  errmsg("toaststore \"%s\" must have exactly the columns (id bigint, value bytea)",
                         RelationGetRelationName(rel)),
                  errhint("Create stores with toaststore.create_store(), and keep other columns in "
                          "a table of your own that refers to the id.")));
}

void check_writable(Relation rel, const char* function) {
  PreventCommandDuringRecovery(function);
  PreventCommandIfParallelMode(function);
  if (!rel->rd_islocaltemp) PreventCommandIfReadOnly(function);
}

}  // namespace toaststore
