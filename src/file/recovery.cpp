// Replaying changes, page by page, and keeping count of transactions.

#include "file/recovery.h"

#include <algorithm>
#include <new>

#include "file/log_reader.h"

namespace toaststore {

namespace {

// More transactions than any log between two checkpoints holds.
constexpr uint32_t kMaxXids = 1u << 28;

// The fate of the transactions that the log speaks of.
class Fates {
 public:
  explicit Fates(Control* control) : control_(control), first_(control->next_xid) {}

  Status note(const RecordHeader& record) {
    if (record.xid < kFirstNormalXid) return Status::Ok();
    if (record.xid < first_) {
      if (record.kind == RecordKind::kCommit) finish_old(record.xid);
      return Status::Ok();
    }
    if (record.xid - first_ >= kMaxXids) {
      return Status::Error(Code::kCorruption, "log speaks of a transaction that cannot be");
    }
    TOASTSTORE_TRY(make_room(record.xid - first_ + 1));
    bool& committed = committed_[record.xid - first_];
    committed = committed || record.kind == RecordKind::kCommit;
    return Status::Ok();
  }

  // An id that no record speaks of was never used: it counts as unfinished, which harms nobody.
  Status store() {
    const uint32_t fresh =
        static_cast<uint32_t>(std::count(committed_.get(), committed_.get() + count_, false));
    std::unique_ptr<Xid[]> xids(new (std::nothrow) Xid[control_->unfinished + fresh + 1]);
    if (xids == nullptr) return out_of_memory();
    std::copy(control_->xids.get(), control_->xids.get() + control_->unfinished, xids.get());
    for (uint32_t i = 0; i < count_; i++) {
      if (!committed_[i]) xids[control_->unfinished++] = first_ + i;
    }
    control_->xids = std::move(xids);
    control_->next_xid = first_ + count_;
    return Status::Ok();
  }

 private:
  static Status out_of_memory() { return Status::Error(Code::kNoMemory, "out of memory"); }

  void finish_old(Xid xid) {
    Xid* end = control_->xids.get() + control_->unfinished;
    Xid* kept = std::remove(control_->xids.get(), end, xid);
    control_->unfinished = static_cast<uint32_t>(kept - control_->xids.get());
  }

  Status make_room(uint32_t count) {
    if (count <= count_) return Status::Ok();
    if (count > space_) {
      const uint32_t space = std::max(count, space_ * 2 + 1024);
      std::unique_ptr<bool[]> more(new (std::nothrow) bool[space]);
      if (more == nullptr) return out_of_memory();
      std::copy(committed_.get(), committed_.get() + count_, more.get());
      committed_ = std::move(more);
      space_ = space;
    }
    std::fill(committed_.get() + count_, committed_.get() + count, false);
    count_ = count;
    return Status::Ok();
  }

  Control* control_;
  const Xid first_;
  uint32_t count_ = 0;
  uint32_t space_ = 0;
  std::unique_ptr<bool[]> committed_;  // by id, from first_ on
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
