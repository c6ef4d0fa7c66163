// The public calls.

#include "toaststore/store.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/meta.h"
#include "engine/verify.h"
#include "file/store_state.h"

namespace toaststore {

namespace {

const std::byte* bytes_of(const void* bytes) { return static_cast<const std::byte*>(bytes); }

std::string_view key_of(const void* key, size_t length) {
  return {static_cast<const char*>(key), length};
}

// Bytes of a value that is found, as many as there are.
Status fetch(Operation* operation, Entry* entry, uint64_t offset, size_t length, Buffer* slice) {
  const uint64_t start = std::min(offset, entry->raw_bytes);
  const uint64_t part = std::min<uint64_t>(length, entry->raw_bytes - start);
  TOASTSTORE_TRY(slice->resize(part));
  return operation->values().fetch(entry, start, part, slice->mutable_data());
}

// The entry of a name's value.  A relation's file has no names.
Status find_named(StoreState* state, Operation* operation, const void* key, size_t key_length,
                  Entry* entry) {
  TOASTSTORE_TRY(check_key(key, key_length));
  if (state->relation()) return Status::Error(Code::kNotFound, "a server's store has no names");
  return operation->names().find(key_of(key, key_length), entry);
}

// One transaction of the store: begun by its first change, aborted unless committed.
class Changes {
 public:
  explicit Changes(StoreState* state) : state_(state), transactions_(state->xids()) {}
  Changes(const Changes&) = delete;
  Changes& operator=(const Changes&) = delete;
  ~Changes() { abort(); }

  // Runs one call of the engine as part of the transaction.  Where what is asked for cannot be,
  // nothing of it is done; any other error may leave it half done: from then on there is only that.
  template <typename Call>
  Status change(Call call) {
    TOASTSTORE_TRY(failure_);
    const Status status = try_change(call);
    const bool refused =
        status.is(Code::kNotFound) || status.is(Code::kExists) || status.is(Code::kInvalid);
    if (!refused) failure_ = status;
    return status;
  }

  Status commit() {
    if (failure_.ok()) failure_ = try_commit();
    return failure_;
  }

 private:
  template <typename Call>
  Status try_change(Call call) {
    if (state_->log() == nullptr) return Status::Error(Code::kInvalid, "store is read-only");
    TOASTSTORE_TRY(state_->log()->health());
    TOASTSTORE_TRY(state_->bound_log());
    TOASTSTORE_TRY(transactions_.begin());
    Writing writing(state_->writers());
    Operation operation(state_);
    operation.join(transactions_.xid(), &writing);
    operation.go_on_after(put_bytes_);
    const Status status = call(operation);
    put_bytes_ = operation.put_bytes();
    wrote_ = wrote_ || operation.wrote();
    return status;
  }

  Status try_commit() {
    if (transactions_.xid() == kNoXid) return Status::Ok();
    if (!wrote_) {
      abort();
      return Status::Ok();
    }
    Lsn lsn = kNoLsn;
    TOASTSTORE_TRY(end(RecordKind::kCommit, &lsn));
    const Status status = state_->acknowledge(lsn);
    // The record is in the log: what others see must be what recovery would find.
    state_->xids().commit(transactions_.xid());
    forget();
    return status;
  }

  Status end(RecordKind kind, Lsn* lsn) {
    if (state_->log() == nullptr) return Status::Error(Code::kInvalid, "store is closed");
    Record record;
    record.start(kind, transactions_.xid());
    Log::Insertion insertion(*state_->log());
    TOASTSTORE_TRY(insertion.prepare());
    *lsn = insertion.append(record);
    if (kind == RecordKind::kCommit) state_->xids().set_logged(transactions_.xid());
    return Status::Ok();
  }

  // Without its record the transaction counts as aborted too, once it is recovered.  One that wrote
  // nothing need not be remembered.
  void abort() {
    if (transactions_.xid() == kNoXid) return;
    Lsn lsn = kNoLsn;
    if (wrote_) {
      (void)end(RecordKind::kAbort, &lsn);
      state_->xids().abort(transactions_.xid());
    } else {
      state_->xids().commit(transactions_.xid());
    }
    forget();
  }

  void forget() {
    transactions_.forget();
    wrote_ = false;
    put_bytes_ = 0;
  }

  StoreState* state_;
  FileTransactions transactions_;
  bool wrote_ = false;
  uint64_t put_bytes_ = 0;
  Status failure_;
};

}  // namespace

Buffer::~Buffer() { std::free(data_); }

Status Buffer::resize(size_t size) {
  if (size > space_) {
    std::free(data_);
    data_ = static_cast<std::byte*>(std::malloc(size));
    space_ = data_ == nullptr ? 0 : size;
    size_ = 0;
    if (data_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  }
  size_ = size;
  return Status::Ok();
}

Status Store::open_with(Opening opening, const char* path, const StoreOptions& options,
                        Store** store) {
  *store = nullptr;
  Files& files = options.files != nullptr ? *options.files : posix_files();
  auto* state = new (std::nothrow) StoreState(files, options);
  if (state == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  Status status = (state->*opening)(path);
  if (status.ok()) {
    *store = new (std::nothrow) Store(state);
    if (*store == nullptr) status = Status::Error(Code::kNoMemory, "out of memory");
  }
  if (!status.ok()) delete state;
  return status;
}

Status Store::open(const char* directory, const StoreOptions& options, Store** store) {
  return open_with(&StoreState::open, directory, options, store);
}

Status Store::open_relation(const char* file, const StoreOptions& options, Store** store) {
  return open_with(&StoreState::open_relation, file, options, store);
}

Store::~Store() { delete state_; }

Status Store::close() { return state_->close(); }

Status Store::put(const void* bytes, size_t length, uint64_t* id) {
  WriteBatch batch(this);
  TOASTSTORE_TRY(batch.put(bytes, length, id));
  return batch.commit();
}

Status Store::put_at(uint64_t id, const void* bytes, size_t length) {
  WriteBatch batch(this);
  TOASTSTORE_TRY(batch.put_at(id, bytes, length));
  return batch.commit();
}

Status Store::erase(uint64_t id) {
  WriteBatch batch(this);
  TOASTSTORE_TRY(batch.erase(id));
  return batch.commit();
}

Status Store::get(uint64_t id, Buffer* value) { return get_slice(id, 0, SIZE_MAX, value); }

Status Store::get_slice(uint64_t id, uint64_t offset, size_t length, Buffer* slice) {
  Operation operation(state_);
  for (;;) {
    Entry entry;
    TOASTSTORE_TRY(operation.values().lookup(id, &entry));
    const Status status = fetch(&operation, &entry, offset, length, slice);
    // Erased and compacted away since it was found: the id has another value, or none.
    if (!status.is(Code::kNotFound)) return status;
  }
}

Status Store::length(uint64_t id, uint64_t* raw_bytes) {
  ValueInfo found;
  TOASTSTORE_TRY(info(id, &found));
  *raw_bytes = found.raw_bytes;
  return Status::Ok();
}

Status Store::info(uint64_t id, ValueInfo* info) {
  Operation operation(state_);
  Entry entry;
  TOASTSTORE_TRY(operation.values().lookup(id, &entry));
  TOASTSTORE_TRY(load_hints(operation.context()));  // chunk_bytes is the meta page's
  *info = {entry.layout,
           entry.codec,
           entry.raw_bytes,
           entry.stored_bytes,
           operation.values().chunks(entry),
           entry.pages};
  return Status::Ok();
}

Status Store::scan(uint64_t from, uint64_t to, ValueVisitor* visitor) {
  const OpenSnapshot snapshot(state_->xids());
  Operation operation(state_, &snapshot.get());
  LeafBatch batch;
  for (uint64_t next = from; next < to && next != kInfinity; next = batch.next) {
    TOASTSTORE_TRY(read_forward(operation.context(), next, &batch));
    for (uint16_t i = 0; i < batch.count && batch.entries[i].id < to; i++) {
      const Entry& entry = batch.entries[i];
      if (!operation.context().transactions.visible(entry.stamps())) continue;
      TOASTSTORE_TRY(visitor->value(entry.id, entry.raw_bytes));
    }
  }
  return Status::Ok();
}

Status Store::set(const void* key, size_t key_length, const void* bytes, size_t length,
                  bool* replaced) {
  WriteBatch batch(this);
  TOASTSTORE_TRY(batch.set(key, key_length, bytes, length, replaced));
  return batch.commit();
}

Status Store::get_named(const void* key, size_t key_length, Buffer* value) {
  return get_named_slice(key, key_length, 0, SIZE_MAX, value);
}

Status Store::get_named_slice(const void* key, size_t key_length, uint64_t offset, size_t length,
                              Buffer* slice) {
  Operation operation(state_);
  for (;;) {
    Entry entry;
    TOASTSTORE_TRY(find_named(state_, &operation, key, key_length, &entry));
    const Status status = fetch(&operation, &entry, offset, length, slice);
    // Replaced and compacted away since it was found: the name has another value, or none.
    if (!status.is(Code::kNotFound)) return status;
  }
}

Status Store::find_name(const void* key, size_t key_length, uint64_t* id) {
  Operation operation(state_);
  Entry entry;
  TOASTSTORE_TRY(find_named(state_, &operation, key, key_length, &entry));
  *id = entry.id;
  return Status::Ok();
}

Status Store::erase_named(const void* key, size_t key_length) {
  WriteBatch batch(this);
  TOASTSTORE_TRY(batch.erase_named(key, key_length));
  return batch.commit();
}

Status Store::scan_names(const void* from, size_t from_length, const void* to, size_t to_length,
                         NameVisitor* visitor) {
  if (state_->relation()) return Status::Ok();
  Operation operation(state_);
  return operation.names().scan(key_of(from, from_length), key_of(to, to_length), visitor);
}

// The keys with a prefix end before the shortest string that is behind all of them: the prefix up
// to its last byte that can be made greater, made greater.
Status Store::scan_prefix(const void* prefix, size_t prefix_length, NameVisitor* visitor) {
  if (prefix_length > kMaxKeyBytes) return Status::Ok();
  char end[kMaxKeyBytes];
  if (prefix_length > 0) std::memcpy(end, prefix, prefix_length);
  size_t length = prefix_length;
  while (length > 0 && end[length - 1] == '\xff') length--;
  if (length > 0) end[length - 1]++;
  return scan_names(prefix, prefix_length, end, length, visitor);
}

Status Store::checkpoint() {
  if (state_->log() == nullptr) return Status::Error(Code::kInvalid, "store is read-only");
  return state_->checkpoint();
}

Status Store::compact(Compaction* compaction) {
  Compaction ignored;
  return state_->compact(compaction != nullptr ? compaction : &ignored);
}

Status Store::sync() {
  if (state_->log() == nullptr) return Status::Ok();
  return state_->log()->sync(state_->log()->end());
}

Status Store::verify(FaultVisitor* visitor) {
  class Sink final : public FaultSink {
   public:
    explicit Sink(FaultVisitor* visitor) : visitor_(visitor) {}
    Status report(const Fault& fault) override {
      return visitor_->fault(fault.block, fault.id, fault.reason);
    }

   private:
    FaultVisitor* visitor_;
  };
  const std::unique_lock<std::shared_mutex> alone(state_->writers());
  Operation operation(state_);
  Sink sink(visitor);
  TOASTSTORE_TRY(toaststore::verify(operation.context(), &sink));
  return state_->relation() ? Status::Ok() : operation.names().verify(&sink);
}

Status Store::statistics(Statistics* statistics) {
  Operation operation(state_);
  MetaBody meta{};
  const Status status = read_meta(operation.context(), &meta);
  if (!status.ok() && !status.is(Code::kNotFound)) return status;
  BufferPool& pool = state_->pool();
  const uint64_t misses = pool.misses();
  *statistics = {uint64_t{state_->data().blocks()} * kPageBytes,
                 uint64_t{state_->names().blocks()} * kPageBytes,
                 state_->log() != nullptr ? state_->log()->since_checkpoint() : 0,
                 uint64_t{pool.frames()} * kPageBytes,
                 std::max(pool.gets(), misses) - misses,
                 misses,
                 state_->checkpoints(),
                 state_->compactions(),
                 std::max(meta.next_id, kMinId),
                 state_->upkeep()};
  return Status::Ok();
}

class WriteBatch::State final : public Changes {
 public:
  using Changes::Changes;
};

WriteBatch::WriteBatch(Store* store) : state_(new (std::nothrow) State(store->state_)) {}

WriteBatch::~WriteBatch() { delete state_; }

Status WriteBatch::put(const void* bytes, size_t length, uint64_t* id) {
  if (state_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  return state_->change(
      [&](Operation& operation) { return operation.values().put(bytes_of(bytes), length, id); });
}

Status WriteBatch::put_at(uint64_t id, const void* bytes, size_t length) {
  if (state_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  return state_->change([&](Operation& operation) {
    Batch batch(operation.context());
    TOASTSTORE_TRY(batch.add_at(id, bytes_of(bytes), length));
    return batch.flush();
  });
}

Status WriteBatch::erase(uint64_t id) {
  if (state_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  return state_->change([&](Operation& operation) { return operation.values().erase(id); });
}

Status WriteBatch::set(const void* key, size_t key_length, const void* bytes, size_t length,
                       bool* replaced) {
  if (state_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  TOASTSTORE_TRY(check_key(key, key_length));
  bool ignored;
  return state_->change([&](Operation& operation) {
    return operation.names().set(key_of(key, key_length), bytes_of(bytes), length,
                                 replaced != nullptr ? replaced : &ignored);
  });
}

Status WriteBatch::erase_named(const void* key, size_t key_length) {
  if (state_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  TOASTSTORE_TRY(check_key(key, key_length));
  return state_->change(
      [&](Operation& operation) { return operation.names().erase(key_of(key, key_length)); });
}

Status WriteBatch::commit() {
  if (state_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  return state_->commit();
}

const char* describe(const Status& status, char* text, size_t space) {
  int length = std::snprintf(text, space, "%s", status.ok() ? "ok" : status.reason);
  const auto append = [&](const char* format, auto value) {
    if (length < 0 || static_cast<size_t>(length) >= space) return;
    length += std::snprintf(text + length, space - static_cast<size_t>(length), format, value);
  };
  if (status.id != 0) append(" (value %llu)", static_cast<unsigned long long>(status.id));
  if (status.block != kNoBlock) append(" (block %u)", status.block);
  if (status.error != 0) append(": %s", std::strerror(status.error));
  return text;
}

}  // namespace toaststore
