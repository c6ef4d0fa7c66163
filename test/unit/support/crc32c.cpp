// CRC-32C for the unit tests: no library, only the polynomial, or the processor's instruction where
// it has one. Kept apart from the engine's own on purpose, so that independent ones agree on every
// file.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "support/crc32c.h"

namespace toaststore {
namespace test {
namespace {

// The Castagnoli polynomial 0x1EDC6F41, bits reversed.
constexpr uint32_t kPolynomial = 0x82F63B78;
// Bytes taken at a time. Eight tables make a randomised test of gigabytes bearable.
constexpr size_t kStride = 8;

using Table = std::array<std::array<uint32_t, 256>, kStride>;

constexpr Table make_table() {
  Table table{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[0][byte] = crc;
  }
  for (size_t distance = 1; distance < kStride; distance++) {
    for (size_t byte = 0; byte < 256; byte++) {
      const uint32_t crc = table[distance - 1][byte];
      table[distance][byte] = (crc >> 8) ^ table[0][crc & 0xFF];
    }
  }
  return table;
}

constexpr Table kTable = make_table();

}  // namespace

uint32_t crc32c_by_table(uint32_t crc, const void* bytes, size_t length) {
  const auto* byte = static_cast<const uint8_t*>(bytes);
  crc = ~crc;
  for (; length >= kStride; length -= kStride, byte += kStride) {
    uint32_t next = 0;
    for (size_t i = 0; i < kStride; i++) {
      const uint32_t mixed = i < 4 ? byte[i] ^ ((crc >> (8 * i)) & 0xFF) : byte[i];
      next ^= kTable[kStride - 1 - i][mixed];
    }
    crc = next;
  }
  for (; length > 0; length--, byte++) crc = (crc >> 8) ^ kTable[0][(crc ^ *byte) & 0xFF];
  return ~crc;
}

#if defined(__x86_64__)
// The crash tests read gigabytes.
__attribute__((target("sse4.2"))) uint32_t crc32c_by_instruction(uint32_t crc, const void* bytes,
                                                                 size_t length) {
  const auto* byte = static_cast<const uint8_t*>(bytes);
  uint64_t wide = ~crc;
  for (; length >= kStride; length -= kStride, byte += kStride) {
    uint64_t word;
    std::memcpy(&word, byte, sizeof(word));
    wide = __builtin_ia32_crc32di(wide, word);
  }
  auto narrow = static_cast<uint32_t>(wide);
  for (; length > 0; length--, byte++) narrow = __builtin_ia32_crc32qi(narrow, *byte);
  return ~narrow;
}

bool has_crc32c_instruction() { return __builtin_cpu_supports("sse4.2") != 0; }
#else
uint32_t crc32c_by_instruction(uint32_t crc, const void* bytes, size_t length) {
  return crc32c_by_table(crc, bytes, length);
}

bool has_crc32c_instruction() { return false; }
#endif

}  // namespace test

uint32_t crc32c_extend(uint32_t crc, const void* bytes, size_t length) {
  static const bool fast = test::has_crc32c_instruction();
  return fast ? test::crc32c_by_instruction(crc, bytes, length)
              : test::crc32c_by_table(crc, bytes, length);
}

}  // namespace toaststore
