// Finding, reading and deleting values.

#include "engine/store.h"

#include "engine/chain.h"
#include "engine/meta.h"
#include "engine/value_reader.h"

namespace toaststore {

namespace {

// A value is moved by compaction, one move at a time: a reader that loses this many races in a row
// has met something else.
constexpr int kMaxReadAttempts = 100;

bool same_entry(const Entry& a, const Entry& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

}  // namespace

Status IdStore::lookup(uint64_t id, Entry* entry) {
  bool found;
  if (id >= kMinId && id <= kMaxId) {
    TOASTSTORE_TRY(find_entry(context_, id, entry, &found));
    if (found && context_.transactions.visible(entry->stamps())) return Status::Ok();
  }
  return Status::Error(Code::kNotFound, "no such value");
}

Status IdStore::fetch(Entry* entry, uint64_t offset, uint64_t length, std::byte* out) {
  TOASTSTORE_TRY(load_hints(context_));
  Status status;
  for (int attempt = 0; attempt < kMaxReadAttempts; attempt++) {
    status = read_value(context_, *entry, offset, length, out);
    if (status.block == kNoBlock) status.block = entry->block;  // where its pieces should be
    if (!status.is(Code::kRetry)) return status;
    Entry now;
    bool found;
    TOASTSTORE_TRY(find_entry(context_, entry->id, &now, &found));
    if (!found) return Status::Error(Code::kNotFound, "value is gone");
    if (same_entry(now, *entry) || now.raw_bytes != entry->raw_bytes) break;
    *entry = now;
  }
  return Status::Corruption(status.block, status.reason);
}

Status IdStore::put(const std::byte* bytes, uint64_t length, uint64_t* id) {
  Batch batch(context_);
  TOASTSTORE_TRY(batch.add(bytes, length, 0, id));
  return batch.flush();
}

namespace {

// One change: the deleter's stamp and its journal record.  kRetry: the entry changed meanwhile.
Status stamp_deleted(Context& context, const Entry& seen, Xid deleter) {
  const ChainId journal = ChainId::journal(context.hints.lane);
  LeafPlace place;
  TOASTSTORE_TRY(find_place(context, seen.id, Latch::kExclusive, &place));
  if (!place.found || !same_entry(place.entry, seen)) {
    return Status::Error(Code::kRetry, "entry has changed");
  }
  PageGuard page;
  const Status status = try_chain_tail(context, journal, 1, &page);
  if (status.is(Code::kRetry)) {
    place.leaf.release();
    TOASTSTORE_TRY(ensure_chain_room(context, journal, 1));
    return status;
  }
  TOASTSTORE_TRY(status);
  Entry entry = seen;
  entry.xmax = deleter;
  entry.cmax = deleter == kNoXid ? 0 : context.transactions.command();
  seal_record(&entry);
  const JournalRecord record{entry.id, deleter, JournalAction::kDelete, {}};
  Change change(context.pager, Step::kStampDeleted);
  stage_replace(place, entry, &change);
  if (deleter != kNoXid) {
    auto tail = page.tail<ChainTail>();
    note_xid(deleter, &tail);
    stage_records(page, tail, &record, 1, &change);
  }
  return change.commit();
}

}  // namespace

Status IdStore::erase(uint64_t id) {
  for (;;) {
    Entry entry;
    TOASTSTORE_TRY(lookup(id, &entry));
    context_.transactions.current();  // assigned before any latch is held
    Xid holder = kNoXid;
    Status status;
    switch (context_.transactions.fate(entry.stamps(), &holder)) {
      case Fate::kLive:
        status = stamp_deleted(context_, entry, context_.transactions.current());
        if (!status.is(Code::kRetry)) return status;
        break;
      case Fate::kBusy:
        TOASTSTORE_TRY(context_.transactions.wait(holder));
        break;
      case Fate::kDeleted:
        return context_.transactions.lost_race();
      case Fate::kAbsent:
      case Fate::kCreating:
      case Fate::kUnseen:
      case Fate::kOwnDeleted:
        return Status::Error(Code::kNotFound, "no such value");
    }
  }
}

Status IdStore::erase_owned(uint64_t id) { return restamp(id, context_.transactions.current()); }

Status IdStore::restamp(uint64_t id, Xid deleter) {
  for (;;) {
    Entry entry;
    bool found;
    TOASTSTORE_TRY(find_entry(context_, id, &entry, &found));
    if (!found) return Status::Error(Code::kNotFound, "no such value");
    const Status status = stamp_deleted(context_, entry, deleter);
    if (!status.is(Code::kRetry)) return status;
  }
}

Status IdStore::purge(uint64_t id) {
  bool sparse = false;
  for (bool removed = false; !removed;) {
    LeafPlace place;
    TOASTSTORE_TRY(find_place(context_, id, Latch::kExclusive, &place));
    if (!place.found) return Status::Error(Code::kNotFound, "no such value");
    PageGuard dead;
    const Status status = try_chain_tail(context_, ChainId::dead(), 1, &dead);
    if (status.is(Code::kRetry)) {
      place.leaf.release();
      TOASTSTORE_TRY(ensure_chain_room(context_, ChainId::dead(), 1));
      continue;
    }
    TOASTSTORE_TRY(status);
    const DeadRecord range = dead_record(place.entry);
    MetaGuard meta;
    const bool tallied = place.entry.settled();
    if (tallied) {
      TOASTSTORE_TRY(meta.open(context_, Latch::kExclusive));
      count_out(place.entry, &meta.body.settled);
    }
    std::byte moved[kRecordSpace];
    Change change(context_.pager, Step::kRemoveEntry);
    stage_remove(place, moved, &change);
    stage_records(dead, dead.tail<ChainTail>(), &range, 1, &change);
    if (tallied) meta.stage(&change);
    TOASTSTORE_TRY(change.commit());
    sparse = place.leaf.tail<TreeTail>().count <= kSparseLeaf;
    removed = true;
  }
  return sparse ? absorb_sparse(context_, id) : Status::Ok();
}

uint64_t IdStore::chunks(const Entry& entry) const {
  if (entry.layout != Layout::kChunked) return 0;
  return chunk_count(entry.raw_bytes, context_.options.chunk_bytes);
}

}  // namespace toaststore
