// Values by id as transactions see them: who sees what, who waits for whom, and which ids are free.

#include "engine/store.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "engine/meta.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() : other_(store_, TestStore::plain()) {}

  static Code code_of_get(TestStore* store, uint64_t id) {
    Bytes bytes;
    return store->try_get(id, &bytes).code;
  }
  void next_command() {
    store_.next_command();
    other_.next_command();
  }

  TestStore store_;
  TestStore other_;
};

TEST_F(StoreTest, AnEmptyStoreHasNothing) {
  EXPECT_EQ(code_of_get(&store_, 1), Code::kNotFound);
  EXPECT_EQ(store_.try_erase(1).code, Code::kNotFound);
  EXPECT_EQ(store_.try_purge(1).code, Code::kNotFound);
  EXPECT_TRUE(store_.scan().empty());
  EXPECT_TRUE(store_.verify().empty());
  EXPECT_EQ(store_.pager.blocks(), 0u);
}

TEST_F(StoreTest, APutIsSeenByOthersWhenItCommits) {
  const uint64_t id = store_.put("value");
  next_command();
  EXPECT_EQ(store_.get(id), "value");
  EXPECT_EQ(code_of_get(&other_, id), Code::kNotFound);
  store_.commit();
  EXPECT_EQ(code_of_get(&other_, id), Code::kNotFound) << "an older snapshot";
  other_.next_command();
  EXPECT_EQ(other_.get(id), "value");
}

TEST_F(StoreTest, AnAbortedPutIsSeenByNobody) {
  const uint64_t id = store_.put("value");
  store_.session.abort();
  next_command();
  EXPECT_EQ(code_of_get(&store_, id), Code::kNotFound);
  EXPECT_EQ(code_of_get(&other_, id), Code::kNotFound);
  EXPECT_EQ(store_.try_erase(id).code, Code::kNotFound);
}

// Else INSERT INTO s SELECT .. FROM s would never end.
TEST_F(StoreTest, ACommandDoesNotSeeItsOwnPuts) {
  const uint64_t id = store_.put("value");
  EXPECT_EQ(code_of_get(&store_, id), Code::kNotFound);
  EXPECT_EQ(store_.try_erase(id).code, Code::kNotFound);
  store_.next_command();
  EXPECT_EQ(store_.get(id), "value");
}

TEST_F(StoreTest, ACommandStillSeesWhatItDeletes) {
  const uint64_t id = store_.put("value");
  store_.commit();
  store_.next_command();
  store_.erase(id);
  EXPECT_EQ(store_.get(id), "value");
  EXPECT_EQ(store_.try_erase(id).code, Code::kNotFound);
  store_.next_command();
  EXPECT_EQ(code_of_get(&store_, id), Code::kNotFound);
}

TEST_F(StoreTest, ADeletedValueStaysReadableToOlderSnapshots) {
  const uint64_t id = store_.put("value");
  store_.commit();
  other_.session.repeatable_read = true;
  other_.session.abort();
  store_.next_command();
  store_.erase(id);
  store_.commit();
  store_.next_command();
  EXPECT_EQ(code_of_get(&store_, id), Code::kNotFound);
  EXPECT_EQ(other_.get(id), "value");
  other_.next_command();
  EXPECT_EQ(other_.get(id), "value");
  other_.commit();
  EXPECT_EQ(code_of_get(&other_, id), Code::kNotFound);
}

TEST_F(StoreTest, AnAbortedDeleteLeavesTheValue) {
  const uint64_t id = store_.put("value");
  store_.commit();
  store_.next_command();
  store_.erase(id);
  store_.session.abort();
  store_.next_command();
  EXPECT_EQ(store_.get(id), "value");
  store_.erase(id);
  store_.commit();
  EXPECT_EQ(code_of_get(&store_, id), Code::kNotFound);
}

TEST_F(StoreTest, SavepointsTakeTheirPutsAndDeletesBack) {
  const uint64_t kept = store_.put("kept");
  store_.commit();
  const uint64_t before = store_.put("before");
  store_.next_command();
  store_.session.savepoint();
  const uint64_t inside = store_.put("inside");
  store_.erase(kept);
  store_.next_command();
  EXPECT_EQ(store_.get(inside), "inside");
  EXPECT_EQ(code_of_get(&store_, kept), Code::kNotFound);
  store_.session.rollback_to_savepoint();
  store_.next_command();
  EXPECT_EQ(code_of_get(&store_, inside), Code::kNotFound);
  EXPECT_EQ(store_.get(kept), "kept");
  store_.commit();
  other_.next_command();
  EXPECT_EQ(other_.get(before), "before");
  EXPECT_EQ(other_.get(kept), "kept");
  EXPECT_EQ(code_of_get(&other_, inside), Code::kNotFound);
}

TEST_F(StoreTest, ADeleterWaitsForAnother) {
  for (const bool commits : {true, false}) {
    const uint64_t id = store_.put("value");
    store_.commit();
    next_command();
    store_.erase(id);
    other_.session.on_wait = [&](Xid) { commits ? store_.commit() : store_.session.abort(); };
    other_.session.waits = 0;
    EXPECT_EQ(other_.try_erase(id).code, commits ? Code::kNotFound : Code::kOk);
    EXPECT_EQ(other_.session.waits, 1);
    other_.commit();
    store_.next_command();
    EXPECT_EQ(code_of_get(&store_, id), Code::kNotFound);
  }
}

// The entry is looked at without a latch that would keep others from it: another session deletes
// the value before any of the pages that the deleter reads.
TEST_F(StoreTest, AnEntryThatChangedIsNotStamped) {
  for (int read = 1;; read++) {
    SCOPED_TRACE("deleted before page " + std::to_string(read) + " is read");
    TestStore store;
    TestStore other(store, TestStore::plain());
    const uint64_t id = store.put("value");
    store.commit();
    other.next_command();
    int reads = 0;
    Xid winner = kNoXid;
    store.pager.on_read = [&] {
      if (++reads != read) return;
      winner = other.session.current();
      EXPECT_OK(other.store.erase(id));
      other.commit();
    };
    const Status status = store.try_erase(id);
    store.pager.on_read = nullptr;
    if (winner == kNoXid) {
      EXPECT_OK(status);
      EXPECT_GT(read, 2) << "the entry is looked at twice";
      break;
    }
    EXPECT_EQ(status.code, Code::kNotFound);
    EXPECT_EQ(store.entry(id).xmax, winner);
  }
}

TEST_F(StoreTest, ALostRaceIsAConflictForATransactionsSnapshot) {
  const uint64_t id = store_.put("value");
  store_.commit();
  other_.session.repeatable_read = true;
  other_.session.abort();
  store_.next_command();
  store_.erase(id);
  store_.commit();
  EXPECT_EQ(other_.try_erase(id).code, Code::kConflict);
}

TEST_F(StoreTest, IdsAreConsecutive) {
  for (uint64_t id = 1; id <= 200; id++) {
    EXPECT_EQ(store_.put("x"), id);
    if (id % 50 == 0) store_.reopen();
  }
}

TEST_F(StoreTest, IdsOfABatchAreConsecutiveAndOnlyThereAfterFlush) {
  Batch batch(store_.context);
  std::vector<uint64_t> ids;
  for (int i = 0; i < 20; i++) {
    const Bytes bytes = random_bytes(i, 100);
    uint64_t id;
    ASSERT_OK(batch.add(data_of(bytes), bytes.size(), 19 - i, &id));
    ids.push_back(id);
  }
  EXPECT_TRUE(store_.pager.lane_locked(0));
  ASSERT_OK(batch.flush());
  for (size_t i = 1; i < ids.size(); i++) EXPECT_EQ(ids[i], ids[i - 1] + 1);
}

TEST_F(StoreTest, ABatchThatIsGivenUpLeavesNothing) {
  {
    Batch batch(store_.context);
    const Bytes bytes = random_bytes(1, 100000);
    uint64_t id;
    ASSERT_OK(batch.add(data_of(bytes), bytes.size(), 0, &id));
  }
  store_.expect_idle("a batch that was given up");
  EXPECT_TRUE(store_.scan().empty());
  store_.expect_sound();
  // Its ids and its pages are used again.
  const Block blocks = store_.pager.blocks();
  EXPECT_EQ(store_.put(random_bytes(2, 100000)), 1u);
  EXPECT_EQ(store_.pager.blocks(), blocks);
  store_.expect_sound();
}

TEST_F(StoreTest, WritersBesideEachOtherUseLanesOfTheirOwn) {
  const Bytes bytes = random_bytes(1, 5000);
  uint64_t id;
  uint64_t second;
  {
    Batch batch(store_.context);
    ASSERT_OK(batch.add(data_of(bytes), bytes.size(), 0, &id));
    ASSERT_OK(other_.store.put(data_of(bytes), bytes.size(), &second));
    ASSERT_OK(batch.flush());
  }
  EXPECT_NE(id, second);
  EXPECT_NE(store_.entry(id).block, store_.entry(second).block);
  store_.next_command();
  EXPECT_EQ(store_.get(id), bytes);
}

TEST_F(StoreTest, AWriterWaitsWhereEveryLaneIsTaken) {
  store_.put("x");
  for (uint8_t lane = 0; lane < kLanes; lane++) store_.pager.set_lane_locked(lane, true);
  int waits = 0;
  store_.pager.on_lane_wait = [&](uint8_t lane) {
    waits++;
    store_.pager.set_lane_locked(lane, false);
  };
  uint64_t id;
  EXPECT_OK(store_.store.put(nullptr, 0, &id));
  EXPECT_EQ(waits, 1);
}

TEST_F(StoreTest, ExplicitIdsAreTakenOnce) {
  store_.put_at(10, "ten");
  store_.commit();
  EXPECT_EQ(store_.try_put_at(10, "again").code, Code::kExists);
  store_.next_command();
  EXPECT_EQ(store_.get(10), "ten");
  store_.erase(10);
  store_.commit();
  const Status status = store_.try_put_at(10, "an older snapshot may need the deleted one");
  EXPECT_EQ(status.code, Code::kExists);
  EXPECT_NE(std::string(status.reason).find("deleted"), std::string::npos);
  EXPECT_OK(store_.try_purge(10));
  store_.put_at(10, "new");
  store_.commit();
  EXPECT_EQ(store_.get(10), "new");
  for (const uint64_t bad : {uint64_t{0}, kMaxId + 1, UINT64_MAX}) {
    EXPECT_EQ(store_.try_put_at(bad, "x").code, Code::kInvalid);
  }
}

// A deleted value stands in the way of its id as long as a snapshot may see it, and no longer; the
// standbys hear of it before it goes.
TEST_F(StoreTest, AnIdIsFreeAgainOnceNobodyNeedsItsDeletedValue) {
  store_.put_at(10, Bytes(3000, 'o'));
  store_.commit();
  const Xid deleter = store_.session.current();
  store_.erase(10);
  store_.commit();
  store_.world.horizon = deleter;
  EXPECT_EQ(store_.try_put_at(10, "too early").code, Code::kExists);
  EXPECT_TRUE(store_.world.removals.empty());
  store_.world.horizon = deleter + 1;
  store_.put_at(10, "new");
  EXPECT_EQ(store_.world.removals, std::vector<Xid>{deleter});
  store_.commit();
  EXPECT_EQ(store_.get(10), "new");
  EXPECT_EQ(store_.scan(), std::vector<uint64_t>{10});
  store_.expect_sound();
}

TEST_F(StoreTest, TheOwnDeletionDoesNotFreeAnId) {
  store_.put_at(10, "ten");
  store_.commit();
  store_.erase(10);
  store_.world.horizon = store_.world.next() + 1;
  EXPECT_EQ(store_.try_put_at(10, "again").code, Code::kExists);
}

TEST_F(StoreTest, TheSameIdTwiceInABatchIsRefused) {
  Batch batch(store_.context);
  const Bytes bytes = "x";
  EXPECT_OK(batch.add_at(5, data_of(bytes), 1));
  EXPECT_EQ(batch.add_at(5, data_of(bytes), 1).code, Code::kExists);
}

TEST_F(StoreTest, ExplicitIdsPushTheCounter) {
  EXPECT_EQ(store_.put("x"), 1u);
  store_.put_at(1000, "y");
  EXPECT_EQ(store_.put("z"), 1001u);
  store_.put_at(1005, "in the batch of ids the lane holds");
  EXPECT_EQ(store_.put("z"), 1065u) << "the batch is given up";
  store_.put_at(500, "far below");
  EXPECT_EQ(store_.put("z"), 1066u);
}

// INSERT of rows with and without an id in one statement.
TEST_F(StoreTest, ExplicitIdsPushTheCounterWithinABatch) {
  const Bytes bytes = "x";
  std::set<uint64_t> ids;
  {
    Batch batch(store_.context);
    uint64_t id;
    ASSERT_OK(batch.add(data_of(bytes), 1, 0, &id));
    ids.insert(id);
    for (const uint64_t chosen : {id + 3, uint64_t{5000}, uint64_t{4000}}) {
      ASSERT_OK(batch.add_at(chosen, data_of(bytes), 1));
      EXPECT_TRUE(ids.insert(chosen).second);
      for (int i = 0; i < 5; i++) {
        ASSERT_OK(batch.add(data_of(bytes), 1, 0, &id));
        EXPECT_TRUE(ids.insert(id).second) << id;
        EXPECT_GT(id, chosen);
      }
    }
    ASSERT_OK(batch.flush());
  }
  EXPECT_EQ(store_.scan(), std::vector<uint64_t>(ids.begin(), ids.end()));
}

// The holder of a lane has a copy of the lane's batch of ids: it is waited for.
TEST_F(StoreTest, ABatchOfIdsIsTakenAwayUnderItsLanesLock) {
  auto holder = std::make_unique<Batch>(store_.context);
  uint64_t first;
  ASSERT_OK(holder->add(nullptr, 0, 0, &first));
  uint64_t second = 0;
  int waits = 0;
  store_.pager.on_lane_wait = [&](uint8_t) {
    waits++;
    EXPECT_OK(holder->add(nullptr, 0, 0, &second));
    EXPECT_OK(holder->flush());
    holder.reset();
  };
  EXPECT_OK(other_.try_put_at(first + 10, "in the batch"));
  EXPECT_EQ(waits, 1);
  EXPECT_EQ(second, first + 1);
  for (int i = 0; i < 100; i++) EXPECT_GT(store_.put(""), first + 10);
  store_.expect_sound();
}

TEST_F(StoreTest, TheLastIdIsGivenOutAndNoOther) {
  store_.put_at(kMaxId - 10, "x");
  uint64_t id = 0;
  for (uint64_t expected = kMaxId - 9; expected <= kMaxId; expected++) {
    ASSERT_OK(store_.try_put("y", &id));
    EXPECT_EQ(id, expected);
  }
  EXPECT_EQ(store_.try_put("z", &id).code, Code::kNoSpace);
  store_.next_command();
  EXPECT_EQ(store_.get(kMaxId), "y");
  store_.expect_sound();
}

TEST_F(StoreTest, AnExplicitIdWaitsForItsUnfinishedOwner) {
  for (const bool commits : {true, false}) {
    const uint64_t id = commits ? 10 : 11;
    store_.put_at(id, "first");
    other_.session.on_wait = [&](Xid) { commits ? store_.commit() : store_.session.abort(); };
    other_.session.waits = 0;
    EXPECT_EQ(other_.try_put_at(id, "second").code, commits ? Code::kExists : Code::kOk);
    EXPECT_EQ(other_.session.waits, 1);
    other_.commit();
    next_command();
    EXPECT_EQ(other_.get(id), commits ? "first" : "second");
  }
  store_.expect_sound();
}

// The owner appears after the id was found free, while the pieces are being written.
TEST_F(StoreTest, TwoWritersOfOneIdMeetAtTheLeaf) {
  store_.put("x");
  store_.commit();
  for (const bool commits : {true, false}) {
    const uint64_t id = commits ? 20 : 21;
    Batch batch(other_.context);
    const Bytes bytes = "second";
    ASSERT_OK(batch.add_at(id, data_of(bytes), bytes.size()));
    {
      Batch first(store_.context);
      ASSERT_OK(first.add_at(id, data_of(bytes), 3));
      ASSERT_OK(first.flush());
    }
    other_.session.on_wait = [&](Xid) { commits ? store_.commit() : store_.session.abort(); };
    EXPECT_EQ(batch.flush().code, commits ? Code::kExists : Code::kOk);
    commits ? other_.session.abort() : other_.commit();
    next_command();
    EXPECT_EQ(store_.entry(id).raw_bytes, commits ? 3u : 6u);
  }
}

// The writer waits without its lane: the one it waits for may need it.
TEST_F(StoreTest, WaitingForAnOwnerHoldsNoLane) {
  store_.put_at(30, "first");
  other_.session.on_wait = [&](Xid) {
    for (uint8_t lane = 0; lane < kLanes; lane++) EXPECT_FALSE(store_.pager.lane_locked(lane));
    store_.session.abort();
  };
  Batch batch(other_.context);
  const Bytes bytes = "x";
  uint64_t id;
  ASSERT_OK(batch.add(data_of(bytes), 1, 0, &id));
  ASSERT_OK(batch.add_at(30, data_of(bytes), 1));
  ASSERT_OK(batch.add(data_of(bytes), 1, 0, &id));
  ASSERT_OK(batch.flush());
  EXPECT_EQ(other_.session.waits, 1);
}

// A reader holds an entry while the value is cleaned away and its id used again.
TEST_F(StoreTest, AReaderOfAValueThatIsGoneIsToldSo) {
  const uint64_t id = store_.put(random_bytes(1, 3000));
  store_.commit();
  Entry entry;
  ASSERT_OK(store_.store.lookup(id, &entry));
  EXPECT_OK(store_.try_purge(id));
  Bytes bytes(3000, '?');
  auto* out = reinterpret_cast<std::byte*>(bytes.data());
  // The bytes still lie there and prove themselves.
  EXPECT_OK(store_.store.fetch(&entry, 0, 3000, out));
  store_.pager.page(entry.block)[14] = std::byte{0};  // somebody else's page by now
  store_.pager.page(entry.block)[15] = std::byte{0};
  EXPECT_EQ(store_.store.fetch(&entry, 0, 3000, out).code, Code::kNotFound);
  store_.put_at(id, random_bytes(2, 200));
  store_.commit();
  EXPECT_EQ(store_.store.fetch(&entry, 0, 3000, out).code, Code::kNotFound);
}

// Compaction moves the value between lookup and fetch: the entry is read again.
TEST_F(StoreTest, AReaderFollowsAValueThatMoves) {
  const Bytes bytes = random_bytes(1, 3000);
  const uint64_t id = store_.put(bytes);
  store_.commit();
  Entry stale;
  ASSERT_OK(store_.store.lookup(id, &stale));
  stale.block += 1;
  Bytes out(3000, '?');
  EXPECT_OK(store_.store.fetch(&stale, 0, 3000, reinterpret_cast<std::byte*>(out.data())));
  EXPECT_EQ(out, bytes);
  EXPECT_EQ(stale.block, store_.entry(id).block);
}

TEST_F(StoreTest, OptionsAreTheMetaPagesOnceThereIsOne) {
  Options options = TestStore::plain();
  options.direct_max = 100;
  options.extent_max = 200;
  TestStore first(options);
  first.put("x");
  TestStore second(first, TestStore::plain());
  second.put("y");
  EXPECT_EQ(second.context.options.direct_max, 100u);
  EXPECT_EQ(second.context.options.extent_max, 200u);
}

// Two sessions find the store empty; one of them makes it while the other waits for the lock.
TEST_F(StoreTest, AStoreIsMadeOnce) {
  bool waited = false;
  store_.pager.on_lock_creation = [&] {
    if (waited) return;
    waited = true;
    uint64_t id;
    EXPECT_OK(other_.store.put(nullptr, 0, &id));
    other_.commit();
  };
  store_.put("x");
  EXPECT_TRUE(waited);
  EXPECT_EQ(store_.scan().size(), 2u);
  store_.expect_sound();
}

}  // namespace
}  // namespace toaststore::test
