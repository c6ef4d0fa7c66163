// The embedded store: values by id, or by name, on plain files with a write-ahead log of their own.
//
//   toaststore::Store* store;
//   Status status = toaststore::Store::open("/var/lib/media", {}, &store);
//   uint64_t id;
//   status = store->put(bytes, length, &id);
//   toaststore::Buffer value;
//   status = store->get(id, &value);
//   delete store;
//
// All calls are safe from any number of threads, except that a WriteBatch belongs to one at a time.
// Readers never wait for writers.  Every call returns a Status; describe() makes a sentence of it.
//
// A value may have a name, a string of bytes: set(), get_named() and so on.  It has an id all the
// same, and whoever erases the id erases the name.
//
// A store is a directory of its own: `data` and `names` (1 GB segments `data.1`, ..), `log-*`,
// `control`, `lock`.  One process at a time has it open.

#ifndef TOASTSTORE_STORE_H_
#define TOASTSTORE_STORE_H_

#include <cstddef>
#include <cstdint>

#include "toaststore/options.h"
#include "toaststore/status.h"

namespace toaststore {

class Files;

// A key is a string of 1 to as many bytes.  Keys are ordered by their bytes, unsigned; a key that
// is the start of another comes before it.
inline constexpr size_t kMaxKeyBytes = 1024;

// When a write that was acknowledged survives a crash of the machine.  A crash of the process alone
// loses nothing that was acknowledged, whatever the mode; a store is whole after any crash.
enum class Sync : uint8_t {
  kAlways,    // at once: each call waits for the disk, calls at the same time share one wait
  kInterval,  // after sync_interval_ms at most
  kNever,     // when the operating system gets to it
};

struct StoreOptions {
  Options values;  // thresholds and compression of a new store; compression may change later

  bool create = true;        // make the store if there is none
  bool must_be_new = false;  // kExists if there is one
  bool read_only = false;    // no lock, nothing is written; needs a store that was closed properly
  size_t cache_bytes = 64 * 1024 * 1024;  // of the page cache: a hard limit, 1 MB at least
  Sync sync = Sync::kAlways;
  uint32_t sync_interval_ms = 100;
  // Of log between checkpoints: bounds recovery.  As many bytes of old log are kept while the store
  // is open, to be written over.
  uint64_t checkpoint_bytes = 64 * 1024 * 1024;
  uint64_t log_segment_bytes = 16 * 1024 * 1024;
  // A batch that puts as many bytes has its whole pages written to the data file at once, and not
  // to the log too.  Under Sync::kAlways; elsewhere the log waits for nothing.
  uint64_t past_log_bytes = 256 * 1024;
  double compaction_threshold = 0.5;  // share of an extent that must be dead, from 0 to 1
  bool compact_by_itself = true;      // after a checkpoint that the log asked for
  Files* files = nullptr;             // the operating system's; for tests
};

// Bytes that a call gives back.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

  // Makes room for `size` bytes; what was in it is gone.
  Status resize(size_t size);
  std::byte* mutable_data() { return data_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t space_ = 0;
};

// What compact() did.
struct Compaction {
  uint64_t removed_values = 0;    // deleted, or of batches that were dropped
  uint64_t moved_bytes = 0;       // of values copied out of extents that were mostly dead
  uint64_t freed_bytes = 0;       // of the data file, to be used again
  uint64_t given_back_bytes = 0;  // of its end, to the file system
};

struct Statistics {
  uint64_t data_bytes;   // of the data file
  uint64_t names_bytes;  // of the file of names
  uint64_t log_bytes;    // since the last checkpoint
  uint64_t cache_bytes;
  uint64_t cache_hits;
  uint64_t cache_misses;
  uint64_t checkpoints;  // since the store was opened
  uint64_t compactions;  // the same
  uint64_t next_id;
  // What became of the last sync, checkpoint or compaction that the store did by itself.  A failure
  // stays until the next one is due.
  Status upkeep;
};

struct ValueInfo {
  Layout layout;
  Codec codec;
  uint64_t raw_bytes;
  uint64_t stored_bytes;
  uint64_t chunks;  // 0 unless chunked
  uint32_t pages;
};

// Told of each value in a range, of each name, or of each fault.
class ValueVisitor {
 public:
  // Any status but ok ends the scan and is its result.
  virtual Status value(uint64_t id, uint64_t raw_bytes) = 0;

 protected:
  ~ValueVisitor() = default;
};

class NameVisitor {
 public:
  // The key is the visitor's until it returns.
  virtual Status name(const void* key, size_t key_length, uint64_t id, uint64_t raw_bytes) = 0;

 protected:
  ~NameVisitor() = default;
};

class FaultVisitor {
 public:
  // `block` is kNoBlock, or the page concerned; `id` is 0, or the value.  Blocks of the file of
  // names are numbered on their own; the reason says so.
  virtual Status fault(Block block, uint64_t id, const char* reason) = 0;

 protected:
  ~FaultVisitor() = default;
};

class StoreState;

class Store {
 public:
  // Opens, and recovers if need be.  kNotFound, kExists, kConflict (open in another process),
  // kCorruption, kNewerFormat, kInvalid (an option).
  static Status open(const char* directory, const StoreOptions& options, Store** store);
  // Opens the main fork of a store of a server that is not running, or a copy of it, to be read:
  // `file`, `file.1`, ..  There is no commit log at hand, so every transaction is taken to have
  // committed: values of those that rolled back are there, and values they deleted are not.  There
  // are no names.
  // kNotFound, kInvalid (no store), kCorruption, kNewerFormat.
  static Status open_relation(const char* file, const StoreOptions& options, Store** store);
  // Closes; what was acknowledged is durable then, whatever the mode.  close() says if it is not:
  // then it may be tried again.
  ~Store();
  Status close();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // A new value, under the next id.
  Status put(const void* bytes, size_t length, uint64_t* id);
  // A new value under an id of the caller's choice, 1 to 2^47 - 65537.  kExists where it is taken.
  Status put_at(uint64_t id, const void* bytes, size_t length);
  // kNotFound where there is no such value.
  Status get(uint64_t id, Buffer* value);
  // The bytes from `offset` that there are, at most `length`.
  Status get_slice(uint64_t id, uint64_t offset, size_t length, Buffer* slice);
  Status length(uint64_t id, uint64_t* raw_bytes);
  Status info(uint64_t id, ValueInfo* info);
  Status erase(uint64_t id);

  // Values with ids in [from, to), ascending, as they were when the scan began.
  Status scan(uint64_t from, uint64_t to, ValueVisitor* visitor);

  // A new value under a name.  The value that the name had is erased in the same moment; whether
  // there was one is told, if asked for.
  Status set(const void* key, size_t key_length, const void* bytes, size_t length,
             bool* replaced = nullptr);
  // kNotFound where there is no such name.
  Status get_named(const void* key, size_t key_length, Buffer* value);
  Status get_named_slice(const void* key, size_t key_length, uint64_t offset, size_t length,
                         Buffer* slice);
  // The id of the value.  It is another one once the name is set again.
  Status find_name(const void* key, size_t key_length, uint64_t* id);
  Status erase_named(const void* key, size_t key_length);

  // Names in [from, to), in the order of keys, as they were when the scan began.  Both bounds may
  // be empty: no bound.  A value may be erased before the visitor asks for it.
  Status scan_names(const void* from, size_t from_length, const void* to, size_t to_length,
                    NameVisitor* visitor);
  // Names that start with the prefix.
  Status scan_prefix(const void* prefix, size_t prefix_length, NameVisitor* visitor);

  // Removes what no batch and no scan needs any more, and copies values out of extents that are
  // mostly dead; the space is used again, and what is free at the end of the data file goes back to
  // the file system.  Readers go on, and so do writers, but for the time of a small checkpoint. May
  // be interrupted by closing the store (kConflict), and goes on where it was the next time.
  Status compact(Compaction* compaction = nullptr);
  // Writes everything changed to the data file, so that recovery has little to do.
  Status checkpoint();
  // Everything acknowledged so far is durable.
  Status sync();
  // Every page and value; writers wait meanwhile.
  Status verify(FaultVisitor* visitor);
  Status statistics(Statistics* statistics);

 private:
  friend class WriteBatch;
  using Opening = Status (StoreState::*)(const char* path);
  static Status open_with(Opening opening, const char* path, const StoreOptions& options,
                          Store** store);
  explicit Store(StoreState* state) : state_(state) {}

  StoreState* state_;
};

// Several changes that happen together or not at all.  Dropped without commit(), none does.
//
// A change of a value, an id or a name that another open batch has changed waits for that batch's
// end.  So a thread that has several open must not change one in two of them: it would wait for
// itself.  Batches that wait for each other in a circle are told apart: one hears kConflict.
class WriteBatch {
 public:
  explicit WriteBatch(Store* store);
  ~WriteBatch();
  WriteBatch(const WriteBatch&) = delete;
  WriteBatch& operator=(const WriteBatch&) = delete;

  Status put(const void* bytes, size_t length, uint64_t* id);
  // kConflict, as every change, where this and other batches wait for each other.
  Status put_at(uint64_t id, const void* bytes, size_t length);
  // kNotFound; kConflict as above.
  Status erase(uint64_t id);
  // As Store's; kConflict as above.
  Status set(const void* key, size_t key_length, const void* bytes, size_t length,
             bool* replaced = nullptr);
  Status erase_named(const void* key, size_t key_length);
  // After an error other than kNotFound, kExists or kInvalid the batch can only be dropped.
  Status commit();

 private:
  class State;
  State* state_;
};

// Writes a sentence about a status into `text`, cut off at `space` bytes; returns `text`.
const char* describe(const Status& status, char* text, size_t space);

}  // namespace toaststore

#endif  // TOASTSTORE_STORE_H_
