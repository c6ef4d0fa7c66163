// Gathering pages and writing them.

#include "file/page_run.h"

#include <algorithm>

namespace toaststore {

namespace {

// No more than this share of the cache is pinned by a writer for the sake of longer writes.
constexpr uint32_t kShareOfCache = 64;

}  // namespace

PageRun::~PageRun() { let_go(false); }

int PageRun::limit() const {
  const uint32_t share = std::max(pool_.frames() / kShareOfCache, 1u);
  return static_cast<int>(std::min<uint32_t>(share, DataFile::kMostPages));
}

Status PageRun::add(Block block, BufferPool::Frame* frame) {
  Status status;
  if (count_ > 0 && (block != first_ + static_cast<Block>(count_) || count_ >= limit())) {
    status = write();
  }
  if (count_ == 0) first_ = block;
  frames_[count_++] = frame;
  frame->loaded.store(true, std::memory_order_release);
  frame->latch.unlock();
  return status;
}

BufferPool::Frame* PageRun::reopen() {
  frames_[count_ - 1]->latch.lock();
  return frames_[count_ - 1];
}

Status PageRun::write() {
  if (count_ == 0) return Status::Ok();
  const std::byte* bytes[DataFile::kMostPages];
  for (int i = 0; i < count_; i++) bytes[i] = frames_[i]->page;
  const Status status = pages_.write_run(first_, bytes, count_);
  if (status.ok()) log_->note_past();
  let_go(status.ok());
  return status;
}

// What nobody writes here is written like any other page when its frame is needed.
void PageRun::let_go(bool written) {
  for (int i = 0; i < count_; i++) {
    if (!written) frames_[i]->dirty.store(true, std::memory_order_release);
    frames_[i]->pins.fetch_sub(1, std::memory_order_release);
  }
  count_ = 0;
}

}  // namespace toaststore
