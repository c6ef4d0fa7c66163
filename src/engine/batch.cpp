// Putting values: pieces first, then their entries and journal records, leaf by leaf.

#include <algorithm>

#include "engine/chain.h"
#include "engine/meta.h"
#include "engine/store.h"

namespace toaststore {

Status Batch::open() {
  if (appender_.opened()) return Status::Ok();
  TOASTSTORE_TRY(create_store_pages(context_));
  return appender_.open();
}

Status Batch::append(uint64_t id, const std::byte* bytes, uint64_t length) {
  if (pending_ == kPending) TOASTSTORE_TRY(flush());
  Transactions& transactions = context_.transactions;
  Entry* entry = &entries_[pending_];
  const Xid xid = transactions.current();  // before the first piece
  TOASTSTORE_TRY(write_value(context_, &appender_, id, bytes, length, entry));
  entry->xmin = xid;
  entry->cmin = transactions.command();
  seal_record(entry);
  pending_++;
  return Status::Ok();
}

Status Batch::add(const std::byte* bytes, uint64_t length, uint64_t expected, uint64_t* id) {
  TOASTSTORE_TRY(open());
  TOASTSTORE_TRY(appender_.next_id(expected, id));
  return append(*id, bytes, length);
}

namespace {

// Pushes the counter past an id chosen by the caller.  A batch of ids that a lane holds is given
// up where it would follow or meet the id.
Status raise_counter(Context& context, uint64_t id) {
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  bool changed = meta.body.next_id <= id;
  for (const Lane& lane : meta.body.lanes) {
    changed = changed || (id >= lane.id_start && id < lane.id_end);
  }
  if (!changed) return Status::Ok();
  meta.body.next_id = std::max(meta.body.next_id, id + 1);
  for (Lane& lane : meta.body.lanes) lane.id_start = lane.id_end = 0;
  Change change(context.pager);
  meta.stage(&change);
  return change.commit();
}

}  // namespace

// Makes sure that the id may be taken, as far as can be seen before the pieces are written.
Status Batch::claim(uint64_t id) {
  for (;;) {
    Entry entry;
    bool found;
    TOASTSTORE_TRY(find_entry(context_, id, &entry, &found));
    if (!found) return Status::Ok();
    Xid holder = kNoXid;
    switch (context_.transactions.fate(entry.stamps(), &holder)) {
      case Fate::kAbsent:
        return Status::Ok();
      case Fate::kCreating:
      case Fate::kBusy:
        // Others may wait for this lane while we wait for them.
        TOASTSTORE_TRY(flush());
        appender_.close();
        TOASTSTORE_TRY(context_.transactions.wait(holder));
        break;
      case Fate::kDeleted:
        return Status::Error(Code::kExists, "id belongs to a deleted value not yet cleaned away");
      case Fate::kLive:
      case Fate::kUnseen:
        return Status::Error(Code::kExists, "id is taken");
    }
  }
}

Status Batch::add_at(uint64_t id, const std::byte* bytes, uint64_t length) {
  if (id < kMinId || id > kMaxId) return Status::Error(Code::kInvalid, "id is out of range");
  for (uint16_t i = 0; i < pending_; i++) {
    if (entries_[i].id == id) return Status::Error(Code::kExists, "id is taken");
  }
  TOASTSTORE_TRY(create_store_pages(context_));
  TOASTSTORE_TRY(claim(id));
  TOASTSTORE_TRY(open());
  TOASTSTORE_TRY(raise_counter(context_, id));
  return append(id, bytes, length);
}

Status Batch::flush() {
  uint16_t done = 0;
  Status status;
  while (done < pending_ && status.ok()) status = insert_some(&done);
  pending_ = 0;
  return status;
}

// Inserts entries_[*done] and those after it that go to the same place.
Status Batch::insert_some(uint16_t* done) {
  const Entry& entry = entries_[*done];
  Xid holder = kNoXid;
  {
    LeafPlace place;
    TOASTSTORE_TRY(find_room(context_, entry.id, 1, &place));
    if (!place.found) {
      const auto tail = place.leaf.tail<TreeTail>();
      uint64_t limit = tail.high;
      if (place.index < tail.count) limit = place.entry.id;
      const auto most = std::min<uint16_t>(static_cast<uint16_t>(pending_ - *done),
                                           static_cast<uint16_t>(kLeafCapacity - tail.count));
      uint16_t count = 1;
      while (count < most && entries_[*done + count].id > entries_[*done + count - 1].id &&
             entries_[*done + count].id < limit) {
        count++;
      }
      const Status status = stage_group(place, *done, count);
      if (status.ok()) *done = static_cast<uint16_t>(*done + count);
      if (!status.is(Code::kRetry)) return status;
      place.leaf.release();
      return extend_chain(context_, ChainId::journal(appender_.lane()));
    }
    const Fate fate = context_.transactions.fate(place.entry.stamps(), &holder);
    if (fate == Fate::kAbsent) {
      const Status status = replace_absent(place, entry);
      if (status.ok()) *done = static_cast<uint16_t>(*done + 1);
      if (!status.is(Code::kRetry)) return status;
      place.leaf.release();
      TOASTSTORE_TRY(extend_chain(context_, ChainId::journal(appender_.lane())));
      return ensure_dead_page(context_);
    }
    if (fate != Fate::kCreating && fate != Fate::kBusy) {
      return Status::Error(Code::kExists, "id is taken");
    }
  }
  return context_.transactions.wait(holder);
}

namespace {

JournalRecord put_record(const Entry& entry) {
  return {entry.id, entry.xmin, JournalAction::kPut, {}};
}

ChainTail journal_tail(const PageGuard& journal, const Appender& appender, Xid xid) {
  auto tail = journal.tail<ChainTail>();
  tail.next_id = appender.following_id();
  tail.position = appender.position();
  note_xid(xid, &tail);
  return tail;
}

}  // namespace

// One change: entries and their journal records.  kRetry: the journal needs a fresh page.
Status Batch::stage_group(const LeafPlace& place, uint16_t first, uint16_t count) {
  PageGuard journal;
  TOASTSTORE_TRY(latch_chain_tail(context_, ChainId::journal(appender_.lane()), Latch::kExclusive,
                                  count, &journal));
  JournalRecord records[kPending];
  for (uint16_t i = 0; i < count; i++) records[i] = put_record(entries_[first + i]);
  std::byte moved[kRecordSpace];
  Change change(context_.pager);
  stage_insert(place, &entries_[first], count, moved, &change);
  stage_records(journal, journal_tail(journal, appender_, entries_[first].xmin), records, count,
                &change);
  return change.commit();
}

// One change: an aborted entry gives way, its pieces are listed as dead.
Status Batch::replace_absent(const LeafPlace& place, const Entry& entry) {
  PageGuard journal, dead;
  TOASTSTORE_TRY(latch_chain_tail(context_, ChainId::journal(appender_.lane()), Latch::kExclusive,
                                  1, &journal));
  TOASTSTORE_TRY(latch_chain_tail(context_, ChainId::dead(), Latch::kExclusive, 1, &dead));
  const JournalRecord record = put_record(entry);
  const DeadRecord range = dead_record(place.entry);
  Change change(context_.pager);
  stage_replace(place, entry, &change);
  stage_records(journal, journal_tail(journal, appender_, entry.xmin), &record, 1, &change);
  stage_records(dead, dead.tail<ChainTail>(), &range, 1, &change);
  return change.commit();
}

}  // namespace toaststore
