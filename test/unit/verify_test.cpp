// A sound store has no faults; each fault put into one gives exactly the rows that name it.

#include "engine/verify.h"

#include <gtest/gtest.h>

#include "engine/chunk_table.h"
#include "engine/meta.h"
#include "engine/space_map.h"
#include "engine/value_reader.h"
#include "support/script.h"

namespace toaststore::test {
namespace {

struct Row {
  Block block;
  uint64_t id;
  const char* reason;  // a part of it
};

class VerifyTest : public ::testing::Test {
 protected:
  VerifyTest() : store_(script_options()) {
    for (int i = 0; i < 300; i++) small_.push_back(store_.put(random_bytes(i, 20)));
    direct_ = store_.put(random_bytes(1000, 3000));
    extent_ = store_.put(random_bytes(1001, 15000));
    chunked_ = store_.put(random_bytes(1002, 60000));
    dead_ = store_.put(random_bytes(1003, 10));
    EXPECT_OK(store_.try_purge(dead_));
    store_.commit();
    store_.expect_sound();
    EXPECT_OK(read_meta(store_.context, &meta_));
  }

  void flip(Block block, size_t offset) { store_.pager.page(block)[offset] ^= std::byte{0x10}; }
  // Writes a tail with a check that holds.
  template <typename Tail>
  void put_tail(Block block, Tail tail) {
    seal_tail(&tail);
    std::memcpy(store_.pager.page(block) + kTailOffset, &tail, sizeof(tail));
  }
  template <typename Record>
  void put_record(Block block, uint32_t index, Record record) {
    seal_record(&record);
    std::memcpy(store_.pager.page(block) + record_offset<Record>(index), &record, sizeof(record));
  }
  template <typename Tail>
  Tail tail(Block block) {
    return tail_of<Tail>(store_.pager.page(block));
  }
  Child child(uint32_t index) { return record_at<Child>(store_.pager.page(meta_.root), index); }
  void put_meta(const MetaBody& body) {
    PlainTail plain = tail<PlainTail>(kMetaBlock);
    std::byte* page = store_.pager.page(kMetaBlock);
    std::memcpy(page + kPageHeaderBytes, &body, sizeof(body));
    plain.check = crc32c_extend(crc32c(&body, sizeof(body)), &plain, offsetof(PlainTail, check));
    std::memcpy(page + kTailOffset, &plain, sizeof(plain));
    store_.hints = Hints();
  }

  void expect_rows(const std::vector<Row>& rows) {
    const std::vector<FoundFault> faults = store_.verify();
    EXPECT_EQ(faults.size(), rows.size());
    for (size_t i = 0; i < std::max(rows.size(), faults.size()); i++) {
      if (i >= rows.size()) {
        ADD_FAILURE() << "unexpected: " << faults[i];
      } else if (i >= faults.size()) {
        ADD_FAILURE() << "missing: " << rows[i].reason;
      } else {
        EXPECT_EQ(faults[i].block, rows[i].block) << faults[i];
        EXPECT_EQ(faults[i].id, rows[i].id) << faults[i];
        EXPECT_NE(faults[i].reason.find(rows[i].reason), std::string::npos) << faults[i];
      }
    }
  }

  TestStore store_;
  std::vector<uint64_t> small_;
  uint64_t direct_, extent_, chunked_, dead_;
  MetaBody meta_{};
};

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
  expect_rows({{child(0).child, 0, "reached twice"}});
}

TEST_F(VerifyTest, RightLink) {
  const Block left = child(0).child;
  auto bad = tail<TreeTail>(left);
  bad.right = child(2).child;
  put_tail(left, bad);
  expect_rows({{child(1).child, 0, "right link of the page before leads elsewhere"}});
}

TEST_F(VerifyTest, RangeOfALeaf) {
  const Block leaf = child(1).child;
  auto bad = tail<TreeTail>(leaf);
  bad.low--;
  put_tail(leaf, bad);
  expect_rows({{leaf, 0, "range is not its downlink's"}});
}

TEST_F(VerifyTest, SplitThatNobodyCanFinish) {
  const Block leaf = child(1).child;
  auto bad = tail<TreeTail>(leaf);
  bad.high--;
  put_tail(leaf, bad);
  const std::vector<FoundFault> faults = store_.verify();
  ASSERT_FALSE(faults.empty());
  bool named = false;
  for (const FoundFault& fault : faults) named |= fault.reason.find("no downlink") != Bytes::npos;
  EXPECT_TRUE(named);
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
  expect_rows({{meta_.dead_tail, 0, "does not end where meta says"},
               {meta_.dead_tail, 0, "reached twice"}});
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
  auto entry = record_at<toaststore::MapEntry>(store_.pager.page(kFirstMapBlock), extent_of(block));
  entry.kind = ExtentKind::kFree;
  put_record(kFirstMapBlock, extent_of(block), entry);
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
  auto entry = record_at<toaststore::MapEntry>(store_.pager.page(kFirstMapBlock), extent);
  entry.kind = ExtentKind::kFree;
  put_record(kFirstMapBlock, extent, entry);
  const std::vector<FoundFault> faults = store_.verify();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].id, large);
  EXPECT_EQ(extent_of(faults[0].block), extent);
}

TEST_F(VerifyTest, LaneWithAnImpossibleRun) {
  meta_.lanes[3].run_start = 500;
  meta_.lanes[3].run_end = 400;
  put_meta(meta_);
  expect_rows({{kMetaBlock, 0, "lane's run is impossible"}});
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
