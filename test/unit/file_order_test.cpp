// The order in which the embedded store's writes become durable, read from the journal of the disk:
// few crashes would show a mistake, for most pages that overtake their log do no harm.

#include <map>
#include <set>
#include <string>

#include "file/data_file.h"
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

// Counts whole pages of values that no record is about, and groups of the log that are written
// before such pages are durable.
class PastWatcher {
 public:
  void see(const SimOp& op) {
    if (op.kind == SimOp::Kind::kCreate) names_[op.file] = op.path.substr(op.path.rfind('/') + 1);
    const std::string& name = names_[op.file];
    if (name == "data" && op.kind == SimOp::Kind::kSync && !op.failed) waiting_ = false;
    if (op.kind != SimOp::Kind::kWrite) return;
    if (name == "data") {
      for (size_t at = 0; at < op.bytes->size(); at += kPageBytes) see_page(op.bytes->data() + at);
    } else if (segment_of(name.c_str()) != 0) {
      EXPECT_FALSE(waiting_) << "a group is written before pages that it leads to are durable";
    }
  }

  int pages() const { return pages_; }

 private:
  void see_page(const char* page) {
    PageHeader header;
    std::memcpy(&header, page, sizeof(header));
    if (header.lsn != kNoLsn || header.special != kPageBytes) return;
    pages_++;
    waiting_ = true;
  }

  std::map<int, std::string> names_;
  bool waiting_ = false;
  int pages_ = 0;
};

// A record that leads to pages which were lost: a transaction that did not commit would have an
// entry without its value, or a committed one would.
TEST(FileOrder, NoRecordOvertakesPagesWrittenPastTheLog) {
  SimFiles files;
  FileLife work(&files, sim_options(&files, Sync::kAlways), {}, 8);
  ASSERT_TRUE(work.open());
  work.fill(1000000);
  work.work(200);
  work.close();
  for (const Status& status : work.failures()) ADD_FAILURE() << status;

  PastWatcher watcher;
  for (const SimOp& op : files.journal()) {
    watcher.see(op);
    if (HasFailure()) return;
  }
  EXPECT_GT(watcher.pages(), 10);
}

// Also those that two chunks share: what is logged of a large value is what leads to it.
TEST(FileOrder, PagesThatChunksShareAreWrittenPastTheLog) {
  SimFiles files;
  Store* opened = nullptr;
  ASSERT_OK(Store::open(kSimStore, sim_options(&files, Sync::kAlways), &opened));
  const std::unique_ptr<Store> store(opened);
  const Bytes bytes = random_bytes(1, 500000);
  uint64_t id;
  ASSERT_OK(store->put("makes the store", 15, &id));
  Statistics before{}, after{};
  ASSERT_OK(store->statistics(&before));
  ASSERT_OK(store->put(bytes.data(), bytes.size(), &id));
  ASSERT_OK(store->statistics(&after));
  EXPECT_LT(after.log_bytes - before.log_bytes, bytes.size() / 20);
  Buffer buffer;
  ASSERT_OK(store->get(id, &buffer));
  EXPECT_EQ(Bytes(reinterpret_cast<const char*>(buffer.data()), buffer.size()), bytes);
}

// Into a block that was in use before, recovery would write an older record's page, and what was
// there may still be needed if the record that freed it is lost.  So only new blocks are written
// past the log: those that the file has grown by, once.
TEST(FileOrder, ABlockIsNewOnce) {
  SimFiles files;
  constexpr Block kOld = 10;
  constexpr Block kEnd = 1000;
  {
    DataFile file(files);
    ASSERT_OK(file.open("/sim/data", Files::Mode::kCreate));
    ASSERT_OK(file.reserve(kOld, kOld));
    EXPECT_TRUE(file.take_new(0));
  }
  DataFile file(files);
  ASSERT_OK(file.open("/sim/data", Files::Mode::kWrite));
  ASSERT_OK(file.reserve(kEnd, kEnd));
  Random random(1);
  std::set<Block> taken;
  int news = 0;
  for (int i = 0; i < 3000; i++) {
    // Two writers in order, and some blocks from anywhere.
    Block block = static_cast<Block>(i % 2 == 0 ? kOld + i / 2 : kEnd / 2 + i / 2);
    if (i % 100 == 0) block = static_cast<Block>(random.below(kEnd + 10));
    const bool is_new = file.take_new(block);
    if (is_new) news++;
    EXPECT_FALSE(is_new && (block < kOld || block >= kEnd || taken.contains(block))) << block;
    taken.insert(block);
  }
  EXPECT_GT(news, 900);
}

// Across segments: what went is not there, and what grows again is new, and zero.
TEST(FileOrder, AFileThatWasCutGrowsAgain) {
  constexpr Block kSegment = 131072;
  constexpr Block kCut = kSegment + 20;
  constexpr Block kEnd = 2 * kSegment + 100;
  SimFiles files;
  std::byte page[kPageBytes];
  {
    DataFile file(files);
    ASSERT_OK(file.open("/sim/data", Files::Mode::kCreate));
    ASSERT_OK(file.reserve(kEnd, kEnd));
    std::memset(page, 1, sizeof(page));
    for (const Block block : {kCut - 1, kCut, kEnd - 1}) ASSERT_OK(file.write(block, page));
    // Who is reading finds nothing of it, not even what is there still.
    files.before = [&](SimCall call, const std::string&) {
      if (call != SimCall::kRead) return;
      files.fail({.call = 1});
      EXPECT_EQ(file.truncate(kCut).code, Code::kIo);
    };
    ASSERT_OK(file.read(kCut, page));
    EXPECT_TRUE(is_zero_page(page));
    files.before = nullptr;
    ASSERT_OK(file.truncate(kCut));
    EXPECT_EQ(file.blocks(), kCut);
    EXPECT_FALSE(file.take_new(kCut));
    EXPECT_TRUE(file.take_new(kCut - 1));
    ASSERT_OK(file.sync());
  }
  DataFile file(files);
  ASSERT_OK(file.open("/sim/data", Files::Mode::kWrite));
  EXPECT_EQ(file.blocks(), kCut);
  ASSERT_OK(file.reserve(kEnd, kEnd));
  EXPECT_EQ(file.blocks(), kEnd);
  for (const Block block : {kCut - 1, kCut, kEnd - 1}) {
    EXPECT_EQ(file.take_new(block), block >= kCut);
    ASSERT_OK(file.read(block, page));
    EXPECT_EQ(page[0], block < kCut ? std::byte{1} : std::byte{0}) << block;
  }
}

// Each page by itself, here and there, is what disks are slow at.
TEST(FileOrder, ACheckpointWritesPagesAsTheyLieInTheFile) {
  SimFiles files;
  StoreOptions options = sim_options(&files, Sync::kAlways);
  options.past_log_bytes = UINT64_MAX;
  Store* opened = nullptr;
  ASSERT_OK(Store::open(kSimStore, options, &opened));
  const std::unique_ptr<Store> store(opened);
  // More than the cache holds, so that its frames have been used in turns.
  uint64_t id;
  for (uint64_t i = 0; i < 1000; i++) {
    const Bytes bytes = random_bytes(i, 3000);
    ASSERT_OK(store->put(bytes.data(), bytes.size(), &id));
  }
  const size_t before = files.operations();
  ASSERT_OK(store->checkpoint());
  std::map<int, std::string> paths;
  uint64_t last = 0;
  int pages = 0;
  for (size_t i = 0; i < files.operations(); i++) {
    const SimOp& op = files.journal()[i];
    if (op.kind == SimOp::Kind::kCreate) paths[op.file] = op.path;
    if (i < before || op.kind != SimOp::Kind::kWrite) continue;
    if (paths[op.file] != "/sim/store/data") continue;
    EXPECT_TRUE(pages == 0 || op.offset > last);
    last = op.offset;
    pages++;
  }
  EXPECT_GT(pages, 50);
}

}  // namespace
}  // namespace toaststore::test
