// What the engine promises its host beside right answers: an id before the first byte, room on disk
// before a page, and a point where a long call may be interrupted.

#include <gtest/gtest.h>

#include <map>

#include "engine/meta.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

// Bytes without an entry are dead once every transaction that may have written them is over: one
// that writes before it has an id is not known to run.
TEST(Promise, ATransactionHasItsIdBeforeItsFirstPiece) {
  TestStore store;
  store.put("opens the lane's run");
  store.commit();
  ASSERT_TRUE(store.world.running().empty());
  store.pager.die_after(0);
  uint64_t id;
  EXPECT_FALSE(store.try_put(random_bytes(1, 100), &id).ok());
  EXPECT_EQ(store.world.running().size(), 1u);
}

// Reserved space is local to one machine: on a promoted standby the file is shorter than the map
// says, and the lane's run goes on where no file is.
TEST(Promise, BlocksAreReservedAgainWhereTheFileIsShorterThanTheMap) {
  TestStore store;
  store.pager.generous = true;
  std::map<uint64_t, Bytes> values;
  const auto put = [&](uint64_t seed, size_t length) {
    const Bytes bytes = random_bytes(seed, length);
    values[store.put(bytes)] = bytes;
  };
  put(1, 300000);
  put(2, 9000);
  store.commit();
  MetaBody meta{};
  ASSERT_OK(read_meta(store.context, &meta));
  const Block end = store.entry(values.rbegin()->first).block + 2;
  ASSERT_LT(end, meta.lanes[0].run_end);
  ASSERT_EQ(store.pager.blocks(), meta.lanes[0].run_end);

  store.pager.generous = false;
  store.pager.truncate(end);
  store.reopen();
  for (uint64_t seed = 3; seed < 30; seed++) put(seed, seed * 1000);
  store.next_command();
  for (const auto& [id, bytes] : values) EXPECT_TRUE(store.get(id) == bytes) << id;
  store.expect_sound();
}

// A client that gives up need not wait for a gigabyte, nor for thousands of rows.
TEST(Promise, ALongCallMayBeInterruptedAtEveryChunkAndEveryValue) {
  TestStore store{Options()};
  constexpr uint64_t kChunks = 50;
  uint64_t before = store.pager.pauses();
  const auto taken = [&] {
    const uint64_t pauses = store.pager.pauses() - before;
    before = store.pager.pauses();
    return pauses;
  };
  const uint64_t id = store.put(random_bytes(1, kChunks * store.context.options.chunk_bytes));
  EXPECT_GE(taken(), kChunks) << "put";
  store.next_command();
  store.get(id);
  EXPECT_GE(taken(), kChunks) << "get";
  store.expect_sound();
  EXPECT_GE(taken(), kChunks) << "verify";

  Batch batch(store.context);
  constexpr uint64_t kValues = 100;
  for (uint64_t i = 0; i < kValues; i++) {
    uint64_t next;
    ASSERT_OK(batch.add(nullptr, 0, kValues - i - 1, &next));
  }
  ASSERT_OK(batch.flush());
  EXPECT_GE(taken(), kValues) << "a batch";
}

}  // namespace
}  // namespace toaststore::test
