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
  TOASTSTORE_TRY(context_.pager.pause(Step::kPutValue));
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
  if (!appender_.has_ids()) TOASTSTORE_TRY(flush());
  TOASTSTORE_TRY(appender_.next_id(expected, id));
  return append(*id, bytes, length);
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
  const ChainId journal = ChainId::journal(appender_.lane());
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
      return ensure_chain_room(context_, journal, count);
    }
    const Fate fate = context_.transactions.fate(place.entry.stamps(), &holder);
    const bool removable =
        fate == Fate::kDeleted && context_.transactions.removable(place.entry.xmax);
    if (fate == Fate::kAbsent || removable) {
      const Status status = replace_entry(place, entry, removable);
      if (status.ok()) *done = static_cast<uint16_t>(*done + 1);
      if (!status.is(Code::kRetry)) return status;
      place.leaf.release();
      TOASTSTORE_TRY(ensure_chain_room(context_, journal, 1));
      return ensure_chain_room(context_, ChainId::dead(), 1);
    }
    if (fate != Fate::kCreating && fate != Fate::kBusy) {
      return Status::Exists(entry.id, "The id is taken");
    }
  }
  // Another transaction took the id since it was claimed.  The lane stays locked, for the pieces
  // are not yet behind its logged position; a circle of such waits is found as a deadlock.
  return context_.transactions.wait(holder);
}

namespace {

JournalRecord put_record(const Entry& entry) {
  return {entry.id, entry.xmin, JournalAction::kPut, {}};
}

ChainTail journal_tail(const PageGuard& journal, const Appender& appender) {
  auto tail = journal.tail<ChainTail>();
  tail.next_id = appender.following_id();
  tail.position = appender.position();
  return tail;
}

}  // namespace

// One change: entries and their journal records.  kRetry: the journal has no room, or is taken.
Status Batch::stage_group(const LeafPlace& place, uint16_t first, uint16_t count) {
  PageGuard journal;
  TOASTSTORE_TRY(try_chain_tail(context_, ChainId::journal(appender_.lane()), count, &journal));
  JournalRecord records[kPending];
  ChainTail tail = journal_tail(journal, appender_);
  for (uint16_t i = 0; i < count; i++) {
    records[i] = put_record(entries_[first + i]);
    note_xid(records[i].xid, &tail);
  }
  std::byte moved[kRecordSpace];
  Change change(context_.pager, Step::kInsertEntries);
  stage_insert(place, &entries_[first], count, moved, &change);
  stage_records(journal, tail, records, count, &change);
  return change.commit();
}

// One change: an entry that nobody needs gives way, its pieces are listed as dead.  kRetry: as
// above.
Status Batch::replace_entry(const LeafPlace& place, const Entry& entry, bool was_seen) {
  PageGuard journal, dead;
  TOASTSTORE_TRY(try_chain_tail(context_, ChainId::journal(appender_.lane()), 1, &journal));
  TOASTSTORE_TRY(try_chain_tail(context_, ChainId::dead(), 1, &dead));
  const JournalRecord record = put_record(entry);
  ChainTail tail = journal_tail(journal, appender_);
  note_xid(record.xid, &tail);
  const DeadRecord range = dead_record(place.entry);
  MetaGuard meta;
  const bool tallied = place.entry.settled();
  if (tallied) {
    TOASTSTORE_TRY(meta.open(context_, Latch::kExclusive));
    count_out(place.entry, &meta.body.settled);
  }
  if (was_seen) context_.transactions.log_removal(place.entry.xmax, place.leaf.block());
  Change change(context_.pager, Step::kReplaceEntry);
  stage_replace(place, entry, &change);
  stage_records(journal, tail, &record, 1, &change);
  stage_records(dead, dead.tail<ChainTail>(), &range, 1, &change);
  if (tallied) meta.stage(&change);
  return change.commit();
}

}  // namespace toaststore
