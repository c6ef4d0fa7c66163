// INSERT, UPDATE and DELETE on a table: heap's own, with values promised before and left values
// deleted after.

#include "postgres/heap_am.h"
#include "postgres/store_am.h"
#include "postgres/toaster.h"

namespace toaststore {

namespace {

// What a row needs on its way, freed at once: statements insert millions.
class RowMemory {
 public:
  RowMemory()
      : context_(AllocSetContextCreate(CurrentMemoryContext, "toaststore rows",
                                       ALLOCSET_DEFAULT_SIZES)) {}
  RowMemory(const RowMemory&) = delete;
  RowMemory& operator=(const RowMemory&) = delete;
  ~RowMemory() { MemoryContextDelete(context_); }

  template <typename Work>
  auto in(Work work) {
    MemoryContext outer = MemoryContextSwitchTo(context_);
    auto result = work();
    MemoryContextSwitchTo(outer);
    return result;
  }

 private:
  MemoryContext context_;
};

// The tuple of a slot, which core will fill in the header of.
class SlotRow {
 public:
  SlotRow(Relation rel, TupleTableSlot* slot)
      : slot_(slot), tuple_(ExecFetchSlotHeapTuple(slot, true, &owned_)) {
    slot->tts_tableOid = RelationGetRelid(rel);
    tuple_->t_tableOid = slot->tts_tableOid;
  }
  SlotRow(const SlotRow&) = delete;
  SlotRow& operator=(const SlotRow&) = delete;
  ~SlotRow() {
    if (owned_) pfree(tuple_);
  }

  HeapTuple tuple() const { return tuple_; }

  // What core made of the row in its stead: its place, and what RETURNING and triggers may ask for.
  void adopt(HeapTuple stored) {
    if (stored != tuple_) {
      HeapTupleHeader header = tuple_->t_data;
      header->t_choice.t_heap = stored->t_data->t_choice.t_heap;
      header->t_ctid = stored->t_data->t_ctid;
      header->t_infomask = static_cast<uint16>((header->t_infomask & ~HEAP_XACT_MASK) |
                                               (stored->t_data->t_infomask & HEAP_XACT_MASK));
      header->t_infomask2 = static_cast<uint16>((header->t_infomask2 & ~HEAP2_XACT_MASK) |
                                                (stored->t_data->t_infomask2 & HEAP2_XACT_MASK));
      tuple_->t_self = stored->t_self;
    }
    slot_->tts_tid = tuple_->t_self;
  }

 private:
  TupleTableSlot* slot_;
  bool owned_ = true;
  HeapTuple tuple_;
};

void insert_row(Relation rel, SlotRow* row, CommandId command, int options,
                BulkInsertStateData* state) {
  if (!needs_toasting(rel, row->tuple())) {
    heap_insert(rel, row->tuple(), command, options, state);
    row->adopt(row->tuple());
    return;
  }
  RowMemory memory;
  ToastWriter writer(rel, options, 1);
  HeapTuple toasted = memory.in([&] { return toast_row(&writer, row->tuple(), nullptr); });
  heap_insert(rel, toasted, command, options, state);
  writer.finish();
  row->adopt(toasted);
}

}  // namespace

void heap_tuple_insert(Relation rel, TupleTableSlot* slot, CommandId command, int options,
                       BulkInsertStateData* state) {
  SlotRow row(rel, slot);
  insert_row(rel, &row, command, options, state);
}

void heap_tuple_insert_speculative(Relation rel, TupleTableSlot* slot, CommandId command,
                                   int options, BulkInsertStateData* state, uint32 token) {
  SlotRow row(rel, slot);
  HeapTupleHeaderSetSpeculativeToken(row.tuple()->t_data, token);
  insert_row(rel, &row, command, options | HEAP_INSERT_SPECULATIVE, state);
}

namespace {

// A row version as it is in the table, pinned.
class StoredRow {
 public:
  StoredRow(Relation rel, ItemPointer tid) {
    tuple_.t_self = *tid;
    if (!heap_fetch(rel, SnapshotAny, &tuple_, &buffer_, false)) buffer_ = InvalidBuffer;
  }
  StoredRow(const StoredRow&) = delete;
  StoredRow& operator=(const StoredRow&) = delete;
  ~StoredRow() {
    if (BufferIsValid(buffer_)) ReleaseBuffer(buffer_);
  }

  // Null where it has no values in the store.
  HeapTuple with_values() {
    return BufferIsValid(buffer_) && HeapTupleHasExternal(&tuple_) ? &tuple_ : nullptr;
  }

 private:
  HeapTupleData tuple_;
  Buffer buffer_ = InvalidBuffer;
};

LeftValues values_of(Relation rel, ItemPointer tid) {
  StoredRow old(rel, tid);
  return LeftValues(rel, old.with_values(), nullptr);
}

}  // namespace

void heap_tuple_complete_speculative(Relation rel, TupleTableSlot* slot, uint32 token,
                                     bool succeeded) {
  (void)token;
  if (succeeded) {
    heap_finish_speculative(rel, &slot->tts_tid);
    return;
  }
  const LeftValues left = values_of(rel, &slot->tts_tid);
  left.expect();
  heap_abort_speculative(rel, &slot->tts_tid);
  left.erase(true);
}

TM_Result heap_tuple_delete(Relation rel, ItemPointer tid, CommandId command, Snapshot snapshot,
                            Snapshot crosscheck, bool wait, TM_FailureData* failure,
                            bool changing_partition) {
  (void)snapshot;
  const LeftValues left = values_of(rel, tid);
  left.expect();
  const TM_Result result =
      heap_delete(rel, tid, command, crosscheck, wait, failure, changing_partition);
  left.erase(result == TM_Ok);
  return result;
}

TM_Result heap_tuple_update(Relation rel, ItemPointer tid, TupleTableSlot* slot, CommandId command,
                            Snapshot snapshot, Snapshot crosscheck, bool wait,
                            TM_FailureData* failure, LockTupleMode* lock_mode,
                            bool* update_indexes) {
  (void)snapshot;
  SlotRow row(rel, slot);
  RowMemory memory;
  ToastWriter writer(rel, 0, 1);
  HeapTuple toasted = row.tuple();
  const LeftValues left = memory.in([&] {
    StoredRow old(rel, tid);
    // Core runs its policy also where only the old version has values outside, and so a short new
    // one may be over a small toast_tuple_target.
    if (old.with_values() != nullptr || needs_toasting(rel, toasted)) {
      toasted = toast_row(&writer, toasted, old.with_values());
    }
    return LeftValues(rel, old.with_values(), row.tuple());
  });
  left.expect();
  const TM_Result result =
      heap_update(rel, tid, toasted, command, crosscheck, wait, failure, lock_mode);
  writer.finish();
  left.erase(result == TM_Ok);
  row.adopt(toasted);
  *update_indexes = result == TM_Ok && !HeapTupleIsHeapOnly(toasted);
  return result;
}

namespace {

// Slots for the rows that core is given in the place of others.
TupleTableSlot* stand_in(Relation rel, HeapTuple toasted) {
  TupleTableSlot* slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
  return ExecStoreHeapTuple(toasted, slot, false);
}

// The slot's row as core will put it into the table, or the slot itself where that is the same.
TupleTableSlot* toasted_slot(ToastWriter* writer, TupleTableSlot* slot) {
  HeapTuple row = ExecFetchSlotHeapTuple(slot, true, nullptr);
  if (!needs_toasting(writer->table(), row)) return slot;
  HeapTuple toasted = toast_row(writer, row, nullptr);
  return toasted == row ? slot : stand_in(writer->table(), toasted);
}

void take_back(Relation rel, TupleTableSlot* slot, TupleTableSlot* given) {
  if (given == slot) return;
  slot->tts_tid = given->tts_tid;
  slot->tts_tableOid = RelationGetRelid(rel);
  ExecDropSingleTupleTableSlot(given);
}

}  // namespace

void heap_multi_insert_rows(Relation rel, TupleTableSlot** slots, int count, CommandId command,
                            int options, BulkInsertStateData* state) {
  RowMemory memory;
  ToastWriter writer(rel, options, static_cast<uint64_t>(count));
  TupleTableSlot** given = memory.in([&] {
    auto** all =
        static_cast<TupleTableSlot**>(palloc(sizeof(TupleTableSlot*) * static_cast<Size>(count)));
    for (int i = 0; i < count; i++) all[i] = toasted_slot(&writer, slots[i]);
    return all;
  });
  heap_multi_insert(rel, given, count, command, options, state);
  writer.finish();
  for (int i = 0; i < count; i++) take_back(rel, slots[i], given[i]);
}

}  // namespace toaststore
