// A file of pages on disk: segments of 1 GB, `data`, `data.1`, `data.2`, .., as the server keeps a
// relation, so that a relation's files can be opened too.  A store has two such files.

#ifndef TOASTSTORE_FILE_DATA_FILE_H_
#define TOASTSTORE_FILE_DATA_FILE_H_

#include <atomic>
#include <mutex>

#include "engine/page.h"
#include "file/files.h"

namespace toaststore {

// Which of a store's files a page is in.
enum class StoreFile : uint8_t {
  kData,   // `data`: the engine's pages
  kNames,  // `names`: the tree of names
};
inline constexpr int kStoreFiles = 2;

// A word of its own, or clang calls a library to read one atomically.
struct alignas(8) PageId {
  StoreFile file;
  Block block;

  friend bool operator==(const PageId&, const PageId&) = default;
};
static_assert(sizeof(PageId) == 8);

class DataFile {
 public:
  explicit DataFile(Files& files) : files_(files) {}
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;
  ~DataFile();

  // `path` is that of the first segment, and outlives the object.
  Status open(const char* path, Files::Mode mode);

  // Whole pages in the file.
  Block blocks() const { return blocks_.load(std::memory_order_acquire); }

  // Zeros beyond the end, and where the page is cut off meanwhile.
  Status read(Block block, std::byte* page);
  // REQUIRES: block < blocks().
  Status write(Block block, const std::byte* page);
  // Several pages, one behind the other; at most kMostPages.
  static constexpr int kMostPages = 32;
  Status write_run(Block first, const std::byte* const* pages, int count);

  // Makes sure that the file has `end` blocks, with their space reserved; may go on to `limit`.
  Status reserve(Block end, Block limit);

  // Cuts the file off behind `end` blocks.  Others may read meanwhile.  REQUIRES: no page that goes
  // is to be written any more, and the control file says that the file may be as short.
  Status truncate(Block end);

  // The block is about to be written for the first time since it was freed.  True where it is new:
  // the file has grown by it since it was opened, and this is the first time of all.
  bool take_new(Block block);

  // Makes everything written durable.  Once it has failed it fails for ever.
  Status sync();

 private:
  // 32 TB, the most that PostgreSQL puts into a relation.
  static constexpr uint32_t kMaxSegments = 32768;
  static constexpr Block kSegmentBlocks = 131072;

  void segment_name(uint32_t segment, char* path) const;
  Status open_segment(uint32_t segment, Files::Mode mode);
  File* segment_of(Block block) const { return segments_[block / kSegmentBlocks].load(); }
  void note_written(Block block) { unsynced_[block / kSegmentBlocks] = true; }
  void note_new(Block from, Block to);
  void forget_new(Block end);
  Status sync_names();

  Files& files_;
  const char* path_ = nullptr;
  std::mutex extension_;
  std::atomic<Block> blocks_{0};
  std::atomic<File*> segments_[kMaxSegments] = {};
  std::atomic<uint32_t> count_{0};

  // Ranges of new blocks.  One that finds no place is forgotten: its blocks are as good as old
  // ones.
  struct Range {
    Block from;
    Block to;
  };
  static constexpr int kMaxRanges = 64;
  std::mutex new_;
  Range new_ranges_[kMaxRanges];
  int new_count_ = 0;

  std::mutex syncing_;
  Status failed_;  // under syncing_
  std::atomic<bool> unsynced_[kMaxSegments] = {};
  std::atomic<bool> unsynced_names_{true};
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_DATA_FILE_H_
