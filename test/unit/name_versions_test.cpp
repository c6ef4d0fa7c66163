// Versions of names, which are more than anybody asks for: who sees which, which of them give their
// place to others, and how pages fill.

#include <fstream>

#include "file/name_page.h"
#include "support/named_store.h"

namespace toaststore::test {
namespace {

class NameVersions : public NamedStore {
 protected:
  uint64_t names_bytes() {
    Statistics statistics;
    EXPECT_OK(store_->statistics(&statistics));
    return statistics.names_bytes;
  }
};

// An id whose transaction aborted may be taken by another value.  The name that the aborted
// transaction left behind must not lead to it.
TEST_F(NameVersions, ANameOfADroppedBatchDoesNotLeadToALaterValueOfItsId) {
  open();
  uint64_t id;
  {
    WriteBatch batch(store_.get());
    ASSERT_OK(batch.put("x", 1, &id));
    ASSERT_OK(batch.set("name", 4, "dropped", 7));
  }
  id++;
  ASSERT_OK(store_->put_at(id, "somebody else's", 15));
  EXPECT_EQ(get("name"), std::nullopt);
  EXPECT_EQ(keys(), std::vector<Bytes>{});
  bool replaced = true;
  ASSERT_OK(store_->set("name", 4, "mine", 4, &replaced));
  EXPECT_FALSE(replaced);
  Buffer buffer;
  EXPECT_OK(store_->get(id, &buffer));  // setting the name did not take it away
  expect_sound();
}

// A name that is set again and again takes one place or two, however often, also if every other
// batch is dropped.
TEST_F(NameVersions, AnOldVersionGivesItsPlaceToTheNext) {
  open();
  const uint64_t empty = names_bytes();
  for (int i = 0; i < 20000; i++) {
    WriteBatch batch(store_.get());
    const Bytes value = std::to_string(i);
    ASSERT_OK(batch.set("name", 4, value.data(), value.size()));
    if (i % 2 == 0) ASSERT_OK(batch.commit());
  }
  EXPECT_EQ(get("name"), "19998");
  EXPECT_EQ(names_bytes(), empty);
  expect_sound();
}

// Erased names are in the way of nobody: they go when their page is full.
TEST_F(NameVersions, ErasedNamesGoWhenTheirPageIsNeeded) {
  open();
  for (int round = 0; round < 30; round++) {
    for (int i = 0; i < 100; i++) set("key" + std::to_string(round * 100 + i), "");
    for (int i = 0; i < 100; i++) erase("key" + std::to_string(round * 100 + i));
  }
  EXPECT_EQ(keys(), std::vector<Bytes>{});
  EXPECT_LE(names_bytes(), 10 * kPageBytes);
  expect_sound();
}

// A scan asks for no more than what was there when it began, whatever its visitor does meanwhile.
TEST_F(NameVersions, AScanSeesTheNamesAsTheyWereWhenItBegan) {
  open();
  std::map<Bytes, Bytes> model;
  Random random(7);
  for (int i = 0; i < 300; i++) {
    const Bytes key = random_bytes(i, 1 + i * 3);
    model[key] = Bytes(static_cast<size_t>(i), 'v');
    set(key, model[key]);
  }
  class Meddler final : public NameVisitor {
   public:
    Meddler(Store* store, const std::map<Bytes, Bytes>& model, Random* random)
        : store_(store), model_(model), random_(random), expected_(model.begin()) {}
    Status name(const void* key, size_t key_length, uint64_t, uint64_t raw_bytes) override {
      EXPECT_NE(expected_, model_.end());
      if (expected_ == model_.end()) return Status::Error(Code::kLimit, "too many");
      EXPECT_EQ(Bytes(static_cast<const char*>(key), key_length), expected_->first);
      EXPECT_EQ(raw_bytes, expected_->second.size());
      ++expected_;
      for (int i = 0; i < 20; i++) {
        auto any = model_.begin();
        std::advance(any, static_cast<long>(random_->below(model_.size())));
        const Bytes& old = any->first;
        const Bytes fresh = random_bytes(random_->next(), random_->between(1, kMaxKeyBytes));
        if (i % 2 == 0) {
          EXPECT_OK(store_->set(old.data(), old.size(), "changed", 7));
        } else if (i % 3 == 0) {
          const Status status = store_->erase_named(old.data(), old.size());
          EXPECT_TRUE(status.ok() || status.is(Code::kNotFound)) << status;
        } else {
          EXPECT_OK(store_->set(fresh.data(), fresh.size(), "new", 3));
        }
      }
      return Status::Ok();
    }
    bool saw_all() const { return expected_ == model_.end(); }

   private:
    Store* store_;
    const std::map<Bytes, Bytes>& model_;
    Random* random_;
    std::map<Bytes, Bytes>::const_iterator expected_;
  } meddler(store_.get(), model, &random);
  ASSERT_OK(store_->scan_names("", 0, "", 0, &meddler));
  EXPECT_TRUE(meddler.saw_all());
  expect_sound();
}

// Scans within scans: versions of one long key fill pages, for each scan needs another one.  Every
// scan sees its own, readers and writers the newest.
TEST_F(NameVersions, ManyVersionsOfOneKeyMayFillPages) {
  open();
  const Bytes key(kMaxKeyBytes, 'k');
  for (const Bytes other : {"a", "z"}) set(other, "");
  set(Bytes(kMaxKeyBytes - 1, 'k'), "neighbour");
  set(key, "0");
  class Nested final : public NameVisitor {
   public:
    Nested(Store* store, const Bytes& key, int depth) : store_(store), key_(key), depth_(depth) {}
    Status name(const void*, size_t, uint64_t id, uint64_t raw_bytes) override {
      EXPECT_EQ(raw_bytes, static_cast<uint64_t>(depth_) + (depth_ == 0 ? 1 : 0));
      seen_++;
      Buffer value;
      uint64_t newest;
      EXPECT_OK(store_->find_name(key_.data(), key_.size(), &newest));
      EXPECT_EQ(newest, id);
      if (depth_ < 60) {
        bool replaced = false;
        const Bytes next(static_cast<size_t>(depth_) + 1, 'v');
        EXPECT_OK(store_->set(key_.data(), key_.size(), next.data(), next.size(), &replaced));
        EXPECT_TRUE(replaced);
        Nested inner(store_, key_, depth_ + 1);
        EXPECT_OK(store_->scan_prefix(key_.data(), key_.size(), &inner));
        EXPECT_EQ(inner.seen_, 1);
      } else {
        EXPECT_OK(store_->erase_named(key_.data(), key_.size()));
        EXPECT_EQ(store_->get_named(key_.data(), key_.size(), &value).code, Code::kNotFound);
        EXPECT_OK(store_->set(key_.data(), key_.size(), "", 0));
        EXPECT_OK(store_->get_named(key_.data(), key_.size(), &value));
      }
      return Status::Ok();
    }
    int seen_ = 0;

   private:
    Store* store_;
    const Bytes& key_;
    const int depth_;
  } outer(store_.get(), key, 0);
  ASSERT_OK(store_->scan_prefix(key.data(), key.size(), &outer));
  EXPECT_EQ(outer.seen_, 1);
  EXPECT_EQ(get(key), "");
  EXPECT_GT(names_bytes(), 60u * kMaxKeyBytes);
  EXPECT_EQ(keys().size(), 4u);
  expect_sound();
  // Now nobody needs them.
  const uint64_t full = names_bytes();
  for (int i = 0; i < 200; i++) set(key, std::to_string(i));
  EXPECT_EQ(names_bytes(), full);
  EXPECT_EQ(get(key), "199");
  expect_sound();
}

// The newest versions of a key have gone from its first leaf, older ones that a scan needs are in
// the next: what is set then is newer than those.
TEST_F(NameVersions, ANameIsSetAnewBeforeOldVersionsInTheNextPage) {
  open();
  class Nested final : public NameVisitor {
   public:
    Nested(Store* store, int depth) : store_(store), depth_(depth) {}
    Status name(const void*, size_t, uint64_t, uint64_t raw_bytes) override {
      EXPECT_EQ(raw_bytes, static_cast<uint64_t>(depth_));
      if (depth_ == 40) {
        EXPECT_OK(store_->erase_named(key_.data(), key_.size()));
        return Status::Ok();
      }
      const Bytes next(static_cast<size_t>(depth_) + 1, 'v');
      EXPECT_OK(store_->set(key_.data(), key_.size(), next.data(), next.size()));
      Nested inner(store_, depth_ + 1);
      EXPECT_OK(store_->scan_prefix(key_.data(), key_.size(), &inner));
      if (depth_ != 10) return Status::Ok();
      // Only the oldest ten versions are needed by now.  Neighbours fill the first leaf.
      for (char i = 0; i < 20; i++) {
        const Bytes neighbour = key_.substr(1) + i;
        EXPECT_OK(store_->set(neighbour.data(), neighbour.size(), "", 0));
      }
      bool replaced = true;
      EXPECT_OK(store_->set(key_.data(), key_.size(), "new", 3, &replaced));
      EXPECT_FALSE(replaced);
      return Status::Ok();
    }

   private:
    Store* store_;
    const int depth_;
    const Bytes key_ = Bytes(kMaxKeyBytes, 'k');
  } outer(store_.get(), 0);
  const Bytes key(kMaxKeyBytes, 'k');
  set(key, "");
  ASSERT_OK(store_->scan_prefix(key.data(), key.size(), &outer));
  EXPECT_EQ(get(key), "new");
  expect_sound();
}

// Keys that differ late only: seven to a page, also in inner pages, so that the tree grows high.
TEST_F(NameVersions, ATreeOfLongKeysIsHigh) {
  open();
  std::map<Bytes, Bytes> model;
  for (uint64_t i = 0; i < 4000; i++) {
    const Bytes key = Bytes(kMaxKeyBytes - 8, 'p') + random_bytes(i, 8);
    model[key] = std::to_string(i);
    set(key, model[key]);
  }
  expect_holds(model);
  expect_sound();
  ASSERT_OK(store_->close());
  std::ifstream file(path() + "/names", std::ios::binary);
  NameMeta meta;
  file.seekg(kNameMetaBlock * kPageBytes + kPageHeaderBytes);
  file.read(reinterpret_cast<char*>(&meta), sizeof(meta));
  EXPECT_GE(meta.root_level, 4);
  open();
  expect_holds(model);
}

// Keys in ascending order fill their pages.
TEST_F(NameVersions, AscendingKeysLeaveFullPages) {
  open();
  constexpr int kNames = 20000;
  for (int i = 0; i < kNames; i++) {
    const Bytes key = std::to_string(1000000 + i);
    set(key, "");
  }
  const size_t record = sizeof(NameRecordHeader) + kNameSlotBytes + 7;
  EXPECT_LT(names_bytes(), kNames * record * 11 / 10);
  expect_sound();
}

}  // namespace
}  // namespace toaststore::test
