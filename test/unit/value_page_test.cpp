// A value page is a heap page to PostgreSQL: its bytes are compared with numbers from
// storage/bufpage.h, storage/itemid.h, access/htup_details.h and postgres.h, not with the engine's.

#include "engine/value_page.h"

#include <gtest/gtest.h>

#include "support/test_store.h"

namespace toaststore::test {
namespace {

constexpr Block kSomeBlock = 0x00012345;

class ValuePage : public ::testing::Test {
 protected:
  ValuePage() { init_value_page(page_.data()); }

  PlacedPiece add(StoreKind kind, uint64_t id, uint32_t sequence, const Bytes& bytes) {
    return add_piece(page_.data(),
                     {kSomeBlock, false, kind, id, sequence, data_of(bytes),
                      static_cast<uint16_t>(bytes.size())},
                     0);
  }
  Status find(const PieceKey& key, Bytes* bytes) {
    const std::byte* place = nullptr;
    const Status status = find_piece(page_.data(), kSomeBlock, key, &place);
    if (status.ok()) bytes->assign(reinterpret_cast<const char*>(place), key.length);
    return status;
  }
  template <typename T>
  T at(size_t offset) {
    return load<T>(page_.data(), offset);
  }

  alignas(8) PageBytes page_;
};

TEST_F(ValuePage, AnEmptyPageIsWhatPageInitMakes) {
  EXPECT_EQ(at<uint64_t>(0), 0u);         // pd_lsn
  EXPECT_EQ(at<uint16_t>(10), 0);         // pd_flags
  EXPECT_EQ(at<uint16_t>(12), 24);        // pd_lower: SizeOfPageHeaderData
  EXPECT_EQ(at<uint16_t>(14), 8192);      // pd_upper
  EXPECT_EQ(at<uint16_t>(16), 8192);      // pd_special
  EXPECT_EQ(at<uint16_t>(18), 8192 + 4);  // page size, PG_PAGE_LAYOUT_VERSION 4
}

TEST_F(ValuePage, APieceByIdIsAHeapTupleOfThreeColumns) {
  const Bytes bytes = "hello, store";
  const PlacedPiece placed = add(StoreKind::kById, 0x1122334455667788, 7, bytes);
  EXPECT_EQ(placed.item, 1);
  EXPECT_EQ(placed.length, 24 + 8 + 4 + 4 + 12);
  EXPECT_EQ(placed.offset, 8192 - 56);  // 52 bytes, MAXALIGNed
  EXPECT_EQ(at<uint16_t>(12), 28);
  EXPECT_EQ(at<uint16_t>(14), placed.offset);

  // ItemIdData: 15 bits offset, 2 bits LP_NORMAL (1), 15 bits length.
  const auto item = at<uint32_t>(24);
  EXPECT_EQ(item & 0x7fff, placed.offset);
  EXPECT_EQ(item >> 15 & 3, 1u);
  EXPECT_EQ(item >> 17, placed.length);

  // HeapTupleHeaderData
  const size_t tuple = placed.offset;
  EXPECT_EQ(at<uint32_t>(tuple), 0u);               // t_xmin
  EXPECT_EQ(at<uint32_t>(tuple + 4), 0u);           // t_xmax
  EXPECT_EQ(at<uint32_t>(tuple + 8), 0u);           // t_cid
  EXPECT_EQ(at<uint16_t>(tuple + 12), 0x0001);      // t_ctid: bi_hi
  EXPECT_EQ(at<uint16_t>(tuple + 14), 0x2345);      // bi_lo
  EXPECT_EQ(at<uint16_t>(tuple + 16), 1);           // ip_posid
  EXPECT_EQ(at<uint16_t>(tuple + 18) & 0x07ff, 3);  // HEAP_NATTS_MASK
  // HEAP_HASVARWIDTH | HEAP_XMIN_COMMITTED | HEAP_XMIN_INVALID (together frozen) |
  // HEAP_XMAX_INVALID
  EXPECT_EQ(at<uint16_t>(tuple + 20), 0x0002 | 0x0100 | 0x0200 | 0x0800);
  EXPECT_EQ(at<uint8_t>(tuple + 22), 24);  // t_hoff

  EXPECT_EQ(at<uint64_t>(tuple + 24), 0x1122334455667788u);
  EXPECT_EQ(at<uint32_t>(tuple + 32), 7u);
  EXPECT_EQ(at<uint32_t>(tuple + 36), (12u + 4) << 2);  // SET_VARSIZE_4B, little endian
  EXPECT_EQ(std::memcmp(page_.data() + tuple + 40, bytes.data(), bytes.size()), 0);
}

TEST_F(ValuePage, APieceBehindAToastPointerIsLaidOutAsAToastChunk) {
  const PlacedPiece placed = add(StoreKind::kToast, 0x11223344, 9, "abc");
  EXPECT_EQ(placed.length, 24 + 4 + 4 + 4 + 3);
  EXPECT_EQ(at<uint32_t>(placed.offset + 24), 0x11223344u);  // chunk_id
  EXPECT_EQ(at<uint32_t>(placed.offset + 28), 9u);           // chunk_seq
  EXPECT_EQ(at<uint32_t>(placed.offset + 32), (3u + 4) << 2);
}

// MaxHeapTupleSize is 8160 in a page of 8 kB; nothing longer can be logged as a heap insert.
TEST_F(ValuePage, TheLargestPieceFillsAPage) {
  EXPECT_EQ(max_piece(StoreKind::kById), 8160 - 40);
  EXPECT_EQ(max_piece(StoreKind::kToast), 8160 - 36);
  PageFill fill;
  ASSERT_OK(read_fill(page_.data(), kSomeBlock, &fill));
  EXPECT_EQ(fill.room(StoreKind::kById), 8120);
  add(StoreKind::kById, 1, 0, random_bytes(1, 8120));
  ASSERT_OK(read_fill(page_.data(), kSomeBlock, &fill));
  EXPECT_EQ(fill.room(StoreKind::kById), 0);
  EXPECT_EQ(at<uint16_t>(14) - at<uint16_t>(12), 8192 - 28 - 8160);
}

// What the writer keeps count of in memory is what the page says, whatever the sizes.
TEST_F(ValuePage, FillIsCountedAsThePageCountsIt) {
  Random random(1);
  for (int round = 0; round < 200; round++) {
    init_value_page(page_.data());
    PageFill counted;
    std::vector<Bytes> pieces;
    for (;;) {
      const uint16_t room = counted.room(StoreKind::kById);
      if (room == 0) break;
      const auto length = static_cast<uint16_t>(random.between(1, std::min<uint16_t>(room, 700)));
      pieces.push_back(random_bytes(random.next(), length));
      add(StoreKind::kById, 5, static_cast<uint32_t>(pieces.size()), pieces.back());
      counted.add(StoreKind::kById, length);
      PageFill read;
      ASSERT_OK(read_fill(page_.data(), kSomeBlock, &read));
      ASSERT_OK(check_fill(page_.data(), kSomeBlock, read));
      ASSERT_EQ(read.free, counted.free);
      ASSERT_EQ(read.items, counted.items);
    }
    for (size_t i = 0; i < pieces.size(); i++) {
      Bytes found;
      ASSERT_OK(find({StoreKind::kById, 5, static_cast<uint32_t>(i + 1),
                      static_cast<uint16_t>(i + 1), static_cast<uint16_t>(pieces[i].size())},
                     &found));
      ASSERT_EQ(found, pieces[i]);
    }
  }
}

TEST_F(ValuePage, FindsNothingButExactlyThePiece) {
  add(StoreKind::kById, 41, 0, "forty-one");
  add(StoreKind::kById, 42, 3, "forty-two");
  Bytes found;
  const PieceKey right{StoreKind::kById, 42, 3, 2, 9};
  ASSERT_OK(find(right, &found));
  EXPECT_EQ(found, "forty-two");
  for (const PieceKey& wrong : {
           PieceKey{StoreKind::kById, 41, 3, 2, 9},
           PieceKey{StoreKind::kById, 42, 2, 2, 9},
           PieceKey{StoreKind::kById, 42, 3, 1, 9},
           PieceKey{StoreKind::kById, 42, 3, 3, 9},
           PieceKey{StoreKind::kById, 42, 3, 0, 9},
           PieceKey{StoreKind::kById, 42, 3, 2, 8},
           PieceKey{StoreKind::kById, 42, 3, 2, 10},
           PieceKey{StoreKind::kToast, 42, 3, 2, 9},
           PieceKey{StoreKind::kById, 42 + (uint64_t{1} << 32), 3, 2, 9},
       }) {
    const Status status = find(wrong, &found);
    EXPECT_EQ(status.code, Code::kRetry);
    EXPECT_EQ(status.block, kSomeBlock);
  }
}

// Whoever looks at a page without an entry goes by what its pieces say of themselves.
TEST_F(ValuePage, APieceSaysWhoseItIs) {
  for (const StoreKind kind : {StoreKind::kById, StoreKind::kToast}) {
    init_value_page(page_.data());
    add(kind, 41, 0, "x");
    const PlacedPiece placed = add(kind, 0xfedcba98, kTableSequence, random_bytes(1, 1000));
    PieceClaim claim;
    ASSERT_OK(read_piece(page_.data(), kSomeBlock, kind, 2, &claim));
    EXPECT_EQ(claim.id, 0xfedcba98u);
    EXPECT_EQ(claim.sequence, kTableSequence);
    EXPECT_EQ(claim.offset, placed.offset);
    EXPECT_EQ(claim.length, 1000);
  }
}

TEST_F(ValuePage, WhatCannotBeAPieceIsNotReadAsOne) {
  const PlacedPiece placed = add(StoreKind::kById, 41, 0, "forty-one");
  const auto item = at<uint32_t>(24);
  const auto code_with = [&](uint32_t pointer) {
    std::memcpy(page_.data() + 24, &pointer, sizeof(pointer));
    PieceClaim claim;
    return read_piece(page_.data(), kSomeBlock, StoreKind::kById, 1, &claim).code;
  };
  const uint32_t length = item & ~0x1ffffu;
  EXPECT_EQ(code_with(item), Code::kOk);
  EXPECT_EQ(code_with(0), Code::kRetry) << "unused";
  EXPECT_EQ(code_with(item ^ 1u << 15), Code::kRetry) << "in another state";
  EXPECT_EQ(code_with(24 | 1u << 15 | length), Code::kRetry) << "in the item pointers";
  EXPECT_EQ(code_with(8184 | 1u << 15 | length), Code::kRetry) << "beyond the page";
  EXPECT_EQ(code_with(item + 4), Code::kRetry) << "not aligned";
  EXPECT_EQ(code_with((item & 0x1ffff) | 40u << 17), Code::kRetry) << "without bytes";
  EXPECT_EQ(code_with((item & 0x1ffff) | 48u << 17), Code::kRetry) << "shorter than it says";
  EXPECT_EQ(placed.length, 49);
}

// A header whose free space reaches over pieces must not be appended to: they would be overwritten.
TEST_F(ValuePage, FreeSpaceMustBeginBelowTheLastPiece) {
  add(StoreKind::kById, 1, 0, random_bytes(1, 100));
  PageFill fill;
  ASSERT_OK(read_fill(page_.data(), kSomeBlock, &fill));
  EXPECT_OK(check_fill(page_.data(), kSomeBlock, fill));
  const auto upper = static_cast<uint16_t>(at<uint16_t>(14) + 64);
  std::memcpy(page_.data() + 14, &upper, sizeof(upper));
  ASSERT_OK(read_fill(page_.data(), kSomeBlock, &fill));
  EXPECT_EQ(check_fill(page_.data(), kSomeBlock, fill).code, Code::kRetry);
}

}  // namespace
}  // namespace toaststore::test
