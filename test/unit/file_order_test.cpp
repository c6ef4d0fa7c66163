// The order in which the embedded store's writes become durable, read from the journal of the disk:
// few crashes would show a mistake, for most pages that overtake their log do no harm.

#include <map>
#include <string>

#include "file/log.h"
#include "support/file_life.h"

namespace toaststore::test {
namespace {

// Walks a journal and knows which bytes of the log are not durable.
class Watcher {
 public:
  explicit Watcher(uint64_t segment_bytes) : segment_bytes_(segment_bytes) {}

  void see(const SimOp& op) {
    switch (op.kind) {
      case SimOp::Kind::kCreate:
        paths_[op.file] = op.path;
        break;
      case SimOp::Kind::kWrite:
        write(op);
        break;
      case SimOp::Kind::kSync:
        if (!op.failed) unsynced_.erase(op.file);
        break;
      default:
        break;
    }
  }

  int pages() const { return pages_; }

 private:
  void write(const SimOp& op) {
    const std::string name = paths_[op.file].substr(paths_[op.file].rfind('/') + 1);
    const uint64_t segment = segment_of(name.c_str());
    if (segment != 0) {
      const Lsn lsn = segment * segment_bytes_ + op.offset;
      const auto [place, first] = unsynced_.emplace(op.file, lsn);
      if (!first) place->second = std::min(place->second, lsn);
    } else if (name == "data" || name == "names") {
      for (size_t at = 0; at < op.bytes->size(); at += kPageBytes) see_page(name, op, at);
    }
  }

  void see_page(const std::string& name, const SimOp& op, size_t at) {
    Lsn lsn;
    std::memcpy(&lsn, op.bytes->data() + at + offsetof(PageHeader, lsn), sizeof(lsn));
    pages_++;
    for (const auto& [file, from] : unsynced_) {
      EXPECT_LE(lsn, from) << "block " << (op.offset + at) / kPageBytes << " of " << name
                           << " is written before its log is durable";
    }
  }

  const uint64_t segment_bytes_;
  std::map<int, std::string> paths_;
  std::map<int, Lsn> unsynced_;  // by file of the log: from where on
  int pages_ = 0;
};

// A page on disk whose record is lost shows half of a change, and no recovery completes it.
TEST(FileOrder, NoPageOvertakesItsLog) {
  for (const Sync sync : {Sync::kNever, Sync::kAlways}) {
    SimFiles files;
    StoreOptions options = sim_options(&files, sync);
    // A segment that is left is made durable: not before pages leave the cache, which is small.
    options.log_segment_bytes = kDefaultSegmentBytes;
    FileLife work(&files, options, {}, 7);
    ASSERT_TRUE(work.open());
    work.fill(3000000);
    work.work(200);
    // What the process leaves unsynced, the recovery makes durable before it writes pages.
    work.die();
    ASSERT_TRUE(work.open());
    work.work(200);
    work.close();
    for (const Status& status : work.failures()) ADD_FAILURE() << status;

    Watcher watcher(options.log_segment_bytes);
    for (const SimOp& op : files.journal()) {
      watcher.see(op);
      if (HasFailure()) return;
    }
    EXPECT_GT(watcher.pages(), 300);
  }
}

}  // namespace
}  // namespace toaststore::test
