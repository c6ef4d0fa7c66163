// A sound store has no faults; each fault put into one gives exactly the rows that name it.

#include "engine/verify.h"

#include "engine/chunk_table.h"
#include "engine/space_map.h"
#include "engine/value_reader.h"
#include "support/verify_fixture.h"

namespace toaststore::test {
namespace {

TEST_F(VerifyTest, ASoundStoreHasNoFaults) {
  expect_rows({});
  store_.put_at(12345, "aborted");
  store_.session.abort();
  expect_rows({});
}

TEST_F(VerifyTest, MetaPage) {
  flip(kMetaBlock, kPageHeaderBytes + 100);
  expect_rows({{kMetaBlock, 0, "meta page does not match"}});
}

// Not a fault: whoever wrote it could verify it.
TEST_F(VerifyTest, NewerFormat) {
  meta_.format_version++;
  put_meta(meta_);
  std::vector<FoundFault> faults;
  EXPECT_EQ(store_.try_verify(&faults).code, Code::kNewerFormat);
  uint64_t id;
  EXPECT_EQ(store_.try_put("x", &id).code, Code::kNewerFormat);
  EXPECT_TRUE(faults.empty());
}

TEST_F(VerifyTest, NewerPage) {
  const Block leaf = child(1).child;
  auto newer = tail<TreeTail>(leaf);
  newer.start.version++;
  put_tail(leaf, newer);
  std::vector<FoundFault> faults;
  EXPECT_EQ(store_.try_verify(&faults).code, Code::kNewerFormat);
  EXPECT_TRUE(faults.empty());
}

TEST_F(VerifyTest, ImpossibleMeta) {
  meta_.chunk_bytes = 1;
  put_meta(meta_);
  expect_rows({{kMetaBlock, 0, "impossible values"}});
}

// A leaf that cannot be read hides its entries and nothing else.
TEST_F(VerifyTest, LeafTail) {
  for (const uint32_t index : {0u, 1u, 2u}) {
    const Block leaf = child(index).child;
    flip(leaf, kTailOffset + 10);
    expect_rows({{leaf, 0, "tail does not match"}});
    flip(leaf, kTailOffset + 10);
  }
}

TEST_F(VerifyTest, LeafEntry) {
  const Block leaf = child(1).child;
  flip(leaf, record_offset<Entry>(40) + 26);
  expect_rows({{leaf, 0, "leaf entry does not match its check"}});
}

// Its check holds, for whoever damaged it made a new one.
TEST_F(VerifyTest, LeafEntryOfNoLayout) {
  const Block leaf = child(1).child;
  auto entry = record_at<Entry>(store_.pager.page(leaf), 40);
  entry.layout = Layout{0};
  put_record(leaf, 40, entry);
  Tally tally{};
  count_in(entry, &tally);
  EXPECT_EQ(tally.all_values(), 0u);
  EXPECT_FALSE(store_.verify().empty());
}

TEST_F(VerifyTest, LeafOrder) {
  const Block leaf = child(1).child;
  const auto first = record_at<Entry>(store_.pager.page(leaf), 40);
  const auto second = record_at<Entry>(store_.pager.page(leaf), 41);
  put_record(leaf, 40, second);
  put_record(leaf, 41, first);
  expect_rows({{leaf, first.id, "out of order"}});
}

TEST_F(VerifyTest, InnerEntry) {
  for (const uint32_t index : {0u, 1u, 2u}) {
    flip(meta_.root, record_offset<Child>(index) + 3);
    expect_rows({{meta_.root, 0, "inner entry does not match its check"}});
    flip(meta_.root, record_offset<Child>(index) + 3);
  }
}

TEST_F(VerifyTest, InnerOrder) {
  Child wrong = child(1);
  wrong.key = child(2).key + 1;
  put_record(meta_.root, 1, wrong);
  const std::vector<FoundFault> faults = store_.verify();
  ASSERT_FALSE(faults.empty());
  bool named = false;
  for (const FoundFault& fault : faults) named |= fault.block == meta_.root;
  EXPECT_TRUE(named);
}

TEST_F(VerifyTest, DownlinkToTheWrongLeaf) {
  Child wrong = child(1);
  wrong.child = child(0).child;
  put_record(meta_.root, 1, wrong);
  expect_rows({{meta_.root, 0, "downlink leads to another page"}});
}

TEST_F(VerifyTest, RightLink) {
  const Block left = child(0).child;
  auto bad = tail<TreeTail>(left);
  bad.right = child(2).child;
  put_tail(left, bad);
  expect_rows({{left, 0, "right sibling do not adjoin"}});
}

TEST_F(VerifyTest, RangeOfALeaf) {
  const Block leaf = child(1).child;
  auto bad = tail<TreeTail>(leaf);
  bad.low--;
  put_tail(leaf, bad);
  expect_rows({{child(0).child, 0, "right sibling do not adjoin"}});
}

TEST_F(VerifyTest, EndOfALeaf) {
  const Block leaf = child(1).child;
  auto bad = tail<TreeTail>(leaf);
  bad.high--;
  put_tail(leaf, bad);
  // Its last entry lies beyond it.
  expect_rows({{leaf, 0, "right sibling do not adjoin"}, {leaf, bad.high, "out of order"}});
}

// The downlink is gone, and no mark asks for another.
TEST_F(VerifyTest, SplitThatNobodyFinishes) {
  auto root = tail<TreeTail>(meta_.root);
  const Block lost = child(1).child;
  for (uint32_t i = 1; i + 1 < root.count; i++) put_record(meta_.root, i, child(i + 1));
  root.count--;
  const auto lower = record_offset<Child>(root.count);
  std::memcpy(store_.pager.page(meta_.root) + offsetof(PageHeader, lower), &lower, sizeof(lower));
  put_tail(meta_.root, root);
  expect_rows({{lost, 0, "no downlink though its split is finished"}});
  auto marked = tail<TreeTail>(child(0).child);
  marked.flags |= kSplitIncomplete;
  put_tail(child(0).child, marked);
  expect_rows({});
}

TEST_F(VerifyTest, RangeBeyondTheDownlink) {
  Child wrong = child(2);
  wrong.key -= 3;
  put_record(meta_.root, 2, wrong);
  expect_rows({{child(1).child, 0, "range is not its downlink's"}});
}

TEST_F(VerifyTest, PiecesOfEveryLayout) {
  for (const uint64_t id : {direct_, extent_, chunked_}) {
    const Entry entry = store_.entry(id);
    // The first piece is the last of its page, or near it.
    const auto item =
        load<uint32_t>(store_.pager.page(entry.block), kPageHeaderBytes + (entry.item - 1u) * 4);
    const size_t piece = item & 0x7fff;
    flip(entry.block, piece + 24);  // its id
    expect_rows({{entry.block, id, "piece belongs to another value"}});
    flip(entry.block, piece + 24);
    flip(entry.block, piece + 40);  // its first byte
    const bool chunked = entry.layout == Layout::kChunked;
    expect_rows({{entry.block, id, chunked ? "chunk table does not match" : "CRC"}});
    flip(entry.block, piece + 40);
  }
  expect_rows({});
}

TEST_F(VerifyTest, AChunk) {
  ChunkRef ref;
  ASSERT_OK(read_chunk_refs(store_.context, store_.entry(chunked_), 3, 1, &ref));
  flip(ref.block + 1, 4000);
  expect_rows({{ref.block, chunked_, "CRC"}});
}

TEST_F(VerifyTest, ImpossibleEntry) {
  const Block leaf = child(1).child;
  auto entry = record_at<Entry>(store_.pager.page(leaf), 40);
  entry.stored_bytes = entry.raw_bytes + 1;
  put_record(leaf, 40, entry);
  expect_rows({{leaf, entry.id, "impossible values"}});
}

TEST_F(VerifyTest, JournalRecord) {
  const Block page = meta_.lanes[0].journal_tail;
  flip(page, record_offset<JournalRecord>(2));
  expect_rows({{page, 0, "chain records do not match"}});
}

TEST_F(VerifyTest, JournalPage) {
  const Block page = meta_.lanes[0].journal_tail;
  flip(page, kTailOffset + 12);
  expect_rows({{page, 0, "tail does not match"}});
}

TEST_F(VerifyTest, DeadRecord) {
  flip(meta_.dead_tail, record_offset<toaststore::DeadRecord>(0));
  expect_rows({{meta_.dead_tail, 0, "chain records do not match"}});
}

TEST_F(VerifyTest, ChainThatEndsElsewhere) {
  auto bad = tail<ChainTail>(meta_.dead_tail);
  bad.next = meta_.dead_tail;
  put_tail(meta_.dead_tail, bad);
  expect_rows({{meta_.dead_tail, 0, "does not end where meta says"}});
}

TEST_F(VerifyTest, ChainThatLeadsBack) {
  while (meta_.lanes[0].journal_head == meta_.lanes[0].journal_tail) {
    store_.put("x");
    EXPECT_OK(read_meta(store_.context, &meta_));
  }
  store_.commit();
  expect_rows({});
  const Block head = meta_.lanes[0].journal_head;
  auto bad = tail<ChainTail>(head);
  bad.next = head;
  put_tail(head, bad);
  expect_rows({{head, 0, "leads back into itself"}});
}

TEST_F(VerifyTest, JournalRecordThatCanNotBe) {
  const Block page = meta_.lanes[0].journal_tail;
  edit_chain<toaststore::JournalRecord>(page,
                                        [](toaststore::JournalRecord* records, uint16_t count) {
                                          records[count - 1].action = JournalAction{7};
                                        });
  const std::vector<FoundFault> faults = store_.verify();
  ASSERT_FALSE(faults.empty());
  EXPECT_EQ(faults[0].block, page);
  EXPECT_EQ(faults[0].reason, "journal record holds impossible values");
}

// It would let the server forget how the transaction ended.
TEST_F(VerifyTest, JournalPageThatForgetsItsOldestTransaction) {
  const Block page = meta_.lanes[0].journal_tail;
  auto bad = tail<ChainTail>(page);
  for (const Xid xid : {bad.min_xid + 1, kNoXid}) {
    bad.min_xid = xid;
    put_tail(page, bad);
    expect_rows({{page, 0, "does not know its oldest transaction"}});
  }
}

TEST_F(VerifyTest, PutThatNoJournalKnows) {
  const uint64_t victim = small_[7];
  edit_chain<toaststore::JournalRecord>(meta_.lanes[0].journal_head,
                                        [&](toaststore::JournalRecord* records, uint16_t count) {
                                          for (uint16_t i = 0; i < count; i++) {
                                            if (records[i].id == victim) records[i].id = 1000000;
                                          }
                                        });
  expect_rows({{leaf_of(victim), victim, "was put, but no journal says so"}});
}

TEST_F(VerifyTest, DeleteThatNoJournalKnows) {
  store_.next_command();
  store_.erase(direct_);
  store_.commit();
  expect_rows({});
  edit_chain<toaststore::JournalRecord>(
      meta_.lanes[0].journal_tail,
      [](toaststore::JournalRecord* records, uint16_t count) { records[count - 1].id = 1000000; });
  expect_rows({{leaf_of(direct_), direct_, "was deleted, but no journal says so"}});
}

// Beside writers their records may be written at any moment.
TEST_F(VerifyTest, WhatIsUnfinishedIsMissedInTheJournalOnlyWhereNobodyWrites) {
  const uint64_t id = store_.put("unfinished");
  edit_chain<toaststore::JournalRecord>(
      meta_.lanes[0].journal_tail,
      [](toaststore::JournalRecord* records, uint16_t count) { records[count - 1].id = 1000000; });
  EXPECT_TRUE(store_.verify(VerifyBeside::kWriters).empty());
  expect_rows({{leaf_of(id), id, "was put, but no journal says so"}});
  store_.commit();
  EXPECT_EQ(store_.verify(VerifyBeside::kWriters).size(), 1u);
}

TEST_F(VerifyTest, DeadRangeThatCanNotBe) {
  edit_chain<toaststore::DeadRecord>(
      meta_.dead_tail, [](toaststore::DeadRecord* records, uint16_t) { records[0].item = 0; });
  expect_rows({{meta_.dead_tail, 0, "dead range holds impossible values"}});
}

TEST_F(VerifyTest, BytesOfAValueOnTheListOfDeadRanges) {
  ChunkRef ref;
  ASSERT_OK(read_chunk_refs(store_.context, store_.entry(chunked_), 3, 1, &ref));
  toaststore::DeadRecord chunk{};
  chunk.id = chunked_;
  chunk.bytes = ref.stored_bytes;
  chunk.block = ref.block;
  chunk.sequence = ref.sequence;
  chunk.item = ref.item;
  chunk.first_bytes = ref.first_bytes;
  chunk.layout = Layout::kExtent;
  for (const toaststore::DeadRecord& live :
       {dead_record(store_.entry(direct_)), dead_record(store_.entry(extent_)),
        dead_record(store_.entry(chunked_)), chunk}) {
    edit_chain<toaststore::DeadRecord>(
        meta_.dead_tail, [&](toaststore::DeadRecord* records, uint16_t) { records[0] = live; });
    expect_rows({{live.block, live.id, "bytes of a value are listed as dead"}});
  }
}

TEST_F(VerifyTest, MapEntry) {
  flip(kFirstMapBlock, record_offset<toaststore::MapEntry>(100));
  expect_rows({{kFirstMapBlock, 0, "map entry does not match"}});
}

TEST_F(VerifyTest, PageLeaked) {
  auto entry = record_at<toaststore::MapEntry>(store_.pager.page(kFirstMapBlock), 200);
  entry.kind = ExtentKind::kPages;
  entry.pages.used[1] = 2;
  put_record(kFirstMapBlock, 200, entry);
  expect_rows({{extent_start(200) + 65, 0, "in use but nothing leads to it"}});
}

TEST_F(VerifyTest, PageGivenAway) {
  auto entry = record_at<toaststore::MapEntry>(store_.pager.page(kFirstMapBlock), 0);
  entry.pages.used[0] &= ~uint64_t{2};  // the first root, a leaf by now
  put_record(kFirstMapBlock, 0, entry);
  expect_rows({{kFirstRootBlock, 0, "reached but free in the map"}});
}

TEST_F(VerifyTest, ValuesInAnExtentThatIsFree) {
  const Block block = store_.entry(chunked_).block;
  put_map_entry(extent_of(block), toaststore::MapEntry{});
  const std::vector<FoundFault> faults = store_.verify();
  ASSERT_FALSE(faults.empty());
  for (const FoundFault& fault : faults) {
    EXPECT_NE(fault.reason.find("not mapped as values"), std::string::npos) << fault;
  }
}

// The table of the chunked value lies behind its chunks: one of these is in an extent given away.
TEST_F(VerifyTest, AChunkInAnExtentThatIsFree) {
  ChunkRef ref;
  const uint64_t large = store_.put(random_bytes(7, 600000));
  store_.commit();
  ASSERT_OK(read_chunk_refs(store_.context, store_.entry(large), 20, 1, &ref));
  const Extent extent = extent_of(ref.block + 1);
  ASSERT_NE(extent, extent_of(store_.entry(large).block));
  put_map_entry(extent, toaststore::MapEntry{});
  const std::vector<FoundFault> faults = store_.verify();
  ASSERT_FALSE(faults.empty());
  bool named = false;
  for (const FoundFault& fault : faults) {
    EXPECT_EQ(extent_of(fault.block), extent) << fault;
    named |= fault.id == large;
  }
  EXPECT_TRUE(named);
}

// The second chunk's entry in the table says what the first's does: all of it proves itself.
TEST_F(VerifyTest, PartsOfAValueThatOverlap) {
  const uint64_t id = store_.put(random_bytes(8, 3 * kChunkBytesMin));
  store_.commit();
  Entry entry = store_.entry(id);
  ASSERT_EQ(entry.layout, Layout::kChunked);
  ChunkRef refs[3];
  ASSERT_OK(read_chunk_refs(store_.context, entry, 0, 3, refs));
  refs[1] = refs[0];
  uint32_t pointer;
  std::memcpy(&pointer, item_at(entry.block, entry.item), sizeof(pointer));
  ASSERT_EQ(entry.first_bytes, sizeof(refs));
  std::memcpy(store_.pager.page(entry.block) + (pointer & 0x7fff) + 40, refs, sizeof(refs));
  entry.crc = crc32c(refs, sizeof(refs));
  put_entry(entry);
  expect_rows({{refs[0].block, id, "parts of a value overlap"}});
}

// The next put would write over it.
TEST_F(VerifyTest, ValueBehindThePositionOfItsLane) {
  const Block page = meta_.lanes[0].journal_tail;
  auto bad = tail<ChainTail>(page);
  bad.position = store_.entry(chunked_).block - 1;
  put_tail(page, bad);
  expect_rows({{store_.entry(chunked_).block, chunked_, "value lies where its lane writes next"}});
}

TEST_F(VerifyTest, IdThatIsHandedOutAgain) {
  const Block page = meta_.lanes[0].journal_tail;
  auto bad = tail<ChainTail>(page);
  bad.next_id = chunked_;
  put_tail(page, bad);
  expect_rows({{leaf_of(chunked_), chunked_, "id will be handed out again"}});
}

TEST_F(VerifyTest, IdThatNeverWasHandedOut) {
  meta_.lanes[0].id_start = meta_.lanes[0].id_end = 0;
  meta_.next_id = chunked_;
  put_meta(meta_);
  expect_rows({{leaf_of(chunked_), chunked_, "id was never handed out"}});
}

TEST_F(VerifyTest, LaneWithAnImpossibleRun) {
  meta_.lanes[3].run_start = 500;
  meta_.lanes[3].run_end = 400;
  put_meta(meta_);
  expect_rows({{kMetaBlock, 0, "lane's run is impossible"}});
}

TEST_F(VerifyTest, LaneWithAnImpossibleBatch) {
  meta_.lanes[3].id_start = meta_.next_id;
  meta_.lanes[3].id_end = meta_.next_id + 64;
  put_meta(meta_);
  expect_rows({{kMetaBlock, 0, "lane's batch of ids is impossible"}});
}

TEST_F(VerifyTest, LanesThatWriteToTheSameBlocks) {
  meta_.lanes[3].run_start = meta_.lanes[0].run_start;
  meta_.lanes[3].run_end = meta_.lanes[0].run_end;
  put_meta(meta_);
  expect_rows({{kMetaBlock, 0, "runs of two lanes overlap"}});
}

TEST_F(VerifyTest, LanesThatHandOutTheSameIds) {
  meta_.lanes[3].id_start = meta_.lanes[0].id_start;
  meta_.lanes[3].id_end = meta_.lanes[0].id_end;
  put_meta(meta_);
  expect_rows({{kMetaBlock, 0, "two lanes hand out the same ids"}});
}

// No value is there yet, but the next put goes there.
TEST_F(VerifyTest, LaneWhoseRunIsGivenAway) {
  toaststore::MapEntry fresh{};
  fresh.kind = ExtentKind::kValues;
  const Extent extent = 100;
  put_map_entry(extent, fresh);
  put_map_entry(extent + 1, fresh);
  meta_.lanes[3].run_start = extent_start(extent);
  meta_.lanes[3].run_end = extent_end(extent + 1);
  put_meta(meta_);
  expect_rows({});
  put_map_entry(extent + 1, toaststore::MapEntry{});
  expect_rows({{extent_start(extent + 1), 0, "lane's run is not mapped as values"}});
}

TEST_F(VerifyTest, MapPageOfAnother) {
  auto bad = tail<PlainTail>(kFirstMapBlock);
  bad.index = 3;
  put_tail(kFirstMapBlock, bad);
  expect_rows({{kFirstMapBlock, 0, "map page is another one"}});
}

TEST_F(VerifyTest, MapEntryThatCanNotBe) {
  const Extent extent = 100;
  toaststore::MapEntry free_but_counted{};
  free_but_counted.values.flags = kCounted;
  toaststore::MapEntry kind{};
  kind.kind = ExtentKind{7};
  toaststore::MapEntry beyond{};
  beyond.kind = ExtentKind::kPages;
  beyond.pages.used[1] = uint64_t{1} << 63;  // extents of that place have 128 pages
  toaststore::MapEntry lane{};
  lane.kind = ExtentKind::kValues;
  lane.lane = kLanes;
  toaststore::MapEntry more_dead{};
  more_dead.kind = ExtentKind::kValues;
  more_dead.values.flags = kCounted;
  more_dead.stored_bytes = 10;
  more_dead.values.dead_bytes = 11;
  toaststore::MapEntry uncounted{};
  uncounted.kind = ExtentKind::kValues;
  uncounted.stored_bytes = 10;
  for (const auto& bad : {free_but_counted, kind, lane, more_dead, uncounted}) {
    put_map_entry(extent, bad);
    expect_rows({{extent_start(extent), 0, "map entry holds impossible values"}});
  }
  put_map_entry(extent, toaststore::MapEntry{});
  put_map_entry(10, beyond);
  expect_rows({{extent_start(10), 0, "map entry holds impossible values"}});
}

TEST_F(VerifyTest, FreeExtentThatNobodyLooksFor) {
  meta_.map_hint = 1;
  put_meta(meta_);
  Extent first = 0;
  while (map_entry(first).kind != ExtentKind::kFree) first++;
  expect_rows({{extent_start(first), 0, "free extent is never looked for"}});
}

TEST_F(VerifyTest, FileCutShort) {
  const Block end = store_.entry(chunked_).block;
  store_.pager.truncate(end);
  const std::vector<FoundFault> faults = store_.verify();
  ASSERT_FALSE(faults.empty());
  for (const FoundFault& fault : faults) EXPECT_GE(fault.block, end) << fault;
}

// The map claims pages that the file does not have.
TEST_F(VerifyTest, FileCutBeforeAMapPage) {
  meta_.map_pages = 5;
  put_meta(meta_);
  std::vector<Row> rows;
  for (uint32_t page = 1; page < 5; page++) rows.push_back({map_block(page), 0, "end of the file"});
  expect_rows(rows);
}

TEST_F(VerifyTest, AFailingSinkStopsIt) {
  class Refuser final : public FaultSink {
   public:
    Status report(const Fault&) override {
      calls++;
      return Status::Error(Code::kIo, "full");
    }
    int calls = 0;
  } sink;
  for (uint32_t index = 0; index < 3; index++) flip(child(index).child, kTailOffset + 10);
  EXPECT_EQ(verify(store_.context, &sink).code, Code::kIo);
  EXPECT_EQ(sink.calls, 1);
}

}  // namespace
}  // namespace toaststore::test
