// The memory port over malloc: counts what is out, hands out garbage, and fails where asked.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_FAKE_MEMORY_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_FAKE_MEMORY_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "engine/memory.h"

namespace toaststore::test {

class FakeMemory final : public Memory {
 public:
  void* allocate(size_t bytes) override {
    calls_++;
    if (fail_call_ != 0 && (persistent_ ? calls_ >= fail_call_ : calls_ == fail_call_)) {
      return nullptr;
    }
    void* memory = std::malloc(bytes);
    if (memory != nullptr) {
      sizes_[memory] = bytes;
      live_bytes_ += bytes;
      peak_bytes_ = std::max(peak_bytes_, live_bytes_);
      // A part is enough to catch who reads what nobody wrote.
      std::memset(memory, 0xcd, bytes < 4096 ? bytes : 4096);
    }
    return memory;
  }
  void release(void* memory) override {
    live_bytes_ -= sizes_.extract(memory).mapped();
    std::free(memory);
  }

  // As MemoryPager::fail_at.
  void fail_at(uint64_t call, bool persistent) {
    calls_ = 0;
    fail_call_ = call;
    persistent_ = persistent;
  }
  uint64_t calls() const { return calls_; }
  size_t live() const { return sizes_.size(); }
  // The most bytes that were out at once since forget_peak().
  uint64_t peak_bytes() const { return peak_bytes_; }
  void forget_peak() { peak_bytes_ = live_bytes_; }

 private:
  uint64_t calls_ = 0;
  uint64_t fail_call_ = 0;
  bool persistent_ = false;
  std::unordered_map<void*, size_t> sizes_;
  uint64_t live_bytes_ = 0;
  uint64_t peak_bytes_ = 0;
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_FAKE_MEMORY_H_
