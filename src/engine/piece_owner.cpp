// Looking up entries and searching their chunk tables.

#include "engine/piece_owner.h"

#include "engine/tree.h"

namespace toaststore {

namespace {

bool leads_to(StoreKind kind, const RunRef& run, const PiecePlace& place) {
  const uint32_t piece = place.sequence - run.sequence;
  return place.sequence >= run.sequence &&
         piece < piece_count(kind, run.stored_bytes, run.first_bytes) &&
         place.block == run.block + piece && place.item == (piece == 0 ? run.item : 1);
}

}  // namespace

Status OwnerFinder::look_up(uint64_t id) {
  if (known_ && id_ == id) return Status::Ok();
  known_ = part_known_ = false;
  TOASTSTORE_TRY(find_entry(context_, id, &entry_, &found_));
  id_ = id;
  known_ = true;
  return Status::Ok();
}

Status OwnerFinder::find(const PiecePlace& place, PieceOwner* owner) {
  *owner = PieceOwner();
  TOASTSTORE_TRY(look_up(place.id));
  if (!found_ || entry_.stored_bytes == 0) return Status::Ok();
  owner->entry = entry_;
  if (entry_.layout == Layout::kChunked) return find_part(place, owner);
  owner->owned = leads_to(context_.options.kind, run_of(entry_), place);
  return Status::Ok();
}

// The last part of its kind whose first sequence number is not greater.
Status OwnerFinder::find_part(const PiecePlace& place, PieceOwner* owner) {
  const StoreKind kind = context_.options.kind;
  if (part_known_ && leads_to(kind, run_, place)) {
    owner->owned = true;
    owner->part = part_;
    return Status::Ok();
  }
  const uint64_t chunks = chunk_count(entry_.raw_bytes, context_.options.chunk_bytes);
  const uint64_t parts = part_count(context_, entry_);
  uint64_t low = 0;
  uint64_t high = chunks;
  if (place.sequence >= kTableSequence) {
    const bool top = place.sequence >= kTopTableSequence || parts == chunks + 1;
    low = top ? parts - 1 : chunks;
    high = top ? parts : parts - 1;
  }
  RunRef run;
  while (high - low > 1) {
    const uint64_t middle = low + (high - low) / 2;
    TOASTSTORE_TRY(read_part(context_, entry_, middle, &run));
    (run.sequence <= place.sequence ? low : high) = middle;
  }
  TOASTSTORE_TRY(read_part(context_, entry_, low, &run_));
  part_known_ = true;
  part_ = low;
  owner->owned = leads_to(kind, run_, place);
  owner->part = low;
  return Status::Ok();
}

}  // namespace toaststore
