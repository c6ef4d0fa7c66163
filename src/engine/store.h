// A store of values by id: what hosts build on.
//
// An IdStore is a view over the ports in its context and holds nothing between calls; a Batch holds
// a lane from its first value to flush() or destruction.
//
// Who sees what is the transactions port's to say: the engine keeps the stamps, and writes an entry
// and its journal record in one change.

#ifndef TOASTSTORE_ENGINE_STORE_H_
#define TOASTSTORE_ENGINE_STORE_H_

#include "engine/tree.h"
#include "engine/value_writer.h"

namespace toaststore {

class IdStore {
 public:
  explicit IdStore(Context& context) : context_(context) {}

  // The entry of a value that the caller sees.  kNotFound where there is none.
  Status lookup(uint64_t id, Entry* entry);

  // Copies bytes [offset, offset + length) of a value found by lookup().  Where the value has moved
  // meanwhile, *entry is refreshed.  REQUIRES: within entry->raw_bytes.
  Status fetch(Entry* entry, uint64_t offset, uint64_t length, std::byte* out);

  // Stores a value under the next id.
  Status put(const std::byte* bytes, uint64_t length, uint64_t* id);

  // Deletes a value that the caller sees.  kNotFound where there is none (any more), kConflict
  // where the host calls a lost race that.
  Status erase(uint64_t id);

  // Deletes a value that the caller alone may delete, since it holds what the value belongs to: an
  // earlier deleter's stamp is one that aborted.  kNotFound where there is none.
  Status erase_owned(uint64_t id);

  // Gives a value that the same caller stored the deleter that it had before it was copied here, or
  // none.
  Status restamp(uint64_t id, Xid deleter);

  // Takes an entry out of the tree, whoever sees it, lists its pieces as dead and frees the leaf
  // if it holds little by then: what the cleaner does.
  Status purge(uint64_t id);

  // Number of chunks; 0 for other layouts.
  uint64_t chunks(const Entry& entry) const;

  Context& context() { return context_; }

 private:
  Context& context_;
};

// Puts several values, their entries inserted leaf by leaf.
class Batch {
 public:
  explicit Batch(Context& context) : context_(context), appender_(context) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  // Stores a value; it is there once flush() returns.  `expected` more are likely to follow.
  Status add(const std::byte* bytes, uint64_t length, uint64_t expected, uint64_t* id);

  // The same under an id of the caller's choice.  kExists where the id is taken, also by a deleted
  // value that an older snapshot may still see; kInvalid where it is no id.
  Status add_at(uint64_t id, const std::byte* bytes, uint64_t length);

  // The same of a value whose parts come from elsewhere.  REQUIRES: prepare(), so that the options
  // that the parts were made by are known.
  Status add_parts(PartSource* parts, uint64_t length, uint64_t expected, uint64_t* id);
  Status add_parts_at(uint64_t id, PartSource* parts, uint64_t length);

  // From now on the store has pages, and the context its thresholds.
  Status prepare();

  // Ids up to `id` are about to be added: the counter is pushed past them at once.
  Status expect_ids(uint64_t id);

  // The counter goes on where that of the store is that this one is a copy of.  REQUIRES: no id was
  // handed out here.
  Status adopt_counter(uint64_t next_id);

  Status flush();

 private:
  static constexpr uint16_t kPending = 32;  // 2 kB of entries

  Status open();
  Status take_id(uint64_t expected, uint64_t* id);
  Status take_id_at(uint64_t id);
  Status claim(uint64_t id);
  Status take_from_batches(uint64_t id);
  Status append(uint64_t id, uint64_t length, PartSource* source);
  Status insert_some(uint16_t* done);
  Status stage_group(const LeafPlace& place, uint16_t first, uint16_t count);
  Status replace_entry(const LeafPlace& place, const Entry& entry, bool was_seen);

  Context& context_;
  Appender appender_;
  uint16_t pending_ = 0;
  Entry entries_[kPending];
};

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_STORE_H_
