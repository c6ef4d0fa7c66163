// Values by name: what a map would answer, also after closing and crashes; batches whole or not at
// all; stores whose names are not there.

#include <atomic>
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
  store_.reset();
  const auto bytes = std::filesystem::file_size(path() + "/names");
  std::filesystem::resize_file(path() + "/names", 0);
  EXPECT_EQ(try_open(options_).code, Code::kCorruption);
  // A file of zeros is not an empty tree.
  std::filesystem::resize_file(path() + "/names", bytes);
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

TEST_F(NamesTest, ARelationOfAServerHasNone) {
  open();
  set("name", "value");
  ASSERT_OK(store_->close());
  store_.reset();
  Store* store = nullptr;
  ASSERT_OK(Store::open_relation((path() + "/data").c_str(), options_, &store));
  store_.reset(store);
  EXPECT_EQ(get("name"), std::nullopt);
  uint64_t id;
  EXPECT_EQ(store_->find_name("name", 4, &id).code, Code::kNotFound);
  EXPECT_EQ(keys(), std::vector<Bytes>{});
  EXPECT_EQ(store_->set("name", 4, "", 0).code, Code::kInvalid);
  expect_sound();
}

}  // namespace
}  // namespace toaststore::test
