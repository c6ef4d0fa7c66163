// The two ways in which the unit tests compute a CRC-32C; either fills the engine's port.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_CRC32C_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_CRC32C_H_

#include "engine/crc32c.h"

namespace toaststore::test {

uint32_t crc32c_by_table(uint32_t crc, const void* bytes, size_t length);
// REQUIRES: has_crc32c_instruction().
uint32_t crc32c_by_instruction(uint32_t crc, const void* bytes, size_t length);
bool has_crc32c_instruction();

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_CRC32C_H_
