// What the map says of extents that were counted is what is found there; and beside writers nothing
// is found that is none.

#include "engine/cleaner.h"
#include "engine/tree.h"
#include "engine/verify.h"
#include "support/verify_fixture.h"

namespace toaststore::test {
namespace {

// ---- extents that were counted --------------------------------------------------------------

class VerifyCounted : public VerifyTest {
 protected:
  VerifyCounted() {
    for (int i = 0; i < 90; i++) values_.push_back(store_.put(random_bytes(i, 3000 + i * 50)));
    values_.push_back(store_.put(random_bytes(500, 70000)));
    const Lane lane = meta_.lanes[0];
    for (int i = 600; meta_.lanes[0].run_start < lane.run_end; i++) {
      store_.put(random_bytes(i, 60000));
      EXPECT_OK(read_meta(store_.context, &meta_));
    }
    erase(0, 3);
    clean(true);
    expect_rows({});
    for (Extent extent = 0; extent < kExtentsPerMapPage; extent++) {
      const toaststore::MapEntry entry = map_entry(extent);
      const bool counted =
          entry.kind == ExtentKind::kValues && (entry.values.flags & kCounted) != 0;
      if (counted && entry.values.dead_bytes > 0) counted_ = extent;
    }
    EXPECT_NE(counted_, 0u);
  }

  void erase(size_t from, size_t step) {
    store_.commit();
    store_.next_command();
    for (size_t i = from; i < values_.size(); i += step) store_.erase(values_[i]);
    store_.commit();
  }
  // Without `all` the list of dead ranges is left to be charged.
  void clean(bool all) {
    store_.world.horizon = store_.world.next();
    CleanReport report;
    EXPECT_OK(all ? toaststore::clean(store_.context, &report)
                  : clean_journals(store_.context, &report));
    EXPECT_OK(read_meta(store_.context, &meta_));
  }
  void expect_row_with(toaststore::MapEntry entry, const char* reason) {
    const toaststore::MapEntry right = map_entry(counted_);
    put_map_entry(counted_, entry);
    expect_rows({{extent_start(counted_), 0, reason}});
    put_map_entry(counted_, right);
    expect_rows({});
  }

  std::vector<uint64_t> values_;
  Extent counted_ = 0;
};

TEST_F(VerifyCounted, DeadRangesThatWaitToBeChargedCount) {
  erase(1, 3);
  clean(false);
  const auto tail_seen = tail<ChainTail>(meta_.dead_tail);
  EXPECT_LT(tail_seen.consumed, tail_seen.count);
  expect_rows({});
  clean(true);
  expect_rows({});
}

TEST_F(VerifyCounted, BytesThatTheMapDoesNotKnow) {
  toaststore::MapEntry entry = map_entry(counted_);
  entry.stored_bytes++;
  expect_row_with(entry, "extent does not hold the bytes that the map says");
  entry.stored_bytes -= 2;
  expect_row_with(entry, "extent does not hold the bytes that the map says");
}

TEST_F(VerifyCounted, DeadBytesThatTheMapDoesNotKnow) {
  toaststore::MapEntry entry = map_entry(counted_);
  entry.values.dead_bytes++;
  expect_row_with(entry, "extent does not hold the dead bytes that the map says");
  entry.values.dead_bytes -= 2;
  expect_row_with(entry, "extent does not hold the dead bytes that the map says");
}

// What is cleaned while it verifies is neither a value's any more when the tree is walked, nor was
// it on the list before: the second look finds it there.
TEST_F(VerifyCounted, DeadRangesThatAreListedMeanwhileCount) {
  constexpr int kStride = 5;
  erase(1, 3);
  store_.world.horizon = store_.world.next();
  store_.pager.mark();
  for (int at = 1;; at += kStride) {
    SCOPED_TRACE("cleaned before page " + std::to_string(at));
    TestStore cleaner(store_, script_options());
    int reads = 0;
    store_.pager.on_read = [&] {
      CleanReport report;
      if (++reads == at) EXPECT_OK(clean_journals(cleaner.context, &report));
    };
    const std::vector<FoundFault> faults = store_.verify(VerifyBeside::kWriters);
    store_.pager.on_read = nullptr;
    for (const FoundFault& fault : faults) ADD_FAILURE() << fault;
    store_.pager.rewind();
    store_.hints = Hints();
    if (reads < at || HasFailure()) return;
  }
}

// Listed a second time it would be charged a second time.
TEST_F(VerifyCounted, DeadRangeThatIsListedTwice) {
  erase(1, 30);
  clean(false);
  edit_chain<toaststore::DeadRecord>(meta_.dead_tail,
                                     [](toaststore::DeadRecord* records, uint16_t count) {
                                       ASSERT_GE(count, 2);
                                       records[count - 1] = records[count - 2];
                                     });
  const std::vector<FoundFault> faults = store_.verify();
  ASSERT_FALSE(faults.empty());
  for (const FoundFault& fault : faults) {
    EXPECT_EQ(fault.reason, "extent does not hold the dead bytes that the map says") << fault;
  }
}

TEST_F(VerifyCounted, ExtentThatIsDeadButNotFree) {
  toaststore::MapEntry entry{};
  entry.kind = ExtentKind::kValues;
  entry.values.flags = kCounted;
  put_map_entry(150, entry);
  expect_rows({{extent_start(150), 0, "extent holds nothing alive but is not free"}});
}

TEST_F(VerifyCounted, ExtentThatALaneStillWritesTo) {
  meta_.lanes[3].run_start = extent_start(counted_);
  meta_.lanes[3].run_end = extent_end(counted_);
  put_meta(meta_);
  const std::vector<FoundFault> faults = store_.verify();
  bool named = false;
  for (const FoundFault& fault : faults) {
    EXPECT_EQ(extent_of(fault.block), counted_) << fault;
    // Its values say the same.
    named |= fault.reason == "value lies where its lane writes next";
  }
  EXPECT_TRUE(named);
}

// The tally is what statistics are made of, and nobody counts again.
TEST_F(VerifyCounted, TallyThatIsNotWhatTheEntriesAre) {
  const MetaBody right = meta_;
  ASSERT_GT(right.settled.all_values(), 0u);
  uint64_t* const fields[] = {&meta_.settled.values[0], &meta_.settled.values[1],
                              &meta_.settled.values[2], &meta_.settled.raw_bytes,
                              &meta_.settled.stored_bytes};
  for (uint64_t* field : fields) {
    for (const uint64_t by : {uint64_t{1}, ~uint64_t{0}}) {
      meta_ = right;
      *field += by;
      put_meta(meta_);
      expect_rows({{kMetaBlock, 0, "tally of settled values is not what the entries are"}});
      EXPECT_EQ(store_.verify(VerifyBeside::kWriters).size(), 1u);
    }
  }
  put_meta(right);
  expect_rows({});
}

// A dead piece's item points to the bytes of another.
TEST_F(VerifyCounted, PiecesThatOverlapInTheirPage) {
  const Block first = extent_start(counted_);
  for (Block block = first; block < extent_end(counted_); block++) {
    PageFill fill;
    if (!read_fill(store_.pager.page(block), block, &fill).ok()) continue;
    for (uint16_t item = 2; item <= fill.items; item++) {
      PieceClaim claim;
      ASSERT_OK(read_piece(store_.pager.page(block), block, StoreKind::kById, item, &claim));
      Entry entry;
      bool found;
      ASSERT_OK(find_entry(store_.context, claim.id, &entry, &found));
      if (found) continue;
      std::memcpy(item_at(block, item), item_at(block, 1), kItemBytes);
      expect_rows({{block, 0, "pieces do not lie one below the other"}});
      return;
    }
  }
  FAIL() << "no dead piece behind another";
}

// Where a value is damaged, its bytes are not missed too.
TEST_F(VerifyCounted, OneFaultAPlaceIsEnough) {
  for (const uint64_t id : values_) {
    Entry entry;
    bool found;
    ASSERT_OK(find_entry(store_.context, id, &entry, &found));
    if (!found || entry.layout == Layout::kChunked || extent_of(entry.block) != counted_) continue;
    uint32_t pointer;
    std::memcpy(&pointer, item_at(entry.block, entry.item), sizeof(pointer));
    flip(entry.block, (pointer & 0x7fff) + 24);  // its id
    expect_rows({{entry.block, id, "piece belongs to another value"}});
    return;
  }
  FAIL() << "no value in the extent";
}

// ---- beside writers ----------------------------------------------------------------------------

// Another session puts, deletes, rolls back, cleans and compacts between any two pages that are
// looked at.
class VerifyBesideWriters : public ::testing::TestWithParam<uint64_t> {
 protected:
  VerifyBesideWriters() : random_(GetParam()) {
    for (int i = 0; i < 400; i++) act();
  }

  void act() {
    const uint64_t what = random_.below(100);
    other_.next_command();
    if (what < 40) {
      ids_.push_back(other_.put(random_bytes(random_.next(), random_.below(random_.below(9000)))));
    } else if (what < 44) {
      ids_.push_back(other_.put(random_bytes(random_.next(), random_.below(60000))));
    } else if (what < 75 && !ids_.empty()) {
      (void)other_.try_erase(ids_[random_.below(ids_.size())]);
    } else if (what < 80 && !ids_.empty()) {
      (void)other_.try_put_at(ids_[random_.below(ids_.size())], "again");
    } else if (what < 90) {
      other_.commit();
    } else if (what < 95) {
      other_.session.abort();
    } else {
      upkeep(what);
    }
  }

  void upkeep(uint64_t what) {
    other_.world.horizon = static_cast<Xid>(other_.session.oldest_running());
    CleanReport report;
    switch (what) {
      case 95:
        EXPECT_OK(clean_journals(other_.context, &report));
        break;
      case 96:
        EXPECT_OK(charge_dead(other_.context, &report));
        break;
      case 97:
        EXPECT_OK(
            count_extents(other_.context, other_.context.transactions.oldest_running(), &report));
        break;
      default:
        EXPECT_OK(toaststore::compact(other_.context, 0.2, &report));
        break;
    }
  }

  Random random_;
  TestStore store_{script_options()};
  TestStore other_{store_, script_options()};
  std::vector<uint64_t> ids_;
};

TEST_P(VerifyBesideWriters, HasNoFaultThatIsNone) {
  uint64_t acts = 0;
  store_.pager.on_read = [&] {
    if (random_.below(4) != 0 || acts > 4000) return;
    acts++;
    act();
  };
  std::vector<FoundFault> faults;
  EXPECT_OK(store_.try_verify(&faults, VerifyBeside::kWriters));
  store_.pager.on_read = nullptr;
  for (const FoundFault& fault : faults) ADD_FAILURE() << fault;
  EXPECT_GT(acts, 20u);
  other_.commit();
  other_.expect_sound();
}

INSTANTIATE_TEST_SUITE_P(Seeds, VerifyBesideWriters, ::testing::Range<uint64_t>(1, 61));

}  // namespace
}  // namespace toaststore::test
