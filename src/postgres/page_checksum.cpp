// The checksum of a page, as core computes it (storage/checksum_impl.h, made to be included), three
// times as fast where the processor has wider vectors than core is compiled for: of a large value
// read from the system's cache it would be a third of the time.

#include "postgres/host.h"

extern "C" {
#define pg_checksum_page toaststore_core_checksum_page
#pragma GCC visibility push(hidden)
#include "storage/checksum_impl.h"
#pragma GCC visibility pop
#undef pg_checksum_page
}

namespace toaststore {

namespace {

#if defined(__x86_64__) && !defined(__clang__)
[[gnu::target("avx2"), gnu::flatten, gnu::optimize("O3", "unroll-loops")]] uint32 sum_avx2(
    const PGChecksummablePage* page) {
  return pg_checksum_block(page);
}
#endif

uint32 sum(const PGChecksummablePage* page) {
#if defined(__x86_64__) && !defined(__clang__)
  static const bool wide = __builtin_cpu_supports("avx2") != 0;
  if (wide) return sum_avx2(page);
#endif
  return pg_checksum_block(page);
}

}  // namespace

uint16 page_checksum(char* page, BlockNumber block) {
  auto* summed = reinterpret_cast<PGChecksummablePage*>(page);
  const uint16 stored = summed->phdr.pd_checksum;
  summed->phdr.pd_checksum = 0;
  const uint32 result = sum(summed) ^ block;
  summed->phdr.pd_checksum = stored;
  return static_cast<uint16>(result % UINT16_MAX + 1);
}

}  // namespace toaststore
