// Pages in words.

#ifndef TOASTSTORE_CTL_PAGE_DUMP_H_
#define TOASTSTORE_CTL_PAGE_DUMP_H_

#include "engine/format.h"

namespace toaststore::ctl {

// What a page does not say of itself.
struct PageOrigin {
  StoreKind kind;  // for the width of ids
  bool of_server;  // whose log positions have two halves, the higher one first
};

// Prints a page to the standard output.  Nothing in it is trusted: what it can't be is a line that
// starts with "fault:".  False: there were faults.
bool dump_page(const std::byte* page, Block block, const PageOrigin& origin);
// The same for a page of the file of names.
bool dump_name_page(const std::byte* page, Block block);

// The line that all pages have.
void dump_header(const std::byte* page, bool of_server);

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_PAGE_DUMP_H_
