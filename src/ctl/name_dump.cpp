// Pages of the file of names in words.

#include <cinttypes>
#include <cstdio>
#include <string>

#include "ctl/page_dump.h"
#include "ctl/words.h"
#include "file/name_page.h"

namespace toaststore::ctl {

namespace {

bool fault(const char* reason) {
  std::printf("  fault: %s\n", reason);
  return false;
}

bool dump_meta(const std::byte* page) {
  const auto meta = load<NameMeta>(page, kPageHeaderBytes);
  std::printf("  root %u at level %u, %u blocks in use\n", meta.root, meta.root_level, meta.pages);
  return true;
}

bool dump_tree(const std::byte* page, Block block) {
  const auto tail = tail_of<NameTail>(page);
  const bool leaf = tail.start.level == 0;
  std::printf("  level %u, right %u, %u records\n", tail.start.level, tail.right, tail.count);
  bool sound = true;
  const int slots = tail.count + (tail.right != kNoBlock ? 1 : 0);
  for (int slot = 0; slot < slots; slot++) {
    std::printf(slot < tail.count ? "  %d: " : "  high: ", slot);
    NameRecord record;
    const Status status = read_name(page, block, static_cast<uint16_t>(slot), &record);
    if (!status.ok()) {
      std::puts("");
      sound = fault(status.reason);
      continue;
    }
    std::printf("%s", in_quotes(record.name.key).c_str());
    if (record.name.version != kAllVersions) std::printf(" version %u", record.name.version);
    if (slot < tail.count && leaf) {
      std::printf(", value %" PRIu64 " put by transaction %u", record.id, record.xid);
    } else if (slot < tail.count) {
      std::printf(", child %" PRIu64, record.id);
    }
    std::puts("");
  }
  return sound;
}

}  // namespace

// Slots are proven by the page's check, so where that fails no record is looked at.
bool dump_name_page(const std::byte* page, Block block) {
  std::printf("block %u of names: ", block);
  if (is_zero_page(page)) {
    std::puts("never written");
    return true;
  }
  const auto tail = tail_of<NameTail>(page);
  const auto kind = static_cast<NamePageKind>(tail.start.kind);
  if (kind != NamePageKind::kMeta && kind != NamePageKind::kTree) {
    std::puts("unknown page");
    dump_header(page, false);
    return fault("page of names is of an unknown kind");
  }
  const bool meta = kind == NamePageKind::kMeta;
  std::puts(meta ? "meta page" : tail.start.level == 0 ? "leaf" : "inner page");
  dump_header(page, false);
  const Status status = check_name_page(page, block, kind, tail.start.level);
  if (!status.ok()) return fault(status.reason);
  return meta ? dump_meta(page) : dump_tree(page, block);
}

}  // namespace toaststore::ctl
