// Finding, setting, erasing and scanning names.

#include "file/names.h"

#include <optional>

namespace toaststore {

namespace {

Status no_such_name() { return Status::Error(Code::kNotFound, "no such name"); }

// Walks the versions of a key, from the newest on.
class Versions {
 public:
  Versions(Pager& pager, std::string_view key) : pager_(pager), key_(key) {}

  // The first, in a leaf that the caller has latched, or a copy of one.
  Status start(const std::byte* leaf, Block block) {
    leaf_ = leaf;
    block_ = block;
    return search_names(leaf, block, {key_, kAllVersions}, &index_);
  }

  // *more: there is one.  Leaves behind the first are latched one at a time.
  Status next(NameRecord* record, bool* more) {
    *more = false;
    while (index_ == name_count(leaf_)) {
      bool continues;
      TOASTSTORE_TRY(goes_on(&continues));
      if (!continues) return Status::Ok();
      if (moves_++ == pager_.blocks()) {
        return Status::Corruption(block_, "links between pages of names do not end");
      }
      const Block right = name_right(leaf_);
      behind_.release();
      TOASTSTORE_TRY(read_name_page(pager_, right, 0, Latch::kShare, &behind_));
      leaf_ = behind_.data();
      block_ = right;
      index_ = 0;
    }
    TOASTSTORE_TRY(read_name(leaf_, block_, index_, record));
    *more = record->name.key == key_;
    if (*more) index_++;
    return Status::Ok();
  }

  // Where next() goes on.
  uint16_t index() const { return index_; }
  bool in_first_leaf() const { return !behind_.held(); }

 private:
  // Do versions of the key go on in the right sibling?
  Status goes_on(bool* continues) const {
    *continues = false;
    if (name_right(leaf_) == kNoBlock) return Status::Ok();
    NameRecord high;
    TOASTSTORE_TRY(read_name(leaf_, block_, name_count(leaf_), &high));
    *continues = high.name.key == key_;
    return Status::Ok();
  }

  Pager& pager_;
  const std::string_view key_;
  const std::byte* leaf_ = nullptr;
  Block block_ = kNoBlock;
  uint16_t index_ = 0;
  Block moves_ = 0;
  PageGuard behind_;
};

}  // namespace

Status check_key(const void* key, size_t length) {
  if (key != nullptr && length >= 1 && length <= kMaxKeyBytes) return Status::Ok();
  return Status::Error(Code::kInvalid, "a name has 1 to 1024 bytes");
}
static_assert(kMaxKeyBytes == 1024);

// No version of the key comes or goes while its first leaf is latched, but transactions end.  So
// that of two versions neither or both are seen, one moment decides about all.
Status Names::find(std::string_view key, Entry* entry) {
  PageGuard leaf;
  TOASTSTORE_TRY(tree_.find(pager_, {key, kAllVersions}, Latch::kShare, &leaf));
  Versions versions(pager_, key);
  TOASTSTORE_TRY(versions.start(leaf.data(), leaf.block()));
  NameRecord record;
  NameRecord next;
  bool found;
  TOASTSTORE_TRY(versions.next(&record, &found));
  if (!found) return no_such_name();
  TOASTSTORE_TRY(versions.next(&next, &found));
  std::optional<OpenSnapshot> snapshot;
  if (found) snapshot.emplace(xids_);
  FileTransactions reader(xids_, found ? &snapshot->get() : nullptr);
  for (;;) {
    bool there;
    TOASTSTORE_TRY(find_value(record, entry, &there));
    if (there && reader.visible(entry->stamps())) return Status::Ok();
    if (!found) return no_such_name();
    record = next;
    TOASTSTORE_TRY(versions.next(&next, &found));
  }
}

Status Names::find_value(const NameRecord& record, Entry* entry, bool* found) {
  *found = false;
  if (record.id < kMinId || record.id > kMaxId) return Status::Ok();
  TOASTSTORE_TRY(find_entry(values_, record.id, entry, found));
  *found = *found && entry->xmin == record.xid;
  return Status::Ok();
}

Status Names::judge(const NameRecord& record, State* state, Xid* holder) {
  *state = State::kDead;
  Entry entry;
  bool found;
  TOASTSTORE_TRY(find_value(record, &entry, &found));
  if (!found) return Status::Ok();
  switch (values_.transactions.fate(entry.stamps(), holder)) {
    case Fate::kAbsent:
      break;
    case Fate::kLive:
      *state = State::kLive;
      break;
    case Fate::kCreating:
    case Fate::kBusy:
      *state = State::kPending;
      break;
    case Fate::kDeleted:
      if (xids_.needed(entry.xmin, entry.xmax)) *state = State::kDeleted;
      break;
    case Fate::kOwnDeleted:
    case Fate::kUnseen:
      if (entry.xmin != entry.xmax) *state = State::kDeleted;
      break;
  }
  return Status::Ok();
}

Status Names::find_newest(const PageGuard& leaf, std::string_view key, Newest* newest) {
  Versions versions(pager_, key);
  TOASTSTORE_TRY(versions.start(leaf.data(), leaf.block()));
  *newest = {};
  newest->index = versions.index();
  for (;;) {
    NameRecord record;
    bool more;
    TOASTSTORE_TRY(versions.next(&record, &more));
    const bool decided = newest->state > State::kDead;
    if (!more || (decided && !versions.in_first_leaf())) return Status::Ok();
    if (newest->version == 0) newest->version = record.name.version;
    State state;
    Xid holder = kNoXid;
    TOASTSTORE_TRY(judge(record, &state, &holder));
    if (state == State::kDead && versions.in_first_leaf()) {
      newest->dead_here = true;
      newest->dead = static_cast<uint16_t>(versions.index() - 1);
    }
    if (!decided) {
      newest->state = state;
      newest->id = record.id;
      newest->holder = holder;
    }
    if (newest->state == State::kPending) return Status::Ok();
    if (newest->state > State::kDead && newest->dead_here) return Status::Ok();
  }
}

// kRetry where room had to be made first.  Nothing is inserted where another transaction is at it.
Status Names::insert(NameRecord* record, Newest* newest) {
  PageGuard leaf;
  const std::string_view key = record->name.key;
  TOASTSTORE_TRY(tree_.find(pager_, {key, kAllVersions}, Latch::kExclusive, &leaf));
  TOASTSTORE_TRY(find_newest(leaf, key, newest));
  if (newest->state == State::kPending) return Status::Ok();
  if (newest->version + 1 >= kAllVersions) {
    return Status::Error(Code::kLimit, "a name has had too many values");
  }
  record->name.version = newest->version + 1;
  NameScratch scratch;
  if (newest->dead_here) {
    Change change(pager_, Step::kReplaceEntry);
    stage_name_over(leaf, newest->index, newest->dead, *record, &scratch, &change);
    return change.commit();
  }
  if (name_room(leaf.data()) >= name_room_for(*record)) {
    Change change(pager_, Step::kInsertEntries);
    stage_name(leaf, newest->index, *record, &scratch, &change);
    return change.commit();
  }
  bool cleared;
  TOASTSTORE_TRY(clear_dead(leaf, &cleared));
  leaf.release();
  if (!cleared) TOASTSTORE_TRY(tree_.make_room(pager_, *record));
  return Status::Error(Code::kRetry, "room for the name was made");
}

// Takes all dead versions of a full leaf out of it.
Status Names::clear_dead(const PageGuard& leaf, bool* cleared) {
  *cleared = false;
  NameDraft draft(leaf.block(), 0);
  bool fits = true;
  for (uint16_t index = 0; index < name_count(leaf.data()); index++) {
    NameRecord record;
    TOASTSTORE_TRY(read_name(leaf.data(), leaf.block(), index, &record));
    State state;
    Xid holder;
    TOASTSTORE_TRY(judge(record, &state, &holder));
    if (state == State::kDead) {
      *cleared = true;
    } else {
      fits = fits && draft.add(record);
    }
  }
  if (!*cleared) return Status::Ok();
  NameRecord high;
  if (name_right(leaf.data()) != kNoBlock) {
    TOASTSTORE_TRY(read_name(leaf.data(), leaf.block(), name_count(leaf.data()), &high));
    fits = fits && draft.set_right(name_right(leaf.data()), high.name);
  }
  if (!fits) return Status::Corruption(leaf.block(), "records of names overlap");
  Change change(pager_, Step::kRemoveEntry);
  draft.stage(leaf, &change);
  return change.commit();
}

Status Names::set(std::string_view key, const std::byte* bytes, uint64_t length, bool* replaced) {
  *replaced = false;
  IdStore store(values_);
  NameRecord record{{key, 0}, values_.transactions.current(), 0};
  TOASTSTORE_TRY(store.put(bytes, length, &record.id));
  Newest newest;
  for (;;) {
    const Status status = insert(&record, &newest);
    if (status.is(Code::kRetry)) continue;
    TOASTSTORE_TRY(status);
    if (newest.state != State::kPending) break;
    TOASTSTORE_TRY(values_.transactions.wait(newest.holder));
  }
  if (newest.state != State::kLive) return Status::Ok();
  const Status status = store.erase(newest.id);
  *replaced = status.ok();
  // Somebody who knew the id was faster.
  return status.is(Code::kNotFound) ? Status::Ok() : status;
}

Status Names::erase(std::string_view key) {
  for (;;) {
    Newest newest;
    {
      PageGuard leaf;
      TOASTSTORE_TRY(tree_.find(pager_, {key, kAllVersions}, Latch::kShare, &leaf));
      TOASTSTORE_TRY(find_newest(leaf, key, &newest));
    }
    if (newest.state == State::kPending) {
      TOASTSTORE_TRY(values_.transactions.wait(newest.holder));
      continue;
    }
    if (newest.state != State::kLive) return no_such_name();
    // Another transaction may delete the value first, and set the name too: look again.
    const Status status = IdStore(values_).erase(newest.id);
    if (!status.is(Code::kNotFound)) return status;
  }
}

// One page of a scan, which may have changed since it was copied: what was added the snapshot does
// not see, what it sees has not gone.
Status Names::visit_page(const std::byte* page, Block block, const Name& from, std::string_view to,
                         const XidSnapshot& snapshot, NameVisitor* visitor, bool* more) {
  FileTransactions reader(xids_, &snapshot);
  uint16_t index;
  TOASTSTORE_TRY(search_names(page, block, from, &index));
  for (; index < name_count(page); index++) {
    NameRecord record;
    TOASTSTORE_TRY(read_name(page, block, index, &record));
    const std::string_view key = record.name.key;
    *more = to.empty() || key < to;
    if (!*more) return Status::Ok();
    Entry entry;
    bool found;
    TOASTSTORE_TRY(find_value(record, &entry, &found));
    if (!found || !reader.visible(entry.stamps())) continue;
    TOASTSTORE_TRY(visitor->name(key.data(), key.size(), record.id, entry.raw_bytes));
  }
  *more = true;
  return Status::Ok();
}

Status Names::scan(std::string_view from, std::string_view to, NameVisitor* visitor) {
  const OpenSnapshot snapshot(xids_);
  const Name first{from, kAllVersions};
  std::byte copy[kPageBytes];
  PageGuard leaf;
  TOASTSTORE_TRY(tree_.find(pager_, first, Latch::kShare, &leaf));
  for (Block pages = 0; pages < pager_.blocks(); pages++) {
    std::memcpy(copy, leaf.data(), kPageBytes);
    const Block block = leaf.block();
    leaf.release();
    bool more;
    TOASTSTORE_TRY(visit_page(copy, block, first, to, snapshot.get(), visitor, &more));
    const Block right = name_right(copy);
    if (!more || right == kNoBlock) return Status::Ok();
    TOASTSTORE_TRY(read_name_page(pager_, right, 0, Latch::kShare, &leaf));
  }
  return Status::Corruption(leaf.block(), "links between pages of names do not end");
}

}  // namespace toaststore
