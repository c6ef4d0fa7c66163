// Values by name: what a map would answer, also after closing; batches whole or not at all; scans
// as the names were when they began.

#include <filesystem>
#include <fstream>
#include <thread>

#include "file/name_page.h"
#include "support/named_store.h"

namespace toaststore::test {
namespace {

class NamesTest : public NamedStore {
 protected:
  Status set_in(WriteBatch* batch, const Bytes& key, const Bytes& value, bool* replaced = nullptr) {
    return batch->set(key.data(), key.size(), value.data(), value.size(), replaced);
  }
  Status erase_in(WriteBatch* batch, const Bytes& key) {
    return batch->erase_named(key.data(), key.size());
  }
  // REQUIRES: the store is closed.
  std::vector<std::byte> page_of_file(Block block) {
    std::vector<std::byte> page(kPageBytes);
    std::ifstream file(path() + "/names", std::ios::binary);
    file.seekg(static_cast<std::streamoff>(block) * kPageBytes);
    file.read(reinterpret_cast<char*>(page.data()), kPageBytes);
    return page;
  }
  uint64_t names_bytes() {
    Statistics statistics;
    EXPECT_OK(store_->statistics(&statistics));
    return statistics.names_bytes;
  }
};

TEST_F(NamesTest, AValueIsFoundByItsName) {
  open();
  const Bytes key = "user:1001";
  EXPECT_EQ(get(key), std::nullopt);
  bool replaced = true;
  ASSERT_OK(store_->set(key.data(), key.size(), "first", 5, &replaced));
  EXPECT_FALSE(replaced);
  EXPECT_EQ(get(key), "first");
  const uint64_t first = id_of(key);
  ASSERT_OK(store_->set(key.data(), key.size(), "second value", 12, &replaced));
  EXPECT_TRUE(replaced);
  EXPECT_EQ(get(key), "second value");
  EXPECT_NE(id_of(key), first);
  Buffer buffer;
  EXPECT_EQ(store_->get(first, &buffer).code, Code::kNotFound) << "the old value is gone";
  ASSERT_OK(store_->get(id_of(key), &buffer));
  EXPECT_EQ(buffer.size(), 12u);
  ASSERT_OK(store_->get_named_slice(key.data(), key.size(), 7, 100, &buffer));
  EXPECT_EQ(Bytes(reinterpret_cast<const char*>(buffer.data()), buffer.size()), "value");
  erase(key);
  EXPECT_EQ(get(key), std::nullopt);
  EXPECT_EQ(store_->erase_named(key.data(), key.size()).code, Code::kNotFound);
  ASSERT_OK(store_->set(key.data(), key.size(), "third", 5, &replaced));
  EXPECT_FALSE(replaced);
  EXPECT_EQ(get(key), "third");
  expect_sound();
}

TEST_F(NamesTest, AKeyHasOneTo1024Bytes) {
  open();
  Buffer buffer;
  uint64_t id;
  const Bytes longest(kMaxKeyBytes, 'k');
  const Bytes longer(kMaxKeyBytes + 1, 'k');
  set(longest, "longest");
  set("k", "shortest");
  EXPECT_EQ(get(longest), "longest");
  EXPECT_EQ(get("k"), "shortest");
  for (const Bytes& key : {Bytes(), longer}) {
    EXPECT_EQ(store_->set(key.data(), key.size(), "x", 1).code, Code::kInvalid);
    EXPECT_EQ(store_->get_named(key.data(), key.size(), &buffer).code, Code::kInvalid);
    EXPECT_EQ(store_->find_name(key.data(), key.size(), &id).code, Code::kInvalid);
    EXPECT_EQ(store_->erase_named(key.data(), key.size()).code, Code::kInvalid);
  }
  EXPECT_EQ(store_->set(nullptr, 1, "x", 1).code, Code::kInvalid);
  EXPECT_EQ(keys(longer), std::vector<Bytes>{});
  EXPECT_EQ(keys_with(longer), std::vector<Bytes>{});
  EXPECT_EQ(keys().size(), 2u);
}

TEST_F(NamesTest, KeysAreOrderedByTheirBytesTheShorterFirst) {
  open();
  using namespace std::string_literals;
  const std::vector<Bytes> ordered = {"\0"s,  "\0\0"s,  "\0\1"s, "\1"s,     "A"s,       "a"s,
                                      "a\0"s, "a\0\0"s, "aa"s,   "a\x80"s,  "a\xff"s,   "b"s,
                                      "\x7f", "\x80"s,  "\xff"s, "\xff\0"s, "\xff\xff"s};
  for (size_t i = 0; i < ordered.size(); i++) set(ordered[i * 7 % ordered.size()], "");
  EXPECT_EQ(keys(), ordered);
  for (size_t from = 0; from < ordered.size(); from++) {
    for (size_t to = from; to < ordered.size(); to++) {
      const std::vector<Bytes> expected(ordered.begin() + static_cast<long>(from),
                                        ordered.begin() + static_cast<long>(to));
      EXPECT_EQ(keys(ordered[from], ordered[to]), expected);
    }
    const Bytes& prefix = ordered[from];
    std::vector<Bytes> expected;
    for (const Bytes& key : ordered) {
      if (key.starts_with(prefix)) expected.push_back(key);
    }
    EXPECT_EQ(keys_with(prefix), expected);
  }
  EXPECT_EQ(keys_with(""), ordered);
}

// A prefix scan of a common kind: the users, not what comes before or behind them.
TEST_F(NamesTest, AScanOfAPrefixEndsWithIt) {
  open();
  std::vector<Bytes> users;
  for (int i = 1000; i < 2000; i++) users.push_back("user:" + std::to_string(i));
  for (const Bytes& user : users) set(user, user);
  for (const Bytes other : {"user", "user9", "usez", "user;", "a", "z"}) set(other, "");
  EXPECT_EQ(keys_with("user:"), users);
  EXPECT_EQ(keys_with("user:10").size(), 100u);
  EXPECT_EQ(keys_with("user:1001"), std::vector<Bytes>{"user:1001"});
  EXPECT_EQ(keys_with("user:1001x"), std::vector<Bytes>{});
  EXPECT_EQ(keys_with("use").size(), users.size() + 4);
}

TEST_F(NamesTest, AScanEndsWithTheVisitorsStatus) {
  open();
  for (const Bytes key : {"a", "b", "c"}) set(key, "");
  class Stopping final : public NameVisitor {
   public:
    Status name(const void*, size_t, uint64_t, uint64_t) override {
      return ++count == 2 ? Status::Error(Code::kLimit, "enough") : Status::Ok();
    }
    int count = 0;
  } visitor;
  EXPECT_EQ(store_->scan_names("", 0, "", 0, &visitor).code, Code::kLimit);
  EXPECT_EQ(visitor.count, 2);
}

TEST_F(NamesTest, ValuesOfEverySizeComeBackAlsoAfterClosing) {
  open();
  std::map<Bytes, Bytes> model;
  for (const size_t length : {0, 1, 100, 4096, 9000, 65536, 65537, 300000}) {
    for (const Bytes& bytes : {random_bytes(length, length), text_bytes(length, length)}) {
      const Bytes key = random_bytes(model.size(), 1 + model.size() * 20);
      model[key] = bytes;
      set(key, bytes);
    }
  }
  for (int round = 0; round < 3; round++) {
    expect_holds(model);
    expect_sound();
    if (round == 0) {
      EXPECT_OK(store_->close());
      open();
    } else {
      crash();
    }
  }
  StoreOptions reader = options_;
  EXPECT_OK(store_->close());
  reader.read_only = true;
  ASSERT_OK(try_open(reader));
  expect_holds(model);
  expect_sound();
  EXPECT_EQ(store_->set("x", 1, "x", 1).code, Code::kInvalid);
  EXPECT_EQ(store_->erase_named("x", 1).code, Code::kInvalid);
}

TEST_F(NamesTest, ABatchHappensWholeOrNotAtAll) {
  open();
  set("kept", "old");
  set("erased", "old");
  std::map<Bytes, Bytes> model = {{"kept", "old"}, {"erased", "old"}};
  for (const bool commit : {false, true}) {
    WriteBatch batch(store_.get());
    uint64_t id;
    bool replaced;
    ASSERT_OK(set_in(&batch, "kept", "new", &replaced));
    EXPECT_TRUE(replaced);
    ASSERT_OK(set_in(&batch, "twice", "first", &replaced));
    EXPECT_FALSE(replaced);
    ASSERT_OK(set_in(&batch, "twice", "second", &replaced));
    EXPECT_TRUE(replaced);
    ASSERT_OK(set_in(&batch, "set and erased", "x"));
    ASSERT_OK(erase_in(&batch, "set and erased"));
    EXPECT_EQ(erase_in(&batch, "set and erased").code, Code::kNotFound);
    ASSERT_OK(erase_in(&batch, "erased"));
    ASSERT_OK(batch.put("by id", 5, &id));
    expect_holds(model);
    if (!commit) continue;
    ASSERT_OK(batch.commit());
    Buffer buffer;
    EXPECT_OK(store_->get(id, &buffer));
  }
  model = {{"kept", "new"}, {"twice", "second"}};
  expect_holds(model);
  expect_sound();
  crash();
  expect_holds(model);
  expect_sound();
}

// Names of a batch that a crash cut off are in the tree, but nobody sees them.
TEST_F(NamesTest, ACrashDropsWhatWasNotCommitted) {
  open();
  std::map<Bytes, Bytes> model;
  for (int i = 0; i < 500; i++) {
    const Bytes key = "key" + std::to_string(i);
    model[key] = random_bytes(i, i);
    set(key, model[key]);
  }
  {
    WriteBatch batch(store_.get());
    for (int i = 0; i < 1000; i += 3) {
      ASSERT_OK(set_in(&batch, "key" + std::to_string(i), "never"));
    }
    for (int i = 1; i < 500; i += 3) ASSERT_OK(erase_in(&batch, "key" + std::to_string(i)));
    // The log is written as far as the next commit.
    model["last"] = "last";
    set("last", "last");
    freeze();
  }
  leave_frozen();
  open();
  expect_holds(model);
  expect_sound();
  // The places of those names are taken over.
  for (int i = 0; i < 1000; i++) {
    const Bytes key = "key" + std::to_string(i);
    model[key] = "again";
    set(key, "again");
  }
  expect_holds(model);
  expect_sound();
}

// An id whose transaction aborted may be taken by another value.  The name that the aborted
// transaction left behind must not lead to it.
TEST_F(NamesTest, ANameOfADroppedBatchDoesNotLeadToALaterValueOfItsId) {
  open();
  uint64_t id;
  {
    WriteBatch batch(store_.get());
    ASSERT_OK(batch.put("x", 1, &id));
    ASSERT_OK(set_in(&batch, "name", "dropped"));
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

TEST_F(NamesTest, WhoErasesTheIdErasesTheName) {
  open();
  set("name", "value");
  ASSERT_OK(store_->erase(id_of("name")));
  EXPECT_EQ(get("name"), std::nullopt);
  EXPECT_EQ(keys(), std::vector<Bytes>{});
  EXPECT_EQ(store_->erase_named("name", 4).code, Code::kNotFound);
  set("name", "again");
  EXPECT_EQ(get("name"), "again");
  expect_sound();
}

// A name that is set again and again takes one place or two, however often, also if every other
// batch is dropped.
TEST_F(NamesTest, AnOldVersionGivesItsPlaceToTheNext) {
  open();
  const uint64_t empty = names_bytes();
  for (int i = 0; i < 20000; i++) {
    WriteBatch batch(store_.get());
    ASSERT_OK(set_in(&batch, "name", std::to_string(i)));
    if (i % 2 == 0) ASSERT_OK(batch.commit());
  }
  EXPECT_EQ(get("name"), "19998");
  EXPECT_EQ(names_bytes(), empty);
  expect_sound();
}

// Erased names are in the way of nobody: they go when their page is full.
TEST_F(NamesTest, ErasedNamesGoWhenTheirPageIsNeeded) {
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
TEST_F(NamesTest, AScanSeesTheNamesAsTheyWereWhenItBegan) {
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
TEST_F(NamesTest, ManyVersionsOfOneKeyMayFillPages) {
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
TEST_F(NamesTest, ANameIsSetAnewBeforeOldVersionsInTheNextPage) {
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
TEST_F(NamesTest, ATreeOfLongKeysIsHigh) {
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
  EXPECT_GE(load<NameMeta>(page_of_file(kNameMetaBlock).data(), kPageHeaderBytes).root_level, 4);
  open();
  expect_holds(model);
}

// Keys in ascending order fill their pages.
TEST_F(NamesTest, AscendingKeysLeaveFullPages) {
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

// The log makes a page of names anew that was half written when the power went.
TEST_F(NamesTest, ATornPageOfNamesIsMadeAnew) {
  open();
  std::map<Bytes, Bytes> model;
  for (uint64_t i = 0; i < 30; i++) {  // one page, half full
    const Bytes key = random_bytes(i, 50);
    model[key] = "before";
    set(key, "before");
  }
  ASSERT_OK(store_->checkpoint());
  for (auto& [key, value] : model) set(key, value = "after");
  freeze();
  leave_frozen();
  {
    std::fstream file(path() + "/names", std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(kFirstNameBlock * kPageBytes + kPageBytes / 2);
    file << random_bytes(1, kPageBytes / 2);
  }
  open();
  expect_holds(model);
  expect_sound();
}

TEST_F(NamesTest, AStoreWithoutItsNamesIsDamaged) {
  open();
  set("name", "value");
  ASSERT_OK(store_->close());
  store_.reset();
  std::filesystem::rename(path() + "/names", path() + "/elsewhere");
  EXPECT_EQ(try_open(options_).code, Code::kCorruption);
  std::filesystem::rename(path() + "/elsewhere", path() + "/names");
  open();
  EXPECT_EQ(get("name"), "value");
  ASSERT_OK(store_->close());
  // Empty is not the same as gone.
  std::filesystem::resize_file(path() + "/names", 0);
  open();
  Buffer buffer;
  EXPECT_EQ(store_->get_named("name", 4, &buffer).code, Code::kCorruption);
  EXPECT_EQ(store_->set("name", 4, "", 0).code, Code::kCorruption);
  EXPECT_FALSE(faults().empty());
}

// A crash while a store is made leaves a directory in which one can be made.
TEST_F(NamesTest, AStoreHalfMadeIsMadeAgain) {
  open();
  ASSERT_OK(store_->close());
  store_.reset();
  std::filesystem::remove(path() + "/control");
  std::filesystem::resize_file(path() + "/data", 0);
  open();
  set("name", "value");
  EXPECT_EQ(get("name"), "value");
  // One with names in it is not made anew.
  for (int i = 0; i < 1000; i++) set(std::to_string(i), "");
  ASSERT_OK(store_->close());
  store_.reset();
  std::filesystem::remove(path() + "/control");
  std::filesystem::resize_file(path() + "/data", 0);
  EXPECT_EQ(try_open(options_).code, Code::kCorruption);
}

// Two batches set the same names in opposite order: one of them is told, and cannot be committed
// half done.
TEST_F(NamesTest, OfTwoBatchesThatWaitForEachOtherOneIsDropped) {
  open();
  const std::vector<Bytes> names = {"a", "b"};
  for (int round = 0; round < 50; round++) {
    set("a", "old");
    set("b", "old");
    auto first = std::make_unique<WriteBatch>(store_.get());
    auto second = std::make_unique<WriteBatch>(store_.get());
    ASSERT_OK(set_in(first.get(), "a", "first"));
    ASSERT_OK(set_in(second.get(), "b", "second"));
    std::atomic<int> conflicts = 0;
    const auto finish = [&](std::unique_ptr<WriteBatch> batch, const Bytes& key,
                            const Bytes& value) {
      const Status status = set_in(batch.get(), key, value);
      if (status.ok()) {
        EXPECT_OK(batch->commit());
      } else {
        conflicts++;
        EXPECT_EQ(status.code, Code::kConflict);
        EXPECT_EQ(batch->commit().code, Code::kConflict);
      }
    };
    std::thread other(finish, std::move(first), "b", "first");
    finish(std::move(second), "a", "second");
    other.join();
    EXPECT_EQ(conflicts, 1);
    EXPECT_EQ(get("a"), get("b"));
    EXPECT_NE(get("a"), "old");
  }
  expect_sound();
}

}  // namespace
}  // namespace toaststore::test
