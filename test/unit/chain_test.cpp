// The journal and the list of dead ranges: a record for every change, proven by a running CRC, and
// the lane's own numbers carried from page to page.

#include "engine/chain.h"

#include <gtest/gtest.h>

#include "engine/cleaner.h"
#include "engine/meta.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

class ChainTest : public ::testing::Test {
 protected:
  MetaBody meta() {
    MetaBody body{};
    EXPECT_OK(read_meta(store_.context, &body));
    return body;
  }
  template <typename Record>
  std::vector<Record> records(ChainId chain) {
    std::vector<Record> all;
    MetaBody body = meta();
    for (Block block = chain_head(&body, chain); block != kNoBlock;) {
      PageGuard page;
      EXPECT_OK(page.read(store_.pager, block, Latch::kShare, chain.kind));
      EXPECT_OK(check_chain_page(page, chain));
      const auto tail = page.tail<ChainTail>();
      for (uint16_t i = 0; i < tail.count; i++) all.push_back(record_at<Record>(page.data(), i));
      block = tail.next;
    }
    return all;
  }
  std::vector<JournalRecord> journal(uint8_t lane = 0) {
    return records<JournalRecord>(ChainId::journal(lane));
  }
  std::vector<DeadRecord> dead() { return records<DeadRecord>(ChainId::dead()); }
  ChainTail last_tail() {
    const Block block = meta().lanes[0].journal_tail;
    return tail_of<ChainTail>(store_.pager.page(block));
  }

  TestStore store_;
};

TEST_F(ChainTest, EveryPutAndDeleteIsJournalled) {
  const uint64_t first = store_.put("one");
  const Xid creator = store_.session.current();
  store_.commit();
  const uint64_t second = store_.put("two");
  store_.next_command();
  store_.erase(first);
  const Xid deleter = store_.session.current();
  store_.commit();
  const std::vector<JournalRecord> all = journal();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].id, first);
  EXPECT_EQ(all[0].xid, creator);
  EXPECT_EQ(all[0].action, JournalAction::kPut);
  EXPECT_EQ(all[1].id, second);
  EXPECT_EQ(all[1].action, JournalAction::kPut);
  EXPECT_EQ(all[2].id, first);
  EXPECT_EQ(all[2].xid, deleter);
  EXPECT_EQ(all[2].action, JournalAction::kDelete);
  EXPECT_EQ(last_tail().min_xid, creator);
}

// Transaction ids are a circle: the oldest of a page is not the smallest number.
TEST_F(ChainTest, TheOldestTransactionOfAPageIsFoundAcrossTheWrap) {
  store_.world.jump(0xfffffff0);
  store_.put("before the wrap");
  const Xid before = store_.session.current();
  store_.commit();
  store_.world.jump(kFirstNormalXid);
  store_.put("after it");
  store_.commit();
  EXPECT_EQ(last_tail().min_xid, before);
}

// Values of one batch may come from a transaction and its savepoint.
TEST_F(ChainTest, EveryTransactionOfABatchCountsForTheOldest) {
  {
    Batch batch(store_.context);
    uint64_t id;
    store_.session.savepoint();
    store_.session.current();
    const Bytes bytes = "nested";
    ASSERT_OK(batch.add(data_of(bytes), bytes.size(), 1, &id));
    const Xid nested = store_.session.current();
    store_.session.rollback_to_savepoint();
    ASSERT_OK(batch.add(data_of(bytes), bytes.size(), 0, &id));
    ASSERT_LT(store_.session.current(), nested);
    ASSERT_OK(batch.flush());
  }
  EXPECT_EQ(last_tail().min_xid, store_.session.current());
}

TEST_F(ChainTest, ABatchIsJournalledInOrderOverManyPages) {
  std::vector<uint64_t> ids;
  {
    Batch batch(store_.context);
    for (int i = 0; i < 2000; i++) {
      uint64_t id;
      ASSERT_OK(batch.add(nullptr, 0, 0, &id));
      ids.push_back(id);
    }
    ASSERT_OK(batch.flush());
  }
  const std::vector<JournalRecord> all = journal();
  ASSERT_EQ(all.size(), ids.size());
  for (size_t i = 0; i < ids.size(); i++) EXPECT_EQ(all[i].id, ids[i]);
  EXPECT_NE(meta().lanes[0].journal_head, meta().lanes[0].journal_tail);
  store_.expect_sound();
}

// A lane's next id and position are on the last page of its journal, and survive a fresh page that
// somebody without the lane links: a delete.
TEST_F(ChainTest, AFreshPageCarriesTheLanesNumbers) {
  std::vector<uint64_t> ids;
  for (int i = 0; i < 500; i++) ids.push_back(store_.put(random_bytes(i, 20)));
  store_.commit();
  const ChainTail before = last_tail();
  const Block page = meta().lanes[0].journal_tail;
  TestStore other(store_, TestStore::plain());
  other.next_command();
  for (int i = 0; i < 40; i++) other.erase(ids[i]);
  other.commit();
  ASSERT_NE(meta().lanes[0].journal_tail, page);
  EXPECT_EQ(last_tail().next_id, before.next_id);
  EXPECT_EQ(last_tail().position, before.position);
  store_.reopen();
  EXPECT_EQ(store_.put("next"), ids.back() + 1);
  EXPECT_EQ(store_.entry(ids.back() + 1).block, store_.entry(ids.back()).block);
}

TEST_F(ChainTest, APurgeListsTheDeadRange) {
  const uint64_t extent = store_.put(random_bytes(1, 20000));
  const uint64_t chunked = store_.put(random_bytes(2, 200000));
  const Entry extent_entry = store_.entry(extent);
  const Entry chunked_entry = store_.entry(chunked);
  EXPECT_OK(store_.try_purge(extent));
  EXPECT_OK(store_.try_purge(chunked));
  const std::vector<DeadRecord> all = dead();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].id, extent);
  EXPECT_EQ(all[0].bytes, 20000u);
  EXPECT_EQ(all[0].layout, Layout::kExtent);
  EXPECT_EQ(all[0].block, extent_entry.block);
  EXPECT_EQ(all[0].item, extent_entry.item);
  EXPECT_EQ(all[0].first_bytes, extent_entry.first_bytes);
  EXPECT_EQ(all[1].id, chunked);
  EXPECT_EQ(all[1].bytes, 200000u);
  EXPECT_EQ(all[1].layout, Layout::kChunked);
  EXPECT_EQ(all[1].block, chunked_entry.block);
  store_.expect_sound();
}

TEST_F(ChainTest, AnAbortedEntryThatGivesWayIsListed) {
  store_.put_at(7, random_bytes(1, 5000));
  const Entry old = store_.entry(7);
  store_.session.abort();
  store_.put_at(7, random_bytes(2, 300));
  store_.commit();
  const std::vector<DeadRecord> all = dead();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].id, 7u);
  EXPECT_EQ(all[0].block, old.block);
  EXPECT_EQ(all[0].bytes, 5000u);
  EXPECT_EQ(store_.get(7), random_bytes(2, 300));
  store_.expect_sound();
}

TEST_F(ChainTest, TheDeadListGrowsByPages) {
  std::vector<uint64_t> ids;
  for (int i = 0; i < 600; i++) ids.push_back(store_.put("x"));
  for (const uint64_t id : ids) EXPECT_OK(store_.try_purge(id));
  const std::vector<DeadRecord> all = dead();
  ASSERT_EQ(all.size(), ids.size());
  for (size_t i = 0; i < ids.size(); i++) EXPECT_EQ(all[i].id, ids[i]);
  EXPECT_NE(meta().dead_head, meta().dead_tail);
  store_.expect_sound();
}

// A session sleeps while others link page after page to the chain that it knew the end of.
TEST_F(ChainTest, AnEndThatHasMovedFarIsFound) {
  const uint64_t victim = store_.put("first");
  store_.commit();
  TestStore sleeper(store_, TestStore::plain());
  sleeper.next_command();
  EXPECT_EQ(sleeper.get(victim), "first");
  {
    Batch batch(store_.context);
    for (int i = 0; i < kJournalCapacity * 1100; i++) {
      uint64_t id;
      ASSERT_OK(batch.add(nullptr, 0, 10000, &id));
    }
    ASSERT_OK(batch.flush());
  }
  store_.commit();
  EXPECT_OK(sleeper.try_erase(victim));
}

// ---- ends of chains, under other latches ------------------------------------------------------

// Calls that go for the end of a chain with a latch in hand; each tells whether it did its work.
class ChainEnd : public ChainTest {
 protected:
  struct Call {
    const char* name;
    std::function<bool()> make;
  };

  ChainEnd() {
    for (int i = 0; i < 400; i++) small_.push_back(store_.put(random_bytes(i, 20)));
    store_.commit();
    store_.next_command();
    EXPECT_OK(store_.try_purge(small_.back()));  // the list of dead ranges has a page
    small_.pop_back();
  }

  uint64_t next_small() {
    const uint64_t id = small_[small_.size() / 2];
    small_.erase(small_.begin() + static_cast<ptrdiff_t>(small_.size() / 2));
    return id;
  }
  std::vector<Call> calls() {
    return {
        {"put",
         [this] {
           Batch batch(store_.context);
           uint64_t id;
           EXPECT_OK(batch.add(nullptr, 0, 0, &id));
           EXPECT_OK(batch.flush());
           store_.next_command();
           return store_.entry(id).id == id;
         }},
        {"erase", [this] { return store_.try_erase(next_small()).ok(); }},
        {"purge", [this] { return store_.try_purge(next_small()).ok(); }},
        {"clean",
         [this] {
           store_.commit();
           store_.erase(next_small());
           store_.commit();
           store_.world.horizon = store_.world.next();
           CleanReport report;
           EXPECT_OK(clean(store_.context, &report));
           return report.removed_values > 0;
         }},
        {"replace",
         [this] {
           store_.put_at(far_, "aborted");
           store_.session.abort();
           store_.next_command();
           store_.put_at(far_, "replaced");
           store_.next_command();
           return store_.get(far_++) == "replaced";
         }},
    };
  }

  std::vector<uint64_t> small_;
  uint64_t far_ = 5000;
};

// Whoever has it may want what this one holds, for it may be a page of anything by now.
TEST_F(ChainEnd, IsNotWaitedForWithALatchInHand) {
  for (const Call& call : calls()) {
    SCOPED_TRACE(call.name);
    int times = 60;
    store_.pager.on_read = [&] {
      if (times-- <= 0) return;
      MetaBody body;
      std::memcpy(static_cast<void*>(&body), store_.pager.page(kMetaBlock) + kPageHeaderBytes,
                  sizeof(body));
      store_.pager.latched_elsewhere = {body.lanes[0].journal_tail, body.dead_tail};
    };
    EXPECT_TRUE(call.make());
    EXPECT_LE(times, 0) << "it gave up, and came back";
    store_.pager.on_read = nullptr;
    store_.pager.latched_elsewhere.clear();
  }
  store_.commit();
  store_.expect_sound();
}

// A hint is as old as the last use of the store: the page may be the very one in hand, one left of
// it, one above, of another chain, a value's, or none.
TEST_F(ChainEnd, IsNotWhereAnOldHintLeads) {
  const MetaBody body = meta();
  ASSERT_GE(body.root_level, 1);
  const Block value = store_.entry(small_[0]).block;
  std::vector<Block> blocks = {kMetaBlock, body.root,      kFirstMapBlock,
                               value,      body.dead_tail, body.lanes[0].journal_tail,
                               0xfffffff0u};
  for (const uint64_t id : {small_[0], small_[200], small_.back()}) {
    LeafPlace place;
    ASSERT_OK(find_place(store_.context, id, Latch::kShare, &place));
    blocks.push_back(place.leaf.block());
  }
  for (const Call& call : calls()) {
    for (const Block journal : blocks) {
      for (const Block dead : {body.dead_tail, journal}) {
        SCOPED_TRACE(call.name + std::string(" led to ") + std::to_string(journal));
        store_.hints.journal_tail[0] = journal;
        store_.hints.dead_tail = dead;
        EXPECT_TRUE(call.make());
      }
    }
  }
  store_.commit();
  store_.expect_sound();
}

TEST_F(ChainTest, ADamagedRecordIsFoundAndNotBuriedByTheNext) {
  store_.put("one");
  const Block block = meta().lanes[0].journal_tail;
  store_.pager.page(block)[record_offset<JournalRecord>(0)] ^= std::byte{1};
  store_.put("two");
  PageGuard page;
  ASSERT_OK(page.read(store_.pager, block, Latch::kShare, PageKind::kJournal));
  EXPECT_EQ(check_chain_page(page, ChainId::journal(0)).code, Code::kCorruption);
}

}  // namespace
}  // namespace toaststore::test
