// Any bytes as a record of the log: decoded and applied to pages, or refused.

#include <vector>

#include "file/log_format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t length) {
  using namespace toaststore;
  // Exactly as long as the input, so that a read beyond it is seen.
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(input),
                                     reinterpret_cast<const std::byte*>(input) + length);
  Record record;
  if (!record.decode(bytes.data(), bytes.size()).ok()) return 0;
  std::vector<std::byte> page(kPageBytes);
  for (int i = 0; i < record.header.pages; i++) record.apply(i, page.data());
  std::vector<std::byte> again(record.header.length);
  record.encode(again.data());
  if (std::memcmp(again.data(), bytes.data(), 4) != 0) __builtin_trap();
  return 0;
}
