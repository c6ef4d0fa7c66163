// Any byte of any page goes bad: every call gives the original bytes, or an error that names a
// block and a reason.  Never wrong bytes, never another error, never an endless loop.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/format.h"
#include "engine/meta.h"
#include "engine/value_page.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

Options small_thresholds() {
  Options options;
  options.direct_max = 4000;
  options.extent_max = 12000;
  options.chunk_bytes = kChunkBytesMin;
  options.compression.codec = Codec::kLz4;
  return options;
}

bool is_damage(const Status& status) {
  return (status.is(Code::kCorruption) || status.is(Code::kNewerFormat)) &&
         status.block != kNoBlock && status.reason[0] != '\0';
}

class Corruption : public ::testing::Test {
 protected:
  Corruption() : store_(small_thresholds()) {
    // Four leaves and a root; the middle leaves are emptied and retired.
    std::vector<uint64_t> ids;
    for (int i = 0; i < 430; i++) ids.push_back(put(random_bytes(i, 30)));
    put(random_bytes(1001, 3000));
    put(text_bytes(1002, 3500));
    put(random_bytes(1003, 11000));
    put(text_bytes(1004, 11900));
    put(random_bytes(1005, 9000) + text_bytes(1006, 20000));
    put("");
    store_.next_command();
    for (size_t i = 0; i < ids.size(); i++) {
      const bool middle = i >= kLeafCapacity && i < 3 * kLeafCapacity;
      if (i % 30 == 7 && !middle) continue;
      store_.erase(ids[i]);
      values_.erase(ids[i]);
      if (i % 30 == 8 && !middle) {
        gone_.push_back(ids[i]);
        continue;
      }
      EXPECT_OK(store_.try_purge(ids[i]));
    }
    store_.commit();
    store_.expect_sound();
    store_.pager.mark();
  }

  uint64_t put(const Bytes& bytes) {
    const uint64_t id = store_.put(bytes);
    values_[id] = bytes;
    return id;
  }

  // Every value is right or the error is an honest one.  Returns the ids of those that are right.
  std::set<uint64_t> read_all() {
    std::set<uint64_t> readable;
    Bytes bytes;
    for (const auto& [id, expected] : values_) {
      const Status status = store_.try_get(id, &bytes);
      if (status.ok()) {
        EXPECT_TRUE(bytes == expected) << "wrong bytes of " << id;
        readable.insert(id);
      } else {
        EXPECT_TRUE(is_damage(status)) << status;
      }
    }
    for (const uint64_t id : gone_) {
      const Status status = store_.try_get(id, &bytes);
      EXPECT_TRUE(status.is(Code::kNotFound) || is_damage(status)) << status;
    }
    return readable;
  }

  void scan_all() {
    std::vector<uint64_t> expected;
    for (const auto& [id, bytes] : values_) expected.push_back(id);
    for (const bool backward : {false, true}) {
      std::vector<uint64_t> ids;
      const Status status = store_.try_scan(&ids, backward);
      if (!status.ok()) {
        EXPECT_TRUE(is_damage(status)) << status;
        continue;
      }
      if (backward) std::reverse(ids.begin(), ids.end());
      for (const uint64_t id : gone_) std::erase(ids, id);
      EXPECT_EQ(ids, expected);
    }
  }

  void write_some() {
    const Bytes fresh = random_bytes(2000, 500);
    uint64_t id = 0;
    Status status = store_.try_put(fresh, &id);
    EXPECT_TRUE(status.ok() || is_damage(status)) << status;
    if (status.ok()) {
      store_.next_command();
      Bytes bytes;
      status = store_.try_get(id, &bytes);
      EXPECT_TRUE(status.ok() ? bytes == fresh : is_damage(status)) << status;
    }
    const uint64_t victim = values_.begin()->first;
    status = store_.try_erase(victim);
    EXPECT_TRUE(status.ok() || is_damage(status)) << status;
    const bool erased = status.ok();
    status = store_.try_purge(gone_.front());
    EXPECT_TRUE(status.ok() || is_damage(status)) << status;
    if (erased) {
      store_.next_command();
      Bytes bytes;
      status = store_.try_get(victim, &bytes);
      EXPECT_TRUE(status.is(Code::kNotFound) || is_damage(status)) << status;
    }
    store_.session.abort();
  }

  void try_everything() {
    store_.hints = Hints();
    const std::set<uint64_t> readable = read_all();
    scan_all();
    std::vector<FoundFault> faults;
    EXPECT_OK(store_.try_verify(&faults));
    for (const FoundFault& fault : faults) {
      EXPECT_TRUE(fault.block != kNoBlock && !fault.reason.empty()) << fault;
    }
    write_some();
    // What was written beside the damage has not spread it.
    store_.hints = Hints();
    const std::set<uint64_t> still = read_all();
    EXPECT_TRUE(std::includes(still.begin(), still.end(), readable.begin(), readable.end()))
        << "a write has spread the damage";
  }

  void flip_every_byte(Block block) {
    for (uint32_t offset = 0; offset < kPageBytes; offset++) {
      std::vector<int> masks = {0xff, 1 << offset % 8};
      // What bounds a page gets every bit.
      const bool bounds = offset < kPageHeaderBytes || offset >= kTailOffset;
      for (int bit = 0; bounds && bit < 8; bit++) masks.push_back(1 << bit);
      for (const int mask : masks) {
        store_.pager.touch(block);
        store_.pager.page(block)[offset] ^= std::byte(mask);
        try_everything();
        store_.pager.rewind();
        if (HasFailure()) {
          FAIL() << "byte " << offset << " of block " << block << ", xor " << mask;
        }
      }
    }
  }

  // The first page of a kind.
  Block find_page(PageKind kind) {
    for (Block block = kMetaBlock; block < store_.pager.blocks(); block++) {
      if (check_page(store_.pager.page(block), block, kind).ok()) return block;
    }
    ADD_FAILURE() << "no page of kind " << static_cast<int>(kind);
    return kMetaBlock;
  }

  // The first piece of the first value of that layout (and compressed or not).
  Block find_value(Layout layout, bool compressed) {
    for (const auto& [id, bytes] : values_) {
      const Entry entry = store_.entry(id);
      if (entry.layout == layout && entry.item > 0 && (entry.codec != Codec::kNone) == compressed &&
          bytes.size() > 1000) {
        return entry.block;
      }
    }
    ADD_FAILURE() << "no value of layout " << static_cast<int>(layout);
    return kMetaBlock;
  }

  TestStore store_;
  std::map<uint64_t, Bytes> values_;
  std::vector<uint64_t> gone_;
};

TEST_F(Corruption, OfTheMetaPage) { flip_every_byte(kMetaBlock); }
TEST_F(Corruption, OfALeaf) { flip_every_byte(find_page(PageKind::kLeaf)); }
TEST_F(Corruption, OfAnInnerPage) { flip_every_byte(find_page(PageKind::kInner)); }
TEST_F(Corruption, OfTheMap) { flip_every_byte(find_page(PageKind::kMap)); }
TEST_F(Corruption, OfTheJournal) { flip_every_byte(find_page(PageKind::kJournal)); }
TEST_F(Corruption, OfTheDeadList) { flip_every_byte(find_page(PageKind::kDead)); }
TEST_F(Corruption, OfARetiredPage) { flip_every_byte(find_page(PageKind::kRetired)); }
TEST_F(Corruption, OfDirectValues) { flip_every_byte(find_value(Layout::kDirect, false)); }
TEST_F(Corruption, OfACompressedValue) { flip_every_byte(find_value(Layout::kDirect, true)); }
TEST_F(Corruption, OfAnExtent) { flip_every_byte(find_value(Layout::kExtent, false) + 1); }
TEST_F(Corruption, OfAChunkTable) { flip_every_byte(find_value(Layout::kChunked, true)); }
// The page that the next piece is appended to.
TEST_F(Corruption, OfTheOpenPage) {
  flip_every_byte(store_.entry(values_.rbegin()->first - 1).block);
}

// Whole pages gone bad: zeros, the page of another block, the end of the file.
TEST_F(Corruption, OfWholePages) {
  const Block blocks = store_.pager.blocks();
  store_.pager.misplaced = true;
  for (Block block = 0; block < blocks; block++) {
    for (Block other = 0; other < blocks; other++) {
      SCOPED_TRACE("block " + std::to_string(other) + " in place of " + std::to_string(block));
      store_.pager.touch(block);
      std::memcpy(store_.pager.page(block), store_.pager.page(other), kPageBytes);
      if (block != other) try_everything();
      store_.pager.rewind();
      if (HasFailure()) return;
    }
  }
}

TEST_F(Corruption, OfTheLength) {
  for (Block end = kMetaBlock + 1; end < store_.pager.blocks(); end++) {
    SCOPED_TRACE("file ends before block " + std::to_string(end));
    for (Block block = 0; block < store_.pager.blocks(); block++) store_.pager.touch(block);
    store_.pager.truncate(end);
    store_.hints = Hints();
    read_all();
    scan_all();
    std::vector<FoundFault> faults;
    EXPECT_OK(store_.try_verify(&faults));
    store_.pager.rewind();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace toaststore::test
