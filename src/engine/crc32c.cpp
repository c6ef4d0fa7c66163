// Intel's ISA-L has several runs of the processor's CRC instructions on the way at a time, and is
// many times as fast as one for long bytes.  The checks of records and tails are a few words, for
// which the instruction by itself is faster than the call.

#include "engine/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace toaststore {

#ifdef __x86_64__
namespace {

constexpr size_t kShortBytes = 128;

__attribute__((target("sse4.2"))) uint32_t crc_of_words(uint32_t crc, const unsigned char* at,
                                                        size_t length) {
  uint64_t wide = crc;
  for (; length >= sizeof(uint64_t); at += sizeof(uint64_t), length -= sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; length > 0; at++, length--) crc = __builtin_ia32_crc32qi(crc, *at);
  return crc;
}

}  // namespace
#endif

uint32_t crc32c_extend(uint32_t crc, const void* bytes, size_t length) {
  // ISA-L reads only, but does not say so; it leaves the inversions to its callers.
  auto* at = static_cast<unsigned char*>(const_cast<void*>(bytes));
  crc = ~crc;
#ifdef __x86_64__
  if (length <= kShortBytes && __builtin_cpu_supports("sse4.2")) {
    return ~crc_of_words(crc, at, length);
  }
#endif
  while (length > 0) {
    const int part = static_cast<int>(std::min<size_t>(length, INT_MAX));
    crc = crc32_iscsi(at, part, crc);
    at += part;
    length -= static_cast<size_t>(part);
  }
  return ~crc;
}

}  // namespace toaststore
