// The CRC port: PostgreSQL's own CRC-32C, with the hardware support it chose.

#include "engine/crc32c.h"

#include "postgres/pg.h"

extern "C" {
#include "port/pg_crc32c.h"
}

namespace toaststore {

uint32_t crc32c_extend(uint32_t crc, const void* bytes, size_t length) {
  pg_crc32c state = crc ^ 0xFFFFFFFF;
  COMP_CRC32C(state, bytes, length);
  FIN_CRC32C(state);
  return state;
}

}  // namespace toaststore
