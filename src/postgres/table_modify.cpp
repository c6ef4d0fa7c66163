// INSERT, COPY and DELETE on a store.

#include "postgres/store_am.h"

namespace toaststore {

namespace {

// Adds a row's value to the batch and writes the id it got into the slot.
void add_row(Relation rel, Batch* batch, TupleTableSlot* slot, uint64_t expected) {
  slot_getallattrs(slot);
  if (slot->tts_isnull[1]) {
    ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                    errmsg("null values cannot be stored in toaststore \"%s\"",
                           RelationGetRelationName(rel))));
  }
  auto* stored = reinterpret_cast<varlena*>(DatumGetPointer(slot->tts_values[1]));
  auto* value = pg_detoast_datum_packed(stored);
  const auto* bytes = reinterpret_cast<const std::byte*>(VARDATA_ANY(value));
  const uint64_t length = VARSIZE_ANY_EXHDR(value);
  uint64_t id = 0;
  if (slot->tts_isnull[0]) {
    check(batch->add(bytes, length, expected, &id), rel);
    slot->tts_values[0] = Int64GetDatum(static_cast<int64>(id));
    slot->tts_isnull[0] = false;
  } else {
    id = static_cast<uint64_t>(DatumGetInt64(slot->tts_values[0]));
    check(batch->add_at(id, bytes, length), rel, id);
  }
  if (value != stored) pfree(value);
  slot->tts_tid = tid_of(id);
  slot->tts_tableOid = RelationGetRelid(rel);
}

}  // namespace

void tuple_insert(Relation rel, TupleTableSlot* slot, CommandId command, int options,
                  BulkInsertStateData* state) {
  multi_insert(rel, &slot, 1, command, options, state);
}

void multi_insert(Relation rel, TupleTableSlot** slots, int count, CommandId command, int options,
                  BulkInsertStateData* state) {
  (void)options;
  (void)state;
  StoreHandle handle(rel, ActiveSnapshotSet() ? GetActiveSnapshot() : nullptr);
  handle.transactions().set_command(command);
  Batch batch(handle.context());
  for (int i = 0; i < count; i++) {
    add_row(rel, &batch, slots[i], static_cast<uint64_t>(count - i));
  }
  check(batch.flush(), rel, id_of(slots[count - 1]->tts_tid));
  handle.keep();
  pgstat_count_heap_insert(rel, count);
}

TM_Result tuple_delete(Relation rel, ItemPointer tid, CommandId command, Snapshot snapshot,
                       Snapshot crosscheck, bool wait, TM_FailureData* failure,
                       bool changing_partition) {
  (void)crosscheck;
  (void)wait;
  (void)changing_partition;
  const uint64_t id = id_of(*tid);
  StoreHandle handle(rel, snapshot);
  handle.transactions().set_command(command);
  const Status status = handle.store().erase(id);
  handle.keep();
  if (status.ok()) {
    pgstat_count_heap_delete(rel);
    return TM_Ok;
  }
  if (!status.is(Code::kNotFound) && !status.is(Code::kConflict)) raise(status, rel, id);

  Entry entry;
  bool found;
  check(find_entry(handle.context(), id, &entry, &found), rel, id);
  if (!found || entry.xmax == kNoXid) return TM_Invisible;
  failure->ctid = *tid;
  failure->xmax = entry.xmax;
  failure->cmax = entry.cmax;
  failure->traversed = false;
  return TransactionIdIsCurrentTransactionId(entry.xmax) ? TM_SelfModified : TM_Deleted;
}

}  // namespace toaststore
