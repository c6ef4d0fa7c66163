// Makes the process run out of memory: the n-th allocation that its caller could be refused fails.
//
// These are malloc and aligned_alloc as this program calls them (not as libraries do, which is the
// linker's doing: --wrap in the Makefile), new (std::nothrow), and the start of a thread.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_ALLOCATIONS_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_ALLOCATIONS_H_

#include <cstdint>

namespace toaststore::test {

// The n-th allocation from now on (1 is the next) fails; all after it too if persistent; 0 is none.
void fail_allocation(uint64_t number, bool persistent);
// Has one failed since?
bool allocation_failed();

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_ALLOCATIONS_H_
