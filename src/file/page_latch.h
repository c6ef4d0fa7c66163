// The latch of a page of the cache: one word, so that taking and giving back a latch that nobody
// else wants is one atomic step each.
//
//   bit 31      held exclusively
//   bit 30      somebody sleeps until the latch is given back
//   bits 0..29  those who hold it shared, or will as soon as it is not held exclusively
//
// Readers come before writers.  ThreadSanitizer is told of it as of a mutex, so that it watches the
// order in which latches are taken.

#ifndef TOASTSTORE_FILE_PAGE_LATCH_H_
#define TOASTSTORE_FILE_PAGE_LATCH_H_

#include <atomic>
#include <cstdint>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace toaststore {

class PageLatch {
 public:
  void lock() {
    tell_before_lock(0);
    uint32_t word = 0;
    if (!word_.compare_exchange_strong(word, kExclusive, std::memory_order_acquire)) wait_alone();
    tell_after_lock(0);
  }
  bool try_lock() {
    tell_before_lock(kTry);
    uint32_t word = 0;
    const bool locked = word_.compare_exchange_strong(word, kExclusive, std::memory_order_acquire);
    tell_after_lock(locked ? kTry : kTry | kTryFailed);
    return locked;
  }
  void unlock() {
    tell_before_unlock(0);
    const uint32_t word = word_.fetch_sub(kExclusive, std::memory_order_release);
    if ((word & kSleeper) != 0) wake();
    tell_after_unlock(0);
  }

  void lock_shared() {
    tell_before_lock(kShared);
    const uint32_t word = word_.fetch_add(1, std::memory_order_acquire);
    if ((word & kExclusive) != 0) wait_shared();
    tell_after_lock(kShared);
  }
  bool try_lock_shared() {
    tell_before_lock(kShared | kTry);
    uint32_t word = word_.load(std::memory_order_relaxed);
    bool locked = false;
    while (!locked && (word & kExclusive) == 0) {
      locked = word_.compare_exchange_weak(word, word + 1, std::memory_order_acquire);
    }
    tell_after_lock(locked ? kShared | kTry : kShared | kTry | kTryFailed);
    return locked;
  }
  void unlock_shared() {
    tell_before_unlock(kShared);
    const uint32_t word = word_.fetch_sub(1, std::memory_order_release);
    if (word == (kSleeper | 1)) wake();
    tell_after_unlock(kShared);
  }

  // Has no place in any order of latches from now on.
  void forget_order() {
#ifdef __SANITIZE_THREAD__
    __tsan_mutex_destroy(this, 0);
#endif
  }
  // Held exclusively, but of no matter for the order until it is shown again.
  void hide() {
    tell_before_unlock(0);
    tell_after_unlock(0);
  }
  void show() {
    tell_before_lock(kTry);
    tell_after_lock(kTry);
  }

 private:
  static constexpr uint32_t kExclusive = uint32_t{1} << 31;
  static constexpr uint32_t kSleeper = uint32_t{1} << 30;

#ifdef __SANITIZE_THREAD__
  static constexpr unsigned kShared = __tsan_mutex_read_lock;
  static constexpr unsigned kTry = __tsan_mutex_try_lock;
  static constexpr unsigned kTryFailed = __tsan_mutex_try_lock_failed;
  void tell_before_lock(unsigned flags) { __tsan_mutex_pre_lock(this, flags); }
  void tell_after_lock(unsigned flags) { __tsan_mutex_post_lock(this, flags, 0); }
  void tell_before_unlock(unsigned flags) { __tsan_mutex_pre_unlock(this, flags); }
  void tell_after_unlock(unsigned flags) { __tsan_mutex_post_unlock(this, flags); }
#else
  static constexpr unsigned kShared = 0, kTry = 0, kTryFailed = 0;
  void tell_before_lock(unsigned) {}
  void tell_after_lock(unsigned) {}
  void tell_before_unlock(unsigned) {}
  void tell_after_unlock(unsigned) {}
#endif

  void wait_alone();
  void wait_shared();
  void sleep(uint32_t word);
  void wake();

  std::atomic<uint32_t> word_{0};
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_PAGE_LATCH_H_
