// Two hundred thousand random calls by name, with batches, closings and crashes between them: after
// any of them the store answers as a map does.

#include "support/named_store.h"

namespace toaststore::test {
namespace {

constexpr int kCalls = 200000;
constexpr int kKeys = 4000;

class NamesModel : public NamedStore {
 protected:
  NamesModel() {
    for (int i = 0; i < kKeys; i++) keys_.push_back(make_key(i));
    options_.cache_bytes = 2 * 1024 * 1024;  // a part of the pages
    options_.log_segment_bytes = 1024 * 1024;
    options_.checkpoint_bytes = 1ull << 40;  // only when asked for
    options_.values.compression.codec = Codec::kNone;
  }

  // Names of people's making, names that differ late or in length only, and bytes of all kinds.
  Bytes make_key(int i) {
    switch (i % 5) {
      case 0:
        return "user:" + std::to_string(random_.below(100000));
      case 1:
        return Bytes(random_.between(1, 300), 'p') + random_bytes(random_.next(), 2);
      case 2:
        return Bytes(random_.between(1, kMaxKeyBytes), "\0\xff"[random_.below(2)]);
      case 3:
        return random_bytes(random_.next(), random_.below(10) == 0 ? kMaxKeyBytes : 8);
      default:
        return random_bytes(random_.next(), random_.between(1, 40));
    }
  }
  const Bytes& any_key() { return keys_[random_.below(keys_.size())]; }
  Bytes any_value() {
    return random_bytes(random_.next(), random_.below(random_.below(200) == 0 ? 70000 : 60));
  }

  using Changed = std::map<Bytes, std::optional<Bytes>>;

  // One change, in the batch and in what the map will be.
  void change(WriteBatch* batch, Changed* changed) {
    const Bytes& key = any_key();
    const auto before = changed->find(key);
    const bool there = before != changed->end() ? before->second.has_value() : model_.contains(key);
    if (random_.below(10) < 7) {
      const Bytes value = any_value();
      bool replaced = !there;
      ASSERT_OK(batch->set(key.data(), key.size(), value.data(), value.size(), &replaced));
      ASSERT_EQ(replaced, there);
      (*changed)[key] = value;
    } else {
      const Status status = batch->erase_named(key.data(), key.size());
      ASSERT_EQ(status.code, there ? Code::kOk : Code::kNotFound);
      (*changed)[key] = std::nullopt;
    }
  }

  void change_some() {
    const bool commit = random_.below(5) > 0;
    const uint64_t changes = random_.below(4) == 0 ? random_.between(1, 30) : 1;
    WriteBatch batch(store_.get());
    Changed changed;
    for (uint64_t i = 0; i < changes; i++) change(&batch, &changed);
    if (!commit) return;
    ASSERT_OK(batch.commit());
    for (const auto& [key, value] : changed) {
      if (value) {
        model_[key] = *value;
      } else {
        model_.erase(key);
      }
    }
  }

  void read_one() {
    const Bytes& key = any_key();
    const auto found = model_.find(key);
    if (found == model_.end()) {
      ASSERT_EQ(get(key), std::nullopt);
    } else {
      ASSERT_TRUE(get(key) == found->second) << key;
    }
  }

  void scan_some() {
    Bytes from = any_key();
    Bytes to = any_key();
    if (random_.below(2) == 0) {
      from.resize(random_.below(std::min<size_t>(from.size(), 4)));
      to = from;  // the keys with this prefix
      const std::vector<Bytes> found = keys_with(from);
      auto expected = model_.lower_bound(from);
      for (const Bytes& key : found) {
        ASSERT_EQ(key, expected->first);
        ++expected;
      }
      ASSERT_TRUE(expected == model_.end() || !expected->first.starts_with(from));
      return;
    }
    if (to < from) std::swap(from, to);
    auto expected = model_.lower_bound(from);
    for (const FoundName& name : scan(from, to)) {
      ASSERT_EQ(name.key, expected->first);
      ASSERT_EQ(name.raw_bytes, expected->second.size());
      ++expected;
    }
    ASSERT_TRUE(expected == model_.lower_bound(to));
  }

  Random random_{2024};
  std::vector<Bytes> keys_;
  std::map<Bytes, Bytes> model_;
};

TEST_F(NamesModel, AnyCallsInAnyOrder) {
  open();
  for (int call = 0; call < kCalls && !HasFatalFailure(); call++) {
    const uint64_t what = random_.below(1000);
    if (what < 450) {
      change_some();
    } else if (what < 995) {
      read_one();
    } else {
      scan_some();
    }
    if (call % 9000 == 4000) EXPECT_OK(store_->checkpoint());
    if (call % 3000 == 2000) EXPECT_OK(store_->compact());
    if (call % 20000 == 9000) crash();
    if (call % 20000 == 19000) {
      EXPECT_OK(store_->close());
      open();
    }
    if (call % 20000 == 9001) {
      expect_holds(model_);
      expect_sound();
    }
  }
  expect_holds(model_);
  expect_sound();
}

}  // namespace
}  // namespace toaststore::test
