// The engine's CRC-32C against the tests' own by the table: a store written by one program is read
// by others.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/crc32c.h"

// The engine's own, under a name of its own: the tests' has the name that the engine calls.
#define crc32c_extend crc32c_extend_of_library
#include "engine/crc32c.cpp"
#undef crc32c_extend

namespace toaststore {
namespace {

std::vector<unsigned char> bytes_for(size_t length) {
  std::vector<unsigned char> bytes(length);
  uint32_t state = 12345;
  for (unsigned char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<unsigned char>(state >> 24);
  }
  return bytes;
}

// Short runs take another way than long ones: every length on both sides of where they part, at
// every place in a word, and begun with any value.
TEST(CrcOfTheLibrary, IsThatOfTheTestsAtEveryLengthAndPlace) {
  const std::vector<unsigned char> bytes = bytes_for(600);
  for (size_t start = 0; start < 8; start++) {
    for (size_t length = 0; length <= 520; length++) {
      for (const uint32_t before : {0u, 0xffffffffu, 0x12345678u}) {
        ASSERT_EQ(crc32c_extend_of_library(before, bytes.data() + start, length),
                  test::crc32c_by_table(before, bytes.data() + start, length))
            << length << " bytes at " << start;
      }
    }
  }
}

// A page's check is taken in parts, and so may any other be.
TEST(CrcOfTheLibrary, IsTheSameInPartsAndAsAWhole) {
  const std::vector<unsigned char> bytes = bytes_for(300);
  const uint32_t whole = crc32c_extend_of_library(0, bytes.data(), bytes.size());
  for (size_t part = 0; part <= bytes.size(); part++) {
    const uint32_t first = crc32c_extend_of_library(0, bytes.data(), part);
    EXPECT_EQ(crc32c_extend_of_library(first, bytes.data() + part, bytes.size() - part), whole);
  }
}

}  // namespace
}  // namespace toaststore
