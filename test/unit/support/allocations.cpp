// The allocations that can be made to fail.

#include "support/allocations.h"

#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <new>

namespace toaststore::test {
namespace {

std::atomic<bool> armed{false};
std::atomic<uint64_t> left{0};
std::atomic<bool> persists{false};
std::atomic<bool> failed{false};

bool refuse() {
  if (!armed.load(std::memory_order_relaxed)) return false;
  const uint64_t before = left.load();
  const bool now = before == 1 || (before == 0 && persists);
  if (before > 0) left--;
  if (now) failed = true;
  return now;
}

}  // namespace

void fail_allocation(uint64_t number, bool persistent) {
  left = number;
  persists = persistent;
  failed = false;
  armed = number > 0;
}

bool allocation_failed() { return failed; }

}  // namespace toaststore::test

using toaststore::test::refuse;

extern "C" {

void* __real_malloc(size_t bytes);
void* __real_aligned_alloc(size_t alignment, size_t bytes);
int __real_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                          void* (*start)(void*), void* argument);

void* __wrap_malloc(size_t bytes) { return refuse() ? nullptr : __real_malloc(bytes); }

void* __wrap_aligned_alloc(size_t alignment, size_t bytes) {
  return refuse() ? nullptr : __real_aligned_alloc(alignment, bytes);
}

int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                          void* (*start)(void*), void* argument) {
  return refuse() ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

}  // extern "C"

namespace {

// The ordinary operator, whose memory the ordinary delete takes back.  AddressSanitizer tells the
// operators for arrays from the others.
template <typename Operator>
void* allocate(Operator ordinary) noexcept {
  if (refuse()) return nullptr;
  try {
    return ordinary();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return allocate([&] { return ::operator new(bytes); });
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return allocate([&] { return ::operator new[](bytes); });
}
void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate([&] { return ::operator new(bytes, alignment); });
}
void* operator new[](size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate([&] { return ::operator new[](bytes, alignment); });
}
