// A deliberate race, never run by default: script/test --all runs it under ThreadSanitizer to prove
// that a report of its makes the run fail.

#include <gtest/gtest.h>

#include <thread>

TEST(Sanitizer, DISABLED_SeededRace) {
  // Volatile, or the compiler may keep it in a register.
  volatile int shared = 0;
  std::thread other([&] { shared = 1; });
  shared = 2;
  other.join();
  EXPECT_NE(shared, 0);
}
