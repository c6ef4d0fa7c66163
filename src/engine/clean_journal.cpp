// Consuming the journals.
//
// A record says that a transaction put or deleted a value.  When every snapshot has seen how the
// transaction ended, the entry is judged by its own stamps: if it still carries the transaction, it
// goes, is frozen, or loses the stamp of a deleter that aborted.  Otherwise the record is about a
// value that has gone before.  So a record may be judged twice, and in any order.

#include <algorithm>

#include "engine/chain.h"
#include "engine/cleaner.h"
#include "engine/meta.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

class JournalCleaner {
 public:
  JournalCleaner(Context& context, CleanReport* report)
      : context_(context), report_(report), space_(context.memory) {}

  Status run() {
    Status status = load_hints(context_);
    if (status.is(Code::kNotFound)) return Status::Ok();
    TOASTSTORE_TRY(status);
    report_->horizon = horizon_ = context_.transactions.horizon();
    TOASTSTORE_TRY(space_.allocate(sizeof(Work)));
    for (uint8_t lane = 0; lane < kLanes; lane++) TOASTSTORE_TRY(clean_lane(lane));
    return Status::Ok();
  }

 private:
  // Too much for a stack.
  struct Work {
    JournalRecord records[kJournalCapacity];
    Entry entries[kLeafCapacity];
    DeadRecord dead[kLeafCapacity];
  };

  Status clean_lane(uint8_t lane) {
    for (bool more = true; more;) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kClean));
      TOASTSTORE_TRY(clean_page(ChainId::journal(lane), &more));
    }
    return Status::Ok();
  }

  // The first page of the journal.  *more: there is another behind it.
  Status clean_page(ChainId journal, bool* more) {
    *more = false;
    ChainTail tail;
    Block block;
    TOASTSTORE_TRY(read_first_page(context_, journal, &block, &tail, work().records));
    if (block == kNoBlock) return Status::Ok();
    JournalRecord* first = work().records + tail.consumed;
    JournalRecord* last = work().records + tail.count;
    JournalRecord* ready = std::find_if(first, last, [&](const JournalRecord& record) {
      return !xid_precedes(record.xid, horizon_);
    });
    const auto done = static_cast<uint16_t>(ready - first);
    if (done > 0) {
      std::sort(first, ready, [](const JournalRecord& a, const JournalRecord& b) {
        return a.id != b.id ? a.id < b.id : a.action < b.action;
      });
      while (first != ready) TOASTSTORE_TRY(clean_leaf(&first, ready));
      TOASTSTORE_TRY(consume(journal, block, done));
    }
    if (ready != last) return note_left(journal, block);
    if (tail.next == kNoBlock) return Status::Ok();
    *more = true;
    return unlink_first_page(context_, journal, block);
  }

  // Judges the records from *first on that belong to one leaf, and moves *first past them.
  Status clean_leaf(JournalRecord** first, JournalRecord* end) {
    bool sparse = false;
    const uint64_t id = (*first)->id;
    {
      LeafPlace place;
      TOASTSTORE_TRY(find_place(context_, id, Latch::kExclusive, &place));
      const auto tail = place.leaf.tail<TreeTail>();
      JournalRecord* behind = *first;
      while (behind != end && behind->id < tail.high) behind++;
      TOASTSTORE_TRY(judge_all(place, *first, behind));
      if (changed_ != kNothing) {
        PageGuard list;
        if (dead_ > 0) {
          const Status status = try_chain_tail(context_, ChainId::dead(), dead_, &list);
          if (status.is(Code::kRetry)) {
            place.leaf.release();
            return ensure_chain_room(context_, ChainId::dead(), dead_);
          }
          TOASTSTORE_TRY(status);
        }
        TOASTSTORE_TRY(commit(place, list));
        sparse = kept_ <= kSparseLeaf && removed_ > 0;
      }
      *first = behind;
    }
    return sparse ? absorb_sparse(context_, id) : Status::Ok();
  }

  // Makes the leaf's new entries.  The records are in the order of their ids, as the entries are.
  Status judge_all(const LeafPlace& place, const JournalRecord* record, const JournalRecord* end) {
    const uint16_t count = place.leaf.tail<TreeTail>().count;
    kept_ = dead_ = 0;
    changed_ = kNothing;
    removed_ = frozen_ = 0;
    tally_change_ = Tally{};
    conflict_ = kNoXid;
    for (uint16_t i = 0; i < count; i++) {
      auto entry = record_at<Entry>(place.leaf.data(), i);
      while (record != end && record->id < entry.id) record++;
      bool keep = true;
      bool same = true;
      const Entry before = entry;
      for (; keep && record != end && record->id == entry.id; record++) {
        if (!record_sound(entry)) {
          return Status::Corruption(place.leaf.block(), "leaf entry does not match its check");
        }
        TOASTSTORE_TRY(judge(*record, &entry, &keep, &same));
      }
      if (!keep || !same) changed_ = std::min(changed_, kept_);
      if (keep && entry.xmin != before.xmin) frozen_++;
      if (keep && entry.settled() && !before.settled()) count_in(entry, &tally_change_);
      if (!keep && before.settled()) count_out(before, &tally_change_);
      if (keep) work().entries[kept_++] = entry;
    }
    return Status::Ok();
  }

  Status judge(const JournalRecord& record, Entry* entry, bool* keep, bool* same) {
    const bool put = record.action == JournalAction::kPut;
    if ((put ? entry->xmin : entry->xmax) != record.xid) return Status::Ok();
    const bool committed = context_.transactions.committed(record.xid);
    if (put == committed) {
      // It stays: its creator is frozen, or its deleter forgotten.
      const Xid frozen = put ? context_.transactions.frozen(entry->xmin) : kNoXid;
      if (put && frozen == entry->xmin) return Status::Ok();
      if (put) {
        entry->xmin = frozen;
        entry->cmin = 0;
        // A row vouches for a value behind a TOAST pointer, whoever put it.
        if (context_.options.kind == StoreKind::kById) note_conflict(record.xid);
      } else {
        entry->xmax = kNoXid;
        entry->cmax = 0;
      }
      seal_record(entry);
      *same = false;
      return Status::Ok();
    }
    *keep = false;
    removed_++;
    if (!put) note_conflict(record.xid);
    if (entry->stored_bytes > 0) work().dead[dead_++] = dead_record(*entry);
    return Status::Ok();
  }

  // A standby's snapshot that does not see the transaction yet sees something else here.
  void note_conflict(Xid xid) {
    if (conflict_ == kNoXid || xid_precedes(conflict_, xid)) conflict_ = xid;
  }

  Status commit(const LeafPlace& place, const PageGuard& list) {
    if (conflict_ != kNoXid) {
      context_.transactions.log_removal(conflict_, place.leaf.block());
    }
    MetaGuard meta;
    const bool tallied = std::memcmp(&tally_change_, &kNoTally, sizeof(Tally)) != 0;
    if (tallied) {
      TOASTSTORE_TRY(meta.open(context_, Latch::kExclusive));
      add(tally_change_, &meta.body.settled);
    }
    Change change(context_.pager, Step::kCleanLeaf);
    const int page = change.add(place.leaf);
    change.write(page, record_offset<Entry>(changed_), work().entries + changed_,
                 (kept_ - changed_) * sizeof(Entry));
    auto tail = place.leaf.tail<TreeTail>();
    if (tail.count != kept_) {
      tail.count = kept_;
      change.put_lower(page, record_offset<Entry>(kept_));
      change.put_tail(page, tail);
    }
    if (dead_ > 0) stage_records(list, list.tail<ChainTail>(), work().dead, dead_, &change);
    if (tallied) meta.stage(&change);
    TOASTSTORE_TRY(change.commit());
    report_->removed_values += removed_;
    report_->frozen_values += frozen_;
    return Status::Ok();
  }

  static void add(const Tally& change, Tally* tally) {
    for (int i = 0; i < 3; i++) tally->values[i] += change.values[i];
    tally->raw_bytes += change.raw_bytes;
    tally->stored_bytes += change.stored_bytes;
  }

  Status consume(ChainId journal, Block block, uint16_t records) {
    PageGuard page;
    TOASTSTORE_TRY(page.read(context_.pager, block, Latch::kExclusive, journal.kind));
    auto tail = page.tail<ChainTail>();
    tail.consumed = static_cast<uint16_t>(tail.consumed + records);
    tail.min_xid = kNoXid;
    for (uint16_t i = tail.consumed; i < tail.count; i++) {
      note_xid(record_at<JournalRecord>(page.data(), i).xid, &tail);
    }
    Change change(context_.pager, Step::kConsumeJournal);
    change.put_tail(change.add(page), tail);
    return change.commit();
  }

  Status note_left(ChainId journal, Block block) {
    while (block != kNoBlock) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kClean));
      PageGuard page;
      TOASTSTORE_TRY(page.read(context_.pager, block, Latch::kShare, journal.kind));
      const auto tail = page.tail<ChainTail>();
      const bool left = tail.min_xid != kNoXid;
      Xid& oldest = report_->oldest_left;
      if (left && (oldest == kNoXid || xid_precedes(tail.min_xid, oldest))) oldest = tail.min_xid;
      for (uint16_t i = tail.consumed; i < tail.count; i++) {
        const auto record = record_at<JournalRecord>(page.data(), i);
        (record.action == JournalAction::kPut ? report_->left_puts : report_->left_deletes)++;
      }
      block = tail.next;
    }
    return Status::Ok();
  }

  Work& work() { return *space_.as<Work>(); }

  static constexpr uint16_t kNothing = UINT16_MAX;
  static constexpr Tally kNoTally{};

  Context& context_;
  CleanReport* report_;
  Scratch space_;
  Xid horizon_ = kNoXid;
  // Of the leaf in hand:
  uint16_t kept_ = 0;
  uint16_t dead_ = 0;
  uint16_t changed_ = kNothing;  // index of the first entry that is not as it was
  uint64_t removed_ = 0;
  uint64_t frozen_ = 0;
  Xid conflict_ = kNoXid;
  Tally tally_change_{};  // its numbers wrap
};

}  // namespace

Status clean_journals(Context& context, CleanReport* report) {
  return JournalCleaner(context, report).run();
}

}  // namespace toaststore
