// Replaying changes, page by page, and keeping count of transactions.

#include "file/recovery.h"

#include <algorithm>
#include <new>

#include "file/log_reader.h"

namespace toaststore {

namespace {

// A list of transactions that grows.
class XidList {
 public:
  Status add(Xid xid) {
    if (count_ == space_) {
      const uint32_t space = space_ * 2 + 64;
      std::unique_ptr<Xid[]> more(new (std::nothrow) Xid[space]);
      if (more == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
      std::copy(xids_.get(), xids_.get() + count_, more.get());
      xids_ = std::move(more);
      space_ = space;
    }
    xids_[count_++] = xid;
    return Status::Ok();
  }
  bool contains(Xid xid) const {
    return std::find(xids_.get(), xids_.get() + count_, xid) != xids_.get() + count_;
  }
  void remove(Xid xid) {
    Xid* end = xids_.get() + count_;
    count_ = static_cast<uint32_t>(std::remove(xids_.get(), end, xid) - xids_.get());
  }
  uint32_t count() const { return count_; }
  const Xid* begin() const { return xids_.get(); }

 private:
  std::unique_ptr<Xid[]> xids_;
  uint32_t count_ = 0;
  uint32_t space_ = 0;
};

// The fate of the transactions that the log speaks of.  Those that have not ended at some place of
// it are few, so they are looked for one by one.
class Fates {
 public:
  explicit Fates(Control* control) : control_(control), next_(control->next_xid) {}

  Status start() {
    for (uint32_t i = 0; i < control_->unfinished; i++) {
      TOASTSTORE_TRY(old_.add(control_->xids[i]));
    }
    return Status::Ok();
  }

  Status note(const RecordHeader& record) {
    const Xid xid = record.xid;
    if (xid < kFirstNormalXid) return Status::Ok();
    if (xid < control_->next_xid) {
      if (record.kind == RecordKind::kCommit) old_.remove(xid);
      return Status::Ok();
    }
    next_ = std::max(next_, xid + 1);
    if (record.kind == RecordKind::kChange) {
      return open_.contains(xid) ? Status::Ok() : open_.add(xid);
    }
    open_.remove(xid);
    return record.kind == RecordKind::kAbort ? aborted_.add(xid) : Status::Ok();
  }

  Status store() {
    const uint32_t count = old_.count() + open_.count() + aborted_.count();
    std::unique_ptr<Xid[]> xids(new (std::nothrow) Xid[count + 1]);
    if (xids == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
    Xid* end = xids.get();
    for (const XidList* list : {&old_, &open_, &aborted_}) {
      end = std::copy(list->begin(), list->begin() + list->count(), end);
    }
    control_->xids = std::move(xids);
    control_->unfinished = count;
    control_->next_xid = next_;
    return Status::Ok();
  }

 private:
  Control* control_;
  Xid next_;
  XidList old_;  // of those that the control file knows, the unfinished ones
  XidList open_;
  XidList aborted_;
};

Status replay_page(DataFile& data, DataFile& names, BufferPool& pool, const Record& record,
                   int index, Lsn lsn) {
  const RecordPage& page = record.pages[index];
  const bool whole = page.whole();
  const bool name = (page.flags & kNamesFile) != 0;
  DataFile& file = name ? names : data;
  const PageId id{name ? StoreFile::kNames : StoreFile::kData, page.block};
  if (page.block >= file.blocks()) {
    if (!whole) return Status::Corruption(page.block, "log changes a page that is not in the file");
    TOASTSTORE_TRY(file.reserve(page.block + 1, page.block + 1));
  }
  BufferPool::Frame* frame;
  TOASTSTORE_TRY(whole ? pool.get_fresh(id, &frame) : pool.get(id, Latch::kExclusive, &frame));
  if (whole || load<Lsn>(frame->page, offsetof(PageHeader, lsn)) < lsn) {
    record.apply(index, frame->page);
    std::memcpy(frame->page + offsetof(PageHeader, lsn), &lsn, sizeof(lsn));
    frame->loaded.store(true, std::memory_order_release);
    frame->dirty.store(true, std::memory_order_release);
  }
  pool.put(frame, Latch::kExclusive);
  return Status::Ok();
}

}  // namespace

Status replay_log(Files& files, const char* directory, DataFile& data, DataFile& names,
                  BufferPool& pool, Control* control, Lsn* end) {
  LogReader reader(files, directory, control->store_number, control->segment_bytes, control->synced,
                   LogReader::Purpose::kRecover);
  TOASTSTORE_TRY(reader.open(control->redo));
  Fates fates(control);
  TOASTSTORE_TRY(fates.start());
  for (;;) {
    Record record;
    Lsn lsn;
    bool more;
    TOASTSTORE_TRY(reader.next(&record, &lsn, &more));
    if (!more) break;
    TOASTSTORE_TRY(fates.note(record.header));
    for (int i = 0; i < record.header.pages; i++) {
      TOASTSTORE_TRY(replay_page(data, names, pool, record, i, lsn));
    }
  }
  *end = reader.end();
  return fates.store();
}

}  // namespace toaststore
