// The memory port: where the engine's buffers come from.  A palloc context inside the server
// (transaction abort gives everything back), malloc elsewhere.

#ifndef TOASTSTORE_ENGINE_MEMORY_H_
#define TOASTSTORE_ENGINE_MEMORY_H_

#include <cstddef>

#include "toaststore/status.h"

namespace toaststore {

class Memory {
 public:
  // Null where there is none left.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) = 0;

 protected:
  ~Memory() = default;
};

// A buffer that lives as long as its frame.  Skippable: a longjmp over it leaves the memory to
// the host's transaction abort.
class Scratch {
 public:
  explicit Scratch(Memory& memory) : memory_(memory) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data_ != nullptr) memory_.release(data_);
  }

  // REQUIRES: called once.
  Status allocate(size_t bytes) {
    data_ = memory_.allocate(bytes == 0 ? 1 : bytes);
    if (data_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
    return Status::Ok();
  }
  template <typename T = std::byte>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  Memory& memory_;
  void* data_ = nullptr;
};

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_MEMORY_H_
