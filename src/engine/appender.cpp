// Appending pieces to a lane.

#include "engine/appender.h"

#include <algorithm>

#include "engine/chain.h"
#include "engine/meta.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

// A value that does not fit into what is left of a page starts there all the same if at least this
// much fits: less would cost more in overhead and reads than it saves.
constexpr uint16_t kMinFirstPiece = 256;
// Ids that a lane takes at once.
constexpr uint64_t kIdBatch = 64;
// Blocks that a large value asks for at once: 8 MB.
constexpr uint32_t kMaxWantedBlocks = 1024;

}  // namespace

void Appender::close() {
  if (opened_) context_.pager.unlock_lane(lane_);
  opened_ = false;
}

Status Appender::lock() {
  bool locked = false;
  const uint8_t preferred = context_.hints.lane % kLanes;
  for (uint8_t i = 0; i < kLanes && !locked; i++) {
    lane_ = static_cast<uint8_t>((preferred + i) % kLanes);
    TOASTSTORE_TRY(context_.pager.lock_lane(lane_, false, &locked));
  }
  if (!locked) {
    lane_ = preferred;
    TOASTSTORE_TRY(context_.pager.lock_lane(lane_, true, &locked));
  }
  context_.hints.lane = lane_;
  opened_ = true;
  return Status::Ok();
}

Status Appender::open() {
  TOASTSTORE_TRY(lock());
  const Status status = load_lane();
  if (!status.ok()) close();
  return status;
}

Status Appender::load_lane() {
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context_, &meta));
  const Lane& lane = meta.lanes[lane_];
  run_ = {lane.run_start, lane.run_end};
  ChainTail tail;
  for (;;) {
    PageGuard page;
    const ChainId journal = ChainId::journal(lane_);
    const Status status = latch_chain_tail(context_, journal, Latch::kShare, &page);
    if (status.ok()) {
      tail = page.tail<ChainTail>();
      break;
    }
    if (!status.is(Code::kRetry)) return status;
    TOASTSTORE_TRY(ensure_chain_room(context_, journal, 0));
  }
  const bool in_batch = tail.next_id >= lane.id_start && tail.next_id <= lane.id_end;
  next_id_ = in_batch ? tail.next_id : lane.id_start;
  ids_end_ = lane.id_end;
  begun_ = tail.position >= run_.start && tail.position < run_.end;
  position_ = begun_ ? tail.position : kNoBlock;
  return load_fill();
}

// A damaged last page is not written to: the lane goes on behind it.
Status Appender::load_fill() {
  if (!begun_) return Status::Ok();
  PageGuard page;
  Status status = page.read(context_.pager, position_, Latch::kShare);
  if (status.ok()) status = read_fill(page.data(), position_, &fill_);
  if (status.ok()) status = check_fill(page.data(), position_, fill_);
  if (status.is(Code::kRetry)) {
    fill_.items = kMaxItems;
    return Status::Ok();
  }
  return status;
}

Status Appender::new_batch(uint64_t expected) {
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context_, Latch::kExclusive));
  const uint64_t last = max_id(meta.body.kind);
  if (meta.body.next_id > last) {
    if (meta.body.kind == StoreKind::kById) {
      return Status::Error(Code::kNoSpace, "store has used up its ids");
    }
    meta.release();
    return reuse_ids(expected);
  }
  const uint64_t ids = std::min(std::max(kIdBatch, expected), last + 1 - meta.body.next_id);
  Lane& lane = meta.body.lanes[lane_];
  lane.id_start = meta.body.next_id;
  lane.id_end = lane.id_start + ids;
  meta.body.next_id = lane.id_end;
  Change change(context_.pager, Step::kTakeIds);
  meta.stage(&change);
  TOASTSTORE_TRY(change.commit());
  next_id_ = lane.id_start;
  ids_end_ = lane.id_end;
  return Status::Ok();
}

namespace {

// Cuts from the gap what lanes have taken and not used yet.  False: nothing is left at its start,
// and it begins behind that now.
bool keep_clear_of_lanes(const MetaBody& meta, IdRange* gap) {
  for (const Lane& lane : meta.lanes) {
    if (lane.id_start <= gap->start && gap->start < lane.id_end) {
      gap->start = lane.id_end;
      return false;
    }
    if (gap->start < lane.id_start) gap->end = std::min(gap->end, lane.id_start);
  }
  return true;
}

}  // namespace

// The counter has passed the last id.  It counts on, and its rest by the last id is where the next
// ids are looked for.
Status Appender::reuse_ids(uint64_t expected) {
  const uint64_t last = max_id(context_.options.kind);
  uint64_t counter = 0;
  uint64_t from = 0;
  bool wrapped = false;
  for (;;) {
    MetaBody seen;
    TOASTSTORE_TRY(read_meta(context_, &seen));
    if (counter != seen.next_id) {
      counter = seen.next_id;
      from = (counter - 1) % last + 1;
      wrapped = false;
    }
    IdRange gap;
    const Status status = find_gap(context_, from, last, &gap);
    if (status.is(Code::kNotFound)) {
      if (wrapped) return Status::Error(Code::kNoSpace, "store has used up its ids");
      wrapped = true;
      from = kMinId;
      continue;
    }
    TOASTSTORE_TRY(status);
    MetaGuard meta;
    TOASTSTORE_TRY(meta.open(context_, Latch::kExclusive));
    if (meta.body.next_id != counter) continue;  // another lane was first
    from = gap.start;
    if (!keep_clear_of_lanes(meta.body, &gap)) {
      from = gap.start;
      continue;
    }
    gap.end = std::min(gap.end, gap.start + std::max(kIdBatch, expected));
    const uint64_t old = (counter - 1) % last + 1;
    meta.body.next_id += gap.end > old ? gap.end - old : gap.end + last - old;
    meta.body.lanes[lane_].id_start = next_id_ = gap.start;
    meta.body.lanes[lane_].id_end = ids_end_ = gap.end;
    Change change(context_.pager, Step::kTakeIds);
    meta.stage(&change);
    return change.commit();
  }
}

Status Appender::next_id(uint64_t expected, uint64_t* id) {
  if (next_id_ >= ids_end_) TOASTSTORE_TRY(new_batch(expected));
  *id = next_id_++;
  return Status::Ok();
}

// Decides where a run of `length` bytes starts: *first is what of it goes into the current page, 0
// for none.  Takes blocks from the map if the lane's run is too short.
Status Appender::make_room(uint32_t length, uint64_t following, uint32_t most_pieces,
                           uint16_t* first) {
  const uint16_t whole = max_piece(context_.options.kind);
  *first = 0;
  if (begun_) {
    const uint16_t room = fill_.room(context_.options.kind);
    if (room >= length || room >= kMinFirstPiece) {
      *first = static_cast<uint16_t>(std::min<uint32_t>(room, length));
    }
    if (*first > 0 && piece_count(context_.options.kind, length, *first) > most_pieces) *first = 0;
  }
  const uint32_t pages = (length - *first + whole - 1) / whole;
  const Block next = begun_ ? position_ + 1 : run_.start;
  if (uint64_t{next} + pages > run_.end) {
    const uint64_t wanted = pages + (following + whole - 1) / whole;
    RunRequest request{};
    request.lane = lane_;
    request.old = run_;
    request.position = begun_ ? position_ : run_.start;
    request.extend_blocks = next + pages - run_.end;
    request.fresh_blocks = (length + whole - 1) / whole;
    request.want_blocks = static_cast<uint32_t>(std::min<uint64_t>(wanted, kMaxWantedBlocks));
    if (writer_ == Writer::kTransaction) request.writer = context_.transactions.current_full();
    TOASTSTORE_TRY(take_run(context_, request, &run_));
    if (begun_ && (position_ < run_.start || position_ >= run_.end)) {
      begun_ = false;
      *first = 0;
    }
  }
  const Block start = begun_ ? position_ + 1 : run_.start;
  const uint32_t needed = (length - *first + whole - 1) / whole;
  if (needed == 0) return Status::Ok();
  return context_.pager.reserve(start + needed, run_.end);
}

// The piece of a run with this index, from 0.
Status Appender::write_piece(const RunRef& run, uint32_t index, const std::byte* bytes,
                             uint16_t length, uint64_t following, uint16_t* item) {
  const StoreKind kind = context_.options.kind;
  const Block block = run.block + index;
  const bool fresh = !begun_ || block != position_;
  const PieceWrite piece{block, fresh,  kind,     run.id, run.sequence + index,
                         bytes, length, following};
  TOASTSTORE_TRY(context_.pager.write_piece(piece, item));
  if (fresh) fill_ = PageFill();
  fill_.add(kind, length);
  begun_ = true;
  position_ = block;
  if (block != last_counted_) pages_written_++;
  last_counted_ = block;
  return Status::Ok();
}

Status Appender::append(uint64_t id, uint32_t sequence, const std::byte* bytes, uint32_t length,
                        uint64_t following, RunRef* run) {
  *run = RunRef{};
  run->id = id;
  run->sequence = sequence;
  run->stored_bytes = length;
  run->crc = crc32c(bytes, length);
  if (length == 0) return Status::Ok();
  return append_run(bytes, following, UINT32_MAX, run);
}

Status Appender::append_copy(const RunRef& old, const std::byte* bytes, RunRef* run) {
  *run = old;
  return append_run(bytes, 0, piece_count(context_.options.kind, old.stored_bytes, old.first_bytes),
                    run);
}

// REQUIRES: all but the place of the run is filled in.
Status Appender::append_run(const std::byte* bytes, uint64_t following, uint32_t most_pieces,
                            RunRef* run) {
  const uint32_t length = run->stored_bytes;
  uint16_t first;
  TOASTSTORE_TRY(make_room(length, following, most_pieces, &first));
  const uint16_t whole = max_piece(context_.options.kind);
  Block block = position_;
  if (first == 0) {
    block = begun_ ? position_ + 1 : run_.start;
    first = static_cast<uint16_t>(std::min<uint32_t>(whole, length));
  }
  run->block = block;
  run->first_bytes = first;
  uint16_t part = first;
  uint16_t* item = &run->item;
  uint16_t ignored;
  for (uint32_t index = 0, done = 0; done < length; index++) {
    const uint64_t left = following + length - done - part;
    TOASTSTORE_TRY(write_piece(*run, index, bytes + done, part, left, item));
    done += part;
    part = static_cast<uint16_t>(std::min<uint32_t>(whole, length - done));
    item = &ignored;
  }
  return Status::Ok();
}

uint32_t Appender::take_pages_written() {
  const uint32_t pages = pages_written_;
  pages_written_ = 0;
  last_counted_ = kNoBlock;
  return pages;
}

}  // namespace toaststore
