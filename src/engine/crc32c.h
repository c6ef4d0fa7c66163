// CRC-32C (Castagnoli), by ISA-L; the unit tests link an independent implementation.  Values are
// those of RFC 3720: the standard initial value and final inversion.

#ifndef TOASTSTORE_ENGINE_CRC32C_H_
#define TOASTSTORE_ENGINE_CRC32C_H_

#include <cstddef>
#include <cstdint>

namespace toaststore {

// The CRC of a followed by b, where `crc` is that of a; the CRC of nothing is 0.
uint32_t crc32c_extend(uint32_t crc, const void* bytes, size_t length);

inline uint32_t crc32c(const void* bytes, size_t length) { return crc32c_extend(0, bytes, length); }

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_CRC32C_H_
