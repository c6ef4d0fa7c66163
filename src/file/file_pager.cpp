// Changes are made to the page first, then logged: images show the page as it is afterwards.  That
// is safe because nothing can fail in between, and no page leaves the cache before its record.

#include "file/file_pager.h"

#include <cassert>

#include "engine/value_page.h"

namespace toaststore {

namespace {

using Frame = BufferPool::Frame;

Frame* frame_of(const PageRef& page) {
  return reinterpret_cast<Frame*>(static_cast<intptr_t>(page.handle));
}

PageRef page_of(Frame* frame, Block block, Latch latch, bool fresh) {
  PageRef page;
  page.data = frame->page;
  page.block = block;
  page.handle = static_cast<int64_t>(reinterpret_cast<intptr_t>(frame));
  page.fresh = fresh;
  page.exclusive = latch == Latch::kExclusive;
  return page;
}

uint8_t file_flag(const Frame* frame) {
  return frame->id.load().file == StoreFile::kNames ? kNamesFile : 0;
}

Lsn lsn_of(const std::byte* page) { return load<Lsn>(page, offsetof(PageHeader, lsn)); }

void finish(Frame* frame, Lsn lsn) {
  std::memcpy(frame->page + offsetof(PageHeader, lsn), &lsn, sizeof(lsn));
  frame->loaded.store(true, std::memory_order_release);
  frame->dirty.store(true, std::memory_order_release);
}

}  // namespace

Status FilePager::read(Block block, Latch latch, PageRef* page) {
  if (block >= pages_.blocks()) {
    return Status::Error(Code::kRetry, "block lies beyond the end of the file", block);
  }
  Frame* frame;
  gets_++;
  TOASTSTORE_TRY(pool_.get({file_, block}, latch, &frame));
  *page = page_of(frame, block, latch, false);
  return Status::Ok();
}

Status FilePager::try_read(Block block, PageRef* page) {
  if (block >= pages_.blocks()) {
    return Status::Error(Code::kRetry, "block lies beyond the end of the file", block);
  }
  Frame* frame;
  gets_++;
  TOASTSTORE_TRY(pool_.try_get({file_, block}, &frame));
  *page = page_of(frame, block, Latch::kExclusive, false);
  return Status::Ok();
}

Status FilePager::create(Block block, PageRef* page) {
  Frame* frame;
  pages_.take_new(block);
  TOASTSTORE_TRY(pool_.get_fresh({file_, block}, &frame));
  *page = page_of(frame, block, Latch::kExclusive, true);
  // It is latched before those that will lead to it, though it may come to lie below or right of
  // them: nothing leads to it yet, so nobody can wait for it with another latch in hand.
  frame->latch.hide();
  return Status::Ok();
}

void FilePager::release(const PageRef& page) {
  if (page.fresh) frame_of(page)->latch.show();
  pool_.put(frame_of(page), page.exclusive ? Latch::kExclusive : Latch::kShare);
}

bool FilePager::known(const PageRef& page, uint16_t item) { return frame_of(page)->known(item); }

void FilePager::make_known(const PageRef& page, uint16_t item) { frame_of(page)->make_known(item); }

Lsn FilePager::append(Log::Insertion* insertion, const Record& record) {
  wrote_ = true;
  return insertion->append(record);
}

Status FilePager::apply(const Change& change) {
  TOASTSTORE_TRY(run_.write());
  Log::Insertion insertion(*log_);
  TOASTSTORE_TRY(insertion.prepare());
  Record record;
  record.start(RecordKind::kChange, xid_);
  record.header.step = static_cast<uint8_t>(change.step());
  bool whole[Change::kMaxPages];
  for (int i = 0; i < change.pages(); i++) {
    const PageRef& page = change.page(i);
    whole[i] = !page.fresh && lsn_of(page.data) <= insertion.image_up_to();
    if (page.fresh) std::memset(frame_of(page)->page, 0, kPageBytes);
  }
  for (int i = 0; i < change.patches(); i++) {
    const Change::Patch& patch = change.patch(i);
    std::memcpy(frame_of(change.page(patch.page))->page + patch.offset, patch.bytes, patch.length);
  }
  for (int i = 0; i < change.pages(); i++) {
    const PageRef& page = change.page(i);
    const uint8_t file = file_flag(frame_of(page));
    if (whole[i]) {
      record.add_image(page.block, file, page.data);
      continue;
    }
    const auto flags = static_cast<uint8_t>(file | (page.fresh ? kFresh : 0));
    const int index = record.add_page(page.block, flags);
    for (int j = 0; j < change.patches(); j++) {
      const Change::Patch& patch = change.patch(j);
      if (patch.page == i) record.add_patch(index, patch.offset, patch.bytes, patch.length);
    }
  }
  const Lsn lsn = append(&insertion, record);
  for (int i = 0; i < change.pages(); i++) finish(frame_of(change.page(i)), lsn);
  return Status::Ok();
}

Status FilePager::append_piece(Frame* frame, const PieceWrite& piece, uint16_t* item) {
  if (!piece.fresh) {
    PageFill fill;
    const Status status = read_fill(frame->page, piece.block, &fill);
    if (!status.ok() || fill.room(piece.kind) < piece.length) {
      return Status::Corruption(piece.block, "value page has less room than was found");
    }
  }
  Log::Insertion insertion(*log_);
  TOASTSTORE_TRY(insertion.prepare());
  const bool whole = !piece.fresh && lsn_of(frame->page) <= insertion.image_up_to();
  if (piece.fresh) init_value_page(frame->page);
  const PlacedPiece placed = add_piece(frame->page, piece, xid_);
  Record record;
  record.start(RecordKind::kChange, xid_);
  record.header.step = static_cast<uint8_t>(Step::kWritePiece);
  if (whole) {
    record.add_image(piece.block, file_flag(frame), frame->page);
  } else {
    const auto pointer = static_cast<uint16_t>(kPageHeaderBytes + (placed.item - 1) * kItemBytes);
    const int page = record.add_page(piece.block, piece.fresh ? kFresh : 0);
    record.add_patch(page, 0, frame->page, kPageHeaderBytes);
    record.add_patch(page, pointer, frame->page + pointer, kItemBytes);
    record.add_patch(page, placed.offset, frame->page + placed.offset, placed.length);
  }
  finish(frame, append(&insertion, record));
  frame->make_known(placed.item);
  *item = placed.item;
  return Status::Ok();
}

// A transaction that puts much has its pages written once, and waits for two files instead of one.
// A page that is not full yet will be, if more of the value follows.
bool FilePager::passes_log(const PieceWrite& piece) const {
  return lane_holder_ != kCompactionXid &&
         (piece.length == max_piece(piece.kind) || piece.following > 0) &&
         log_->lets_past(put_bytes_ + piece.length + piece.following);
}

Status FilePager::write_past_log(const PieceWrite& piece, uint16_t* item) {
  Frame* frame = nullptr;
  if (piece.fresh) {
    TOASTSTORE_TRY(pool_.get_fresh({file_, piece.block}, &frame));
    init_value_page(frame->page);
  } else {
    frame = run_.reopen();
  }
  *item = add_piece(frame->page, piece, xid_).item;
  frame->make_known(*item);
  wrote_ = true;
  if (piece.fresh) return run_.add(piece.block, frame);
  frame->latch.unlock();
  return Status::Ok();
}

Status FilePager::write_piece(const PieceWrite& piece, uint16_t* item) {
  const bool past_log =
      piece.fresh ? pages_.take_new(piece.block) && passes_log(piece) : run_.ends_with(piece.block);
  put_bytes_ += piece.length;
  if (past_log) return write_past_log(piece, item);
  Frame* frame;
  if (!piece.fresh) gets_++;
  TOASTSTORE_TRY(piece.fresh ? pool_.get_fresh({file_, piece.block}, &frame)
                             : pool_.get({file_, piece.block}, Latch::kExclusive, &frame));
  const Status status = append_piece(frame, piece, item);
  pool_.put(frame, Latch::kExclusive);
  return status;
}

Status FilePager::lock_lane(uint8_t lane, bool wait, bool* locked) {
  assert(lane_holder_ != kNoXid);
  *locked = locks_.lanes.try_lock_lane(lane, lane_holder_);
  if (*locked || !wait) return Status::Ok();
  if (writing_ != nullptr) writing_->unlock();
  const Status status = locks_.lanes.lock_lane(lane, lane_holder_);
  if (writing_ != nullptr) writing_->lock();
  *locked = status.ok();
  return status;
}

Status FilePager::lock_creation() {
  locks_.creation.lock();
  return Status::Ok();
}

}  // namespace toaststore
