// A page is found by a pointer that was read before: by the time it is latched it may have gone to
// any other use.  Whatever stands there, a search starts over and ends where it should.

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "engine/meta.h"
#include "engine/value_page.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

// Ids are even; the tree has three levels.
constexpr uint64_t kEntries = kLeafCapacity * (kInnerCapacity + 20);
constexpr uint64_t kId = kEntries;  // in the middle
constexpr uint8_t kRootLevel = 2;

class Astray : public ::testing::Test {
 protected:
  Astray() : other_(store_, TestStore::plain()) {
    EXPECT_OK(create_store_pages(store_.context));
    hand_out_all_ids(store_.context);
    for (uint64_t i = 1; i <= kEntries; i++) EXPECT_OK(insert(&store_, i * 2));
    MetaBody meta{};
    EXPECT_OK(read_meta(store_.context, &meta));
    EXPECT_EQ(meta.root_level, kRootLevel);
    for (uint8_t level = 0; level <= kRootLevel; level++) {
      PageGuard page;
      EXPECT_OK(descend(store_.context, kId, level, Latch::kShare, &page));
      path_[level] = page.block();
    }
  }

  // An empty value's entry: a tree without a store.
  static Status insert(TestStore* store, uint64_t id) {
    LeafPlace place;
    TOASTSTORE_TRY(find_room(store->context, id, 1, &place));
    Entry entry{};
    entry.id = id;
    entry.xmin = 2;
    entry.layout = Layout::kDirect;
    seal_record(&entry);
    MetaGuard meta;
    TOASTSTORE_TRY(meta.open(store->context, Latch::kExclusive));
    count_in(entry, &meta.body.settled);
    std::byte moved[kRecordSpace];
    Change change(store->pager, Step::kInsertEntries);
    stage_insert(place, &entry, 1, moved, &change);
    meta.stage(&change);
    return change.commit();
  }

  // Calls `meddle` before the page of a level is read on the way down from the root.
  void before_level(uint8_t level, const std::function<void()>& meddle,
                    const std::function<void()>& after = nullptr) {
    ASSERT_OK(load_hints(store_.context));
    int reads = 0;
    store_.pager.on_read = [this, level, meddle, after, reads]() mutable {
      reads++;
      if (reads == kRootLevel - level + 1) meddle();
      if (reads == kRootLevel - level + 2 && after) after();
    };
  }

  // Somebody else's page in the place of a level's, for one read.
  void replace_once(uint8_t level, const std::function<void(std::byte*, Block)>& write) {
    before_level(
        level,
        [this, level, write] {
          std::byte* page = store_.pager.page(path_[level]);
          std::memcpy(kept_, page, kPageBytes);
          write(page, path_[level]);
        },
        [this, level] { std::memcpy(store_.pager.page(path_[level]), kept_, kPageBytes); });
  }

  void expect_found(const char* what) {
    Entry entry{};
    bool found = false;
    const Status status = find_entry(store_.context, kId, &entry, &found);
    store_.pager.on_read = nullptr;
    EXPECT_TRUE(status.ok()) << what << ": " << status;
    EXPECT_TRUE(found && entry.id == kId) << what;
    store_.expect_idle(what);
  }

  // Writes the tail of a tree page, and the header that goes with it.
  static void write_tail(std::byte* page, TreeTail tail) {
    const PageHeader header = header_for(static_cast<uint16_t>(
        kPageHeaderBytes + tail.count * (tail.start.level == 0 ? sizeof(Entry) : sizeof(Child))));
    std::memcpy(page, &header, sizeof(header));
    seal_tail(&tail);
    std::memcpy(page + kTailOffset, &tail, sizeof(tail));
  }

  TestStore store_;
  TestStore other_;
  Block path_[kRootLevel + 1];
  std::byte kept_[kPageBytes];
};

TEST_F(Astray, ByAPageOfAnotherKind) {
  for (const uint8_t level : {uint8_t{0}, uint8_t{1}}) {
    replace_once(level, [](std::byte* page, Block) { init_value_page(page); });
    expect_found("a value page");
    replace_once(level, [](std::byte* page, Block) { std::memset(page, 0, kPageBytes); });
    expect_found("a page that is about to be made");
    replace_once(level, [](std::byte* page, Block block) {
      PlainTail tail = new_tail<PlainTail>(PageKind::kRetired, block);
      const PageHeader header = header_for(kPageHeaderBytes);
      std::memcpy(page, &header, sizeof(header));
      seal_tail(&tail);
      std::memcpy(page + kTailOffset, &tail, sizeof(tail));
    });
    expect_found("a retired page");
  }
}

// A leaf that was absorbed and now serves larger ids: what is looked for is not to the right of it.
TEST_F(Astray, ByALeafOfLargerIds) {
  replace_once(0, [](std::byte* page, Block) {
    auto tail = tail_of<TreeTail>(page);
    tail.low = tail.high;
    tail.high += 2 * kLeafCapacity;
    tail.count = 0;
    write_tail(page, tail);
  });
  expect_found("a leaf of larger ids");
}

// Records that belong above the level that is looked for: a writer would put a downlink there.
TEST_F(Astray, ByAPageOfAnotherLevel) {
  replace_once(1, [this](std::byte* page, Block block) {
    std::memcpy(page, store_.pager.page(path_[kRootLevel]), kPageBytes);
    auto tail = tail_of<TreeTail>(page);
    tail.start.block = block;
    write_tail(page, tail);
  });
  PageGuard page;
  const Status status = descend(store_.context, kId, 1, Latch::kExclusive, &page);
  store_.pager.on_read = nullptr;
  ASSERT_OK(status);
  EXPECT_EQ(page.block(), path_[1]);
  EXPECT_EQ(page.tail<TreeTail>().start.level, 1);
}

// The page splits after its pointer was read: what is looked for has moved to the right.
TEST_F(Astray, ByASplit) {
  bool moved = false;
  before_level(0, [this, &moved] {
    PageGuard page;
    ASSERT_OK(descend(other_.context, kId, 0, Latch::kShare, &page));
    const uint64_t low = page.tail<TreeTail>().low;
    page.release();
    for (uint64_t id = low | 1; id < kId; id += 2) ASSERT_OK(insert(&other_, id));
    ASSERT_OK(descend(other_.context, kId, 0, Latch::kShare, &page));
    moved = page.block() != path_[0];
  });
  expect_found("a leaf that was split");
  EXPECT_TRUE(moved);
  store_.expect_sound();
}

}  // namespace
}  // namespace toaststore::test
