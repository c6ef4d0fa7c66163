// Pages of values that are written past the log: a large value would be written twice otherwise.
//
// Invariants:
//   * Only whole new pages are: one piece fills each, and the file has just grown by it.  No record
//     of the log is about such a page, nothing on disk ever led to it, and it is not changed before
//     it is freed and used again, which is logged as for any other page.  So neither recovery nor
//     a torn write has anything to spoil.
//   * They are written before the log hears of anything that leads to them, and are durable before
//     that reaches the disk (Log::note_past).
//   * Their lsn is 0, as that of a page that no record changed: a change, if there ever were one,
//     would log them whole.

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
