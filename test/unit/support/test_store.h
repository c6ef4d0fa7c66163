// A store on a MemoryPager with everything it needs, and calls as short as SQL: what most tests
// are written in.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_TEST_STORE_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_TEST_STORE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "engine/store.h"
#include "engine/verify.h"
#include "support/fake_memory.h"
#include "support/fake_transactions.h"
#include "support/memory_pager.h"

namespace toaststore {

inline std::ostream& operator<<(std::ostream& out, Code code) {
  return out << "code " << static_cast<int>(code);
}
inline std::ostream& operator<<(std::ostream& out, const Status& status) {
  return out << status.code << " (" << status.reason << ", block " << status.block << ")";
}

}  // namespace toaststore

namespace toaststore::test {

using Bytes = std::string;

inline const std::byte* data_of(const Bytes& bytes) {
  return reinterpret_cast<const std::byte*>(bytes.data());
}

// A small generator that is the same everywhere (splitmix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }

 private:
  uint64_t state_;
};

Bytes random_bytes(uint64_t seed, size_t length);
// Repeats words: shrinks to about a third.
Bytes text_bytes(uint64_t seed, size_t length);

struct FoundFault {
  Block block;
  uint64_t id;
  std::string reason;
};

class TestStore {
 public:
  explicit TestStore(const Options& options = plain());
  // Another session on the same pages.
  TestStore(TestStore& other, const Options& options);

  static Options plain();  // the defaults, but uncompressed

  // ---- calls that must succeed ----
  uint64_t put(const Bytes& bytes);
  void put_at(uint64_t id, const Bytes& bytes);
  Bytes get(uint64_t id);
  Bytes slice(uint64_t id, uint64_t offset, uint64_t length);
  void erase(uint64_t id);
  Entry entry(uint64_t id);
  void commit() { session.commit(); }
  void next_command() { session.new_command(); }
  void reopen();  // after a crash: hints are gone, transactions over

  // ---- calls that give their status ----
  Status try_put(const Bytes& bytes, uint64_t* id);
  Status try_put_at(uint64_t id, const Bytes& bytes);
  Status try_get(uint64_t id, Bytes* bytes);
  Status try_slice(uint64_t id, uint64_t offset, uint64_t length, Bytes* bytes);
  Status try_erase(uint64_t id);
  Status try_purge(uint64_t id);
  // Ids of all entries in order, whoever sees them.
  Status try_scan(std::vector<uint64_t>* ids, bool backward = false);
  Status try_verify(std::vector<FoundFault>* faults, VerifyBeside beside = VerifyBeside::kNobody);

  std::vector<uint64_t> scan(bool backward = false);
  std::vector<FoundFault> verify(VerifyBeside beside = VerifyBeside::kNobody);
  // Fails the test on any fault.
  void expect_sound();
  void expect_idle(const char* where);

  MemoryPager own_pager;
  World own_world;
  MemoryPager& pager;
  World& world;
  FakeMemory memory;
  Session session;
  Hints hints;
  Context context;
  IdStore store;
};

std::ostream& operator<<(std::ostream& out, const FoundFault& fault);

// EXPECT_OK(status): it is ok, or the test fails and says why.
#define EXPECT_OK(expression)                          \
  do {                                                 \
    const ::toaststore::Status ok_status = expression; \
    EXPECT_TRUE(ok_status.ok()) << ok_status;          \
  } while (0)
#define ASSERT_OK(expression)                          \
  do {                                                 \
    const ::toaststore::Status ok_status = expression; \
    ASSERT_TRUE(ok_status.ok()) << ok_status;          \
  } while (0)

// Notes that every id was handed out, for tests that insert entries of their own.
void hand_out_all_ids(Context& context);

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_TEST_STORE_H_
