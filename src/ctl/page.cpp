// page: what is in one page, or in all.

#include <cstdio>

#include "ctl/command.h"
#include "ctl/page_dump.h"
#include "ctl/page_file.h"
#include "ctl/stream.h"

namespace toaststore::ctl {

int page(const Arguments& arguments) {
  const std::string& which = arguments.rest()[0];
  const bool all = which == "all";
  const uint64_t number = all ? 0 : parse_number(which, "a block");
  PageFile file(arguments.store());
  if (!all && number >= file.blocks()) {
    throw Failure(kNotFound, arguments.store() + ": there is no block " + which + ", but " +
                                 std::to_string(file.blocks()) + " blocks");
  }
  MetaBody meta;
  const PageOrigin origin{file.read_meta(&meta) ? meta.kind : StoreKind::kById, file.of_server()};
  const auto first = static_cast<Block>(number);
  const Block end = all ? file.blocks() : first + 1;
  bool sound = true;
  std::byte bytes[kPageBytes];
  for (Block block = first; block < end; block++) {
    file.read(block, bytes);
    sound = dump_page(bytes, block, origin) && sound;
  }
  finish_printing();
  return sound ? kDone : kNotFound;
}

}  // namespace toaststore::ctl
