// The life of a store in a page: created by the first put, read, deleted, verified.

#include <gtest/gtest.h>

#include "support/test_store.h"

namespace toaststore::test {
namespace {

TEST(Smoke, PutGetEraseOfEveryLayout) {
  TestStore store;
  std::vector<std::pair<uint64_t, Bytes>> values;
  for (const size_t size : {0, 1, 3000, 4096, 4097, 20000, 65536, 65537, 1000000}) {
    Bytes bytes = random_bytes(size, size);
    values.emplace_back(store.put(bytes), bytes);
  }
  store.next_command();
  for (const auto& [id, bytes] : values) EXPECT_EQ(store.get(id), bytes) << id;
  store.expect_sound();
  for (int i = 0; i < 3000; i++) store.put(random_bytes(i, 100));
  store.expect_sound();
  store.next_command();
  for (const auto& [id, bytes] : values) store.erase(id);
  store.next_command();
  for (const auto& [id, bytes] : values) {
    Bytes none;
    EXPECT_EQ(store.try_get(id, &none).code, Code::kNotFound);
  }
  for (const uint64_t id : store.scan()) EXPECT_OK(store.try_purge(id));
  store.expect_sound();
  EXPECT_TRUE(store.scan().empty());
}

}  // namespace
}  // namespace toaststore::test
