// The CRC port outside the server: Intel's ISA-L, which uses the processor's instructions.

#include "engine/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <climits>

namespace toaststore {

uint32_t crc32c_extend(uint32_t crc, const void* bytes, size_t length) {
  // ISA-L reads only, but does not say so; it leaves the inversions to its callers.
  auto* at = static_cast<unsigned char*>(const_cast<void*>(bytes));
  crc = ~crc;
  while (length > 0) {
    const int part = static_cast<int>(std::min<size_t>(length, INT_MAX));
    crc = crc32_iscsi(at, part, crc);
    at += part;
    length -= static_cast<size_t>(part);
  }
  return ~crc;
}

}  // namespace toaststore
