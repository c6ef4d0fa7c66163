// Checking that rows and values belong together, both ways.
//
// The rows are read first: each pointer is looked up, and its id goes into a sort.  Then the values
// are read in the order of their ids, beside the sorted ids.  Beside writers it is the caller's
// snapshot whose rows are read, for their values stay, and values are not compared with rows.

#include "postgres/references.h"

#include "engine/tree.h"

extern "C" {
#include "access/relation.h"
#include "catalog/pg_operator.h"
#include "utils/tuplesort.h"
}

namespace toaststore {

namespace {

class ReferenceCheck {
 public:
  ReferenceCheck(Relation table, Relation store, bool exact, FaultSink* sink)
      : table_(table),
        store_(store),
        handle_(store, nullptr),
        sink_(sink),
        exact_(exact),
        horizon_(exact ? GetOldestNonRemovableTransactionId(table) : InvalidTransactionId) {
    const auto natts = static_cast<Size>(RelationGetDescr(table)->natts);
    values_ = static_cast<Datum*>(palloc(natts * sizeof(Datum)));
    nulls_ = static_cast<bool*>(palloc(natts * sizeof(bool)));
  }
  ReferenceCheck(const ReferenceCheck&) = delete;
  ReferenceCheck& operator=(const ReferenceCheck&) = delete;

  void run() {
    ids_ = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false, work_mem, nullptr,
                                 TUPLESORT_NONE);
    read_rows();
    if (exact_) {
      tuplesort_performsort(ids_);
      read_values();
    }
    tuplesort_end(ids_);
    handle_.keep();
  }

 private:
  // An id and whether the row is live, as sorted.
  static int64 key_of(Oid id, bool live) { return static_cast<int64>(id) * 2 + (live ? 1 : 0); }

  void report(Block block, uint64_t id, const char* reason) {
    check(sink_->report({block, id, reason}), store_);
  }

  void read_rows() {
    TupleTableSlot* slot = table_slot_create(table_, nullptr);
    TableScanDesc scan =
        table_beginscan(table_, exact_ ? SnapshotAny : GetActiveSnapshot(), 0, nullptr);
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
      CHECK_FOR_INTERRUPTS();
      HeapTuple row = ExecFetchSlotHeapTuple(slot, false, nullptr);
      bool live = true;
      if (!HeapTupleHasExternal(row) || (exact_ && !is_needed(slot, row, &live))) continue;
      read_row(row, live);
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
  }

  // Does any snapshot see the row, or will it?
  bool is_needed(TupleTableSlot* slot, HeapTuple row, bool* live) const {
    const Buffer buffer = reinterpret_cast<BufferHeapTupleTableSlot*>(slot)->buffer;
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const HTSV_Result state = HeapTupleSatisfiesVacuum(row, horizon_, buffer);
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    *live = state == HEAPTUPLE_LIVE || state == HEAPTUPLE_INSERT_IN_PROGRESS;
    return state != HEAPTUPLE_DEAD;
  }

  void read_row(HeapTuple row, bool live) {
    TupleDesc columns = RelationGetDescr(table_);
    heap_deform_tuple(row, columns, values_, nulls_);
    for (int i = 0; i < columns->natts; i++) {
      if (TupleDescAttr(columns, i)->attlen != -1 || nulls_[i]) continue;
      auto* value = reinterpret_cast<varlena*>(DatumGetPointer(values_[i]));
      if (!VARATT_IS_EXTERNAL_ONDISK(value)) continue;
      varatt_external pointer;
      VARATT_EXTERNAL_GET_POINTER(pointer, value);
      look_up(pointer, ItemPointerGetBlockNumber(&row->t_self));
      if (!exact_) continue;
      tuplesort_putdatum(ids_, Int64GetDatum(key_of(pointer.va_valueid, live)), false);
    }
  }

  void look_up(const varatt_external& pointer, BlockNumber block) {
    const Oid id = pointer.va_valueid;
    if (pointer.va_toastrelid != RelationGetRelid(store_)) {
      report(block, id, "row points into another TOAST table");
      return;
    }
    Entry entry;
    bool found;
    const Status status = find_entry(handle_.context(), id, &entry, &found);
    if (status.is(Code::kCorruption)) return;  // reported with the store
    if (!status.is(Code::kNotFound)) check(status, store_, id);
    if (status.is(Code::kNotFound) || !found) {
      report(block, id, "row points to a value that is missing");
    } else if (entry.raw_bytes + VARHDRSZ != static_cast<uint64_t>(pointer.va_rawsize)) {
      report(block, id, "value is not of the length that its row says");
    }
  }

  void read_values() {
    auto* batch = static_cast<LeafBatch*>(palloc(sizeof(LeafBatch)));
    next_reference();
    for (uint64_t from = 0; from != kInfinity; from = batch->next) {
      CHECK_FOR_INTERRUPTS();
      const Status status = read_forward(handle_.context(), from, batch);
      if (status.is(Code::kCorruption)) break;  // reported with the store
      check(status, store_);
      for (uint16_t i = 0; i < batch->count; i++) judge(batch->entries[i]);
    }
    pfree(batch);
  }

  void next_reference() {
    Datum key;
    bool null;
    more_ = tuplesort_getdatum(ids_, true, &key, &null, nullptr);
    if (more_) reference_ = DatumGetInt64(key);
  }

  // The references to the entry's id are the next ones, if there are any.
  void judge(const Entry& entry) {
    bool referenced = false;
    bool live = false;
    while (more_ && static_cast<uint64_t>(reference_ / 2) <= entry.id) {
      if (static_cast<uint64_t>(reference_ / 2) == entry.id) {
        referenced = true;
        live = live || reference_ % 2 == 1;
      }
      next_reference();
    }
    Xid holder;
    switch (handle_.transactions().fate(entry.stamps(), &holder)) {
      case Fate::kLive:
      case Fate::kUnseen:
        if (!referenced) report(kNoBlock, entry.id, "value belongs to no row");
        break;
      case Fate::kDeleted:
      case Fate::kOwnDeleted:
        if (live) report(kNoBlock, entry.id, "value of a row is marked as deleted");
        break;
      case Fate::kAbsent:
        if (referenced) report(kNoBlock, entry.id, "value of a row was rolled back");
        break;
      case Fate::kCreating:
      case Fate::kBusy:
        break;
    }
  }

  Relation table_;
  Relation store_;
  StoreHandle handle_;
  FaultSink* sink_;
  const bool exact_;
  const TransactionId horizon_;
  Datum* values_;
  bool* nulls_;
  Tuplesortstate* ids_ = nullptr;
  bool more_ = false;
  int64 reference_ = 0;
};

}  // namespace

void verify_references(Relation table, Relation store, bool exact, FaultSink* sink) {
  ReferenceCheck(table, store, exact, sink).run();
}

}  // namespace toaststore
