// Any bytes as a list of operations on a store, and the same on a map: both tell the same, also
// after the store was closed and opened again, and after a crash of the process.

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "file/log_format.h"
#include "support/memory_files.h"
#include "toaststore/store.h"

namespace toaststore::fuzz {
namespace {

using Values = std::map<uint64_t, std::string>;

// What a store holds, and the ids that were ever given: those of a dropped batch come again.
struct Model {
  Values values;
  std::set<uint64_t> used;
};

void must(const Status& status) {
  if (!status.ok()) __builtin_trap();
}

class Player {
 public:
  Player(const uint8_t* input, size_t length) : input_(input), end_(input + length) {
    options_.files = &files_;
    options_.cache_bytes = 1 << 20;
    options_.log_segment_bytes = kMinSegmentBytes;
    options_.values.direct_max = 500;
    options_.values.extent_max = 20000;
    options_.values.chunk_bytes = kChunkBytesMin;
    options_.sync = Sync::kNever;
    open();
  }
  ~Player() {
    compare();
    delete store_;
  }

  void play() {
    while (input_ < end_) step();
  }

 private:
  uint32_t next() { return input_ < end_ ? *input_++ : 0; }
  uint64_t any_id() { return next() % 64 + 1; }

  std::string value() {
    static constexpr uint32_t kLengths[] = {0, 10, 300, 3000, 9000, 21000, 50000};
    const size_t length = kLengths[next() % 7] + next();
    const uint32_t seed = next();
    std::string bytes(length, static_cast<char>(seed));
    if (seed % 2 == 0) {  // does not compress
      uint64_t state = seed * 2654435761u + length;
      for (char& byte : bytes) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        byte = static_cast<char>(state >> 56);
      }
    }
    return bytes;
  }

  void open() { must(Store::open("s", options_, &store_)); }

  void change(WriteBatch* batch, Model* model) {
    Values* values = &model->values;
    const uint32_t kind = next() % 4;
    if (kind == 0) {
      const uint64_t id = any_id();
      const Status status = batch->erase(id);
      if (status.ok() != (values->erase(id) == 1)) __builtin_trap();
      return;
    }
    const std::string bytes = value();
    uint64_t id = any_id();
    if (kind == 1) {
      const Status status = batch->put_at(id, bytes.data(), bytes.size());
      if (!status.ok()) {
        if (!status.is(Code::kExists) || !model->used.contains(id)) __builtin_trap();
        return;
      }
      if (values->contains(id)) __builtin_trap();
    } else {
      must(batch->put(bytes.data(), bytes.size(), &id));
      if (model->used.contains(id)) __builtin_trap();
    }
    model->used.insert(id);
    (*values)[id] = bytes;
  }

  void step() {
    switch (next() % 12) {
      case 0:
        must(store_->checkpoint());
        break;
      case 1:
        must(store_->close());
        delete store_;
        open();
        break;
      case 2:
        crash();
        break;
      case 3:
        compare();
        break;
      case 4:
        slice();
        break;
      case 5:
        must(store_->compact());
        break;
      default: {
        WriteBatch batch(store_);
        Model model = model_;
        for (uint32_t i = next() % 5 + 1; i > 0; i--) change(&batch, &model);
        if (next() % 4 == 0) break;  // dropped
        must(batch.commit());
        model_ = model;
      }
    }
  }

  // What is on disk now is what a process that dies here leaves.
  void crash() {
    MemoryFiles left;
    for (const auto& [name, content] : files_.files) {
      left.files[name] = std::make_shared<std::vector<std::byte>>(*content);
    }
    delete store_;
    files_.files = left.files;
    open();
  }

  void slice() {
    const uint64_t id = any_id();
    const uint64_t offset = next() * 100;
    const size_t length = next() * 100;
    Buffer buffer;
    const Status status = store_->get_slice(id, offset, length, &buffer);
    const auto found = model_.values.find(id);
    if (status.ok() != (found != model_.values.end())) __builtin_trap();
    if (!status.ok()) return;
    const std::string& whole = found->second;
    const std::string part = offset < whole.size() ? whole.substr(offset, length) : "";
    if (std::string(reinterpret_cast<const char*>(buffer.data()), buffer.size()) != part) {
      __builtin_trap();
    }
  }

  void compare() {
    class Check final : public ValueVisitor {
     public:
      Check(Store* store, const Values& values) : store_(store), next_(values.begin()) {}
      Status value(uint64_t id, uint64_t raw_bytes) override {
        Buffer buffer;
        must(store_->get(id, &buffer));
        const std::string_view bytes(reinterpret_cast<const char*>(buffer.data()), buffer.size());
        if (next_->first != id || raw_bytes != bytes.size() || next_->second != bytes) {
          __builtin_trap();
        }
        ++next_;
        seen++;
        return Status::Ok();
      }
      size_t seen = 0;

     private:
      Store* store_;
      Values::const_iterator next_;
    };
    class Sound final : public FaultVisitor {
     public:
      Status fault(Block, uint64_t, const char*) override { __builtin_trap(); }
    };
    Check check(store_, model_.values);
    must(store_->scan(0, UINT64_MAX, &check));
    if (check.seen != model_.values.size()) __builtin_trap();
    Sound sound;
    must(store_->verify(&sound));
  }

  const uint8_t* input_;
  const uint8_t* end_;
  MemoryFiles files_;
  StoreOptions options_;
  Store* store_ = nullptr;
  Model model_;
};

}  // namespace
}  // namespace toaststore::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t length) {
  toaststore::fuzz::Player player(input, length);
  player.play();
  return 0;
}
