// The pager port over the buffer manager: latches are buffer content locks.  How changes and pieces
// are logged is in change_log.cpp and value_log.cpp.

#include "postgres/host.h"

namespace toaststore {

namespace {

PageRef page_of(Buffer buffer, Block block, bool fresh) {
  PageRef page;
  page.data = reinterpret_cast<const std::byte*>(buffer_page(buffer));
  page.block = block;
  page.handle = buffer;
  page.fresh = fresh;
  return page;
}

// Tuple identifiers that stand for locks: those of a block that no value has.
constexpr OffsetNumber kCreationOffset = kLanes + 1;

ItemPointerData lock_tid(OffsetNumber offset) {
  ItemPointerData tid;
  ItemPointerSet(&tid, InvalidBlockNumber, offset);
  return tid;
}

}  // namespace

char* segment_path(Relation rel, Block segment) {
  char* path = relpathbackend(rel->rd_node, rel->rd_backend, MAIN_FORKNUM);
  if (segment == 0) return path;
  char* file = psprintf("%s.%u", path, segment);
  pfree(path);
  return file;
}

Block ServerPager::blocks() {
  known_blocks_ = RelationGetNumberOfBlocks(rel_);
  return known_blocks_;
}

Status ServerPager::read(Block block, Latch latch, PageRef* page) {
  if (block >= known_blocks_ && block >= blocks()) {
    return Status::Error(Code::kRetry, "block lies beyond the end of the file", block);
  }
  const Buffer buffer = ReadBuffer(rel_, block);
  LockBuffer(buffer, latch == Latch::kShare ? BUFFER_LOCK_SHARE : BUFFER_LOCK_EXCLUSIVE);
  *page = page_of(buffer, block, false);
  return Status::Ok();
}

Status ServerPager::try_read(Block block, PageRef* page) {
  if (block >= known_blocks_ && block >= blocks()) {
    return Status::Error(Code::kRetry, "block lies beyond the end of the file", block);
  }
  const Buffer buffer = ReadBuffer(rel_, block);
  if (!ConditionalLockBuffer(buffer)) {
    ReleaseBuffer(buffer);
    return Status::Error(Code::kRetry, "page is latched", block);
  }
  *page = page_of(buffer, block, false);
  return Status::Ok();
}

Status ServerPager::create(Block block, PageRef* page) {
  const Buffer buffer = ReadBufferExtended(rel_, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, nullptr);
  *page = page_of(buffer, block, true);
  return Status::Ok();
}

void ServerPager::release(const PageRef& page) {
  UnlockReleaseBuffer(static_cast<Buffer>(page.handle));
}

Status ServerPager::lock_lane(uint8_t lane, bool wait, bool* locked) {
  ItemPointerData tid = lock_tid(static_cast<OffsetNumber>(lane + 1));
  *locked = true;
  if (wait) {
    LockTuple(rel_, &tid, ExclusiveLock);
  } else {
    *locked = ConditionalLockTuple(rel_, &tid, ExclusiveLock);
  }
  return Status::Ok();
}

void ServerPager::unlock_lane(uint8_t lane) {
  ItemPointerData tid = lock_tid(static_cast<OffsetNumber>(lane + 1));
  UnlockTuple(rel_, &tid, ExclusiveLock);
}

Status ServerPager::lock_creation() {
  ItemPointerData tid = lock_tid(kCreationOffset);
  LockTuple(rel_, &tid, ExclusiveLock);
  return Status::Ok();
}

void ServerPager::unlock_creation() {
  ItemPointerData tid = lock_tid(kCreationOffset);
  UnlockTuple(rel_, &tid, ExclusiveLock);
}

Status ServerPager::pause(Step step) {
  CHECK_FOR_INTERRUPTS();
  stop_after(step);
  return pace_ != nullptr ? pace_->pause(step) : Status::Ok();
}

}  // namespace toaststore
