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
  Compression compression;
  bool kept;
  char pointer[TOAST_POINTER_SIZE];  // once kept
  char redirect[VARHDRSZ_EXTERNAL + sizeof(varatt_indirect)];
};

// pglz may make less of a value than lz4 does, but not half as much.
constexpr Size kWorseThanPglz = 2;

// How a value is to be stored that may go into the store.
struct WantedForm {
  Compression compression;  // in the store
  Size room;                // in the row
  bool compressible;        // in the row
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

  // The datum for the row, made in the current memory context.  `compression` is what is wanted for
  // the value, if it is not there in another store in a form that serves.
  Datum promise(const varlena* source, Compression compression);

  // Is the value that a row of elsewhere points to stored there as it is wanted here, and would not
  // fit the row however it is compressed?  It need not be read then to decide where it goes.
  virtual bool copies(const varlena* pointer, const WantedForm& wanted) const;

  bool promised() const { return promised_; }
  // Opens the store, under the locks that promises need to be kept.
  virtual void open();
  // REQUIRES: core has taken the rows.
  void finish();

  Relation table() const { return table_; }
  // Of new values, where their column does not say.
  Compression compression() const { return table_options(table_).compression; }

  // Stores the value and fills in the pointer to it.
  virtual void keep(PromisedValue* value);

 protected:
  bool opened() const { return handle_.has_value(); }
  Relation store() const { return store_; }
  StoreHandle& handle() { return *handle_; }
  Batch& batch() { return *batch_; }

  // Stores what the promise was made of under the next id, or under `id`, and fills it in.
  void store_under(uint64_t id, PromisedValue* value);
  void point_at(uint64_t id, Size length, PromisedValue* value) const;
  RewrittenRow* row_ = nullptr;

 private:
  bool looks_compressible(Compression compression, const char* bytes, Size length);
  uint64_t put(const varlena* value, Compression compression, uint64_t id);
  bool put_copy(const varatt_external& pointer, uint64_t* id);

  Relation table_;
  const bool decoded_;  // logical decoding delivers the rows
  uint64_t values_;
  bool promised_ = false;
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
