// Three sessions put, read, delete, roll back, collide, clean, fail and crash at random, beside a
// std::map that says what must come of it.
//
//   TOASTSTORE_SEED=n   replays a run; TOASTSTORE_OPERATIONS=n makes it longer.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "engine/cleaner.h"
#include "support/test_store.h"

namespace toaststore::test {
namespace {

constexpr int kSessions = 3;
constexpr int kNobody = -1;     // no deleter
constexpr int kCommitted = -2;  // creator or deleter has committed
constexpr size_t kManyValues = 3000;

// One entry of the tree, as the model knows it.
struct Value {
  Bytes bytes;
  int creator = kCommitted;
  bool creator_nested = false;  // in a savepoint
  bool aborted = false;
  int deleter = kNobody;
  bool deleter_nested = false;
};

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

class Model {
 public:
  Model(uint64_t seed, const Options& options) : random_(seed) {
    sessions_[0] = std::make_unique<TestStore>(options);
    for (int i = 1; i < kSessions; i++) {
      sessions_[i] = std::make_unique<TestStore>(*sessions_[0], options);
    }
    for (int i = 0; i < kSessions; i++) {
      sessions_[i]->session.on_wait = [this](Xid holder) { end_holder(holder); };
    }
  }

  void run(uint64_t operations) {
    for (uint64_t i = 0; i < operations && !::testing::Test::HasFailure(); i++) {
      SCOPED_TRACE("operation " + std::to_string(i));
      step();
      if (i % 10000 == 9999) sessions_[0]->expect_sound();
      if (i % 1000 == 999) scan_all();
    }
    crash();
    sessions_[0]->expect_sound();
    for (const auto& [id, value] : values_) read_one(id, 0, UINT64_MAX);
  }

 private:
  MemoryPager& pager() { return sessions_[0]->pager; }
  TestStore& self() { return *sessions_[who_]; }

  Bytes some_bytes() {
    const uint64_t kind = random_.below(1000);
    const size_t length = kind < 600   ? random_.below(120)
                          : kind < 900 ? random_.below(1200)
                          : kind < 990 ? random_.below(9000)
                          : kind < 999 ? random_.below(40000)
                                       : random_.below(150000);
    const uint64_t seed = random_.next();
    return random_.below(2) == 0 ? random_bytes(seed, length) : text_bytes(seed, length);
  }

  bool sees(const Value& value) const {
    return !value.aborted && (value.creator == kCommitted || value.creator == who_) &&
           value.deleter != kCommitted && value.deleter != who_;
  }

  // An id that is taken, near a random one.
  uint64_t some_id() {
    if (values_.empty()) return kMinId;
    const uint64_t last = values_.rbegin()->first;
    auto at = values_.lower_bound(random_.below(3) == 0 ? random_.below(last + 1) : recent(last));
    return at == values_.end() ? values_.begin()->first : at->first;
  }
  uint64_t recent(uint64_t last) {
    return last - std::min(last, random_.below(std::min<uint64_t>(last + 1, 2000)));
  }

  void step() {
    who_ = static_cast<int>(random_.below(kSessions));
    self().next_command();
    maybe_fail_ = random_.below(400);
    const uint64_t dice = random_.below(100);
    const bool full = values_.size() > kManyValues;
    if (dice < (full ? 10u : 24u)) {
      put();
    } else if (dice < 26) {
      full ? erase_some() : put_many();
    } else if (dice < 34) {
      put_at();
    } else if (dice < 46) {
      erase(some_id());
    } else if (dice < (full ? 72u : 58u)) {
      purge();
    } else if (dice < 84) {
      const uint64_t id = some_id();
      read_one(id, random_.below(4) == 0 ? random_.below(10000) : 0,
               random_.below(2) == 0 ? random_.below(10000) : UINT64_MAX);
    } else if (dice < 88) {
      scan_some();
    } else if (dice < 93) {
      end(who_, true);
    } else if (dice < 95) {
      end(who_, false);
    } else if (dice < 97) {
      if (!self().session.in_savepoint()) self().session.savepoint();
    } else if (dice < 99) {
      roll_back_to_savepoint();
    } else if (random_.below(10) == 0) {
      crash();
    } else if (random_.below(4) == 0) {
      compact();
    }
  }

  // ---- failures ----

  // Arms a failure or a death for the operation that follows, seldom.
  void arm() {
    if (maybe_fail_ == 0) pager().fail_at(1 + random_.below(40), random_.below(2) == 0);
    if (maybe_fail_ == 1) pager().die_after(random_.below(30));
    if (maybe_fail_ == 2) self().memory.fail_at(1, false);
  }
  // True if the operation failed for that reason.  Its transaction is rolled back; for the ids it
  // may have entered, the tree is asked.
  bool disarm(const Status& status, const std::map<uint64_t, Bytes>& entered) {
    if (maybe_fail_ > 2) return false;
    const bool died = pager().died();
    if (!status.ok() && (status.is(Code::kIo) || status.is(Code::kNoMemory))) {
      if (!died) {
        pager().fail_at(0, false);
        pager().die_after(UINT64_MAX);
        self().memory.fail_at(0, false);
        end(who_, false);
      } else {
        crash();
      }
      for (const auto& [id, bytes] : entered) {
        Entry entry;
        bool found = false;
        EXPECT_OK(find_entry(self().context, id, &entry, &found));
        if (found) {
          values_[id] = {bytes, kCommitted, false, true};
        } else {
          values_.erase(id);
        }
      }
      return true;
    }
    pager().fail_at(0, false);
    pager().die_after(UINT64_MAX);
    self().memory.fail_at(0, false);
    return false;
  }

  void crash() {
    for (const auto& session : sessions_) session->reopen();
    for (int who = 0; who < kSessions; who++) forget(who, false, false);
  }

  // ---- ends of transactions ----

  void forget(int who, bool commit, bool nested_only) {
    for (auto& [id, value] : values_) {
      if (value.creator == who && !value.aborted && (!nested_only || value.creator_nested)) {
        value.aborted = !commit;
        value.creator = kCommitted;
      }
      if (value.deleter == who && (!nested_only || value.deleter_nested)) {
        value.deleter = commit ? kCommitted : kNobody;
      }
    }
  }
  void end(int who, bool commit) {
    if (commit) {
      sessions_[who]->session.commit();
    } else {
      sessions_[who]->session.abort();
    }
    forget(who, commit, false);
  }
  void roll_back_to_savepoint() {
    if (!self().session.in_savepoint()) return;
    self().session.rollback_to_savepoint();
    forget(who_, false, true);
  }
  // Somebody waits for another session's transaction.
  void end_holder(Xid) {
    EXPECT_NE(awaited_, kNobody) << "waits though the model sees no reason to";
    if (awaited_ != kNobody) end(awaited_, random_.below(2) == 0);
    awaited_ = kNobody;
  }

  // ---- operations ----

  Value own(Bytes bytes) { return {std::move(bytes), who_, self().session.in_savepoint()}; }

  void put() {
    const Bytes bytes = some_bytes();
    uint64_t id = 0;
    arm();
    const Status status = self().try_put(bytes, &id);
    if (disarm(status, {{id, bytes}})) return;
    ASSERT_OK(status);
    ASSERT_FALSE(values_.contains(id)) << "id " << id << " is given out twice";
    values_[id] = own(bytes);
  }

  void put_many() {
    const int count = static_cast<int>(random_.between(1, 100));
    std::map<uint64_t, Bytes> entered;
    arm();
    Status status;
    {
      Batch batch(self().context);
      for (int i = 0; i < count && status.ok(); i++) {
        const Bytes bytes = random_bytes(random_.next(), random_.below(60));
        uint64_t id = 0;
        status = batch.add(data_of(bytes), bytes.size(), count - i - 1, &id);
        ASSERT_FALSE(entered.contains(id) && id != 0);
        entered[id] = bytes;
      }
      if (status.ok()) status = batch.flush();
    }
    self().expect_idle("put_many");
    if (disarm(status, entered)) return;
    ASSERT_OK(status);
    for (const auto& [id, bytes] : entered) {
      ASSERT_FALSE(values_.contains(id)) << "id " << id << " is given out twice";
      values_[id] = own(bytes);
    }
  }

  void put_at() {
    uint64_t id = some_id();
    const uint64_t dice = random_.below(4);
    if (dice == 0) id += random_.below(100);
    if (dice == 1) id = values_.empty() ? 1 : values_.rbegin()->first + random_.below(300);
    const Bytes bytes = some_bytes();
    const auto before = values_.find(id);
    awaited_ = kNobody;
    if (before != values_.end() && !before->second.aborted) {
      const Value& value = before->second;
      if (value.creator >= 0 && value.creator != who_) {
        awaited_ = value.creator;
      } else if (value.deleter >= 0 && value.deleter != who_) {
        awaited_ = value.deleter;
      }
    }
    arm();
    const Status status = self().try_put_at(id, bytes);
    const auto now = values_.find(id);
    const bool free = now == values_.end() || now->second.aborted;
    if (disarm(status,
               free ? std::map<uint64_t, Bytes>{{id, bytes}} : std::map<uint64_t, Bytes>{})) {
      return;
    }
    ASSERT_EQ(status.code, free ? Code::kOk : Code::kExists) << status << " for id " << id;
    if (free) values_[id] = own(bytes);
  }

  void erase_some() {
    auto at = values_.lower_bound(some_id());
    std::vector<uint64_t> ids;
    for (; ids.size() < 100 && at != values_.end(); ++at) ids.push_back(at->first);
    for (const uint64_t id : ids) {
      self().next_command();
      erase(id);
    }
  }

  void erase(uint64_t id) {
    const auto before = values_.find(id);
    const bool seen = before != values_.end() && sees(before->second);
    const int deleter = before == values_.end() ? kNobody : before->second.deleter;
    awaited_ = seen && deleter >= 0 ? deleter : kNobody;
    arm();
    const Status status = self().try_erase(id);
    if (disarm(status, {})) return;
    const auto now = values_.find(id);
    const bool there = now != values_.end() && sees(now->second);
    ASSERT_EQ(status.code, there ? Code::kOk : Code::kNotFound) << status << " for id " << id;
    if (!there) return;
    now->second.deleter = who_;
    now->second.deleter_nested = self().session.in_savepoint();
  }

  // What the cleaner may take: a few neighbours that nobody can see any more.
  void purge() {
    auto at = values_.lower_bound(some_id());
    for (int i = 0; i < 40 && at != values_.end(); i++) {
      const bool dead = at->second.aborted || at->second.deleter == kCommitted;
      if (!dead) {
        ++at;
        continue;
      }
      arm();
      const uint64_t id = at->first;
      const Bytes bytes = at->second.bytes;
      const bool aborted = at->second.aborted;
      const Status status = self().try_purge(id);
      if (maybe_fail_ <= 2 && !status.ok()) {
        const Value value = at->second;
        if (disarm(status, {{id, bytes}}) && values_.contains(id) && !aborted) values_[id] = value;
        return;
      }
      disarm(status, {});
      ASSERT_OK(status);
      at = values_.erase(at);
    }
  }

  // Whatever is over is seen by everybody for a moment.  What has gone is asked of the tree.
  void compact() {
    self().world.horizon = static_cast<Xid>(self().session.oldest_running());
    arm();
    CleanReport report;
    const Status status = toaststore::compact(self().context, 0.3, &report);
    self().expect_idle("compaction");
    self().world.horizon = kNoXid;
    if (!disarm(status, {})) ASSERT_OK(status);
    std::vector<uint64_t> ids;
    ASSERT_OK(self().try_scan(&ids));
    const std::set<uint64_t> left(ids.begin(), ids.end());
    std::erase_if(values_, [&](const auto& item) {
      const bool dead = item.second.aborted || item.second.deleter == kCommitted;
      return dead && !left.contains(item.first);
    });
  }

  void read_one(uint64_t id, uint64_t offset, uint64_t length) {
    Bytes bytes;
    arm();
    const Status status = self().try_slice(id, offset, length, &bytes);
    if (disarm(status, {})) return;
    const auto at = values_.find(id);
    if (at == values_.end() || !sees(at->second)) {
      ASSERT_EQ(status.code, Code::kNotFound) << status << " for id " << id;
      return;
    }
    ASSERT_OK(status);
    const Bytes& whole = at->second.bytes;
    const Bytes expected = offset < whole.size() ? whole.substr(offset, length) : "";
    ASSERT_TRUE(bytes == expected) << "bytes of id " << id << " from " << offset;
  }

  void scan_some() {
    const auto batch = std::make_unique<LeafBatch>();
    const uint64_t from = some_id() + random_.below(3);
    ASSERT_OK(read_forward(self().context, from, batch.get()));
    auto at = values_.lower_bound(from);
    for (uint16_t i = 0; i < batch->count; i++, ++at) {
      ASSERT_TRUE(at != values_.end());
      ASSERT_EQ(batch->entries[i].id, at->first);
    }
    ASSERT_TRUE(at == values_.end() || at->first >= batch->next);
    ASSERT_OK(read_backward(self().context, from, batch.get()));
    auto back = values_.upper_bound(from);
    for (uint16_t i = batch->count; i-- > 0;) {
      ASSERT_TRUE(back != values_.begin());
      --back;
      ASSERT_EQ(batch->entries[i].id, back->first);
    }
    ASSERT_TRUE(back == values_.begin() || std::prev(back)->first <= batch->next);
    self().expect_idle("scan");
  }

  void scan_all() {
    std::vector<uint64_t> expected;
    for (const auto& [id, value] : values_) expected.push_back(id);
    EXPECT_EQ(self().scan(), expected);
    std::reverse(expected.begin(), expected.end());
    EXPECT_EQ(self().scan(true), expected);
  }

  Random random_;
  std::unique_ptr<TestStore> sessions_[kSessions];
  std::map<uint64_t, Value> values_;
  int who_ = 0;
  int awaited_ = kNobody;
  uint64_t maybe_fail_ = 0;
};

uint64_t seed() {
  static const uint64_t chosen = from_environment("TOASTSTORE_SEED", std::random_device()());
  return chosen;
}

void run_model(const Options& options, uint64_t salt) {
  std::cerr << "TOASTSTORE_SEED=" << seed() << std::endl;
  SCOPED_TRACE("TOASTSTORE_SEED=" + std::to_string(seed()));
  Model(seed() + salt, options).run(from_environment("TOASTSTORE_OPERATIONS", 200000));
}

TEST(ModelTest, SmallThresholdsAndLz4) {
  Options options;
  options.direct_max = 2000;
  options.extent_max = 12000;
  options.chunk_bytes = kChunkBytesMin;
  run_model(options, 0);
}

TEST(ModelTest, DefaultThresholdsAndZstd) {
  Options options;
  options.compression = {Codec::kZstd, 1};
  run_model(options, 1);
}

}  // namespace
}  // namespace toaststore::test
