// Any bytes as the file of names of a store: opened, verified, searched, scanned and written to.
// Whatever they are, the answer is a status.

#include <string>

#include "file/log_format.h"
#include "support/memory_files.h"
#include "toaststore/store.h"

namespace toaststore::fuzz {
namespace {

constexpr int kNames = 8;

void must(const Status& status) {
  if (!status.ok()) __builtin_trap();
}

std::string key_of(int number) { return "name " + std::to_string(number); }

Store* open(MemoryFiles* files) {
  StoreOptions options;
  options.files = files;
  options.cache_bytes = 1 << 20;
  options.log_segment_bytes = kMinSegmentBytes;
  options.sync = Sync::kNever;
  Store* store;
  return Store::open("s", options, &store).ok() ? store : nullptr;
}

// A store with a few values, which names may lead to.
const MemoryFiles& closed_store() {
  static const MemoryFiles* const closed = [] {
    auto* files = new MemoryFiles;
    Store* store = open(files);
    for (int i = 0; i < kNames; i++) {
      const std::string key = key_of(i);
      must(store->set(key.data(), key.size(), "value", 5));
    }
    must(store->close());
    delete store;
    return files;
  }();
  return *closed;
}

class Ignore final : public FaultVisitor {
 public:
  Status fault(Block, uint64_t, const char*) override { return Status::Ok(); }
};

// What is told of a value is what the store says of it.
class Agrees final : public NameVisitor {
 public:
  explicit Agrees(Store* store) : store_(store) {}
  Status name(const void*, size_t length, uint64_t id, uint64_t raw_bytes) override {
    if (length > kMaxKeyBytes) __builtin_trap();
    if (++names_ > kMost) return Status::Error(Code::kLimit, "enough");
    uint64_t found;
    if (store_->length(id, &found).ok() && found != raw_bytes) __builtin_trap();
    return Status::Ok();
  }

 private:
  static constexpr int kMost = 10000;
  Store* store_;
  int names_ = 0;
};

void run(const uint8_t* input, size_t length) {
  MemoryFiles files;
  for (const auto& [name, content] : closed_store().files) {
    files.files[name] = std::make_shared<std::vector<std::byte>>(*content);
  }
  // The control file says how long it was: what is missing is zero.
  std::vector<std::byte>& names = *files.files.at("s/names");
  const size_t whole = std::max(names.size(), length / kPageBytes * kPageBytes);
  names.assign(whole, std::byte{});
  std::memcpy(names.data(), input, std::min(length, whole));

  Store* store = open(&files);
  if (store == nullptr) return;
  Ignore ignore;
  (void)store->verify(&ignore);
  Agrees agrees(store);
  (void)store->scan_names("", 0, "", 0, &agrees);
  (void)store->scan_prefix("name", 4, &agrees);
  for (int i = 0; i < kNames; i++) {
    const std::string key = key_of(i);
    Buffer value;
    (void)store->get_named(key.data(), key.size(), &value);
    if (i % 2 == 0) (void)store->erase_named(key.data(), key.size());
    (void)store->set(key.data(), key.size(), "more", 4);
  }
  const std::string longest(kMaxKeyBytes, 'n');
  (void)store->set(longest.data(), longest.size(), "more", 4);
  (void)store->verify(&ignore);
  (void)store->close();
  delete store;
}

}  // namespace
}  // namespace toaststore::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t length) {
  toaststore::fuzz::run(input, length);
  return 0;
}
