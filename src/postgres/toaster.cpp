// The toasting policy: core's own (heap_toast_insert_or_update), so that rows look as they do in a
// heap table, and core, which runs its policy on what is left, finds nothing to do.
//
// It departs from core in two things.  A value that will not fit the row is not compressed to the
// end to find that out: the store compresses it in its own way.  And where nobody chooses, what
// stays in the row is compressed by lz4, as the store does, and not by pglz.

#include "postgres/toaster.h"

#include <lz4.h>

#include <algorithm>

#include "engine/codec.h"

namespace toaststore {

namespace {

// Core keeps a value compressed that is shorter by more than two bytes.
constexpr Size kLeastSaved = 3;

// A pointer to nothing: as long as the one that core will see.
char placeholder[TOAST_POINTER_SIZE];

class Toaster {
 public:
  Toaster(ToastWriter* writer, HeapTuple row)
      : writer_(writer), table_(writer->table()), columns_(RelationGetDescr(table_)), row_(row) {
    SET_VARTAG_EXTERNAL(placeholder, VARTAG_ONDISK);
    std::fill_n(sources_, columns_->natts, nullptr);
    heap_deform_tuple(row, columns_, values_, nulls_);
    context_.ttc_rel = table_;
    context_.ttc_values = values_;
    context_.ttc_isnull = nulls_;
    context_.ttc_oldvalues = nullptr;
    context_.ttc_oldisnull = nullptr;
    context_.ttc_attr = attributes_;
  }

  // Pointers that the old version has too are left alone; all others are somebody else's.
  void replaces(HeapTuple old) {
    heap_deform_tuple(old, columns_, old_values_, old_nulls_);
    context_.ttc_oldvalues = old_values_;
    context_.ttc_oldisnull = old_nulls_;
  }

  HeapTuple run() {
    if (context_.ttc_oldvalues == nullptr) find_copies();
    toast_tuple_init(&context_);
    choose_compression();
    note_copies();
    const Size head = header_bytes();
    const Size target = RelationGetToastTupleTarget(table_, TOAST_TUPLE_TARGET) - head;
    compress_and_move(target);
    move(target, false);
    compress_main(target);
    move(TOAST_TUPLE_TARGET_MAIN - head, true);
    return (context_.ttc_flags & TOAST_NEEDS_CHANGE) != 0 ? form(head) : row_;
  }

 private:
  // What the store is asked to compress a column's values with.  pglz is what the server takes
  // where nobody chooses, and no choice between what the store has.
  Compression compression_of(int column) const {
    if (!compressible(column)) return {Codec::kNone, 0};
    const bool lz4 = TupleDescAttr(columns_, column)->attcompression == TOAST_LZ4_COMPRESSION;
    return lz4 ? Compression{Codec::kLz4, 0} : writer_->compression();
  }

  // May the row hold values of the column compressed?
  bool compressible(int column) const { return !stored_as(column, TYPSTORAGE_EXTERNAL); }

  // What a value of the column may take of a row.
  Size room_for(int column) const {
    if (stored_as(column, TYPSTORAGE_MAIN)) return TOAST_TUPLE_TARGET_MAIN;
    return Max(TOAST_TUPLE_TARGET, RelationGetToastTupleTarget(table_, TOAST_TUPLE_TARGET));
  }

  // Pointers that are copied are left alone in the same way.
  void find_copies() {
    for (int i = 0; i < columns_->natts; i++) {
      old_nulls_[i] = true;
      if (TupleDescAttr(columns_, i)->attlen != -1 || nulls_[i]) continue;
      auto* value = reinterpret_cast<varlena*>(DatumGetPointer(values_[i]));
      if (!VARATT_IS_EXTERNAL_ONDISK(value) || stored_as(i, TYPSTORAGE_PLAIN)) continue;
      if (!writer_->copies(value, {compression_of(i), room_for(i), compressible(i)})) continue;
      old_values_[i] = values_[i];
      old_nulls_[i] = false;
      sources_[i] = value;
      context_.ttc_oldvalues = old_values_;
      context_.ttc_oldisnull = old_nulls_;
    }
  }

  void choose_compression() {
#ifdef USE_LZ4
    if (writer_->compression().codec == Codec::kNone) return;
    for (int i = 0; i < columns_->natts; i++) {
      char* method = &attributes_[i].tai_compression;
      if (!CompressionMethodIsValid(*method)) *method = TOAST_LZ4_COMPRESSION;
    }
#endif
  }

  void note_copies() {
    for (int i = 0; i < columns_->natts; i++) {
      if (sources_[i] != nullptr) context_.ttc_flags |= TOAST_NEEDS_CHANGE;
    }
  }

  Size header_bytes() const {
    Size bytes = SizeofHeapTupleHeader;
    if ((context_.ttc_flags & TOAST_HAS_NULLS) != 0) bytes += BITMAPLEN(columns_->natts);
    return MAXALIGN(bytes);
  }

  bool too_large(Size target) { return heap_compute_data_size(columns_, values_, nulls_) > target; }
  bool can_move() const { return OidIsValid(table_->rd_rel->reltoastrelid); }
  bool stored_as(int column, char storage) const {
    return TupleDescAttr(columns_, column)->attstorage == storage;
  }

  const varlena* value_of(int column) const {
    return reinterpret_cast<varlena*>(DatumGetPointer(values_[column]));
  }

  // Compresses a value for the row, if it is small enough then or cannot go elsewhere.
  bool compress(int column, Size target) {
    const varlena* value = value_of(column);
    const auto* bytes = reinterpret_cast<const std::byte*>(VARDATA_ANY(value));
    if (can_move() && looks_random(bytes, VARSIZE_ANY_EXHDR(value))) return false;
    if (attributes_[column].tai_compression == TOAST_LZ4_COMPRESSION) {
      return compress_lz4(column, can_move() ? target : MaxAllocSize);
    }
    if (hopeless(column, target)) return false;
    toast_tuple_try_compression(&context_, column);
    return true;
  }

  // As core does, but lz4 stops where the room that it is given is full, so that of a long value
  // only the beginning is looked at.
  bool compress_lz4(int column, Size most) {
    const varlena* value = value_of(column);
    const Size length = VARSIZE_ANY_EXHDR(value);
    const Size room = Min(most, length - kLeastSaved);
    if (room <= VARHDRSZ_COMPRESSED) return false;
    auto* compressed = static_cast<varlena*>(palloc(room));
    const int stored =
        LZ4_compress_default(VARDATA_ANY(value), VARDATA_4B_C(compressed), static_cast<int>(length),
                             static_cast<int>(room - VARHDRSZ_COMPRESSED));
    if (stored == 0) {
      pfree(compressed);
      return false;
    }
    SET_VARSIZE_COMPRESSED(compressed, VARHDRSZ_COMPRESSED + static_cast<Size>(stored));
    TOAST_COMPRESS_SET_SIZE_AND_COMPRESS_METHOD(compressed, static_cast<uint32>(length),
                                                TOAST_LZ4_COMPRESSION_ID);
    values_[column] = PointerGetDatum(compressed);
    attributes_[column].tai_size = static_cast<int32>(VARSIZE(compressed));
    context_.ttc_flags |= TOAST_NEEDS_CHANGE;
    return true;
  }

  // Would a value be too large for the row, however pglz compresses it?
  bool hopeless(int column, Size target) {
    char room[kWorseThanPglz * MaxHeapTupleSize];
    const Size limit = kWorseThanPglz * target;
    const varlena* value = value_of(column);
    const Size length = VARSIZE_ANY_EXHDR(value);
    return can_move() && length > limit &&
           LZ4_compress_default(VARDATA_ANY(value), room, static_cast<int>(length),
                                static_cast<int>(limit)) == 0;
  }

  // Round 1: compress EXTENDED values, and move out at once what is too large by itself.
  void compress_and_move(Size target) {
    while (too_large(target)) {
      const int column = toast_tuple_find_biggest_attribute(&context_, true, false);
      if (column < 0) return;
      ToastAttrInfo& attribute = attributes_[column];
      if (!stored_as(column, TYPSTORAGE_EXTENDED) || !compress(column, target)) {
        attribute.tai_colflags |= TOASTCOL_INCOMPRESSIBLE;
      }
      if (static_cast<Size>(attribute.tai_size) > target && can_move()) move_out(column);
    }
  }

  // Round 2: move out EXTENDED and EXTERNAL values; round 4: MAIN ones, if need be.
  void move(Size target, bool main) {
    while (can_move() && too_large(target)) {
      const int column = toast_tuple_find_biggest_attribute(&context_, false, main);
      if (column < 0) return;
      move_out(column);
    }
  }

  // Round 3.
  void compress_main(Size target) {
    while (too_large(target)) {
      const int column = toast_tuple_find_biggest_attribute(&context_, true, true);
      if (column < 0) return;
      toast_tuple_try_compression(&context_, column);
    }
  }

  void move_out(int column) {
    sources_[column] = reinterpret_cast<varlena*>(DatumGetPointer(values_[column]));
    values_[column] = PointerGetDatum(placeholder);
    attributes_[column].tai_colflags |= TOASTCOL_IGNORE;
    context_.ttc_flags |= TOAST_NEEDS_CHANGE;
  }

  // The row with the values as they are now, and promises for those that were moved.
  HeapTuple form(Size head) {
    for (int i = 0; i < columns_->natts; i++) {
      if (sources_[i] == nullptr) continue;
      values_[i] = writer_->promise(sources_[i], compression_of(i));
    }
    const Size data = heap_compute_data_size(columns_, values_, nulls_);
    auto* tuple = static_cast<HeapTuple>(palloc0(HEAPTUPLESIZE + head + data));
    tuple->t_len = static_cast<uint32>(head + data);
    tuple->t_self = row_->t_self;
    tuple->t_tableOid = row_->t_tableOid;
    auto* header =
        reinterpret_cast<HeapTupleHeader>(reinterpret_cast<char*>(tuple) + HEAPTUPLESIZE);
    tuple->t_data = header;
    memcpy(header, row_->t_data, SizeofHeapTupleHeader);
    HeapTupleHeaderSetNatts(header, columns_->natts);
    header->t_hoff = static_cast<uint8>(head);
    heap_fill_tuple(columns_, values_, nulls_, reinterpret_cast<char*>(header) + head, data,
                    &header->t_infomask,
                    (context_.ttc_flags & TOAST_HAS_NULLS) != 0 ? header->t_bits : nullptr);
    return tuple;
  }

  ToastWriter* writer_;
  Relation table_;
  TupleDesc columns_;
  HeapTuple row_;
  ToastTupleContext context_;
  Datum values_[MaxHeapAttributeNumber];
  bool nulls_[MaxHeapAttributeNumber];
  Datum old_values_[MaxHeapAttributeNumber];
  bool old_nulls_[MaxHeapAttributeNumber];
  ToastAttrInfo attributes_[MaxHeapAttributeNumber];
  varlena* sources_[MaxHeapAttributeNumber];  // of what moves, else null
};

}  // namespace

bool needs_toasting(Relation table, HeapTuple row) {
  const char kind = table->rd_rel->relkind;
  if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW) return false;
  return HeapTupleHasExternal(row) || row->t_len > TOAST_TUPLE_THRESHOLD;
}

namespace {

HeapTuple apply_policy(ToastWriter* writer, HeapTuple row, HeapTuple old) {
  Toaster toaster(writer, row);
  if (old != nullptr) toaster.replaces(old);
  return toaster.run();
}

}  // namespace

// Core must judge the row by the same toast_tuple_target, or it would find something to move.  A
// backend learns what others have changed where it takes a lock, so what core will lock on the
// row's way is locked here: the store, and the table's indexes for what heap_update() asks of them.
HeapTuple toast_row(ToastWriter* writer, HeapTuple row, HeapTuple old) {
  Relation table = writer->table();
  for (;;) {
    const Size target = RelationGetToastTupleTarget(table, TOAST_TUPLE_TARGET);
    HeapTuple toasted = apply_policy(writer, row, old);
    if (writer->promised()) writer->open();
    bms_free(RelationGetIndexAttrBitmap(table, INDEX_ATTR_BITMAP_KEY));
    if (RelationGetToastTupleTarget(table, TOAST_TUPLE_TARGET) == target) return toasted;
  }
}

}  // namespace toaststore
