// Keeping promises: a value goes into the store when core flattens the datum that stands for it.

#include "postgres/toast_writer.h"

#include "engine/codec.h"

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
Datum ToastWriter::promise(const varlena* source, bool compress) {
  auto* value = static_cast<PromisedValue*>(palloc0(sizeof(PromisedValue)));
  EOH_init_header(&value->header, &kPromiseMethods, CurrentMemoryContext);
  value->writer = this;
  value->row = row_;
  if (row_ != nullptr) row_->promises++;
  value->source = source;
  value->compress = compress;
  varatt_indirect redirect;
  redirect.pointer = reinterpret_cast<varlena*>(value->header.eoh_ro_ptr);
  SET_VARTAG_EXTERNAL(value->redirect, VARTAG_INDIRECT);
  memcpy(VARDATA_EXTERNAL(value->redirect), &redirect, sizeof(redirect));
  return PointerGetDatum(value->redirect);
}

// The lock is kept to the end of the transaction, as core does.
void ToastWriter::open() {
  if (handle_) return;
  store_ = table_open(table_->rd_rel->reltoastrelid, RowExclusiveLock);
  if (!is_store(store_) || kind_of(store_) != StoreKind::kToast) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("the TOAST table of \"%s\" is not a toaststore",
                           RelationGetRelationName(table_))));
  }
  handle_.emplace(store_, nullptr);
  compression_ = handle_->context().options.compression;
  batch_.emplace(handle_->context());
}

// Judged by the first chunk.
bool ToastWriter::looks_compressible(const char* bytes, Size length) {
  if (compression_.codec == Codec::kNone) return false;
  const Size sample = Min(length, handle_->context().options.chunk_bytes);
  auto* space = static_cast<std::byte*>(palloc(compress_space(sample)));
  size_t stored;
  toaststore::compress(compression_, reinterpret_cast<const std::byte*>(bytes), sample, space,
                       &stored);
  pfree(space);
  return stored != 0;
}

// A value that is to be decoded is either stored as it is or logged twice, so that what does not
// compress well is not tried further.
uint64_t ToastWriter::put(const varlena* value, bool compress, uint64_t id) {
  const char* bytes = VARDATA_ANY(value);
  const Size length = VARSIZE_ANY_EXHDR(value);
  if (compress && decoded_) compress = looks_compressible(bytes, length);
  handle_->context().options.compression = compress ? compression_ : Compression{Codec::kNone, 0};
  handle_->pager().set_logical(decoded_ && !compress);
  const auto* raw = reinterpret_cast<const std::byte*>(bytes);
  if (id == 0) {
    check(batch_->add(raw, length, values_, &id), store_);
  } else {
    check(batch_->add_at(id, raw, length), store_, id);
  }
  if (decoded_ && compress) log_copy(store_, static_cast<Oid>(id), bytes, length);
  if (values_ > 0) values_--;
  pgstat_count_heap_insert(store_, 1);
  return id;
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

varlena* ToastWriter::raw_of(const varlena* source) {
  auto* value = const_cast<varlena*>(source);
  return VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value) ? detoast_attr(value) : value;
}

void ToastWriter::keep(PromisedValue* value) {
  open();
  varlena* raw = raw_of(value->source);
  point_at(put(raw, value->compress), VARSIZE_ANY_EXHDR(raw), value);
  if (raw != value->source) pfree(raw);
}

void ToastWriter::finish() {
  if (!handle_) return;
  check(batch_->flush(), store_);
  batch_.reset();
  handle_->context().options.compression = compression_;
  handle_->keep();
  table_close(store_, NoLock);
}

}  // namespace toaststore
