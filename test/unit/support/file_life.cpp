// Random work.

#include "support/file_life.h"

#include "file/log_format.h"

namespace toaststore::test {

namespace {

constexpr uint64_t kFarIds = 3000;

std::shared_ptr<const Bytes> shared(Bytes bytes) {
  return std::make_shared<const Bytes>(std::move(bytes));
}

}  // namespace

StoreOptions sim_options(Files* files, Sync sync) {
  StoreOptions options;
  // Every layout is cheap.
  options.values.direct_max = 1000;
  options.values.extent_max = 16000;
  options.values.chunk_bytes = kChunkBytesMin;
  options.cache_bytes = 1024 * 1024;
  options.sync = sync;
  options.sync_interval_ms = UINT32_MAX;
  options.checkpoint_bytes = uint64_t{1} << 40;
  options.log_segment_bytes = kMinSegmentBytes;
  options.past_log_bytes = 20000;
  options.compaction_threshold = 0.1;
  options.files = files;
  return options;
}

bool FileLife::open() {
  Store* store = nullptr;
  const Status status = Store::open(kSimStore, options_, &store);
  store_.reset(store);
  // Whatever was found is durable by now.
  note(status, true);
  return status.ok();
}

void FileLife::note(const Status& status, bool makes_durable) {
  if (!status.ok()) {
    failures_.push_back(status);
  } else if (makes_durable) {
    ledger_.durable(files_->operations());
  }
}

void FileLife::checkpoint() { note(store_->checkpoint(), true); }

void FileLife::grow_and_shrink() {
  const Contents before = ledger_.now();
  run([&](WriteBatch* batch, Contents* contents) {
    for (int i = 0; i < 50; i++) {
      TOASTSTORE_TRY(put(batch, random_bytes(random_.next(), 100000), contents));
    }
    return Status::Ok();
  });
  run([&](WriteBatch* batch, Contents* contents) {
    for (const auto& [id, bytes] : ledger_.now()) {
      if (!before.contains(id)) TOASTSTORE_TRY(batch->erase(id));
    }
    *contents = before;
    return Status::Ok();
  });
  note(store_->compact(), false);
}

void FileLife::close() { note(store_->close(), true); }

void FileLife::die() {
  files_->crash_process();
  store_.reset();
  files_->start_process();
}

Bytes FileLife::some_bytes() {
  const uint64_t kind = random_.below(20);
  size_t length = random_.below(300);
  if (kind >= 10) length = random_.below(3000);
  if (kind >= 17) length = random_.below(20000);
  if (kind == 19) length = random_.below(60000);
  const uint64_t seed = random_.next();
  return random_.below(3) == 0 ? text_bytes(seed, length) : random_bytes(seed, length);
}

uint64_t FileLife::some_id() {
  const Contents& contents = ledger_.now();
  if (contents.empty()) return 0;
  auto at = contents.lower_bound(random_.below(contents.rbegin()->first + 1));
  return at == contents.end() ? contents.begin()->first : at->first;
}

uint64_t FileLife::free_id() {
  uint64_t id;
  do {
    id = 1 + random_.below(kFarIds);
  } while (ledger_.now().contains(id));
  return id;
}

Status FileLife::put(WriteBatch* batch, const Bytes& bytes, Contents* contents) {
  uint64_t id = 0;
  TOASTSTORE_TRY(batch->put(bytes.data(), bytes.size(), &id));
  EXPECT_FALSE(contents->contains(id)) << "id " << id << " was given twice";
  (*contents)[id] = shared(bytes);
  return Status::Ok();
}

Status FileLife::put_at(WriteBatch* batch, uint64_t id, const Bytes& bytes, Contents* contents) {
  const Status status = batch->put_at(id, bytes.data(), bytes.size());
  if (status.ok()) (*contents)[id] = shared(bytes);
  return status;
}

// Runs a transaction to its end, whatever that is.
void FileLife::run(const Transaction& transaction) {
  Contents after = ledger_.now();
  const size_t begun = files_->operations();
  WriteBatch batch(store_.get());
  Status status = transaction(&batch, &after);
  if (status.is(Code::kExists)) return;  // the id of a value that was erased
  if (!status.ok()) {
    failures_.push_back(status);
    return;
  }
  status = batch.commit();
  if (status.ok()) {
    ledger_.commit(std::move(after), begun);
    if (options_.sync == Sync::kAlways) ledger_.durable(files_->operations());
    return;
  }
  failures_.push_back(status);
  // A store that still works has not done it.
  const Status synced = store_->sync();
  note(synced, true);
  if (!synced.ok()) ledger_.doubt(std::move(after), begun);
}

void FileLife::fill(uint64_t bytes) {
  for (uint64_t done = 0; done < bytes;) {
    run([&](WriteBatch* batch, Contents* contents) {
      for (int i = 0; i < 8; i++) {
        const Bytes value = random_bytes(random_.next(), random_.below(16000));
        done += value.size();
        TOASTSTORE_TRY(put(batch, value, contents));
      }
      return Status::Ok();
    });
  }
}

Status FileLife::mix(WriteBatch* batch, Contents* contents) {
  for (uint64_t i = 2 + random_.below(6); i > 0; i--) {
    const uint64_t id = some_id();
    if (random_.below(3) == 0 && id != 0 && contents->contains(id)) {
      TOASTSTORE_TRY(batch->erase(id));
      contents->erase(id);
    } else {
      TOASTSTORE_TRY(put(batch, some_bytes(), contents));
    }
  }
  return Status::Ok();
}

void FileLife::roll_back() {
  Contents ignored = ledger_.now();
  WriteBatch batch(store_.get());
  const Status status = mix(&batch, &ignored);
  if (!status.ok()) failures_.push_back(status);
}

// A cache gives up pages only if others are read.
void FileLife::read_some() {
  Buffer buffer;
  for (int i = 0; i < 10; i++) {
    const uint64_t id = some_id();
    if (id == 0) continue;
    const Status status = store_->get(id, &buffer);
    // A transaction in doubt may have erased it.
    if (!status.is(Code::kNotFound) || !ledger_.doubtful()) note(status, false);
  }
}

void FileLife::one() {
  const uint64_t kind = random_.below(40);
  if (kind < 18) {
    run([&](WriteBatch* batch, Contents* contents) { return put(batch, some_bytes(), contents); });
  } else if (kind < 24) {
    run([&](WriteBatch* batch, Contents* contents) {
      return put_at(batch, free_id(), some_bytes(), contents);
    });
  } else if (kind < 29) {
    const uint64_t id = some_id();
    if (id == 0) return;
    run([&](WriteBatch* batch, Contents* contents) {
      contents->erase(id);
      return batch->erase(id);
    });
  } else if (kind < 33) {
    run([&](WriteBatch* batch, Contents* contents) { return mix(batch, contents); });
  } else if (kind < 36) {
    roll_back();
  } else if (kind < 37) {
    checkpoint();
  } else {
    read_some();
    if (kind == 38) note(store_->compact(), false);
    if (kind == 39) note(store_->sync(), true);
  }
}

void FileLife::work(int transactions) {
  for (int i = 0; i < transactions; i++) one();
}

}  // namespace toaststore::test
