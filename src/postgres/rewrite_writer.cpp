// Copying the values of a table that is rewritten.

#include "postgres/rewrite_writer.h"

#include "engine/meta.h"

namespace toaststore {

RewriteWriter::RewriteWriter(Relation target)
    : ToastWriter(target, HEAP_INSERT_SKIP_FSM | HEAP_INSERT_NO_LOGICAL, 0) {}

bool RewriteWriter::of_original(const varatt_external& pointer) const {
  return OidIsValid(table()->rd_toastoid) && pointer.va_toastrelid == table()->rd_toastoid;
}

// Small values may come to fit their row: the policy looks at them again.
bool RewriteWriter::copies(const varlena* pointer, const WantedForm& wanted) const {
  varatt_external fields;
  VARATT_EXTERNAL_GET_POINTER(fields, pointer);
  return of_original(fields) && static_cast<Size>(fields.va_rawsize) > wanted.room;
}

// The counter goes on where the old one is.
void RewriteWriter::open() {
  if (opened()) return;
  ToastWriter::open();
  if (!OidIsValid(table()->rd_toastoid)) return;
  Relation old = table_open(table()->rd_toastoid, NoLock);
  StoreHandle from(old, nullptr);
  MetaBody meta;
  const Status status = read_meta(from.context(), &meta);
  if (!status.is(Code::kNotFound)) {
    check(status, old);
    check(batch().adopt_counter(meta.next_id), store());
    if (meta.next_id > max_id(StoreKind::kToast)) search_from_ = kMinId;
  }
  table_close(old, NoLock);
}

// An id for a value that has none in the old store.  0: the next one, which was never used there.
uint64_t RewriteWriter::free_id() {
  if (search_from_ == 0) return 0;
  Relation old = table_open(table()->rd_toastoid, NoLock);
  StoreHandle from(old, nullptr);
  bool taken = true;
  IdRange gap{};
  while (taken) {
    Entry entry;
    check(find_gap(from.context(), search_from_, max_id(StoreKind::kToast), &gap), old);
    check(find_entry(handle().context(), gap.start, &entry, &taken), store());
    search_from_ = gap.start + 1;
  }
  table_close(old, NoLock);
  return gap.start;
}

// Is the value there already, copied with another version of its row?  The later deletion counts,
// and none does most.
bool RewriteWriter::share(uint64_t id, TransactionId deleter) {
  Entry entry;
  bool found;
  check(find_entry(handle().context(), id, &entry, &found), store(), id);
  if (!found) return false;
  const bool later = deleter == kNoXid || xid_precedes(entry.xmax, deleter);
  if (entry.xmax != kNoXid && later) check(handle().store().restamp(id, deleter), store(), id);
  return true;
}

void RewriteWriter::keep(PromisedValue* value) {
  open();
  value->row->promises--;
  const TransactionId deleter = value->row->deleter;
  uint64_t id = 0;
  varatt_external fields;
  if (VARATT_IS_EXTERNAL_ONDISK(value->source)) {
    VARATT_EXTERNAL_GET_POINTER(fields, value->source);
    id = fields.va_valueid;
    if (share(id, deleter)) {
      point_at(id, static_cast<Size>(fields.va_rawsize) - VARHDRSZ, value);
      return;
    }
  }
  if (id == 0) id = free_id();
  store_under(id, value);
  check(batch().flush(), store());  // others are about to look for it
  if (deleter == kNoXid) return;
  VARATT_EXTERNAL_GET_POINTER(fields, value->pointer);
  id = fields.va_valueid;
  check(handle().store().restamp(id, deleter), store(), id);
}

}  // namespace toaststore
