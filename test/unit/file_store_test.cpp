// The embedded store on real files: what was put is there, also after closing, and whole batches or
// nothing.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

#include "file/transactions.h"
#include "support/test_store.h"
#include "toaststore/store.h"

namespace toaststore::test {
namespace {

class FileStoreTest : public ::testing::Test {
 protected:
  FileStoreTest() {
    std::string name = std::filesystem::temp_directory_path() / "toaststore.XXXXXX";
    directory_ = mkdtemp(name.data());
    options_.sync = Sync::kNever;
  }
  ~FileStoreTest() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string path() const { return directory_ + "/store"; }
  Status try_open(const StoreOptions& options) {
    store_.reset();
    Store* store = nullptr;
    const Status status = Store::open(path().c_str(), options, &store);
    store_.reset(store);
    return status;
  }
  Status try_open_relation(const std::string& file) {
    store_.reset();
    Store* store = nullptr;
    const Status status = Store::open_relation(file.c_str(), options_, &store);
    store_.reset(store);
    return status;
  }
  void open() { ASSERT_OK(try_open(options_)); }

  uint64_t put(const Bytes& bytes) {
    uint64_t id = 0;
    EXPECT_OK(store_->put(bytes.data(), bytes.size(), &id));
    return id;
  }
  Bytes get(uint64_t id) {
    Buffer buffer;
    EXPECT_OK(store_->get(id, &buffer));
    return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
  }
  Code get_code(uint64_t id) {
    Buffer buffer;
    return store_->get(id, &buffer).code;
  }
  void expect_sound() {
    class Faults final : public FaultVisitor {
     public:
      Status fault(Block block, uint64_t id, const char* reason) override {
        ADD_FAILURE() << "block " << block << ", value " << id << ": " << reason;
        return Status::Ok();
      }
    } faults;
    EXPECT_OK(store_->verify(&faults));
  }

  std::string directory_;
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

TEST_F(FileStoreTest, ValuesOfEverySizeComeBackAlsoAfterClosing) {
  open();
  std::map<uint64_t, Bytes> values;
  for (const size_t length : {0, 1, 100, 4000, 4096, 9000, 65536, 65537, 300000, 5000000}) {
    for (const Bytes& bytes : {random_bytes(length, length), text_bytes(length, length)}) {
      values[put(bytes)] = bytes;
    }
  }
  for (int round = 0; round < 2; round++) {
    for (const auto& [id, bytes] : values) EXPECT_EQ(get(id), bytes) << id;
    expect_sound();
    EXPECT_OK(store_->close());
    open();
  }
  EXPECT_EQ(get_code(1000), Code::kNotFound);
}

// Thresholds are those the store was made with, whatever it is opened with later.
TEST_F(FileStoreTest, AStoreIsReadAndWrittenByTheThresholdsItWasMadeWith) {
  options_.values.direct_max = 100;
  options_.values.extent_max = 1000;
  options_.values.chunk_bytes = 8192;
  std::map<uint64_t, Bytes> values;
  const auto put_some = [&] {
    for (const size_t length : {50, 500, 5000, 20000, 100000}) {
      const Bytes bytes = random_bytes(values.size(), length);
      values[put(bytes)] = bytes;
    }
  };
  open();
  put_some();
  options_.values = Options();
  for (int round = 0; round < 3; round++) {
    open();
    for (int again = 0; again < 2; again++) {
      for (const auto& [id, bytes] : values) EXPECT_EQ(get(id), bytes) << id;
      ValueInfo info;
      ASSERT_OK(store_->info(values.rbegin()->first, &info));
      EXPECT_EQ(info.chunks, 13u);
    }
    expect_sound();
    put_some();
  }
}

TEST_F(FileStoreTest, ABatchHappensWholeOrNotAtAll) {
  open();
  const uint64_t old = put("old");
  uint64_t kept = 0;
  uint64_t dropped = 0;
  {
    WriteBatch batch(store_.get());
    ASSERT_OK(batch.put("kept", 4, &kept));
    ASSERT_OK(batch.erase(old));
    EXPECT_EQ(get_code(kept), Code::kNotFound) << "not yet";
    EXPECT_EQ(get(old), "old");
    ASSERT_OK(batch.commit());
  }
  {
    WriteBatch batch(store_.get());
    ASSERT_OK(batch.put("dropped", 7, &dropped));
    ASSERT_OK(batch.erase(kept));
  }
  for (int round = 0; round < 2; round++) {
    EXPECT_EQ(get(kept), "kept");
    EXPECT_EQ(get_code(old), Code::kNotFound);
    EXPECT_EQ(get_code(dropped), Code::kNotFound);
    open();
  }
  expect_sound();
}

TEST_F(FileStoreTest, OneProcessAtATimeHasItOpen) {
  open();
  Store* second = nullptr;
  EXPECT_EQ(Store::open(path().c_str(), options_, &second).code, Code::kConflict);
}

TEST_F(FileStoreTest, AReaderOfAClosedStoreChangesNothing) {
  open();
  const uint64_t id = put("value");
  EXPECT_OK(store_->close());
  StoreOptions reader = options_;
  reader.read_only = true;
  ASSERT_OK(try_open(reader));
  EXPECT_EQ(get(id), "value");
  uint64_t other;
  EXPECT_EQ(store_->put("x", 1, &other).code, Code::kInvalid);
  expect_sound();
}

// A server's relation has no commit log beside it: what its transactions came to is not known.
TEST_F(FileStoreTest, ARelationIsReadAsIfEveryTransactionHadCommitted) {
  open();
  std::map<uint64_t, Bytes> values;
  for (const size_t length : {0, 100, 9000, 300000}) {
    const Bytes bytes = random_bytes(length, length);
    values[put(bytes)] = bytes;
  }
  const uint64_t erased = put("erased");
  ASSERT_OK(store_->erase(erased));
  uint64_t rolled_back = 0;
  {
    WriteBatch batch(store_.get());
    ASSERT_OK(batch.put("rolled back", 11, &rolled_back));
  }
  EXPECT_OK(store_->close());

  // Alone, without control file and log.
  const std::string file = directory_ + "/16384";
  std::filesystem::copy_file(path() + "/data", file);
  ASSERT_OK(try_open_relation(file));
  for (const auto& [id, bytes] : values) EXPECT_EQ(get(id), bytes) << id;
  EXPECT_EQ(get_code(erased), Code::kNotFound);
  EXPECT_EQ(get(rolled_back), "rolled back");
  uint64_t id;
  EXPECT_EQ(store_->put("x", 1, &id).code, Code::kInvalid);
  EXPECT_EQ(store_->checkpoint().code, Code::kInvalid);
  expect_sound();
}

TEST_F(FileStoreTest, ARelationHasNoNames) {
  open();
  ASSERT_OK(store_->set("name", 4, "value", 5));
  EXPECT_OK(store_->close());
  ASSERT_OK(try_open_relation(path() + "/data"));
  EXPECT_EQ(get(1), "value");
  Buffer buffer;
  uint64_t id;
  EXPECT_EQ(store_->get_named("name", 4, &buffer).code, Code::kNotFound);
  EXPECT_EQ(store_->find_name("name", 4, &id).code, Code::kNotFound);
  EXPECT_EQ(store_->set("name", 4, "x", 1).code, Code::kInvalid);
  EXPECT_EQ(store_->erase_named("name", 4).code, Code::kInvalid);
  class NoNames final : public NameVisitor {
   public:
    Status name(const void*, size_t, uint64_t, uint64_t) override {
      ADD_FAILURE() << "there is a name";
      return Status::Ok();
    }
  } no_names;
  EXPECT_OK(store_->scan_prefix("", 0, &no_names));
  expect_sound();
}

// Inside a server ids of transactions go round, so that any of them may be in an entry.
TEST(RelationTransactions, EveryIdOfATransactionCounts) {
  XidTable table;
  table.trust_all();
  FileTransactions transactions(table);
  for (const Xid xid : {1u, 2u, 3u, 0x80000000u, 0xffffffffu}) {
    EXPECT_TRUE(transactions.visible({xid, kNoXid, 0, 0})) << xid;
    EXPECT_FALSE(transactions.visible({kFirstNormalXid, xid, 0, 0})) << xid;
  }
}

TEST_F(FileStoreTest, AFileThatIsNoStoreIsToldFromAnEmptyAndFromADamagedOne) {
  EXPECT_EQ(try_open_relation(directory_ + "/missing").code, Code::kNotFound);
  const auto code_of = [&](const Bytes& bytes) {
    const std::string file = directory_ + "/file";
    std::ofstream(file, std::ios::binary) << bytes;
    return try_open_relation(file).code;
  };
  EXPECT_EQ(code_of(""), Code::kOk);
  EXPECT_EQ(code_of("a note"), Code::kInvalid);
  EXPECT_EQ(code_of(random_bytes(1, 3 * kPageBytes)), Code::kInvalid);

  open();
  put("value");
  EXPECT_OK(store_->close());
  std::ifstream data(path() + "/data", std::ios::binary);
  Bytes bytes(std::istreambuf_iterator<char>(data), {});
  EXPECT_EQ(code_of(bytes), Code::kOk);
  bytes[kPageBytes + 100] ^= 1;
  EXPECT_EQ(code_of(bytes), Code::kOk);
  std::vector<Bytes> faults;
  class Faults final : public FaultVisitor {
   public:
    explicit Faults(std::vector<Bytes>* faults) : faults_(faults) {}
    Status fault(Block, uint64_t, const char* reason) override {
      faults_->emplace_back(reason);
      return Status::Ok();
    }

   private:
    std::vector<Bytes>* faults_;
  } visitor(&faults);
  EXPECT_OK(store_->verify(&visitor));
  EXPECT_EQ(faults, std::vector<Bytes>{"meta page does not match its check"});
}

TEST_F(FileStoreTest, OpeningSaysWhatIsWrong) {
  StoreOptions options = options_;
  options.create = false;
  EXPECT_EQ(try_open(options).code, Code::kNotFound);
  options = options_;
  options.cache_bytes = 1000;
  EXPECT_EQ(try_open(options).code, Code::kInvalid);
  open();
  options = options_;
  options.must_be_new = true;
  EXPECT_EQ(try_open(options).code, Code::kExists);
}

}  // namespace
}  // namespace toaststore::test
