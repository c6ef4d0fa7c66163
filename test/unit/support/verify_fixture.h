// A store with values of every layout, and calls that put faults into it.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_VERIFY_FIXTURE_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_VERIFY_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>

#include "engine/chain.h"
#include "engine/map_page.h"
#include "engine/meta.h"
#include "engine/value_page.h"
#include "support/script.h"

namespace toaststore::test {

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
  // Changes records of a chain's page and their CRC with them.
  template <typename Record>
  void edit_chain(Block block, const std::function<void(Record*, uint16_t)>& edit) {
    auto chain = tail<ChainTail>(block);
    std::byte* records = store_.pager.page(block) + kPageHeaderBytes;
    std::vector<Record> copy(chain.count);
    std::memcpy(static_cast<void*>(copy.data()), records, copy.size() * sizeof(Record));
    edit(copy.data(), chain.count);
    std::memcpy(records, copy.data(), copy.size() * sizeof(Record));
    chain.records_crc = crc32c(records, copy.size() * sizeof(Record));
    put_tail(block, chain);
  }
  // The leaf that holds an id, and its index there.
  Block leaf_of(uint64_t id, uint16_t* index = nullptr) {
    LeafPlace place;
    EXPECT_OK(find_place(store_.context, id, Latch::kShare, &place));
    EXPECT_TRUE(place.found);
    if (index != nullptr) *index = place.index;
    return place.leaf.block();
  }
  void put_entry(const Entry& entry) {
    uint16_t index;
    const Block leaf = leaf_of(entry.id, &index);
    put_record(leaf, index, entry);
  }
  toaststore::MapEntry map_entry(Extent extent) {
    MapPage map;
    EXPECT_OK(map.open(store_.context, map_page_of(extent), Latch::kShare));
    return map.of(extent);
  }
  void put_map_entry(Extent extent, const toaststore::MapEntry& entry) {
    put_record(map_block(map_page_of(extent)), extent % kExtentsPerMapPage, entry);
  }
  // The place of an item pointer, and where it points to.
  std::byte* item_at(Block block, uint16_t item) {
    return store_.pager.page(block) + kPageHeaderBytes + (item - 1u) * kItemBytes;
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

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_VERIFY_FIXTURE_H_
