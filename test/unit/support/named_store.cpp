// Calls by name that must succeed.

#include "support/named_store.h"

#include <cstdlib>
#include <filesystem>

namespace toaststore::test {

namespace fs = std::filesystem;

NamedStore::NamedStore() {
  std::string name = fs::temp_directory_path() / "toaststore.XXXXXX";
  directory_ = mkdtemp(name.data());
  options_.sync = Sync::kNever;
}

NamedStore::~NamedStore() {
  store_.reset();
  fs::remove_all(directory_);
}

Status NamedStore::try_open(const StoreOptions& options) {
  store_.reset();
  Store* store = nullptr;
  const Status status = Store::open(path().c_str(), options, &store);
  store_.reset(store);
  return status;
}

void NamedStore::freeze() { fs::copy(path(), directory_ + "/frozen", fs::copy_options::recursive); }

// What the store does on its way out it does to files that nobody looks at again.
void NamedStore::leave_frozen() {
  store_.reset();
  fs::remove_all(path());
  fs::rename(directory_ + "/frozen", path());
}

void NamedStore::crash() {
  freeze();
  leave_frozen();
  open();
}

void NamedStore::set(const Bytes& key, const Bytes& value) {
  ASSERT_OK(store_->set(key.data(), key.size(), value.data(), value.size()));
}

void NamedStore::erase(const Bytes& key) { ASSERT_OK(store_->erase_named(key.data(), key.size())); }

std::optional<Bytes> NamedStore::get(const Bytes& key) {
  Buffer buffer;
  const Status status = store_->get_named(key.data(), key.size(), &buffer);
  if (status.is(Code::kNotFound)) return {};
  EXPECT_OK(status);
  return Bytes(reinterpret_cast<const char*>(buffer.data()), buffer.size());
}

uint64_t NamedStore::id_of(const Bytes& key) {
  uint64_t id = 0;
  EXPECT_OK(store_->find_name(key.data(), key.size(), &id));
  return id;
}

namespace {

class Collector final : public NameVisitor {
 public:
  Status name(const void* key, size_t key_length, uint64_t id, uint64_t raw_bytes) override {
    names.push_back({Bytes(static_cast<const char*>(key), key_length), id, raw_bytes});
    return Status::Ok();
  }
  std::vector<FoundName> names;
};

std::vector<Bytes> keys_of(const std::vector<FoundName>& names) {
  std::vector<Bytes> keys;
  for (const FoundName& name : names) keys.push_back(name.key);
  return keys;
}

}  // namespace

std::vector<FoundName> NamedStore::scan(const Bytes& from, const Bytes& to) {
  Collector found;
  EXPECT_OK(store_->scan_names(from.data(), from.size(), to.data(), to.size(), &found));
  return std::move(found.names);
}

std::vector<Bytes> NamedStore::keys(const Bytes& from, const Bytes& to) {
  return keys_of(scan(from, to));
}

std::vector<Bytes> NamedStore::keys_with(const Bytes& prefix) {
  Collector found;
  EXPECT_OK(store_->scan_prefix(prefix.data(), prefix.size(), &found));
  return keys_of(found.names);
}

std::vector<FoundFault> NamedStore::faults() {
  class Sink final : public FaultVisitor {
   public:
    Status fault(Block block, uint64_t id, const char* reason) override {
      found.push_back({block, id, reason});
      return Status::Ok();
    }
    std::vector<FoundFault> found;
  } sink;
  EXPECT_OK(store_->verify(&sink));
  return std::move(sink.found);
}

void NamedStore::expect_sound() {
  for (const FoundFault& fault : faults()) ADD_FAILURE() << fault;
}

void NamedStore::expect_holds(const std::map<Bytes, Bytes>& model) {
  const std::vector<FoundName> found = scan();
  ASSERT_EQ(found.size(), model.size());
  auto name = found.begin();
  for (const auto& [key, value] : model) {
    ASSERT_EQ(name->key, key);
    ASSERT_EQ(name->raw_bytes, value.size());
    ASSERT_TRUE(get(key) == value) << "value of " << key;
    ++name;
  }
}

}  // namespace toaststore::test
