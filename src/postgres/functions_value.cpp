// The SQL functions that put, get and delete values by id (DESIGN section 2.2).
//
// Each opens the store with the lock its SQL counterpart would take, keeps that lock to the end of
// the transaction, and checks the caller's privilege on the store.

#include "postgres/host.h"

namespace {

using toaststore::Batch;
using toaststore::check;
using toaststore::Code;
using toaststore::Entry;
using toaststore::Right;
using toaststore::Status;
using toaststore::StoreHandle;

Relation open_to_read(FunctionCallInfo fcinfo) {
  return toaststore::open_store(PG_GETARG_OID(0), AccessShareLock, Right::kGet);
}

const std::byte* bytes_of(const bytea* value) {
  return reinterpret_cast<const std::byte*>(VARDATA_ANY(value));
}

// Finds a value that the statement's snapshot sees.
bool find(StoreHandle* handle, uint64_t id, Entry* entry) {
  handle->transactions().note_read();
  const Status status = handle->store().lookup(id, entry);
  if (status.is(Code::kNotFound)) return false;
  check(status, handle->rel(), id);
  return true;
}

// Reads [offset, offset + length) of a value into a new bytea.
bytea* fetch(StoreHandle* handle, Entry* entry, uint64_t offset, uint64_t length) {
  if (length > MaxAllocSize - VARHDRSZ) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("value %llu is too long to be returned whole",
                           static_cast<unsigned long long>(entry->id)),
                    errhint("Read it in parts with toaststore.get_slice().")));
  }
  auto* result = static_cast<bytea*>(palloc(length + VARHDRSZ));
  SET_VARSIZE(result, length + VARHDRSZ);
  check(handle->store().fetch(entry, offset, length, reinterpret_cast<std::byte*>(VARDATA(result))),
        handle->rel(), entry->id);
  return result;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(toaststore_put);
PG_FUNCTION_INFO_V1(toaststore_put_many);
PG_FUNCTION_INFO_V1(toaststore_get);
PG_FUNCTION_INFO_V1(toaststore_get_slice);
PG_FUNCTION_INFO_V1(toaststore_length);
PG_FUNCTION_INFO_V1(toaststore_delete);

// put(store regclass, value bytea) -> bigint: the id of the value stored.
Datum toaststore_put(PG_FUNCTION_ARGS) {
  Relation rel = toaststore::open_store(PG_GETARG_OID(0), RowExclusiveLock, Right::kPut);
  StoreHandle handle(rel, GetActiveSnapshot());
  toaststore::check_writable(handle, "toaststore.put()");
  const bytea* value = PG_GETARG_BYTEA_PP(1);
  handle.transactions().note_write();
  uint64_t id = 0;
  check(handle.store().put(bytes_of(value), VARSIZE_ANY_EXHDR(value), &id), rel, id);
  pgstat_count_heap_insert(rel, 1);
  handle.keep();
  table_close(rel, NoLock);
  PG_RETURN_INT64(static_cast<int64>(id));
}

// put_many(store regclass, values bytea[]) -> bigint[]: the ids, in the order of the values.
Datum toaststore_put_many(PG_FUNCTION_ARGS) {
  Relation rel = toaststore::open_store(PG_GETARG_OID(0), RowExclusiveLock, Right::kPut);
  StoreHandle handle(rel, GetActiveSnapshot());
  toaststore::check_writable(handle, "toaststore.put_many()");
  ArrayType* array = PG_GETARG_ARRAYTYPE_P(1);
  Datum* values;
  bool* nulls;
  int count;
  deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
  for (int i = 0; i < count; i++) {
    if (nulls[i]) {
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                      errmsg("null values cannot be stored in a toaststore"),
                      errdetail("Element %d of the array is null.", i + 1)));
    }
  }
  auto* ids = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<size_t>(Max(count, 1))));
  handle.transactions().note_write();
  Batch batch(handle.context());
  for (int i = 0; i < count; i++) {
    const bytea* value = DatumGetByteaPP(values[i]);
    uint64_t id = 0;
    check(
        batch.add(bytes_of(value), VARSIZE_ANY_EXHDR(value), static_cast<uint64_t>(count - i), &id),
        rel, id);
    ids[i] = Int64GetDatum(static_cast<int64>(id));
  }
  check(batch.flush(), rel);
  pgstat_count_heap_insert(rel, count);
  handle.keep();
  table_close(rel, NoLock);
  PG_RETURN_ARRAYTYPE_P(
      construct_array(ids, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

// get(store regclass, id bigint) -> bytea, or null where there is no such value.
Datum toaststore_get(PG_FUNCTION_ARGS) {
  Relation rel = open_to_read(fcinfo);
  StoreHandle handle(rel, GetActiveSnapshot());
  Entry entry;
  bytea* result = nullptr;
  if (find(&handle, static_cast<uint64_t>(PG_GETARG_INT64(1)), &entry)) {
    result = fetch(&handle, &entry, 0, entry.raw_bytes);
  }
  handle.keep();
  table_close(rel, NoLock);
  if (result == nullptr) PG_RETURN_NULL();
  PG_RETURN_BYTEA_P(result);
}

// get_slice(store regclass, id bigint, slice_offset bigint, slice_length int) -> bytea: the bytes
// from slice_offset (0 is the first) that there are, at most slice_length; null where there is no
// such value.
Datum toaststore_get_slice(PG_FUNCTION_ARGS) {
  const int64 offset = PG_GETARG_INT64(2);
  const int32 length = PG_GETARG_INT32(3);
  if (offset < 0 || length < 0) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("slice offset and length must not be negative")));
  }
  Relation rel = open_to_read(fcinfo);
  StoreHandle handle(rel, GetActiveSnapshot());
  Entry entry;
  bytea* result = nullptr;
  if (find(&handle, static_cast<uint64_t>(PG_GETARG_INT64(1)), &entry)) {
    const uint64_t start = Min(static_cast<uint64_t>(offset), entry.raw_bytes);
    const uint64_t part = Min(static_cast<uint64_t>(length), entry.raw_bytes - start);
    result = fetch(&handle, &entry, start, part);
  }
  handle.keep();
  table_close(rel, NoLock);
  if (result == nullptr) PG_RETURN_NULL();
  PG_RETURN_BYTEA_P(result);
}

// length(store regclass, id bigint) -> bigint: raw bytes; null where there is no such value.
Datum toaststore_length(PG_FUNCTION_ARGS) {
  Relation rel = open_to_read(fcinfo);
  StoreHandle handle(rel, GetActiveSnapshot());
  Entry entry;
  const bool found = find(&handle, static_cast<uint64_t>(PG_GETARG_INT64(1)), &entry);
  handle.keep();
  table_close(rel, NoLock);
  if (!found) PG_RETURN_NULL();
  PG_RETURN_INT64(static_cast<int64>(entry.raw_bytes));
}

// delete(store regclass, id bigint) -> boolean: was it there?
Datum toaststore_delete(PG_FUNCTION_ARGS) {
  Relation rel = toaststore::open_store(PG_GETARG_OID(0), RowExclusiveLock, Right::kDelete);
  StoreHandle handle(rel, GetActiveSnapshot());
  toaststore::check_writable(handle, "toaststore.delete()");
  const auto id = static_cast<uint64_t>(PG_GETARG_INT64(1));
  handle.transactions().note_delete();
  const Status status = handle.store().erase(id);
  if (!status.is(Code::kNotFound)) {
    check(status, rel, id);
    pgstat_count_heap_delete(rel);
  }
  handle.keep();
  table_close(rel, NoLock);
  PG_RETURN_BOOL(status.ok());
}
}
