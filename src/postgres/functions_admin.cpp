// The SQL functions that make, change and look into stores (DESIGN section 2.2).

#include "engine/meta.h"
#include "engine/verify.h"
#include "engine/words.h"
#include "postgres/host.h"
#include "postgres/references.h"
#include "postgres/sql.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "utils/inval.h"
}

namespace {

using toaststore::check;
using toaststore::Code;
using toaststore::Entry;
using toaststore::execute;
using toaststore::NewRelation;
using toaststore::Options;
using toaststore::Right;
using toaststore::Status;
using toaststore::StoreHandle;
using toaststore::VerifyBeside;

struct OptionArguments {
  int32 direct_max;
  int32 extent_max;
  int32 chunk_bytes;
  const char* compression;
};

// 22023 where a value is out of its range.
void check_options(const OptionArguments& arguments) {
  Options options;
  options.direct_max = static_cast<uint32_t>(Max(arguments.direct_max, -1));
  options.extent_max = static_cast<uint32_t>(Max(arguments.extent_max, -1));
  options.chunk_bytes = static_cast<uint32_t>(Max(arguments.chunk_bytes, -1));
  toaststore::check_thresholds(options);
  toaststore::require_compression(arguments.compression);
}

// The constraint that holds the options (options.cpp).
const char* constraint_sql(const OptionArguments& arguments) {
  return psprintf(
      "CONSTRAINT toaststore_options CHECK (toaststore.options(direct_max => %d, "
      "extent_max => %d, chunk_bytes => %d, compression => %s))",
      arguments.direct_max, arguments.extent_max, arguments.chunk_bytes,
      quote_literal_cstr(arguments.compression));
}

// A NOT VALID constraint is dumped after the data; this one is true whatever the rows are.
void mark_validated(Oid relid) {
  const Oid id = get_relation_constraint_oid(relid, "toaststore_options", false);
  Relation catalog = table_open(ConstraintRelationId, RowExclusiveLock);
  HeapTuple tuple = SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(id));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for constraint %u", id);
  reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple))->convalidated = true;
  CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
  heap_freetuple(tuple);
  table_close(catalog, RowExclusiveLock);
  CacheInvalidateRelcacheByRelid(relid);
}

// The meta page's copy.
void note_compression(Oid relid, const char* compression) {
  CommandCounterIncrement();
  Relation rel = table_open(relid, NoLock);
  StoreHandle handle(rel, nullptr);
  handle.context().options.compression = toaststore::require_compression(compression);
  check(toaststore::store_compression(handle.context()), rel);
  handle.keep();
  table_close(rel, NoLock);
}

// What the constraint says, or else the store itself.
Options options_now(Relation named, Relation store) {
  const auto stated = toaststore::stated_options(named);
  if (stated) return *stated;
  StoreHandle handle(store, nullptr);
  const Status status = toaststore::load_hints(handle.context());
  if (!status.is(Code::kNotFound)) check(status, store);
  return handle.context().options;
}

char* compression_text(toaststore::Compression compression) {
  const char* name = toaststore::name_of(compression.codec);
  return compression.level == 0 ? pstrdup(name) : psprintf("%s:%d", name, compression.level);
}

// Rows of a set-returning function.
class Rows final : public toaststore::FaultSink {
 public:
  explicit Rows(ReturnSetInfo* info) : info_(info) {}

  void add(Datum* values, bool* nulls) {
    tuplestore_putvalues(info_->setResult, info_->setDesc, values, nulls);
  }
  Status report(const toaststore::Fault& fault) override {
    Datum values[3] = {Int64GetDatum(fault.block), Int64GetDatum(static_cast<int64>(fault.id)),
                       CStringGetTextDatum(fault.reason)};
    bool nulls[3] = {fault.block == toaststore::kNoBlock, fault.id == 0, false};
    add(values, nulls);
    return Status::Ok();
  }

 private:
  ReturnSetInfo* info_;
};

// Why cleaning would remove a value now, or null.
const char* why_removable(StoreHandle* handle, const Entry& entry) {
  toaststore::Xid holder;
  switch (handle->transactions().fate(entry.stamps(), &holder)) {
    case toaststore::Fate::kAbsent:
      return "rolled back";
    case toaststore::Fate::kDeleted:
      return handle->transactions().removable(entry.xmax) ? "deleted" : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(toaststore_options);
PG_FUNCTION_INFO_V1(toaststore_create_store);
PG_FUNCTION_INFO_V1(toaststore_alter_store);
PG_FUNCTION_INFO_V1(toaststore_info);
PG_FUNCTION_INFO_V1(toaststore_removable);
PG_FUNCTION_INFO_V1(toaststore_verify);

// options(direct_max int, extent_max int, chunk_bytes int, compression text) -> true, or 22023.
Datum toaststore_options(PG_FUNCTION_ARGS) {
  check_options({PG_GETARG_INT32(0), PG_GETARG_INT32(1), PG_GETARG_INT32(2),
                 text_to_cstring(PG_GETARG_TEXT_PP(3))});
  PG_RETURN_BOOL(true);
}

// create_store(name text, ...) -> regclass.  The name is read as CREATE TABLE reads it.
Datum toaststore_create_store(PG_FUNCTION_ARGS) {
  const OptionArguments arguments{PG_GETARG_INT32(1), PG_GETARG_INT32(2), PG_GETARG_INT32(3),
                                  text_to_cstring(PG_GETARG_TEXT_PP(4))};
  check_options(arguments);
  const NewRelation store(PG_GETARG_TEXT_PP(0));
  execute(
      psprintf("CREATE TABLE %s (id bigint, value pg_catalog.bytea NOT NULL, %s) "
               "USING toaststore_values",
               store.quoted(), constraint_sql(arguments)));
  PG_RETURN_OID(store.oid());
}

// alter_store(store regclass, compression text, direct_max int, extent_max int, chunk_bytes int) ->
// void; null: as it is.  Of a table with the access method toaststore its store is meant, and the
// constraint is the table's: no child's, for each has a store of its own.
Datum toaststore_alter_store(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  const Oid relid = PG_GETARG_OID(0);
  // On a standby the lock itself would fail, with a lesser reason.
  PreventCommandDuringRecovery("toaststore.alter_store()");
  Relation table;
  Relation store = toaststore::open_store_of(relid, AccessExclusiveLock, Right::kOwn, &table);
  Relation named = table != nullptr ? table : store;
  const Options now = options_now(named, store);
  const auto threshold = [&](int argument, uint32_t value) {
    return PG_ARGISNULL(argument) ? static_cast<int32>(value) : PG_GETARG_INT32(argument);
  };
  const OptionArguments arguments{
      threshold(2, now.direct_max), threshold(3, now.extent_max), threshold(4, now.chunk_bytes),
      PG_ARGISNULL(1) ? compression_text(now.compression) : text_to_cstring(PG_GETARG_TEXT_PP(1))};
  check_options(arguments);
  const char* quoted = toaststore::quoted_name(named);
  const Oid store_id = RelationGetRelid(store);
  const char* scope = table != nullptr ? " NO INHERIT" : "";
  table_close(store, NoLock);
  if (table != nullptr) table_close(table, NoLock);
  const bool there = OidIsValid(get_relation_constraint_oid(relid, "toaststore_options", true));
  execute(psprintf("ALTER TABLE %s %sADD %s%s NOT VALID", quoted,
                   there ? "DROP CONSTRAINT toaststore_options, " : "", constraint_sql(arguments),
                   scope));
  CommandCounterIncrement();
  mark_validated(relid);
  note_compression(store_id, arguments.compression);
  PG_RETURN_VOID();
}

// info(store regclass, id bigint) -> one row, or none where there is no such value.
Datum toaststore_info(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  Relation table;
  Relation rel = toaststore::open_store_of(PG_GETARG_OID(0), AccessShareLock, Right::kGet, &table);
  // A row vouches for the value of a table, not the snapshot.
  StoreHandle handle(rel, table == nullptr ? GetActiveSnapshot() : nullptr);
  const auto id = static_cast<uint64_t>(PG_GETARG_INT64(1));
  handle.transactions().note_read();
  Entry entry;
  const Status status = handle.store().lookup(id, &entry);
  if (!status.is(Code::kNotFound)) {
    check(status, rel, id);
    Datum values[6] = {CStringGetTextDatum(toaststore::name_of(entry.layout)),
                       Int64GetDatum(static_cast<int64>(entry.raw_bytes)),
                       Int64GetDatum(static_cast<int64>(entry.stored_bytes)),
                       CStringGetTextDatum(toaststore::name_of(entry.codec)),
                       Int64GetDatum(static_cast<int64>(handle.store().chunks(entry))),
                       Int64GetDatum(entry.pages)};
    bool nulls[6] = {};
    Rows(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo)).add(values, nulls);
  }
  handle.keep();
  table_close(rel, NoLock);
  if (table != nullptr) table_close(table, NoLock);
  return 0;
}

// removable(store regclass) -> (id, reason, raw_bytes, stored_bytes): what cleaning would remove
// now.
Datum toaststore_removable(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  Relation table;
  Relation rel = toaststore::open_store_of(PG_GETARG_OID(0), AccessShareLock, Right::kOwn, &table);
  StoreHandle handle(rel, nullptr);
  Rows rows(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
  auto* batch = static_cast<toaststore::LeafBatch*>(palloc(sizeof(toaststore::LeafBatch)));
  for (uint64_t from = 0; from != toaststore::kInfinity; from = batch->next) {
    CHECK_FOR_INTERRUPTS();
    check(toaststore::read_forward(handle.context(), from, batch), rel);
    for (uint16_t i = 0; i < batch->count; i++) {
      const Entry& entry = batch->entries[i];
      const char* reason = why_removable(&handle, entry);
      if (reason == nullptr) continue;
      Datum values[4] = {Int64GetDatum(static_cast<int64>(entry.id)), CStringGetTextDatum(reason),
                         Int64GetDatum(static_cast<int64>(entry.raw_bytes)),
                         Int64GetDatum(static_cast<int64>(entry.stored_bytes))};
      bool nulls[4] = {};
      rows.add(values, nulls);
    }
  }
  handle.keep();
  table_close(rel, NoLock);
  if (table != nullptr) table_close(table, NoLock);
  return 0;
}

// verify(store regclass, exact boolean) -> (block, id, fault), no row when healthy.  Exact, it
// waits until nobody writes and lets nobody write; no such lock can be had on a standby.
Datum toaststore_verify(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  const Oid relid = PG_GETARG_OID(0);
  const bool exact = PG_GETARG_BOOL(1);
  if (exact) PreventCommandDuringRecovery("toaststore.verify() with exact => true");
  const LOCKMODE lock_mode = exact ? ShareLock : AccessShareLock;
  Relation table;
  Relation rel = toaststore::open_store_of(relid, lock_mode, Right::kOwn, &table);
  StoreHandle handle(rel, nullptr);
  Rows rows(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo));
  const VerifyBeside beside = exact ? VerifyBeside::kNobody : VerifyBeside::kWriters;
  check(toaststore::verify(handle.context(), &rows, beside), rel);
  if (table != nullptr) toaststore::verify_references(table, rel, exact, &rows);
  table_close(rel, lock_mode);
  if (table != nullptr) table_close(table, lock_mode);
  return 0;
}
}
