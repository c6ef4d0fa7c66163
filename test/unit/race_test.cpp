// Another session changes the tree between any two pages that a call reads: leaves split, are
// emptied, absorbed, and their pages used again.  Nobody is led astray by an old pointer.

#include <gtest/gtest.h>

#include <set>

#include "support/test_store.h"

namespace toaststore::test {
namespace {

// Every tenth id of every other thousand is the first session's; the others are the second's, so
// that leaves become empty between those that do not.
constexpr uint64_t kStep = 10;
constexpr uint64_t kStretch = 1000;
constexpr uint64_t kValues = 1000;
constexpr uint64_t kLastId = 2 * kValues * kStep;

uint64_t my_id(uint64_t index) {
  return index / (kStretch / kStep) * 2 * kStretch + index % (kStretch / kStep) * kStep + kStep;
}
bool is_mine(uint64_t id) {
  return id <= kLastId && id % kStep == 0 && (id - kStep) / kStretch % 2 == 0;
}

class Race : public ::testing::Test {
 protected:
  Race() : other_(store_, TestStore::plain()) {
    for (uint64_t i = 0; i < kValues; i++) store_.put_at(my_id(i), value_of(my_id(i)));
    store_.put_at(kLastId * 10, "pushes the counter");
    store_.commit();
    other_.next_command();
  }

  static Bytes value_of(uint64_t id) { return random_bytes(id, id % 100); }

  // The other session takes a stretch of ids out of the tree, or puts it in.
  void meddle() {
    const uint64_t start = random_.between(kMinId, kLastId);
    const uint64_t end = start + random_.between(1, kStretch);
    if (random_.below(2) == 0) {
      auto at = theirs_.lower_bound(start);
      while (at != theirs_.end() && *at < end) {
        const Status status = other_.store.purge(*at);
        ASSERT_TRUE(status.ok()) << status << " for id " << *at;
        at = theirs_.erase(at);
      }
    } else {
      Batch batch(other_.context);
      for (uint64_t id = start; id < end; id++) {
        if (is_mine(id) || theirs_.contains(id)) continue;
        ASSERT_OK(batch.add_at(id, nullptr, 0));
        theirs_.insert(id);
      }
      ASSERT_OK(batch.flush());
    }
    other_.commit();
    if (++changes_ % 20 == 0) look_for_retired();
  }
  void look_for_retired() {
    for (Block block = kFirstRootBlock; block < store_.pager.blocks(); block++) {
      saw_retired_ =
          saw_retired_ || check_page(store_.pager.page(block), block, PageKind::kRetired).ok();
    }
  }
  void meddle_between_pages() {
    store_.pager.on_read = [this] {
      if (random_.below(3) == 0) meddle();
    };
  }
  void leave_alone() {
    store_.pager.on_read = nullptr;
    EXPECT_TRUE(saw_retired_) << "no leaf was ever absorbed";
  }

  Random random_{42};
  TestStore store_;
  TestStore other_;
  std::set<uint64_t> theirs_;
  int changes_ = 0;
  bool saw_retired_ = false;
};

TEST_F(Race, ReadersFindEveryValue) {
  for (int i = 0; i < 30; i++) meddle();
  meddle_between_pages();
  for (int i = 0; i < 1500 && !HasFailure(); i++) {
    const uint64_t id = my_id(random_.below(kValues));
    Entry entry;
    bool found = false;
    ASSERT_OK(find_entry(store_.context, id, &entry, &found));
    ASSERT_TRUE(found) << id;
    Bytes bytes(entry.raw_bytes, '?');
    ASSERT_OK(
        store_.store.fetch(&entry, 0, bytes.size(), reinterpret_cast<std::byte*>(bytes.data())));
    ASSERT_EQ(bytes, value_of(id));
  }
  leave_alone();
  EXPECT_GT(changes_, 500);
  store_.expect_sound();
}

TEST_F(Race, ScansMissNothingAndRepeatNothing) {
  meddle_between_pages();
  for (int i = 0; i < 15 && !HasFailure(); i++) {
    std::vector<uint64_t> ids;
    const bool backward = i % 2 == 1;
    ASSERT_OK(store_.try_scan(&ids, backward));
    if (backward) std::reverse(ids.begin(), ids.end());
    std::vector<uint64_t> mine;
    for (size_t at = 0; at < ids.size(); at++) {
      ASSERT_TRUE(at == 0 || ids[at - 1] < ids[at]);
      if (is_mine(ids[at])) mine.push_back(ids[at]);
    }
    ASSERT_EQ(mine.size(), kValues);
  }
  leave_alone();
  EXPECT_GT(changes_, 200);
  store_.expect_sound();
}

TEST_F(Race, WritersChangeTheRightEntry) {
  meddle_between_pages();
  std::set<uint64_t> erased;
  std::vector<uint64_t> put;
  for (int i = 0; i < 300 && !HasFailure(); i++) {
    store_.session.new_command();
    const uint64_t id = my_id(random_.below(kValues));
    const Status status = store_.store.erase(id);
    ASSERT_EQ(status.code, erased.contains(id) ? Code::kNotFound : Code::kOk) << status;
    erased.insert(id);
    uint64_t next;
    ASSERT_OK(store_.store.put(nullptr, 0, &next));
    put.push_back(next);
    store_.commit();
    if (i % 3 == 0) {
      ASSERT_OK(store_.store.purge(id));
      Batch batch(store_.context);
      const Bytes bytes = value_of(id);
      ASSERT_OK(batch.add_at(id, data_of(bytes), bytes.size()));
      ASSERT_OK(batch.flush());
      store_.commit();
      erased.erase(id);
    }
  }
  leave_alone();
  store_.expect_sound();
  for (uint64_t i = 0; i < kValues; i++) {
    const uint64_t id = my_id(i);
    Bytes bytes;
    const Status status = store_.try_get(id, &bytes);
    ASSERT_EQ(status.code, erased.contains(id) ? Code::kNotFound : Code::kOk) << status;
    if (status.ok()) {
      ASSERT_EQ(bytes, value_of(id));
    }
  }
  EXPECT_EQ(std::set<uint64_t>(put.begin(), put.end()).size(), put.size());
  const std::vector<uint64_t> all = store_.scan();
  for (const uint64_t id : theirs_) ASSERT_TRUE(std::binary_search(all.begin(), all.end(), id));
  EXPECT_EQ(all.size(), theirs_.size() + put.size() + kValues + 1);
}

}  // namespace
}  // namespace toaststore::test
