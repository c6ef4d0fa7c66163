// Rows of a store as the executor sees them: the id, and a value that is read when it is looked at.
//
// For ids below 2^32 the value is a TOAST pointer whose toast relation is the store itself: core
// fetches it (whole or a slice) through relation_fetch_toast_slice, and copies of the row carry the
// pointer, so ANALYZE and sorts move 18 bytes a row.  Larger ids do not fit a pointer: there the
// value is an expanded object that flattens itself on demand.

#include "postgres/store_am.h"

namespace toaststore {

namespace {

// ANALYZE and triggers look for the place of a row in the tuple made of it.
HeapTuple copy_heap_tuple(TupleTableSlot* slot) {
  HeapTuple tuple = TTSOpsVirtual.copy_heap_tuple(slot);
  tuple->t_self = slot->tts_tid;
  tuple->t_tableOid = slot->tts_tableOid;
  return tuple;
}

// The executor knows ctid and tableoid itself; the stamps of an entry are not in the slot.
Datum no_system_column(TupleTableSlot* slot, int number, bool* null) {
  (void)number, (void)null;
  Relation rel = table_open(slot->tts_tableOid, NoLock);
  unsupported(rel, "a system column", "Rows have a ctid and a tableoid only.");
}

TupleTableSlotOps make_slot_ops() {
  TupleTableSlotOps ops = TTSOpsVirtual;
  ops.copy_heap_tuple = copy_heap_tuple;
  ops.getsysattr = no_system_column;
  return ops;
}

// Fetches a value that a row vouches for.
void fetch_vouched(Relation rel, uint64_t id, uint64_t raw_bytes, uint64_t offset, uint64_t length,
                   char* out) {
  StoreHandle handle(rel, nullptr);
  Entry entry = vouched_entry(&handle, id, raw_bytes);
  check(handle.store().fetch(&entry, offset, length, reinterpret_cast<std::byte*>(out)), rel, id);
  handle.keep();
}

Size flat_size(ExpandedObjectHeader* object) {
  return VARHDRSZ + reinterpret_cast<LazyValue*>(object)->raw_bytes;
}

void flatten_into(ExpandedObjectHeader* object, void* result, Size size) {
  auto* lazy = reinterpret_cast<LazyValue*>(object);
  Relation rel = table_open(lazy->relid, AccessShareLock);
  SET_VARSIZE(result, size);
  fetch_vouched(rel, lazy->id, lazy->raw_bytes, 0, lazy->raw_bytes,
                VARDATA(static_cast<varlena*>(result)));
  table_close(rel, AccessShareLock);
}

const ExpandedObjectMethods kLazyMethods = {flat_size, flatten_into};

Datum toast_pointer(Relation rel, const Entry& entry, LazyValue* lazy) {
  varatt_external pointer;
  pointer.va_rawsize = static_cast<int32>(entry.raw_bytes + VARHDRSZ);
  pointer.va_extinfo = static_cast<uint32>(entry.raw_bytes);
  pointer.va_valueid = static_cast<Oid>(entry.id);
  pointer.va_toastrelid = RelationGetRelid(rel);
  SET_VARTAG_EXTERNAL(lazy->pointer, VARTAG_ONDISK);
  memcpy(VARDATA_EXTERNAL(lazy->pointer), &pointer, sizeof(pointer));
  return PointerGetDatum(lazy->pointer);
}

Datum value_datum(Relation rel, const Entry& entry, LazyValue* lazy) {
  if (entry.raw_bytes == 0) {
    SET_VARSIZE(lazy->empty, VARHDRSZ);
    return PointerGetDatum(lazy->empty);
  }
  if (entry.id <= PG_UINT32_MAX) return toast_pointer(rel, entry, lazy);
  EOH_init_header(&lazy->header, &kLazyMethods, CurrentMemoryContext);
  lazy->relid = RelationGetRelid(rel);
  lazy->id = entry.id;
  lazy->raw_bytes = entry.raw_bytes;
  return EOHPGetRODatum(&lazy->header);
}

}  // namespace

Entry vouched_entry(StoreHandle* handle, uint64_t id, uint64_t raw_bytes) {
  if (!HaveRegisteredOrActiveSnapshot()) {
    elog(ERROR, "cannot fetch toast data without an active snapshot");
  }
  Relation rel = handle->rel();
  Entry entry;
  const Status status = handle->store().lookup(id, &entry);
  if (status.is(Code::kNotFound) && kind_of(rel) == StoreKind::kToast) {
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("value %llu of toaststore \"%s\" is missing",
                           static_cast<unsigned long long>(id), RelationGetRelationName(rel)),
                    errhint("toaststore.verify() of the table lists what else is damaged.")));
  }
  check(status, rel, id);
  if (entry.raw_bytes != raw_bytes) {
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("value %llu of toaststore \"%s\" is not of the length its row says",
                           static_cast<unsigned long long>(id), RelationGetRelationName(rel))));
  }
  return entry;
}

const TupleTableSlotOps* slot_callbacks(Relation rel) {
  (void)rel;
  static const TupleTableSlotOps ops = make_slot_ops();
  return &ops;
}

void store_entry(Relation rel, const Entry& entry, LazyValue* lazy, TupleTableSlot* slot) {
  ExecClearTuple(slot);
  int columns = 0;
  const auto add = [&](Datum datum) {
    slot->tts_values[columns] = datum;
    slot->tts_isnull[columns++] = false;
  };
  if (kind_of(rel) == StoreKind::kToast) {
    add(ObjectIdGetDatum(static_cast<Oid>(entry.id)));
    add(Int32GetDatum(0));  // a value is one chunk
  } else {
    add(Int64GetDatum(static_cast<int64>(entry.id)));
  }
  add(value_datum(rel, entry, lazy));
  while (columns < slot->tts_tupleDescriptor->natts) {
    slot->tts_isnull[columns++] = true;  // a dropped column
  }
  slot->tts_tid = tid_of(entry.id);
  slot->tts_tableOid = RelationGetRelid(rel);
  ExecStoreVirtualTuple(slot);
}

void store_kept_entry(Relation rel, const Entry& entry, TupleTableSlot* slot) {
  auto* lazy = static_cast<LazyValue*>(MemoryContextAlloc(slot->tts_mcxt, sizeof(LazyValue)));
  store_entry(rel, entry, lazy, slot);
  ExecMaterializeSlot(slot);
  pfree(lazy);
}

namespace {

// ANALYZE looks no closer at a value above its WIDTH_THRESHOLD than to count it as too wide.
constexpr uint64_t kWideForAnalyze = 1024;

// A value in line that is as wide for ANALYZE and takes a few bytes.
Datum stand_in() {
  constexpr size_t kBytes = VARHDRSZ + 2 * kWideForAnalyze;
  void* zeros = palloc0(kBytes);
  SET_VARSIZE(zeros, kBytes);
  return toast_compress_datum(PointerGetDatum(zeros), TOAST_PGLZ_COMPRESSION);
}

}  // namespace

void store_sampled_entry(Relation rel, const Entry& entry, LazyValue* lazy, TupleTableSlot* slot) {
  store_entry(rel, entry, lazy, slot);
  if (entry.id <= PG_UINT32_MAX || entry.raw_bytes <= kWideForAnalyze) return;
  if (lazy->stand_in == 0) lazy->stand_in = stand_in();
  slot->tts_values[1] = lazy->stand_in;  // such an id is no oid
}

bool tuple_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot,
                             TupleTableSlot* slot) {
  const uint64_t id = id_of(*tid);
  StoreHandle handle(rel, snapshot);
  Entry entry;
  const Status status = handle.store().lookup(id, &entry);
  if (status.is(Code::kNotFound)) return false;
  check(status, rel, id);
  handle.keep();
  store_kept_entry(rel, entry, slot);
  return true;
}

void relation_fetch_toast_slice(Relation rel, Oid value_id, int32 attribute_size,
                                int32 slice_offset, int32 slice_length, varlena* result) {
  fetch_vouched(rel, value_id, static_cast<uint64_t>(attribute_size),
                static_cast<uint64_t>(slice_offset), static_cast<uint64_t>(slice_length),
                VARDATA(result));
}

}  // namespace toaststore
