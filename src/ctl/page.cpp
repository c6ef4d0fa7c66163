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
  const bool names = arguments.has("names");
  PageFile file(arguments.store(), names ? PageFile::Part::kNames : PageFile::Part::kData);
  if (!all && number >= file.blocks()) {
    throw Failure(kNotFound, arguments.store() + ": there is no block " + which + ", but " +
                                 std::to_string(file.blocks()) + " blocks");
  }
  MetaBody meta;
  const bool known = !names && file.read_meta(&meta);
  const PageOrigin origin{known ? meta.kind : StoreKind::kById, file.of_server()};
  const auto first = static_cast<Block>(number);
  const Block end = all ? file.blocks() : first + 1;
  bool sound = true;
  std::byte bytes[kPageBytes];
  for (Block block = first; block < end; block++) {
    file.read(block, bytes);
    const bool fine = names ? dump_name_page(bytes, block) : dump_page(bytes, block, origin);
    sound = sound && fine;
  }
  finish_printing();
  return sound ? kDone : kNotFound;
}

}  // namespace toaststore::ctl
