// Stores behind TOAST pointers: rows own the values, ids are 32 bits and are used again.

#include <algorithm>

#include "engine/cleaner.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

Options toast() {
  Options options = TestStore::plain();
  options.kind = StoreKind::kToast;
  return options;
}

class ToastTest : public testing::Test {
 protected:
  // Ids from 1 to `count`, without a gap, and the counter past the last id.
  void fill_and_wrap(uint64_t count) {
    for (uint64_t id = 1; id <= count; id++) ASSERT_EQ(store_.put("x"), id);
    store_.put_at(UINT32_MAX, "last");
    store_.commit();
    store_.next_command();
  }

  TestStore store_{toast()};
};

// A server's own counter meets a million dense ids and probes each: seconds for one value.
TEST_F(ToastTest, APutAfterIdsWrapReadsAFewPagesWhateverIsInTheWay) {
  constexpr uint64_t kDense = 300'000;
  fill_and_wrap(kDense);
  int reads = 0;
  store_.pager.on_read = [&] { reads++; };
  const uint64_t id = store_.put("after the wrap");
  store_.pager.on_read = nullptr;
  EXPECT_GT(id, kDense);
  EXPECT_LT(id, UINT32_MAX);
  EXPECT_LT(reads, 40);
  store_.commit();
  store_.next_command();
  EXPECT_EQ(store_.get(id), "after the wrap");
  EXPECT_EQ(store_.get(kDense), "x");
  store_.expect_sound();
}

TEST_F(ToastTest, IdsOfValuesThatAreGoneAreUsedAgain) {
  fill_and_wrap(1000);
  for (uint64_t id = 400; id < 800; id++) EXPECT_OK(store_.try_purge(id));
  for (int i = 0; i < 500; i++) {
    const uint64_t id = store_.put("again");
    store_.commit();
    store_.next_command();
    EXPECT_TRUE(id < 800 ? id >= 400 : id > 1000) << id;
    EXPECT_TRUE(i > 0 || id < 800) << id;
    EXPECT_EQ(store_.get(id), "again");
  }
  EXPECT_EQ(store_.scan().size(), 1000u - 400 + 500 + 1);
  store_.expect_sound();
}

// Each lane has a batch of ids of which the tree does not know yet.
TEST_F(ToastTest, LanesHandOutDifferentIdsAfterTheyWrap) {
  fill_and_wrap(100);
  EXPECT_EQ(store_.put("in the first lane"), 101u);
  store_.commit();
  TestStore other(store_, toast());
  other.hints.lane = static_cast<uint8_t>(store_.hints.lane + 1);
  // Once around.
  EXPECT_OK(Batch(other.context).adopt_counter(uint64_t{2} * UINT32_MAX + 101));
  EXPECT_EQ(other.put("in another"), 165u) << "behind the first lane's batch";
  other.commit();
  store_.next_command();
  EXPECT_EQ(store_.put("in the first lane"), 102u);
  store_.commit();
  store_.expect_sound();
}

// A batch that has used up its ids has entries in hand that the tree does not know.
TEST_F(ToastTest, IdsOfEntriesInHandAreNotFree) {
  fill_and_wrap(100);
  for (const uint64_t id : {10, 20}) EXPECT_OK(store_.try_purge(id));
  Batch batch(store_.context);
  uint64_t id;
  for (const uint64_t expected : {10, 20}) {
    EXPECT_OK(batch.add(data_of("x"), 1, 0, &id));
    EXPECT_EQ(id, expected);
  }
  // Once around.
  EXPECT_OK(batch.adopt_counter(uint64_t{2} * UINT32_MAX + 10));
  EXPECT_OK(batch.add(data_of("x"), 1, 0, &id));
  EXPECT_EQ(id, 101u);
  EXPECT_OK(batch.flush());
  store_.commit();
}

// Whoever has the row has the value, so an earlier deleter can only be one that failed.
TEST_F(ToastTest, AnOwnersDeleteTakesThePlaceOfAnAbortedOne) {
  const uint64_t id = store_.put("owned");
  store_.commit();
  store_.next_command();
  EXPECT_OK(store_.store.erase_owned(id));
  store_.session.abort();
  store_.next_command();
  EXPECT_OK(store_.store.erase_owned(id));
  const Xid deleter = store_.session.current();
  store_.commit();
  EXPECT_EQ(store_.entry(id).xmax, deleter);
  EXPECT_EQ(store_.store.erase_owned(id + 1).code, Code::kNotFound);
  store_.world.horizon = store_.world.next();
  CleanReport report;
  EXPECT_OK(clean_journals(store_.context, &report));
  EXPECT_EQ(report.removed_values, 1u);
}

// VACUUM FULL copies a value with its deletion, and takes that back when a live row has it too.
TEST_F(ToastTest, ACopiedDeletionIsCleanedAndOneTakenBackIsNot) {
  const uint64_t gone = store_.put("gone");
  const Xid deleter = store_.session.current();
  const uint64_t kept = store_.put("kept");
  store_.commit();
  store_.next_command();
  EXPECT_OK(store_.store.restamp(gone, deleter));
  EXPECT_OK(store_.store.restamp(kept, deleter));
  EXPECT_OK(store_.store.restamp(kept, kNoXid));
  store_.commit();
  store_.world.horizon = store_.world.next();
  CleanReport report;
  EXPECT_OK(clean_journals(store_.context, &report));
  EXPECT_EQ(store_.scan(), std::vector<uint64_t>{kept});
}

// A standby's snapshot may still see the row of a deleted value; who put a value is never asked.
TEST_F(ToastTest, StandbysAreToldOfRemovalAndNotOfFreezing) {
  const uint64_t id = store_.put("short");
  store_.commit();
  store_.next_command();
  store_.world.horizon = store_.world.next();
  CleanReport report;
  EXPECT_OK(clean_journals(store_.context, &report));
  EXPECT_EQ(report.frozen_values, 1u);
  EXPECT_TRUE(store_.world.removals.empty());
  EXPECT_OK(store_.store.erase_owned(id));
  const Xid deleter = store_.session.current();
  store_.commit();
  store_.world.horizon = store_.world.next();
  EXPECT_OK(clean_journals(store_.context, &report));
  EXPECT_EQ(report.removed_values, 1u);
  EXPECT_EQ(store_.world.removals, std::vector<Xid>{deleter});
}

}  // namespace
}  // namespace toaststore::test
