// INSERT, COPY and DELETE on a store.

#include "postgres/store_am.h"

namespace toaststore {

namespace {

// The store behind a table is changed with the table's rows only.
void check_by_id(Relation rel, const char* what) {
  if (kind_of(rel) == StoreKind::kToast) {
    unsupported(rel, what, "Its values belong to the rows of a table.");
  }
}

// CHECK constraints and partition bounds have been checked by now, with the null.
void check_next_id(const StoreHandle& handle) {
  if (!handle.binds_id()) return;
  // A table that is rewritten has another name for the time being.
  const Oid original = handle.rel()->rd_rel->relrewrite;
  const char* name =
      OidIsValid(original) ? get_rel_name(original) : RelationGetRelationName(handle.rel());
  ereport(ERROR,
          (errcode(ERRCODE_NOT_NULL_VIOLATION),
           errmsg("null id in toaststore \"%s\", which has constraints or bounds on ids", name),
           errhint("Give each row the id it is to have.")));
}

// Adds a row's value to the batch and writes the id it got into the slot.
void add_row(const StoreHandle& handle, Batch* batch, TupleTableSlot* slot, uint64_t expected) {
  Relation rel = handle.rel();
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
    check_next_id(handle);
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

// Pushes the counter once for all ids that the rows bring along, and not past a row that will fail.
void expect_ids(Relation rel, Batch* batch, TupleTableSlot** slots, int count) {
  uint64_t most = 0;
  for (int i = 0; i < count; i++) {
    bool null;
    const Datum id = slot_getattr(slots[i], 1, &null);
    if (!null) most = Max(most, static_cast<uint64_t>(Max(DatumGetInt64(id), int64{0})));
  }
  const Status status = most > 0 ? batch->expect_ids(most) : Status::Ok();
  if (!status.is(Code::kInvalid)) check(status, rel);
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
  check_by_id(rel, "INSERT");
  StoreHandle handle(rel, ActiveSnapshotSet() ? GetActiveSnapshot() : nullptr);
  handle.transactions().set_command(command);
  handle.transactions().note_write();
  Batch batch(handle.context());
  expect_ids(rel, &batch, slots, count);
  for (int i = 0; i < count; i++) {
    add_row(handle, &batch, slots[i], static_cast<uint64_t>(count - i));
  }
  check(batch.flush(), rel);
  handle.keep();
  pgstat_count_heap_insert(rel, count);
}

namespace {

// Why a value that was asked for cannot be deleted.
TM_Result failure_of(const Entry& entry, TM_FailureData* failure) {
  failure->ctid = tid_of(entry.id);
  failure->xmax = entry.xmax;
  failure->cmax = entry.cmax;
  failure->traversed = false;
  return TransactionIdIsCurrentTransactionId(entry.xmax) ? TM_SelfModified : TM_Deleted;
}

}  // namespace

// A value has one version, which is only ever deleted, and a deleter looks again: for a BEFORE
// DELETE trigger, which comes through here, it is enough that no delete is under way.  SELECT FOR
// UPDATE would promise more.
TM_Result tuple_lock(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot* slot,
                     CommandId command, LockTupleMode mode, LockWaitPolicy policy, uint8 flags,
                     TM_FailureData* failure) {
  (void)command, (void)mode, (void)policy;
  if ((flags & TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS) != 0) {
    unsupported(rel, "a row lock", "Lock the row of your own table that refers to the id.");
  }
  failure->traversed = false;  // read where the answer is TM_Ok, too
  const uint64_t id = id_of(*tid);
  StoreHandle handle(rel, snapshot);
  for (;;) {
    Entry entry;
    bool found;
    check(find_entry(handle.context(), id, &entry, &found), rel, id);
    if (!found) return TM_Invisible;
    Xid holder = kNoXid;
    switch (handle.transactions().fate(entry.stamps(), &holder)) {
      case Fate::kBusy:
        check(handle.transactions().wait(holder), rel, id);
        break;
      case Fate::kLive:
        store_kept_entry(rel, entry, slot);
        return TM_Ok;
      case Fate::kDeleted:
      case Fate::kOwnDeleted:
        return failure_of(entry, failure);
      case Fate::kAbsent:
      case Fate::kCreating:
      case Fate::kUnseen:
        return TM_Invisible;
    }
  }
}

TM_Result tuple_delete(Relation rel, ItemPointer tid, CommandId command, Snapshot snapshot,
                       Snapshot crosscheck, bool wait, TM_FailureData* failure,
                       bool changing_partition) {
  (void)crosscheck;
  (void)wait;
  (void)changing_partition;
  check_by_id(rel, "DELETE");
  const uint64_t id = id_of(*tid);
  StoreHandle handle(rel, snapshot);
  handle.transactions().set_command(command);
  handle.transactions().note_delete();
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
  return failure_of(entry, failure);
}

}  // namespace toaststore
