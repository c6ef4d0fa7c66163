// Putting values under ids of the caller's choice.
//
// Three things may stand in the way: an entry with that id, the counter behind it, and a batch of
// ids that a lane hands out.  A lane's batch is only taken away under the lane's lock, for its
// holder has a copy of it.

#include <algorithm>

#include "engine/meta.h"
#include "engine/store.h"

namespace toaststore {

namespace {

// Lanes locked for the time of one change of the meta page.
class HeldLanes {
 public:
  explicit HeldLanes(Pager& pager) : pager_(pager) {}
  HeldLanes(const HeldLanes&) = delete;
  HeldLanes& operator=(const HeldLanes&) = delete;
  ~HeldLanes() {
    for (uint8_t lane = 0; lane < kLanes; lane++) {
      if (held_[lane]) pager_.unlock_lane(lane);
    }
  }
  Status lock(uint8_t lane, bool wait) { return pager_.lock_lane(lane, wait, &held_[lane]); }
  bool held(uint8_t lane) const { return held_[lane]; }

 private:
  Pager& pager_;
  bool held_[kLanes] = {};
};

bool has_batch(const Lane& lane) { return lane.id_start != lane.id_end; }

bool in_batch(const Lane& lane, uint64_t id) { return id >= lane.id_start && id < lane.id_end; }

}  // namespace

// Lanes that are free give up their batches too, so that the next id follows.
Status Batch::expect_ids(uint64_t id) {
  TOASTSTORE_TRY(create_store_pages(context_));
  if (id < kMinId || id > max_id(context_.options.kind)) {
    return Status::Error(Code::kInvalid, "id is out of range");
  }
  MetaBody seen;
  TOASTSTORE_TRY(read_meta(context_, &seen));
  if (seen.next_id > id) return Status::Ok();
  HeldLanes lanes(context_.pager);
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    const bool own = appender_.opened() && appender_.lane() == lane;
    if (has_batch(seen.lanes[lane]) && !own) TOASTSTORE_TRY(lanes.lock(lane, false));
  }
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context_, Latch::kExclusive));
  meta.body.next_id = std::max(meta.body.next_id, id + 1);
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    const bool own = appender_.opened() && appender_.lane() == lane;
    if (own || lanes.held(lane)) meta.body.lanes[lane].id_start = meta.body.lanes[lane].id_end = 0;
  }
  Change change(context_.pager, Step::kRaiseNextId);
  meta.stage(&change);
  TOASTSTORE_TRY(change.commit());
  if (appender_.opened()) appender_.forget_ids();
  return Status::Ok();
}

Status Batch::adopt_counter(uint64_t next_id) {
  TOASTSTORE_TRY(create_store_pages(context_));
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context_, Latch::kExclusive));
  meta.body.next_id = std::max(meta.body.next_id, next_id);
  Change change(context_.pager, Step::kRaiseNextId);
  meta.stage(&change);
  return change.commit();
}

// Takes the id from the lane that would hand it out.  REQUIRES: the counter is past the id, so no
// other batch can come to hold it.
Status Batch::take_from_batches(uint64_t id) {
  MetaBody seen;
  TOASTSTORE_TRY(read_meta(context_, &seen));
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    if (!in_batch(seen.lanes[lane], id)) continue;
    HeldLanes lanes(context_.pager);
    const bool own = appender_.opened() && appender_.lane() == lane;
    if (!own) {
      // No lane is waited for while another is held.
      TOASTSTORE_TRY(flush());
      appender_.close();
      TOASTSTORE_TRY(lanes.lock(lane, true));
    }
    MetaGuard meta;
    TOASTSTORE_TRY(meta.open(context_, Latch::kExclusive));
    if (in_batch(meta.body.lanes[lane], id)) {
      meta.body.lanes[lane].id_start = meta.body.lanes[lane].id_end = 0;
      Change change(context_.pager, Step::kDropBatch);
      meta.stage(&change);
      TOASTSTORE_TRY(change.commit());
    }
    if (own) appender_.forget_ids();
  }
  return Status::Ok();
}

// Makes sure that no entry holds the id, as far as can be seen before the pieces are written.
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
        if (context_.transactions.removable(entry.xmax)) return Status::Ok();
        return Status::Exists(id, "An older snapshot may still see the deleted value of this id");
      case Fate::kOwnDeleted:
        return Status::Exists(id, "The value of this id was deleted in the same transaction");
      case Fate::kLive:
      case Fate::kUnseen:
        return Status::Exists(id, "The id is taken");
    }
  }
}

Status Batch::take_id_at(uint64_t id) {
  for (uint16_t i = 0; i < pending_; i++) {
    if (entries_[i].id == id) return Status::Exists(id, "The id is taken");
  }
  TOASTSTORE_TRY(expect_ids(id));
  TOASTSTORE_TRY(claim(id));
  TOASTSTORE_TRY(take_from_batches(id));
  return open();
}

Status Batch::add_at(uint64_t id, const std::byte* bytes, uint64_t length) {
  TOASTSTORE_TRY(take_id_at(id));
  RawParts parts(context_, bytes, length);
  return append(id, length, &parts);
}

Status Batch::add_parts_at(uint64_t id, PartSource* parts, uint64_t length) {
  TOASTSTORE_TRY(take_id_at(id));
  return append(id, length, parts);
}

}  // namespace toaststore
