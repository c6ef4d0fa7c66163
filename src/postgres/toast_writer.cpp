// Keeping promises: a value goes into the store when core flattens the datum that stands for it.

#include "postgres/toast_writer.h"

#include "engine/codec.h"
#include "engine/meta.h"
#include "engine/value_copy.h"
#include "postgres/store_am.h"

namespace toaststore {

namespace {

PromisedValue* promise_of(ExpandedObjectHeader* object) {
  return reinterpret_cast<PromisedValue*>(object);
}

Size flat_size(ExpandedObjectHeader* object) {
  (void)object;
  return TOAST_POINTER_SIZE;
}

void flatten_into(ExpandedObjectHeader* object, void* result, Size size) {
  PromisedValue* value = promise_of(object);
  if (!value->kept) value->writer->keep(value);
  memcpy(result, value->pointer, size);
}

const ExpandedObjectMethods kPromiseMethods = {flat_size, flatten_into};

}  // namespace

// Core follows an indirect pointer to an expanded object and flattens that; an expanded object in a
// row would be flattened when the row is formed.
Datum ToastWriter::promise(const varlena* source, Compression compression) {
  auto* value = static_cast<PromisedValue*>(palloc0(sizeof(PromisedValue)));
  EOH_init_header(&value->header, &kPromiseMethods, CurrentMemoryContext);
  value->writer = this;
  promised_ = true;
  value->row = row_;
  if (row_ != nullptr) row_->promises++;
  value->source = source;
  value->compression = compression;
  varatt_indirect redirect;
  redirect.pointer = reinterpret_cast<varlena*>(value->header.eoh_ro_ptr);
  SET_VARTAG_EXTERNAL(value->redirect, VARTAG_INDIRECT);
  memcpy(VARDATA_EXTERNAL(value->redirect), &redirect, sizeof(redirect));
  return PointerGetDatum(value->redirect);
}

// The locks are kept to the end of the transaction, as core does: also those on the index, which
// stays empty, so that pg_locks shows of a writer what it shows on a heap table.
void ToastWriter::open() {
  if (handle_) return;
  store_ = table_open(table_->rd_rel->reltoastrelid, RowExclusiveLock);
  if (!is_store(store_) || kind_of(store_) != StoreKind::kToast) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("the TOAST table of \"%s\" is not a toaststore",
                           RelationGetRelationName(table_))));
  }
  List* indexes = RelationGetIndexList(store_);
  const ListCell* cell;
  foreach (cell, indexes) {
    LockRelationOid(lfirst_oid(cell), RowExclusiveLock);
  }
  list_free(indexes);
  handle_.emplace(store_, nullptr);
  if (!handle_->context().hints.known) handle_->context().options = table_options(table_);
  batch_.emplace(handle_->context());
}

// Judged by the first chunk.
bool ToastWriter::looks_compressible(Compression compression, const char* bytes, Size length) {
  if (compression.codec == Codec::kNone) return false;
  const Size sample = Min(length, handle_->context().options.chunk_bytes);
  auto* space = static_cast<std::byte*>(palloc(compress_space(sample)));
  size_t stored;
  toaststore::compress(compression, reinterpret_cast<const std::byte*>(bytes), sample, space,
                       &stored);
  pfree(space);
  return stored != 0;
}

// A value that is to be decoded is either stored as it is or logged twice, so that what does not
// compress well is not tried further.
uint64_t ToastWriter::put(const varlena* value, Compression compression, uint64_t id) {
  const char* bytes = VARDATA_ANY(value);
  const Size length = VARSIZE_ANY_EXHDR(value);
  if (decoded_ && !looks_compressible(compression, bytes, length)) {
    compression = Compression{Codec::kNone, 0};
  }
  const bool compressed = compression.codec != Codec::kNone;
  handle_->context().options.compression = compression;
  handle_->pager().set_logical(decoded_ && !compressed);
  const auto* raw = reinterpret_cast<const std::byte*>(bytes);
  if (id == 0) {
    check(batch_->add(raw, length, values_, &id), store_);
  } else {
    check(batch_->add_at(id, raw, length), store_, id);
  }
  if (decoded_ && compressed) log_copy(store_, static_cast<Oid>(id), bytes, length);
  return id;
}

// Of a value that is stored as it is, nobody knows whether the row would hold it compressed.
bool ToastWriter::copies(const varlena* pointer, const WantedForm& wanted) const {
  const Codec codec = wanted.compression.codec;
  if (decoded_ || (codec == Codec::kNone && wanted.compressible)) return false;
  const Size limit = wanted.compressible ? kWorseThanPglz * wanted.room : wanted.room;
  varatt_external fields;
  VARATT_EXTERNAL_GET_POINTER(fields, pointer);
  Relation rel = table_open(fields.va_toastrelid, AccessShareLock);
  bool serves = is_store(rel);
  if (serves) {
    StoreHandle from(rel, nullptr);
    const Entry entry = vouched_entry(&from, fields.va_valueid, fields.va_rawsize - VARHDRSZ);
    serves = entry.codec == codec && entry.stored_bytes > limit;
    from.keep();
  }
  table_close(rel, AccessShareLock);
  return serves;
}

// Stores a value as it is stored elsewhere, if that is possible.
bool ToastWriter::put_copy(const varatt_external& pointer, uint64_t* id) {
  Relation rel = table_open(pointer.va_toastrelid, AccessShareLock);
  bool alike = is_store(rel);
  if (alike) {
    StoreHandle from(rel, nullptr);
    Entry entry = vouched_entry(&from, pointer.va_valueid, pointer.va_rawsize - VARHDRSZ);
    check(load_hints(from.context()), rel);
    check(batch_->prepare(), store_);
    alike = cut_alike(from.context().options, handle_->context().options);
    if (alike) {
      CopiedParts parts(from.context(), &entry);
      handle_->pager().set_logical(false);
      const Status status = *id == 0 ? batch_->add_parts(&parts, entry.raw_bytes, values_, id)
                                     : batch_->add_parts_at(*id, &parts, entry.raw_bytes);
      check(status, parts.failed() ? rel : store_, parts.failed() ? pointer.va_valueid : *id);
    }
    from.keep();
  }
  table_close(rel, AccessShareLock);
  return alike;
}

// The pointer says that the value is not compressed: how it is stored is the store's affair, and
// slices are asked for as they are.
void ToastWriter::point_at(uint64_t id, Size length, PromisedValue* value) const {
  varatt_external pointer;
  pointer.va_rawsize = static_cast<int32>(length + VARHDRSZ);
  pointer.va_extinfo = static_cast<uint32>(length);
  pointer.va_valueid = static_cast<Oid>(id);
  pointer.va_toastrelid =
      OidIsValid(table_->rd_toastoid) ? table_->rd_toastoid : RelationGetRelid(store_);
  SET_VARTAG_EXTERNAL(value->pointer, VARTAG_ONDISK);
  memcpy(VARDATA_EXTERNAL(value->pointer), &pointer, sizeof(pointer));
  value->kept = true;
}

void ToastWriter::store_under(uint64_t id, PromisedValue* value) {
  auto* source = const_cast<varlena*>(value->source);
  Size length;
  bool stored = false;
  if (VARATT_IS_EXTERNAL_ONDISK(source)) {
    varatt_external pointer;
    VARATT_EXTERNAL_GET_POINTER(pointer, source);
    length = pointer.va_rawsize - VARHDRSZ;
    stored = put_copy(pointer, &id);
  }
  if (!stored) {
    const bool in_row = !VARATT_IS_EXTERNAL(source) && !VARATT_IS_COMPRESSED(source);
    varlena* raw = in_row ? source : detoast_attr(source);
    length = VARSIZE_ANY_EXHDR(raw);
    id = put(raw, value->compression, id);
    if (raw != source) pfree(raw);
  }
  if (values_ > 0) values_--;
  pgstat_count_heap_insert(store_, 1);
  point_at(id, length, value);
}

void ToastWriter::keep(PromisedValue* value) {
  open();
  store_under(0, value);
}

void ToastWriter::finish() {
  if (!handle_) return;
  check(batch_->flush(), store_);
  batch_.reset();
  handle_->keep();
  table_close(store_, NoLock);
}

}  // namespace toaststore
