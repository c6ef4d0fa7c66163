// The page cache: a fixed number of frames, found by file and block, given up by CLOCK.
//
// Invariants:
//   * A frame with pins keeps its page.  Who takes a frame off its page does so under the mutex of
//     the page's partition, with the only pin, which he marks as the last one: nobody else's counts
//     from then on.  Who gives it a page unmarks it.
//   * Pages that are in the cache are found without a mutex: whoever pins a frame that is not
//     marked, and finds it to be the page's afterwards, has the page.
//   * A page is read and written under its frame's latch; a frame that is being loaded is latched
//     exclusively by its loader.
//   * A page reaches the disk only when the log up to its lsn is durable.
//   * All memory is taken when the pool is made.

#ifndef TOASTSTORE_FILE_BUFFER_POOL_H_
#define TOASTSTORE_FILE_BUFFER_POOL_H_

#include <atomic>
#include <memory>
#include <mutex>

#include "engine/pager.h"
#include "file/data_file.h"
#include "file/log.h"
#include "file/page_latch.h"

namespace toaststore {

class BufferPool {
 public:
  static constexpr uint8_t kMaxUsage = 3;
  static constexpr PageId kNoPage = {StoreFile::kData, UINT32_MAX};

  // What a lookup touches lies in one line of the processor's cache.
  struct alignas(64) Frame {
    std::atomic<PageId> id{kNoPage};       // changed under the partition's mutex
    std::atomic<uint32_t> next{kNoFrame};  // the same; in the list of its bucket
    std::atomic<uint32_t> pins{0};
    PageLatch latch;
    std::byte* page = nullptr;
    std::atomic<uint8_t> usage{0};
    std::atomic<bool> loaded{false};
    std::atomic<bool> dirty{false};
    // Bit n: the bytes of item n have been proven, or written, since the page came into the frame.
    // Changed under the latch; later items of a page are never known.
    std::atomic<uint64_t> known_items{0};

    bool known(uint16_t item) const {
      return item < 64 && (known_items.load(std::memory_order_relaxed) >> item & 1) != 0;
    }
    void make_known(uint16_t item) {
      if (item < 64) known_items.fetch_or(uint64_t{1} << item, std::memory_order_relaxed);
    }
  };
  static_assert(sizeof(Frame) == 64);

  BufferPool(DataFile& data, DataFile& names) : files_{&data, &names} {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  // Of at least kMinFrames pages.
  Status make(size_t bytes);
  // From now on pages follow this log; before, the log they follow is one that is read.
  void set_log(Log* log) { log_ = log; }

  // A pinned and latched frame of a page.  REQUIRES: the block is in the file.
  Status get(PageId id, Latch latch, Frame** frame);
  // As get(), exclusively, but does not wait.  kRetry: the frame is latched.
  Status try_get(PageId id, Frame** frame);
  // Has the processor fetch what is going to be read of a page that is in the cache: its header,
  // and the start of what lies at `offset`.
  void expect(PageId id, uint16_t offset) const;
  // As get(), exclusively, whatever the page holds: it is not read.  Who writes it sets `loaded`;
  // who puts it back unwritten does not.
  Status get_fresh(PageId id, Frame** frame);
  void put(Frame* frame, Latch latch);

  // Writes all dirty pages, in the order of the files.  Those changed meanwhile may stay dirty.
  // REQUIRES: one caller at a time.
  Status write_all();

  uint32_t frames() const { return count_; }
  // Pages asked for; counted by those who ask, so that they don't all write to one place each time.
  void count_gets(uint64_t gets) { gets_.fetch_add(gets, std::memory_order_relaxed); }
  uint64_t gets() const { return gets_.load(std::memory_order_relaxed); }
  // Pages read from a file.
  uint64_t misses() const { return misses_.load(std::memory_order_relaxed); }

  // What a few threads pin at once, and room to turn over.
  static constexpr uint32_t kMinFrames = 128;

 private:
  static constexpr uint32_t kNoFrame = UINT32_MAX;
  static constexpr uint32_t kPartitions = 64;
  // Steps without the mutex: a frame that is given another page leads into another list.
  static constexpr int kMaxSteps = 8;
  // The mark of pins: the frame is being taken off its page, or has none and is being given one.
  static constexpr uint32_t kLastPin = uint32_t{1} << 31;
  static constexpr size_t kFrameBytes = kPageBytes + sizeof(Frame) + sizeof(PageId);

  struct alignas(64) Partition {
    std::mutex mutex;
  };

  DataFile& file_of(PageId id) { return *files_[static_cast<int>(id.file)]; }
  uint32_t bucket_of(PageId id) const {
    return ((id.block ^ static_cast<uint32_t>(id.file) << 31) * 0x9e3779b1u) & (buckets_ - 1);
  }
  Partition& partition_of(uint32_t bucket) { return partitions_[bucket % kPartitions]; }
  Frame* find(uint32_t bucket, PageId id);
  Frame* find_pinned(uint32_t bucket, PageId id);
  void unlink(uint32_t bucket, Frame* frame);
  Status pin(PageId id, Frame** frame, bool* mine);
  Status pin_loaded(PageId id, Frame** frame);
  Status take_victim(Frame** frame);
  bool give_up(Frame* frame);
  static bool mark_last_pin(Frame* frame);
  Frame* pin_dirty(PageId id);
  int latch_run(const PageId* ids, uint32_t count, Frame** run);
  Status write_pages(Frame* const* frames, int count);
  void drop(Frame* frame);

  DataFile* const files_[kStoreFiles];  // by StoreFile
  Log* log_ = nullptr;
  std::byte* pages_ = nullptr;
  std::unique_ptr<Frame[]> frame_;
  std::unique_ptr<PageId[]> order_;  // room for write_all()
  std::unique_ptr<std::atomic<uint32_t>[]> heads_;
  Partition partitions_[kPartitions];
  uint32_t count_ = 0;
  uint32_t buckets_ = 0;
  std::atomic<uint32_t> hand_{0};
  std::atomic<uint64_t> gets_{0};
  std::atomic<uint64_t> misses_{0};
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_BUFFER_POOL_H_
