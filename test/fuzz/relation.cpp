// Any bytes as the whole file of a server's store: opened, verified, scanned and read, as
// toaststorectl does. Whatever they are, the answer is a status.

#include "support/memory_files.h"
#include "toaststore/store.h"

namespace toaststore::fuzz {
namespace {

constexpr uint64_t kMostRead = 1 << 20;
constexpr int kMostFaults = 1000;

class Faults final : public FaultVisitor {
 public:
  Status fault(Block, uint64_t, const char* reason) override {
    if (reason == nullptr || reason[0] == '\0') __builtin_trap();
    return ++count_ < kMostFaults ? Status::Ok() : Status::Error(Code::kLimit, "enough");
  }

 private:
  int count_ = 0;
};

class Read final : public ValueVisitor {
 public:
  explicit Read(Store* store) : store_(store) {}
  Status value(uint64_t id, uint64_t raw_bytes) override {
    if (++values_ > kMost) return Status::Error(Code::kLimit, "enough");
    ValueInfo info;
    (void)store_->info(id, &info);
    Buffer bytes;
    if (raw_bytes <= kMostRead) {
      const Status status = store_->get(id, &bytes);
      if (status.ok() && bytes.size() != raw_bytes) __builtin_trap();
    }
    (void)store_->get_slice(id, raw_bytes / 2, 1000, &bytes);
    return Status::Ok();
  }

 private:
  // Reading takes time: enough is enough.
  static constexpr int kMost = 200;
  Store* store_;
  int values_ = 0;
};

void run(const uint8_t* input, size_t length) {
  MemoryFiles files;
  const auto* bytes = reinterpret_cast<const std::byte*>(input);
  files.files["r"] = std::make_shared<std::vector<std::byte>>(bytes, bytes + length);
  StoreOptions options;
  options.files = &files;
  options.cache_bytes = 1 << 20;
  Store* store;
  if (!Store::open_relation("r", options, &store).ok()) return;
  Faults faults;
  (void)store->verify(&faults);
  Read read(store);
  (void)store->scan(0, UINT64_MAX, &read);
  uint64_t id;
  if (store->put("value", 5, &id).ok()) __builtin_trap();
  if (*files.files.at("r") != std::vector<std::byte>(bytes, bytes + length)) __builtin_trap();
  delete store;
}

}  // namespace
}  // namespace toaststore::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t length) {
  toaststore::fuzz::run(input, length);
  return 0;
}
