// What every read of a page with a tail goes through: a page passes as what it is, where it
// belongs, and as nothing else.

#include "engine/page.h"

#include <gtest/gtest.h>

#include "engine/value_page.h"
#include "support/crc32c.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

constexpr Block kSomeBlock = 77;

class PageTest : public ::testing::Test {
 protected:
  PageTest() { make(new_tail<PlainTail>(PageKind::kRetired, kSomeBlock)); }

  void make(PlainTail tail) {
    seal_tail(&tail);
    page_.fill(std::byte{0});
    const PageHeader header = header_for(kPageHeaderBytes);
    std::memcpy(page_.data(), &header, sizeof(header));
    std::memcpy(page_.data() + kTailOffset, &tail, sizeof(tail));
  }
  Status check(Block block = kSomeBlock, PageKind kind = PageKind::kRetired) {
    return check_page(page_.data(), block, kind);
  }

  PageBytes page_;
};

// RFC 3720, B.4: both hosts must give these.
TEST(Crc32c, GivesThePublishedValues) {
  const Bytes zeros(32, '\0');
  const Bytes ones(32, '\xff');
  Bytes ascending;
  for (char c = 0; c < 32; c++) ascending += c;
  EXPECT_EQ(crc32c(zeros.data(), 32), 0x8a9136aau);
  EXPECT_EQ(crc32c(ones.data(), 32), 0x62a8ab43u);
  EXPECT_EQ(crc32c(ascending.data(), 32), 0x46dd794eu);
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c("", 0), 0u);
  EXPECT_EQ(crc32c_extend(crc32c("1234", 4), "56789", 5), 0xe3069283u);
}

// Which of the two a machine's tests use is the processor's business.
TEST(Crc32c, ByTheInstructionIsThatByTheTable) {
  if (!has_crc32c_instruction()) GTEST_SKIP() << "the processor has no such instruction";
  const Bytes bytes = random_bytes(2, 200);
  for (size_t start = 0; start < 16; start++) {
    for (size_t length = 0; start + length <= bytes.size(); length++) {
      ASSERT_EQ(crc32c_by_instruction(7, bytes.data() + start, length),
                crc32c_by_table(7, bytes.data() + start, length));
    }
  }
}

TEST_F(PageTest, ASoundPagePasses) { EXPECT_OK(check()); }

TEST_F(PageTest, AnotherBlocksPageIsCorrupt) {
  EXPECT_EQ(check(kSomeBlock + 1).code, Code::kCorruption);
  EXPECT_EQ(check(kSomeBlock + 1).block, kSomeBlock + 1);
}

TEST_F(PageTest, ASoundPageOfAnotherKindMayHaveTakenThePlace) {
  EXPECT_EQ(check(kSomeBlock, PageKind::kLeaf).code, Code::kRetry);
}

TEST_F(PageTest, AValuePageMayHaveTakenThePlace) {
  PageHeader header = header_for(kPageHeaderBytes);
  header.upper = header.special = kPageBytes;
  page_.fill(std::byte{0});
  std::memcpy(page_.data(), &header, sizeof(header));
  EXPECT_EQ(check(kSomeBlock, PageKind::kLeaf).code, Code::kRetry);
}

// One value page in 65,536 of random bytes has those of a leaf's kind where a tail would be.
TEST_F(PageTest, AValuePageWhoseBytesLookLikeATailIsStillAValuePage) {
  init_value_page(page_.data());
  const auto kind = static_cast<uint16_t>(PageKind::kLeaf);
  std::memcpy(page_.data() + kTailOffset, &kind, sizeof(kind));
  EXPECT_EQ(check(kSomeBlock, PageKind::kLeaf).code, Code::kRetry);
}

// A reader with an old pointer may come upon a page that somebody is about to make.
TEST_F(PageTest, AZeroPageIsLookedAtAgain) {
  page_.fill(std::byte{0});
  EXPECT_EQ(check().code, Code::kRetry);
}

TEST_F(PageTest, AProvenForeignVersionIsNewerAndAnUnprovenOneIsCorrupt) {
  auto tail = new_tail<PlainTail>(PageKind::kRetired, kSomeBlock);
  tail.start.version = kPageVersion + 1;
  make(tail);
  EXPECT_EQ(check().code, Code::kNewerFormat);
  page_[kTailOffset + offsetof(TailStart, version)] = std::byte{kPageVersion + 2};
  EXPECT_EQ(check().code, Code::kCorruption);
}

TEST_F(PageTest, EveryFieldOfTheHeaderThatBoundsRecordsIsChecked) {
  for (const size_t offset : {offsetof(PageHeader, lower), offsetof(PageHeader, upper),
                              offsetof(PageHeader, special), offsetof(PageHeader, size_version)}) {
    make(new_tail<PlainTail>(PageKind::kRetired, kSomeBlock));
    page_[offset] ^= std::byte{8};
    EXPECT_EQ(check().code, Code::kCorruption) << "field at " << offset;
  }
}

TEST(Change, KeepsCopiesOfWhatIsPutAndRefersToWhatIsWritten) {
  MemoryPager pager;
  EXPECT_OK(pager.reserve(4, 4));
  PageGuard guard;
  EXPECT_OK(guard.create(pager, 3));
  Change change(pager, Step::kInsertEntries);
  const int page = change.add(guard);
  uint32_t put = 1;
  uint32_t written = 2;
  change.put(page, 100, put);
  change.write(page, 200, &written, sizeof(written));
  change.write(page, 300, nullptr, 0);  // nothing to write is no patch
  put = written = 9;
  ASSERT_EQ(change.patches(), 2);
  EXPECT_EQ(*static_cast<const uint32_t*>(change.patch(0).bytes), 1u);
  EXPECT_EQ(*static_cast<const uint32_t*>(change.patch(1).bytes), 9u);
  guard.release();
  pager.expect_idle("a change that was given up");
}

TEST(PageGuard, MovesItsLatchAndGivesItBackOnce) {
  MemoryPager pager;
  EXPECT_OK(pager.reserve(4, 4));
  PageGuard first;
  EXPECT_OK(first.read(pager, 2, Latch::kShare));
  PageGuard second(std::move(first));
  EXPECT_TRUE(second.held());
  EXPECT_EQ(second.block(), Block{2});
  PageGuard third;
  EXPECT_OK(third.read(pager, 3, Latch::kShare));
  third = std::move(second);
  EXPECT_EQ(third.block(), Block{2});
  EXPECT_OK(second.read(pager, 3, Latch::kExclusive));  // block 3 was given back by the move
  second.release();
  third.release();
  pager.expect_idle("guards");
}

}  // namespace
}  // namespace toaststore::test
