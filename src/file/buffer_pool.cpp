// Finding, loading and giving up frames.

#include "file/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <thread>

namespace toaststore {

namespace {

// Turns of the hand without a frame to give up, before a caller hears that there is none.
constexpr int kMaxTurns = 1000;

// The processor's lines of cache and pages: with small pages, finding where a page of the cache
// lies costs as much as reading from it.
constexpr uint32_t kLineBytes = 64;
constexpr size_t kSmallPageBytes = 4096;
constexpr size_t kHugePageBytes = size_t{2} * 1024 * 1024;

void latch_frame(BufferPool::Frame* frame, Latch latch) {
  if (latch == Latch::kShare) {
    frame->latch.lock_shared();
  } else {
    frame->latch.lock();
  }
}

void unlatch_frame(BufferPool::Frame* frame, Latch latch) {
  if (latch == Latch::kShare) {
    frame->latch.unlock_shared();
  } else {
    frame->latch.unlock();
  }
}

// A page that is looked for is mostly not in the processor's cache: its header, and the tail or
// the end of the first piece, are on their way while the frame is pinned and latched.
void fetch_ahead(const std::byte* page) {
  __builtin_prefetch(page);
  __builtin_prefetch(page + kPageBytes - kLineBytes);
}

void note_use(BufferPool::Frame* frame) {
  const uint8_t usage = frame->usage.load(std::memory_order_relaxed);
  if (usage < BufferPool::kMaxUsage) {
    frame->usage.store(static_cast<uint8_t>(usage + 1), std::memory_order_relaxed);
  }
}

// A frame that is empty, or whose page is free, has no place in the order: whoever looks at it
// looks away again, and waits for nothing meanwhile.
void latch_out_of_order(BufferPool::Frame* frame) {
  while (!frame->latch.try_lock()) std::this_thread::yield();
}

}  // namespace

BufferPool::~BufferPool() { std::free(pages_); }

Status BufferPool::make(size_t bytes) {
  const Status none = Status::Error(Code::kNoMemory, "out of memory for the page cache");
  count_ =
      std::max(kMinFrames, static_cast<uint32_t>(std::min<size_t>(bytes / kFrameBytes, 1u << 30)));
  buckets_ = std::bit_ceil(std::max(count_, kPartitions));
  const size_t page_bytes = size_t{count_} * kPageBytes;
  const bool huge = page_bytes >= kHugePageBytes;
  pages_ = static_cast<std::byte*>(std::aligned_alloc(
      huge ? kHugePageBytes : kSmallPageBytes,
      huge ? (page_bytes + kHugePageBytes - 1) & ~(kHugePageBytes - 1) : page_bytes));
  frame_.reset(new (std::nothrow) Frame[count_]);
  heads_.reset(new (std::nothrow) std::atomic<uint32_t>[buckets_]);
  order_.reset(new (std::nothrow) PageId[count_]);
  if (pages_ == nullptr || frame_ == nullptr || heads_ == nullptr || order_ == nullptr) return none;
  // A wish: without it all is the same, but slower.  What is left of the last one stays untouched.
  if (huge) (void)madvise(pages_, page_bytes & ~(kHugePageBytes - 1), MADV_HUGEPAGE);
  for (uint32_t i = 0; i < buckets_; i++) heads_[i].store(kNoFrame, std::memory_order_relaxed);
  for (uint32_t i = 0; i < count_; i++) frame_[i].page = pages_ + size_t{i} * kPageBytes;
  return Status::Ok();
}

// REQUIRES: under the partition's mutex.
BufferPool::Frame* BufferPool::find(uint32_t bucket, PageId id) {
  for (uint32_t i = heads_[bucket]; i != kNoFrame; i = frame_[i].next) {
    if (frame_[i].id.load(std::memory_order_relaxed) == id) return &frame_[i];
  }
  return nullptr;
}

// The page's frame, pinned, or null, which says nothing: the list may change meanwhile.
BufferPool::Frame* BufferPool::find_pinned(uint32_t bucket, PageId id) {
  uint32_t i = heads_[bucket].load(std::memory_order_acquire);
  for (int step = 0; i != kNoFrame && step < kMaxSteps; step++) {
    Frame& frame = frame_[i];
    fetch_ahead(pages_ + size_t{i} * kPageBytes);
    if (frame.id.load(std::memory_order_relaxed) == id) {
      const uint32_t pins = frame.pins.fetch_add(1, std::memory_order_acquire);
      if ((pins & kLastPin) == 0 && frame.id.load(std::memory_order_relaxed) == id) return &frame;
      frame.pins.fetch_sub(1, std::memory_order_release);
      return nullptr;
    }
    i = frame.next.load(std::memory_order_acquire);
  }
  return nullptr;
}

void BufferPool::expect(PageId id, uint16_t offset) const {
  uint32_t i = heads_[bucket_of(id)].load(std::memory_order_relaxed);
  for (int step = 0; i != kNoFrame && step < kMaxSteps; step++) {
    if (frame_[i].id.load(std::memory_order_relaxed) == id) {
      const std::byte* page = pages_ + size_t{i} * kPageBytes;
      __builtin_prefetch(page);
      __builtin_prefetch(page + offset);
      if (offset + kLineBytes < kPageBytes) __builtin_prefetch(page + offset + kLineBytes);
      return;
    }
    i = frame_[i].next.load(std::memory_order_relaxed);
  }
}

// Marks the caller's pin, unless others have one.
bool BufferPool::mark_last_pin(Frame* frame) {
  uint32_t mine = 1;
  return frame->pins.compare_exchange_strong(mine, kLastPin | 1, std::memory_order_acq_rel);
}

// REQUIRES: under the partition's mutex, with the last pin.
void BufferPool::unlink(uint32_t bucket, Frame* frame) {
  std::atomic<uint32_t>* link = &heads_[bucket];
  while (&frame_[*link] != frame) link = &frame_[*link].next;
  frame->id = kNoPage;
  link->store(frame->next.load());
  frame->next = kNoFrame;
  frame->latch.forget_order();
}

// A pinned frame of the page.  *mine: it is new, latched exclusively, and to be loaded.
Status BufferPool::pin(PageId id, Frame** frame, bool* mine) {
  const uint32_t bucket = bucket_of(id);
  *mine = false;
  *frame = find_pinned(bucket, id);
  if (*frame != nullptr) return Status::Ok();
  Partition& partition = partition_of(bucket);
  {
    const std::lock_guard<std::mutex> lock(partition.mutex);
    *frame = find(bucket, id);
    if (*frame != nullptr) {
      (*frame)->pins.fetch_add(1, std::memory_order_acquire);
      return Status::Ok();
    }
  }
  Frame* victim;
  TOASTSTORE_TRY(take_victim(&victim));
  latch_out_of_order(victim);
  const std::lock_guard<std::mutex> lock(partition.mutex);
  *frame = find(bucket, id);
  if (*frame != nullptr) {
    // Loaded by another thread meanwhile: the victim stays empty for whoever comes next.
    (*frame)->pins.fetch_add(1, std::memory_order_acquire);
    victim->latch.unlock();
    victim->pins.fetch_sub(kLastPin | 1, std::memory_order_release);
    return Status::Ok();
  }
  victim->loaded.store(false, std::memory_order_relaxed);
  victim->dirty.store(false, std::memory_order_relaxed);
  victim->usage.store(1, std::memory_order_relaxed);
  victim->known_items.store(0, std::memory_order_relaxed);
  victim->id = id;
  victim->next = heads_[bucket].load();
  heads_[bucket] = static_cast<uint32_t>(victim - frame_.get());
  victim->pins.fetch_sub(kLastPin, std::memory_order_release);
  *frame = victim;
  *mine = true;
  return Status::Ok();
}

// A frame without a page, with the last pin.
Status BufferPool::take_victim(Frame** frame) {
  for (int turn = 0; turn < kMaxTurns; turn++) {
    for (uint32_t i = 0; i < count_; i++) {
      Frame* candidate = &frame_[hand_.fetch_add(1, std::memory_order_relaxed) % count_];
      if (candidate->pins.load(std::memory_order_relaxed) != 0) continue;
      const uint8_t usage = candidate->usage.load(std::memory_order_relaxed);
      if (usage > 0) {
        candidate->usage.store(static_cast<uint8_t>(usage - 1), std::memory_order_relaxed);
        continue;
      }
      uint32_t unpinned = 0;
      if (!candidate->pins.compare_exchange_strong(unpinned, 1, std::memory_order_acquire))
        continue;
      // Pinned by us: its page cannot change.
      if (candidate->dirty.load(std::memory_order_acquire)) {
        // The caller may hold latches that somebody who has this one waits for.
        if (!candidate->latch.try_lock_shared()) {
          candidate->pins.fetch_sub(1, std::memory_order_release);
          continue;
        }
        const Status status = write_pages(&candidate, 1);
        candidate->latch.unlock_shared();
        if (!status.ok()) {
          candidate->pins.fetch_sub(1, std::memory_order_release);
          return status;
        }
      }
      if (give_up(candidate)) {
        *frame = candidate;
        return Status::Ok();
      }
    }
    if (turn > 2) std::this_thread::yield();
  }
  return Status::Error(Code::kNoMemory, "all pages of the cache are in use");
}

// Takes a frame that is pinned by the caller off its page.  False, and unpinned, where somebody
// else has come.
bool BufferPool::give_up(Frame* frame) {
  const PageId id = frame->id;
  if (id == kNoPage) {
    if (mark_last_pin(frame)) return true;
  } else {
    const uint32_t bucket = bucket_of(id);
    const std::lock_guard<std::mutex> lock(partition_of(bucket).mutex);
    if (mark_last_pin(frame)) {
      if (!frame->dirty.load(std::memory_order_acquire)) {
        unlink(bucket, frame);
        return true;
      }
      frame->pins.fetch_sub(kLastPin, std::memory_order_release);
    }
  }
  frame->pins.fetch_sub(1, std::memory_order_release);
  return false;
}

// Adjacent pages.  A page is clean when it has been written, not before: a checkpoint passes clean
// pages by.  Two threads may write it at once, both the same.  REQUIRES: latched.
Status BufferPool::write_pages(Frame* const* frames, int count) {
  const std::byte* pages[DataFile::kMostPages];
  Lsn newest = kNoLsn;
  for (int i = 0; i < count; i++) {
    pages[i] = frames[i]->page;
    newest = std::max(newest, load<Lsn>(pages[i], offsetof(PageHeader, lsn)));
  }
  if (log_ != nullptr) TOASTSTORE_TRY(log_->sync(newest));
  const PageId first = frames[0]->id;
  TOASTSTORE_TRY(file_of(first).write_run(first.block, pages, count));
  for (int i = 0; i < count; i++) frames[i]->dirty.store(false, std::memory_order_release);
  return Status::Ok();
}

// Takes a frame that could not be loaded off its page.  REQUIRES: pinned, not latched.
void BufferPool::drop(Frame* frame) {
  const uint32_t bucket = bucket_of(frame->id);
  const std::lock_guard<std::mutex> lock(partition_of(bucket).mutex);
  // Before the pin goes: whoever gives up an unpinned frame looks at its block without the mutex.
  uint32_t pins = 1;
  if (!frame->loaded && mark_last_pin(frame)) {
    unlink(bucket, frame);
    pins |= kLastPin;
  }
  frame->pins.fetch_sub(pins, std::memory_order_release);
}

// A pinned frame of the page, which is loaded if nobody else is about it.
Status BufferPool::pin_loaded(PageId id, Frame** frame) {
  bool mine;
  TOASTSTORE_TRY(pin(id, frame, &mine));
  if (!mine) return Status::Ok();
  misses_.fetch_add(1, std::memory_order_relaxed);
  const Status status = file_of(id).read(id.block, (*frame)->page);
  if (status.ok()) (*frame)->loaded.store(true, std::memory_order_release);
  (*frame)->latch.unlock();
  if (!status.ok()) drop(*frame);
  return status;
}

Status BufferPool::get(PageId id, Latch latch, Frame** frame) {
  for (;;) {
    TOASTSTORE_TRY(pin_loaded(id, frame));
    latch_frame(*frame, latch);
    if ((*frame)->loaded.load(std::memory_order_acquire)) break;
    // Whoever loaded it failed: try oneself.
    unlatch_frame(*frame, latch);
    drop(*frame);
    std::this_thread::yield();
  }
  note_use(*frame);
  return Status::Ok();
}

Status BufferPool::try_get(PageId id, Frame** frame) {
  TOASTSTORE_TRY(pin_loaded(id, frame));
  if (!(*frame)->latch.try_lock()) {
    (*frame)->pins.fetch_sub(1, std::memory_order_release);
    return Status::Error(Code::kRetry, "page is latched", id.block);
  }
  if (!(*frame)->loaded.load(std::memory_order_acquire)) {
    (*frame)->latch.unlock();
    drop(*frame);
    return Status::Error(Code::kRetry, "page could not be loaded by who did", id.block);
  }
  note_use(*frame);
  return Status::Ok();
}

Status BufferPool::get_fresh(PageId id, Frame** frame) {
  bool mine;
  TOASTSTORE_TRY(pin(id, frame, &mine));
  if (!mine) latch_out_of_order(*frame);
  (*frame)->known_items.store(0, std::memory_order_relaxed);
  return Status::Ok();
}

void BufferPool::put(Frame* frame, Latch latch) {
  unlatch_frame(frame, latch);
  frame->pins.fetch_sub(1, std::memory_order_release);
}

// The page's frame, pinned, or null where it is not in the cache or clean.
BufferPool::Frame* BufferPool::pin_dirty(PageId id) {
  const uint32_t bucket = bucket_of(id);
  // Under the mutex nobody takes it off its page.
  const std::lock_guard<std::mutex> lock(partition_of(bucket).mutex);
  Frame* frame = find(bucket, id);
  if (frame == nullptr || !frame->dirty.load(std::memory_order_acquire)) return nullptr;
  frame->pins.fetch_add(1, std::memory_order_acquire);
  return frame;
}

// Pins and latches the first page, if it is still dirty, and those behind it that are adjacent and
// can be had without waiting: whoever has one of them may wait for one that is latched here.
int BufferPool::latch_run(const PageId* ids, uint32_t count, Frame** run) {
  run[0] = pin_dirty(ids[0]);
  if (run[0] == nullptr) return 0;
  run[0]->latch.lock_shared();
  const int most = static_cast<int>(std::min<uint32_t>(count, DataFile::kMostPages));
  for (int i = 1; i < most; i++) {
    const PageId next = {ids[0].file, ids[0].block + static_cast<Block>(i)};
    run[i] = ids[i] == next ? pin_dirty(next) : nullptr;
    if (run[i] == nullptr) return i;
    if (!run[i]->latch.try_lock_shared()) {
      run[i]->pins.fetch_sub(1, std::memory_order_release);
      return i;
    }
  }
  return most;
}

Status BufferPool::write_all() {
  uint32_t dirty = 0;
  for (uint32_t i = 0; i < count_; i++) {
    if (frame_[i].dirty.load(std::memory_order_acquire)) order_[dirty++] = frame_[i].id;
  }
  std::sort(order_.get(), order_.get() + dirty, [](const PageId& a, const PageId& b) {
    return a.file != b.file ? a.file < b.file : a.block < b.block;
  });
  Frame* run[DataFile::kMostPages];
  for (uint32_t i = 0; i < dirty;) {
    const int count = latch_run(&order_[i], dirty - i, run);
    const Status status = count > 0 ? write_pages(run, count) : Status::Ok();
    for (int j = 0; j < count; j++) put(run[j], Latch::kShare);
    TOASTSTORE_TRY(status);
    i += static_cast<uint32_t>(std::max(count, 1));
  }
  return Status::Ok();
}

}  // namespace toaststore
