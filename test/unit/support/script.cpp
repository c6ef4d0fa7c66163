// The operations of the script.

#include "support/script.h"

#include "engine/cleaner.h"
#include "engine/geometry.h"
#include "engine/meta.h"

namespace toaststore::test {

namespace {

// Explicit ids, of which each play takes its own.
constexpr uint64_t kFarId = 1000000;
constexpr uint64_t kPerPlay = 1000;

// Marks every free extent of the first map page but `keep` as taken, by a writer that is never
// over.
void fill_first_map_page(TestStore* store, int keep) {
  std::byte* page = store->pager.page(kFirstMapBlock);
  for (uint32_t i = kExtentsPerMapPage; i-- > 0;) {
    auto entry = record_at<MapEntry>(page, i);
    if (entry.kind != ExtentKind::kFree) continue;
    if (keep-- > 0) continue;
    entry.kind = ExtentKind::kValues;
    entry.values.writer = UINT64_MAX;
    seal_record(&entry);
    std::memcpy(page + record_offset<MapEntry>(i), &entry, sizeof(entry));
  }
}

}  // namespace

Options script_options() {
  Options options;
  options.direct_max = 4000;
  options.extent_max = 16000;
  options.chunk_bytes = kChunkBytesMin;
  options.compression.codec = Codec::kLz4;
  return options;
}

void bring_to_the_edge(TestStore* store, std::map<uint64_t, Bytes>* live) {
  std::vector<uint64_t> ids;
  for (int i = 0; i < 360; i++) ids.push_back(store->put(random_bytes(i, 40)));
  store->next_command();
  // The odd ones of the older half die: journal pages fill, the dead list does.
  for (size_t i = 0; i < 240; i++) {
    store->erase(ids[i]);
    if (i % 2 == 0) {
      EXPECT_OK(store->try_purge(ids[i]));
    }
  }
  for (size_t i = 240; i < ids.size(); i++) live->emplace(ids[i], random_bytes(i, 40));
  store->commit();
  fill_first_map_page(store, 2);
  store->expect_sound();
}

void Script::play(bool stop_at_failure) {
  static constexpr Operation kOperations[] = {
      &Script::put_small,       &Script::put_direct,   &Script::put_extent,  &Script::put_chunked,
      &Script::erase_some,      &Script::put_at_far,   &Script::put_at_gap,  &Script::put_aborted,
      &Script::replace_aborted, &Script::purge_erased, &Script::put_more,    &Script::purge_leaf,
      &Script::compact,         &Script::read_all,     &Script::put_chunked,
  };
  failures_.clear();
  far_id_ = kFarId + kPerPlay * plays_++;
  for (const Operation operation : kOperations) {
    store_->next_command();
    pending_.clear();
    erasing_.clear();
    const Status status = (this->*operation)();
    store_->expect_idle("an operation");
    if (!status.ok()) {
      failures_.push_back(status);
      store_->session.abort();
      if (stop_at_failure) return;
      continue;
    }
    store_->commit();
    live_.insert(pending_.begin(), pending_.end());
    for (const uint64_t id : erasing_) live_.erase(id);
    erased_.insert(erasing_.begin(), erasing_.end());
  }
}

Status Script::put_many(int count, size_t length) {
  Batch batch(store_->context);
  for (int i = 0; i < count; i++) {
    const Bytes bytes = random_bytes(seed_++, length);
    uint64_t id;
    TOASTSTORE_TRY(batch.add(data_of(bytes), bytes.size(), count - i - 1, &id));
    done(id, bytes);
  }
  return batch.flush();
}

Status Script::put_direct() {
  const Bytes bytes = random_bytes(seed_++, 3000);
  uint64_t id;
  TOASTSTORE_TRY(store_->try_put(bytes, &id));
  done(id, bytes);
  return Status::Ok();
}

Status Script::put_extent() {
  const Bytes bytes = random_bytes(seed_++, 15000);
  uint64_t id;
  TOASTSTORE_TRY(store_->try_put(bytes, &id));
  done(id, bytes);
  return Status::Ok();
}

Status Script::put_chunked() {
  const Bytes bytes = random_bytes(seed_, 30000) + text_bytes(seed_ + 1, 30000);
  seed_ += 2;
  uint64_t id;
  TOASTSTORE_TRY(store_->try_put(bytes, &id));
  done(id, bytes);
  return Status::Ok();
}

Status Script::put_at_far() {
  const Bytes bytes = random_bytes(seed_++, 500);
  TOASTSTORE_TRY(store_->try_put_at(far_id_, bytes));
  done(far_id_, bytes);
  return Status::Ok();
}

Status Script::put_at_gap() {
  const Bytes bytes = text_bytes(seed_++, 9000);
  TOASTSTORE_TRY(store_->try_put_at(far_id_ - 5, bytes));
  done(far_id_ - 5, bytes);
  return Status::Ok();
}

Status Script::put_aborted() {
  TOASTSTORE_TRY(store_->try_put_at(far_id_ - 7, random_bytes(seed_++, 700)));
  store_->session.abort();
  return Status::Ok();
}

Status Script::replace_aborted() {
  const Bytes bytes = random_bytes(seed_++, 800);
  TOASTSTORE_TRY(store_->try_put_at(far_id_ - 7, bytes));
  done(far_id_ - 7, bytes);
  return Status::Ok();
}

Status Script::erase_some() {
  int count = 0;
  for (const auto& [id, bytes] : live_) {
    if (count++ == 3) break;
    TOASTSTORE_TRY(store_->try_erase(id));
    erasing_.insert(id);
  }
  return Status::Ok();
}

Status Script::purge_erased() {
  while (!erased_.empty()) {
    const uint64_t id = *erased_.begin();
    const Status status = store_->try_purge(id);
    // An earlier attempt may have removed the entry before it failed.
    if (!status.is(Code::kNotFound)) TOASTSTORE_TRY(status);
    erased_.erase(erased_.begin());
  }
  return Status::Ok();
}

// All dead entries that the store began with: leaves become empty.
Status Script::purge_leaf() {
  std::vector<uint64_t> ids;
  TOASTSTORE_TRY(store_->try_scan(&ids));
  for (const uint64_t id : ids) {
    if (id < 240 && !live_.contains(id)) TOASTSTORE_TRY(store_->try_purge(id));
  }
  return Status::Ok();
}

// Everything that has ended is seen by everybody; hardly an extent is full enough to be left alone.
Status Script::compact() {
  store_->world.horizon = static_cast<Xid>(store_->session.oldest_running());
  CleanReport report;
  const Status status = toaststore::compact(store_->context, 0.4, &report);
  store_->expect_idle("compaction");
  return status;
}

Status Script::read_all() {
  Bytes bytes;
  for (const auto& [id, expected] : live_) {
    TOASTSTORE_TRY(store_->try_get(id, &bytes));
    EXPECT_EQ(bytes, expected) << id;
  }
  std::vector<uint64_t> ids;
  return store_->try_scan(&ids, true);
}

void Script::check() {
  store_->next_command();
  store_->expect_sound();
  for (const auto& [id, expected] : live_) {
    EXPECT_TRUE(store_->get(id) == expected) << "value " << id << " is not what was acknowledged";
  }
  for (const uint64_t id : store_->scan()) {
    if (live_.contains(id)) continue;
    Bytes bytes;
    EXPECT_EQ(store_->try_get(id, &bytes).code, Code::kNotFound) << "value " << id;
  }
}

}  // namespace toaststore::test
