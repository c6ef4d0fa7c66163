// Waiting for a latch: a little while awake, for latches are held for microseconds, then asleep.

#include "file/page_latch.h"

#include <thread>

namespace toaststore {

namespace {

// Looks at the word before sleeping; the later ones let others run.
constexpr int kLooks = 64;
constexpr int kBusyLooks = 48;

void look_again(int look) {
  if (look >= kBusyLooks) {
    std::this_thread::yield();
    return;
  }
#ifdef __x86_64__
  __builtin_ia32_pause();
#endif
}

}  // namespace

// Sleeps until somebody gives the latch back, if the word is still as it was seen.  The mark is set
// before, while the latch is held: whoever holds it finds the mark.
void PageLatch::sleep(uint32_t word) {
  if ((word & kSleeper) == 0 &&
      !word_.compare_exchange_strong(word, word | kSleeper, std::memory_order_relaxed)) {
    return;
  }
  word_.wait(word | kSleeper, std::memory_order_relaxed);
}

void PageLatch::wake() {
  word_.fetch_and(~kSleeper, std::memory_order_relaxed);
  word_.notify_all();
}

void PageLatch::wait_alone() {
  for (int look = 0;; look++) {
    uint32_t word = word_.load(std::memory_order_relaxed);
    if ((word & ~kSleeper) == 0) {
      // Sleepers that are being woken mark the word again if they have to.
      if (word_.compare_exchange_strong(word, word | kExclusive, std::memory_order_acquire)) return;
    } else if (look < kLooks) {
      look_again(look);
    } else {
      sleep(word);
    }
  }
}

// The caller is counted already: once the latch is not held exclusively, it holds it shared.
void PageLatch::wait_shared() {
  for (int look = 0;; look++) {
    const uint32_t word = word_.load(std::memory_order_acquire);
    if ((word & kExclusive) == 0) return;
    if (look < kLooks) {
      look_again(look);
    } else {
      sleep(word);
    }
  }
}

}  // namespace toaststore
