// The SQL functions on maps: values by name (DESIGN section 2.3).
//
// A map is a table, and these functions are short for SQL on it, run as the caller: rights, row
// security, triggers, locks and uniqueness are the table's own.  The table's name is put into the
// statements, which name nothing else that a search path could lead astray.

#include "postgres/sql.h"

extern "C" {
#include "executor/spi.h"
#include "utils/portal.h"
}

namespace {

// How many rows map_scan takes from the table at once.
constexpr long kScanBatch = 1000;

[[noreturn]] void not_a_map(const char* name) {
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a map", name),
                  errhint("Create one with toaststore.create_map().")));
  pg_unreachable();
}

bool has_column(Oid relid, const char* name, Oid type) {
  const AttrNumber number = get_attnum(relid, name);
  return number != InvalidAttrNumber && get_atttype(relid, number) == type;
}

// The map as it is named in a statement.  The lock is the one that the statement takes, taken here
// so that the name stays its name.
const char* map_name(Oid relid, LOCKMODE lock_mode) {
  Relation map = try_table_open(relid, lock_mode);
  if (map == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                    errmsg("relation with OID %u does not exist", relid)));
  }
  if (!has_column(relid, "key", TEXTOID) || !has_column(relid, "value", BYTEAOID) ||
      !has_column(relid, "stored_at", TIMESTAMPTZOID)) {
    not_a_map(RelationGetRelationName(map));
  }
  const char* quoted = toaststore::quoted_name(map);
  table_close(map, NoLock);
  return quoted;
}

// Within a connection to SPI.  A STABLE function reads what its caller's statement reads.
class Spi {
 public:
  Spi() : caller_(CurrentMemoryContext) {
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  }
  Spi(const Spi&) = delete;
  Spi& operator=(const Spi&) = delete;
  ~Spi() { SPI_finish(); }

  // Returns the number of rows.
  static uint64 run(const char* sql, int count, Oid* types, Datum* arguments, bool read_only) {
    const int result = SPI_execute_with_args(sql, count, types, arguments, nullptr, read_only, 0);
    if (result < 0) elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
    return SPI_processed;
  }

  // The first column of the first row, in the caller's memory: a long value as a pointer to it, of
  // which a caller that wants a part reads a part.
  Datum value(bool* is_null) const {
    const Datum datum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, is_null);
    if (*is_null) return 0;
    MemoryContext context = MemoryContextSwitchTo(caller_);
    const Datum copy = datumCopy(datum, false, -1);
    MemoryContextSwitchTo(context);
    return copy;
  }

 private:
  MemoryContext caller_;
};

// Inserts or replaces; tells how many keys were new.  The row that ON CONFLICT replaces is locked
// first, and its new version carries the locker's id: only a new row has no xmax.
constexpr char kSet[] =
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, stored_at = excluded.stored_at"
    " RETURNING map.xmax OPERATOR(pg_catalog.=) '0'::pg_catalog.xid";

uint64 count_new() {
  uint64 count = 0;
  for (uint64 i = 0; i < SPI_processed; i++) {
    bool is_null;
    if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null))) {
      count++;
    }
  }
  return count;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(toaststore_create_map);
PG_FUNCTION_INFO_V1(toaststore_map_set);
PG_FUNCTION_INFO_V1(toaststore_map_set_many);
PG_FUNCTION_INFO_V1(toaststore_map_get);
PG_FUNCTION_INFO_V1(toaststore_map_delete);
PG_FUNCTION_INFO_V1(toaststore_map_scan);

// create_map(name text) -> regclass.  The name is read as CREATE TABLE reads it.
Datum toaststore_create_map(PG_FUNCTION_ARGS) {
  const toaststore::NewRelation map(PG_GETARG_TEXT_PP(0));
  toaststore::execute(
      psprintf("CREATE TABLE %s (key pg_catalog.text COLLATE pg_catalog.\"C\" PRIMARY KEY, "
               "value pg_catalog.bytea NOT NULL, "
               "stored_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()) "
               "USING toaststore",
               map.quoted()));
  PG_RETURN_OID(map.oid());
}

// map_set(map regclass, key text, value bytea) -> boolean: was the key new?
Datum toaststore_map_set(PG_FUNCTION_ARGS) {
  const char* map = map_name(PG_GETARG_OID(0), RowExclusiveLock);
  Oid types[2] = {TEXTOID, BYTEAOID};
  Datum arguments[2] = {PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
  const Spi spi;
  Spi::run(psprintf("INSERT INTO %s AS map (key, value, stored_at) "
                    "VALUES ($1, $2, pg_catalog.now())%s",
                    map, kSet),
           2, types, arguments, false);
  PG_RETURN_BOOL(count_new() > 0);
}

// map_set_many(map regclass, keys text[], values bytea[]) -> bigint: how many keys were new.  Keys
// are taken in their order, so that concurrent calls wait for each other and do not deadlock; of
// one that comes twice the last value counts.
Datum toaststore_map_set_many(PG_FUNCTION_ARGS) {
  ArrayType* keys = PG_GETARG_ARRAYTYPE_P(1);
  ArrayType* values = PG_GETARG_ARRAYTYPE_P(2);
  const int key_count = ArrayGetNItems(ARR_NDIM(keys), ARR_DIMS(keys));
  const int value_count = ArrayGetNItems(ARR_NDIM(values), ARR_DIMS(values));
  if (key_count != value_count) {
    ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
                    errmsg("there are %d keys for %d values", key_count, value_count)));
  }
  const char* map = map_name(PG_GETARG_OID(0), RowExclusiveLock);
  Oid types[2] = {TEXTARRAYOID, BYTEAARRAYOID};
  Datum arguments[2] = {PointerGetDatum(keys), PointerGetDatum(values)};
  const Spi spi;
  Spi::run(psprintf("INSERT INTO %s AS map (key, value, stored_at) "
                    "SELECT DISTINCT ON (k COLLATE pg_catalog.\"C\") k, v, pg_catalog.now() "
                    "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) "
                    "WITH ORDINALITY AS given (k, v, n) "
                    "ORDER BY k COLLATE pg_catalog.\"C\", n DESC%s",
                    map, kSet),
           2, types, arguments, false);
  PG_RETURN_INT64(static_cast<int64>(count_new()));
}

// map_get(map regclass, key text) -> bytea, or null where there is no such key.
Datum toaststore_map_get(PG_FUNCTION_ARGS) {
  const char* map = map_name(PG_GETARG_OID(0), AccessShareLock);
  Oid types[1] = {TEXTOID};
  Datum arguments[1] = {PG_GETARG_DATUM(1)};
  const Spi spi;
  bool is_null = true;
  Datum result = 0;
  if (Spi::run(psprintf("SELECT value FROM %s WHERE key OPERATOR(pg_catalog.=) $1", map), 1, types,
               arguments, true) > 0) {
    result = spi.value(&is_null);
  }
  if (is_null) PG_RETURN_NULL();
  return result;
}

// map_delete(map regclass, key text) -> boolean: was it there?
Datum toaststore_map_delete(PG_FUNCTION_ARGS) {
  const char* map = map_name(PG_GETARG_OID(0), RowExclusiveLock);
  Oid types[1] = {TEXTOID};
  Datum arguments[1] = {PG_GETARG_DATUM(1)};
  const Spi spi;
  PG_RETURN_BOOL(Spi::run(psprintf("DELETE FROM %s WHERE key OPERATOR(pg_catalog.=) $1", map), 1,
                          types, arguments, false) > 0);
}

// map_scan(map regclass, from_key text, to_key text) -> the rows with keys in [from_key, to_key)
// in the order of keys; null: no bound.  The rows carry pointers to long values, so that nothing
// but what somebody looks at is read.
Datum toaststore_map_scan(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  if (PG_ARGISNULL(0)) return 0;
  const auto* rows = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  const char* map = map_name(PG_GETARG_OID(0), AccessShareLock);
  Oid types[2] = {TEXTOID, TEXTOID};
  Datum arguments[2] = {PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
  const char nulls[2] = {PG_ARGISNULL(1) ? 'n' : ' ', PG_ARGISNULL(2) ? 'n' : ' '};
  const char* from = PG_ARGISNULL(1) ? "" : " AND key OPERATOR(pg_catalog.>=) $1";
  const char* to = PG_ARGISNULL(2) ? "" : " AND key OPERATOR(pg_catalog.<) $2";
  const Spi spi;
  Portal portal = SPI_cursor_open_with_args(
      nullptr,
      psprintf("SELECT key, value, stored_at FROM %s WHERE true%s%s ORDER BY key", map, from, to),
      2, types, arguments, nulls, true, CURSOR_OPT_NO_SCROLL);
  do {
    SPI_cursor_fetch(portal, true, kScanBatch);
    for (uint64 i = 0; i < SPI_processed; i++) {
      Datum columns[3];
      bool is_null[3];
      heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, is_null);
      tuplestore_putvalues(rows->setResult, rows->setDesc, columns, is_null);
    }
    SPI_freetuptable(SPI_tuptable);
  } while (SPI_processed > 0);
  SPI_cursor_close(portal);
  return 0;
}
}
