// Values that a row leaves behind when it is deleted, or updated to others.

#include "postgres/store_am.h"
#include "postgres/toast_writer.h"
#include "postgres/work_list.h"

namespace toaststore {

namespace {

// A TOAST pointer in column `i`, or null.
const char* pointer_in(TupleDesc columns, int i, const Datum* values, const bool* nulls) {
  if (TupleDescAttr(columns, i)->attlen != -1 || nulls[i]) return nullptr;
  const char* value = DatumGetPointer(values[i]);
  return VARATT_IS_EXTERNAL_ONDISK(value) ? value : nullptr;
}

}  // namespace

LeftValues::LeftValues(Relation table, HeapTuple old, HeapTuple row) : table_(table) {
  if (old != nullptr && HeapTupleHasExternal(old)) find(old, row);
}

// Old rows keep the pointers of columns that were dropped since.
void LeftValues::find(HeapTuple old, HeapTuple row) {
  TupleDesc columns = RelationGetDescr(table_);
  const auto natts = static_cast<Size>(columns->natts);
  auto* values = static_cast<Datum*>(palloc(2 * natts * (sizeof(Datum) + sizeof(bool))));
  Datum* row_values = values + natts;
  auto* nulls = reinterpret_cast<bool*>(row_values + natts);
  bool* row_nulls = nulls + natts;
  heap_deform_tuple(old, columns, values, nulls);
  if (row != nullptr) heap_deform_tuple(row, columns, row_values, row_nulls);
  for (int i = 0; i < columns->natts; i++) {
    const char* pointer = pointer_in(columns, i, values, nulls);
    if (pointer == nullptr) continue;
    const char* same = row == nullptr ? nullptr : pointer_in(columns, i, row_values, row_nulls);
    if (same != nullptr && memcmp(same, pointer, TOAST_POINTER_SIZE) == 0) continue;
    varatt_external fields;
    VARATT_EXTERNAL_GET_POINTER(fields, pointer);
    if (fields.va_toastrelid != table_->rd_rel->reltoastrelid) continue;
    if (ids_ == nullptr) ids_ = static_cast<Oid*>(palloc(natts * sizeof(Oid)));
    ids_[count_++] = fields.va_valueid;
  }
  pfree(values);
}

void LeftValues::expect() const {
  if (count_ > 0) expect_core_deletes(table_->rd_rel->reltoastrelid, count_);
}

// A row whose value is missing can still be deleted.
void LeftValues::erase(bool done) const {
  if (count_ == 0) return;
  expect_core_deletes(InvalidOid, 0);
  if (done) {
    Relation store = table_open(table_->rd_rel->reltoastrelid, RowExclusiveLock);
    note_change(store, ChangeKind::kDelete);
    StoreHandle handle(store, nullptr);
    for (int i = 0; i < count_; i++) {
      const Status status = handle.store().erase_owned(ids_[i]);
      if (status.is(Code::kNotFound)) continue;
      check(status, store, ids_[i]);
      pgstat_count_heap_delete(store);
    }
    handle.keep();
    table_close(store, NoLock);
  }
  pfree(ids_);
}

}  // namespace toaststore
