// Pages of values that are written past the log: a large value would be written twice otherwise.
//
// Invariants:
//   * Only new pages are, those that the file has just grown by.  No record of the log is about
//     them, nothing on disk ever led to them, and once they are written every change of them is
//     logged, as of any other page.  So neither recovery nor a torn write has anything to spoil.
//   * The last one here may take further pieces, as long as it is not written.
//   * They are written before the log hears of anything that leads to them, and are durable before
//     that reaches the disk (Log::note_past).
//   * Their lsn is 0, as that of a page that no record changed: the next change logs them whole.

#ifndef TOASTSTORE_FILE_PAGE_RUN_H_
#define TOASTSTORE_FILE_PAGE_RUN_H_

#include "file/buffer_pool.h"

namespace toaststore {

// Adjacent pages, gathered in the cache and written at once.
class PageRun {
 public:
  PageRun(DataFile& pages, BufferPool& pool, Log* log) : pages_(pages), pool_(pool), log_(log) {}
  PageRun(const PageRun&) = delete;
  PageRun& operator=(const PageRun&) = delete;
  ~PageRun();

  // Takes over a frame that holds the page and is latched exclusively; writes the others before it,
  // if this one does not follow them.
  Status add(Block block, BufferPool::Frame* frame);
  // Is the page the last one here, and not written yet?
  bool ends_with(Block block) const {
    return count_ > 0 && block == first_ + static_cast<Block>(count_ - 1);
  }
  // Latches that page exclusively, for another piece.
  BufferPool::Frame* reopen();
  Status write();

 private:
  int limit() const;
  void let_go(bool written);

  DataFile& pages_;
  BufferPool& pool_;
  Log* log_;
  Block first_ = kNoBlock;
  int count_ = 0;
  BufferPool::Frame* frames_[DataFile::kMostPages];
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_PAGE_RUN_H_
