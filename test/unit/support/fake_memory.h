// The memory port over malloc: counts what is out, hands out garbage, and fails where asked.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_FAKE_MEMORY_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_FAKE_MEMORY_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>

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
      live_++;
      // A part is enough to catch who reads what nobody wrote.
      std::memset(memory, 0xcd, bytes < 4096 ? bytes : 4096);
    }
    return memory;
  }
  void release(void* memory) override {
    live_--;
    std::free(memory);
  }

  // As MemoryPager::fail_at.
  void fail_at(uint64_t call, bool persistent) {
    calls_ = 0;
    fail_call_ = call;
    persistent_ = persistent;
  }
  uint64_t calls() const { return calls_; }
  int64_t live() const { return live_; }

 private:
  uint64_t calls_ = 0;
  uint64_t fail_call_ = 0;
  bool persistent_ = false;
  int64_t live_ = 0;
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_FAKE_MEMORY_H_
