// The SQL functions on maps: values by name (DESIGN section 2.3).
//
// A map is a table, and these functions are short for SQL on it, run as the caller: rights, row
// security, triggers, locks and uniqueness are the table's own.  The table's name is put into the
// statements, which name nothing else that a search path could lead astray.

#include <initializer_list>
#include <new>

#include "postgres/sql.h"

extern "C" {
#include "catalog/objectaddress.h"
#include "executor/spi.h"
}

namespace {

// How many rows map_scan takes from the table at once: few at first, for somebody may want no more.
constexpr uint64 kFirstRows = 8;
constexpr uint64 kMostRows = 256;

[[noreturn]] void not_a_map(const char* name) {
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a map", name),
                  errhint("Create one with toaststore.create_map().")));
  pg_unreachable();
}

bool has_column(Oid relid, const char* name, Oid type) {
  const AttrNumber number = get_attnum(relid, name);
  return number != InvalidAttrNumber && get_atttype(relid, number) == type;
}

// Who may not do to any column what the statement will do must not lock the map either, and make
// others wait.  The statement itself looks closer.
void check_rights(Oid relid, AclMode needed) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) return;  // said when it is opened
  const auto* form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
  const char* name = pstrdup(NameStr(form->relname));
  const ObjectType type = get_relkind_objtype(form->relkind);
  ReleaseSysCache(tuple);
  for (const AclMode mode : {ACL_SELECT, ACL_INSERT, ACL_UPDATE, ACL_DELETE}) {
    if ((needed & mode) == 0) continue;
    if (pg_class_aclcheck(relid, GetUserId(), mode) == ACLCHECK_OK) continue;
    if (mode != ACL_DELETE &&
        pg_attribute_aclcheck_all(relid, GetUserId(), mode, ACLMASK_ANY) == ACLCHECK_OK) {
      continue;
    }
    aclcheck_error(ACLCHECK_NO_PRIV, type, name);
  }
}

// The map as it is named in a statement.  The lock is the one that the statement takes, taken here
// so that the name stays its name.
const char* map_name(Oid relid, AclMode needed) {
  check_rights(relid, needed);
  Relation map = try_table_open(relid, needed == ACL_SELECT ? AccessShareLock : RowExclusiveLock);
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

constexpr AclMode kToSet = ACL_INSERT | ACL_UPDATE | ACL_SELECT;
constexpr AclMode kToDelete = ACL_DELETE | ACL_SELECT;

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

// The rows of a map with keys in a range, in the order of keys, some at a time: each time those
// behind the last one.  Nothing is open in between, so that nobody has to close it.
class MapScan {
 public:
  // The bounds live as long as the scan; null: none.
  MapScan(const char* map, const text* from, const text* to)
      : map_(map),
        from_(from),
        to_(to),
        memory_(AllocSetContextCreate(CurrentMemoryContext, "toaststore map scan",
                                      ALLOCSET_DEFAULT_SIZES)) {}
  MapScan(const MapScan&) = delete;
  MapScan& operator=(const MapScan&) = delete;

  // The next row, or null.  It lives until the next call; long values in it are pointers.
  HeapTuple next() {
    if (place_ == count_ && !ended_) fetch();
    return place_ < count_ ? rows_[place_++] : nullptr;
  }
  // That of the rows.  REQUIRES: next() was called.
  TupleDesc columns() const { return columns_; }

 private:
  void fetch() {
    // Rows of one key are taken together: a table that is no map, but looks like one, may have
    // such, and rows without a key.
    wanted_ = Min(kMostRows, 2 * wanted_);
    const bool goes_on = last_ != nullptr;
    const char* from = goes_on            ? " AND key OPERATOR(pg_catalog.>) $1"
                       : from_ == nullptr ? ""
                                          : " AND key OPERATOR(pg_catalog.>=) $1";
    const char* to = to_ == nullptr ? "" : " AND key OPERATOR(pg_catalog.<) $2";
    char* sql = psprintf(
        "SELECT key, value, stored_at FROM %s WHERE key IS NOT NULL%s%s ORDER BY key "
        "FETCH FIRST %llu ROWS WITH TIES",
        map_, from, to, static_cast<unsigned long long>(wanted_));
    Oid types[2] = {TEXTOID, TEXTOID};
    Datum arguments[2] = {PointerGetDatum(goes_on ? last_ : from_), PointerGetDatum(to_)};
    const Spi spi;
    Spi::run(sql, 2, types, arguments, true);
    keep_rows();
    pfree(sql);
  }

  void keep_rows() {
    MemoryContextReset(memory_);
    MemoryContext outer = MemoryContextSwitchTo(memory_);
    columns_ = CreateTupleDescCopy(SPI_tuptable->tupdesc);
    count_ = SPI_processed;
    place_ = 0;
    ended_ = count_ < wanted_;
    rows_ = static_cast<HeapTuple*>(palloc(sizeof(HeapTuple) * (count_ + 1)));
    for (uint64 i = 0; i < count_; i++) rows_[i] = heap_copytuple(SPI_tuptable->vals[i]);
    if (count_ > 0) {
      bool is_null;
      last_ = DatumGetTextPP(heap_getattr(rows_[count_ - 1], 1, columns_, &is_null));
    }
    MemoryContextSwitchTo(outer);
  }

  const char* map_;
  const text* from_;
  const text* to_;
  const text* last_ = nullptr;  // key of the last row that was fetched
  MemoryContext memory_;        // of what was fetched
  TupleDesc columns_ = nullptr;
  HeapTuple* rows_ = nullptr;
  uint64 count_ = 0;
  uint64 place_ = 0;
  uint64 wanted_ = kFirstRows / 2;
  bool ended_ = false;
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
  const char* map = map_name(PG_GETARG_OID(0), kToSet);
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
  const char* map = map_name(PG_GETARG_OID(0), kToSet);
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
  const char* map = map_name(PG_GETARG_OID(0), ACL_SELECT);
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
  const char* map = map_name(PG_GETARG_OID(0), kToDelete);
  Oid types[1] = {TEXTOID};
  Datum arguments[1] = {PG_GETARG_DATUM(1)};
  const Spi spi;
  PG_RETURN_BOOL(Spi::run(psprintf("DELETE FROM %s WHERE key OPERATOR(pg_catalog.=) $1", map), 1,
                          types, arguments, false) > 0);
}

namespace {

MapScan* begin_scan(FunctionCallInfo fcinfo) {
  const text* from = PG_ARGISNULL(1) ? nullptr : PG_GETARG_TEXT_P_COPY(1);
  const text* to = PG_ARGISNULL(2) ? nullptr : PG_GETARG_TEXT_P_COPY(2);
  void* space = palloc(sizeof(MapScan));
  return new (space) MapScan(map_name(PG_GETARG_OID(0), ACL_SELECT), from, to);
}

// All rows for a FROM clause, which takes all of them whatever becomes of them: those that do not
// fit work_mem go to a file.
void materialize_scan(FunctionCallInfo fcinfo) {
  InitMaterializedSRF(fcinfo, 0);
  const auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  MapScan* scan = begin_scan(fcinfo);
  while (HeapTuple row = scan->next()) {
    CHECK_FOR_INTERRUPTS();
    Datum columns[3];
    bool is_null[3];
    heap_deform_tuple(row, scan->columns(), columns, is_null);
    tuplestore_putvalues(result->setResult, result->setDesc, columns, is_null);
  }
}

}  // namespace

// map_scan(map regclass, from_key text, to_key text) -> the rows with keys in [from_key, to_key)
// in the order of keys; null: no bound.  In a FROM clause rows carry pointers to long values, so
// that nothing but what somebody looks at is read; in a select list rows are composite values,
// which hold everything, and are fetched as they are asked for.
Datum toaststore_map_scan(PG_FUNCTION_ARGS) {
  const auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  const bool materialize =
      result != nullptr && (result->allowedModes & SFRM_Materialize_Preferred) != 0;
  if (materialize) {
    if (!PG_ARGISNULL(0)) {
      materialize_scan(fcinfo);
    } else {
      InitMaterializedSRF(fcinfo, 0);
    }
    return 0;
  }
  if (SRF_IS_FIRSTCALL()) {
    FuncCallContext* call = SRF_FIRSTCALL_INIT();
    MemoryContext outer = MemoryContextSwitchTo(call->multi_call_memory_ctx);
    if (get_call_result_type(fcinfo, nullptr, &call->tuple_desc) != TYPEFUNC_COMPOSITE) {
      elog(ERROR, "return type must be a row type");
    }
    call->tuple_desc = BlessTupleDesc(call->tuple_desc);
    if (!PG_ARGISNULL(0)) call->user_fctx = begin_scan(fcinfo);
    MemoryContextSwitchTo(outer);
  }
  FuncCallContext* call = SRF_PERCALL_SETUP();
  auto* scan = static_cast<MapScan*>(call->user_fctx);
  HeapTuple row = scan == nullptr ? nullptr : scan->next();
  if (row == nullptr) SRF_RETURN_DONE(call);
  Datum columns[3];
  bool is_null[3];
  heap_deform_tuple(row, scan->columns(), columns, is_null);
  row = heap_form_tuple(call->tuple_desc, columns, is_null);
  SRF_RETURN_NEXT(call, HeapTupleGetDatum(row));
}
}
