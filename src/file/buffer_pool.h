// The page cache: a fixed number of frames, found by file and block, given up by CLOCK.
//
// Invariants:
//   * A frame whose pin count is not 0 keeps its page.  Pins are taken and pages are changed under
//     the mutex of the page's partition.
//   * A page is read and written under its frame's latch; a frame that is being loaded is latched
//     exclusively by its loader.
//   * A page reaches the disk only when the log up to its lsn is durable.
//   * All memory is taken when the pool is made.

#ifndef TOASTSTORE_FILE_BUFFER_POOL_H_
#define TOASTSTORE_FILE_BUFFER_POOL_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "engine/pager.h"
#include "file/data_file.h"
#include "file/log.h"

namespace toaststore {

class BufferPool {
 public:
  static constexpr PageId kNoPage = {StoreFile::kData, UINT32_MAX};

  struct Frame {
    std::shared_mutex latch;
    std::byte* page = nullptr;
    std::atomic<PageId> id{kNoPage};  // changed under the partition's mutex
    uint32_t next = kNoFrame;         // in the partition's list
    std::atomic<uint32_t> pins{0};
    std::atomic<uint8_t> usage{0};
    std::atomic<bool> loaded{false};
    std::atomic<bool> dirty{false};
  };

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
  // The same, exclusively, whatever the page holds: it is not read.  Who writes it sets `loaded`;
  // who puts it back unwritten does not.
  Status get_fresh(PageId id, Frame** frame);
  void put(Frame* frame, Latch latch);

  // Writes all dirty pages.  Those changed meanwhile may stay dirty.
  Status write_all();

  uint32_t frames() const { return count_; }
  uint64_t hits() const { return hits_.load(std::memory_order_relaxed); }
  uint64_t misses() const { return misses_.load(std::memory_order_relaxed); }

  // What a few threads pin at once, and room to turn over.
  static constexpr uint32_t kMinFrames = 128;

 private:
  static constexpr uint32_t kNoFrame = UINT32_MAX;
  static constexpr uint32_t kPartitions = 64;
  static constexpr uint8_t kMaxUsage = 3;
  static constexpr size_t kFrameBytes = kPageBytes + sizeof(Frame);

  struct alignas(64) Partition {
    std::mutex mutex;
  };

  DataFile& file_of(PageId id) { return *files_[static_cast<int>(id.file)]; }
  uint32_t bucket_of(PageId id) const {
    return ((id.block ^ static_cast<uint32_t>(id.file) << 31) * 0x9e3779b1u) & (buckets_ - 1);
  }
  Partition& partition_of(uint32_t bucket) { return partitions_[bucket % kPartitions]; }
  Frame* find(uint32_t bucket, PageId id);
  void unlink(uint32_t bucket, Frame* frame);
  Status pin(PageId id, Frame** frame, bool* mine);
  Status take_victim(Frame** frame);
  bool give_up(Frame* frame);
  bool pin_frame(Frame* frame);
  Status write_page(Frame* frame);
  void drop(Frame* frame);

  DataFile* const files_[kStoreFiles];  // by StoreFile
  Log* log_ = nullptr;
  std::byte* pages_ = nullptr;
  std::unique_ptr<Frame[]> frame_;
  std::unique_ptr<uint32_t[]> heads_;
  Partition partitions_[kPartitions];
  uint32_t count_ = 0;
  uint32_t buckets_ = 0;
  std::atomic<uint32_t> hand_{0};
  std::atomic<uint64_t> hits_{0};
  std::atomic<uint64_t> misses_{0};
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_BUFFER_POOL_H_
