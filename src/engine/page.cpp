// The check that every read of a page with a tail goes through.

#include "engine/page.h"

#include "engine/format.h"

namespace toaststore {

bool is_zero_page(const std::byte* page) {
  uint64_t any = 0;
  for (size_t offset = 0; offset < kPageBytes; offset += sizeof(uint64_t)) {
    any |= load<uint64_t>(page, offset);
  }
  return any == 0;
}

namespace {

bool known_kind(uint16_t kind) {
  return kind >= static_cast<uint16_t>(PageKind::kMeta) &&
         kind <= static_cast<uint16_t>(PageKind::kRetired);
}

// Where the records of a sound page of this kind end.
uint32_t expected_lower(const std::byte* page, PageKind kind) {
  switch (kind) {
    case PageKind::kMeta:
      return kPageHeaderBytes + sizeof(MetaBody);
    case PageKind::kLeaf:
      return kPageHeaderBytes + tail_of<TreeTail>(page).count * sizeof(Entry);
    case PageKind::kInner:
      return kPageHeaderBytes + tail_of<TreeTail>(page).count * sizeof(Child);
    case PageKind::kMap:
      return kPageHeaderBytes + kExtentsPerMapPage * sizeof(MapEntry);
    case PageKind::kJournal:
      return kPageHeaderBytes + tail_of<ChainTail>(page).count * sizeof(JournalRecord);
    case PageKind::kDead:
      return kPageHeaderBytes + tail_of<ChainTail>(page).count * sizeof(DeadRecord);
    case PageKind::kRetired:
      return kPageHeaderBytes;
  }
  return 0;
}

}  // namespace

Status check_page(const std::byte* page, Block block, PageKind kind) {
  const auto header = load<PageHeader>(page, 0);
  const auto start = load<TailStart>(page, kTailOffset);
  // A value page may have taken the place.  It has no tail: where one would be are bytes of a
  // value, which may look like anything.
  if (header.size_version == kSizeVersion && header.special == kPageBytes) {
    return Status::Error(Code::kRetry, "page is a value page", block);
  }
  if (start.kind != static_cast<uint16_t>(kind)) {
    if (is_zero_page(page)) {  // a reader with an old pointer may meet one about to be made
      return Status::Error(Code::kRetry, "page was never initialised", block);
    }
    if (!known_kind(start.kind)) return Status::Corruption(block, "page is of an unknown kind");
  }
  const auto tail = tail_of<PlainTail>(page);
  const auto actual = static_cast<PageKind>(start.kind);
  if (actual == PageKind::kMeta) {
    const uint32_t body = crc32c(page + kPageHeaderBytes, sizeof(MetaBody));
    if (crc32c_extend(body, &tail, offsetof(PlainTail, check)) != tail.check) {
      return Status::Corruption(block, "meta page does not match its check");
    }
  } else if (crc32c(&tail, offsetof(PlainTail, check)) != tail.check) {
    return Status::Corruption(block, "page tail does not match its check");
  }
  // The check is any version's: a number that is proven is a number that somebody wrote.
  if (start.version != kPageVersion) {
    return Status::Error(Code::kNewerFormat, "page was written by a newer version", block);
  }
  if (start.block != block) return Status::Corruption(block, "page belongs to another block");
  if (header.size_version != kSizeVersion || header.upper != kTailOffset ||
      header.special != kTailOffset || header.lower > kTailOffset ||
      header.lower != expected_lower(page, actual)) {
    return Status::Corruption(block, "page header is invalid");
  }
  if (actual != kind) return Status::Error(Code::kRetry, "page is of another kind", block);
  return Status::Ok();
}

}  // namespace toaststore
