// A deliberate heap overflow, never run by default: script/test --all runs it under
// AddressSanitizer to prove that a sanitizer's report makes the run fail.

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>

TEST(Sanitizer, DISABLED_SeededOverflow) {
  constexpr size_t kBytes = 8;
  const auto bytes = std::make_unique<char[]>(kBytes);
  // Volatile, or the compiler sees through it and refuses.
  volatile size_t past_the_end = kBytes;
  bytes[past_the_end] = 1;
  EXPECT_EQ(bytes[past_the_end], 1);
}
