// The values of a table's rows on their way into the table's store, and out of it.
//
// Core decides late whether a row is written at all: an UPDATE first waits for the row and may find
// it gone.  A value that was stored before would be left behind, so it is promised: the row that is
// handed to core has in its place a datum that, when core flattens it, stores the value and becomes
// the pointer to it.  That is core's own moment for toasting: the row is locked, no buffer is.
//
// Invariants:
//   * A promise is kept once at most; what it was made of lives until the writer is done.
//   * Entries are inserted by finish(), pieces before: whoever fails to call it has not stored
//     anything.
//   * A value belongs to the rows that point to it.  Its entry's stamps serve cleaning only: who
//     sees a row sees its values.

#ifndef TOASTSTORE_POSTGRES_TOAST_WRITER_H_
#define TOASTSTORE_POSTGRES_TOAST_WRITER_H_

#include <optional>

#include "postgres/host.h"

namespace toaststore {

class ToastWriter;

// A row that VACUUM FULL or CLUSTER copies.
struct RewrittenRow {
  MemoryContext memory;
  TransactionId deleter;  // of a row that only old snapshots see
  int promises;           // not kept yet
};

// What stands for a value in a row until core flattens it.
struct PromisedValue {
  ExpandedObjectHeader header;
  ToastWriter* writer;
  RewrittenRow* row;  // null elsewhere
  const varlena* source;
  bool compress;
  bool kept;
  char pointer[TOAST_POINTER_SIZE];  // once kept
  char redirect[VARHDRSZ_EXTERNAL + sizeof(varatt_indirect)];
};

class ToastWriter {
 public:
  virtual ~ToastWriter() = default;
  // `options` are heap_insert()'s; `values` are expected.
  ToastWriter(Relation table, int options, uint64_t values)
      : table_(table),
        decoded_(RelationIsLogicallyLogged(table) && (options & HEAP_INSERT_NO_LOGICAL) == 0),
        values_(values) {}
  ToastWriter(const ToastWriter&) = delete;
  ToastWriter& operator=(const ToastWriter&) = delete;

  // The datum for the row, made in the current memory context.
  Datum promise(const varlena* source, bool compress);

  // Need a pointer in a row that is longer than `target` not be read to be stored again?
  virtual bool copies(const varlena* pointer, Size target) const {
    (void)pointer, (void)target;
    return false;
  }

  // REQUIRES: core has taken the rows.
  void finish();

  Relation table() const { return table_; }

  // Stores the value and fills in the pointer to it.
  virtual void keep(PromisedValue* value);

 protected:
  virtual void open();
  bool opened() const { return handle_.has_value(); }
  Relation store() const { return store_; }
  StoreHandle& handle() { return *handle_; }
  Batch& batch() { return *batch_; }

  // Under the next id, or under `id`.
  uint64_t put(const varlena* value, bool compress, uint64_t id = 0);
  void point_at(uint64_t id, Size length, PromisedValue* value) const;
  // The bytes of a value, read and decompressed if need be: to be freed then.
  static varlena* raw_of(const varlena* source);

  RewrittenRow* row_ = nullptr;

 private:
  bool looks_compressible(const char* bytes, Size length);

  Relation table_;
  const bool decoded_;  // logical decoding delivers the rows
  uint64_t values_;
  Compression compression_;  // of the store
  Relation store_ = nullptr;
  std::optional<StoreHandle> handle_;
  std::optional<Batch> batch_;
};

// The TOAST pointers of a row's old version that the new one, if there is one, has no more.
class LeftValues {
 public:
  // Nothing of either version is needed afterwards.  `old` may be null: nothing is left then.
  LeftValues(Relation table, HeapTuple old, HeapTuple row);

  // Core is about to look for them.
  void expect() const;
  // Core is done: the row is deleted or updated if `done`, and so are the values.
  void erase(bool done) const;

 private:
  void find(HeapTuple old, HeapTuple row);

  Relation table_;
  int count_ = 0;
  Oid* ids_ = nullptr;
};

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_TOAST_WRITER_H_
