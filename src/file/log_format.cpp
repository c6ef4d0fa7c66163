// Records and groups as bytes.

#include "file/log_format.h"

#include <cassert>
#include <cstring>

namespace toaststore {

void Record::start(RecordKind kind, uint32_t xid) {
  header = {sizeof(RecordHeader), kind, 0, 0, 0, xid};
}

int Record::add_page(Block block, uint8_t flags) {
  assert(header.pages < kMaxRecordPages);
  pages[header.pages] = {block, flags, {}};
  header.length += sizeof(RecordPage);
  return header.pages++;
}

void Record::add_patch(int page, uint16_t offset, const void* from, uint16_t length) {
  assert(header.patches < kMaxRecordPatches && offset + length <= kPageBytes);
  patches[header.patches] = {static_cast<uint8_t>(page), 0, offset, length, 0};
  bytes[header.patches] = static_cast<const std::byte*>(from);
  header.length += sizeof(RecordPatch) + length;
  header.patches++;
}

void Record::add_image(Block block, uint8_t file, const std::byte* page) {
  auto lower = load<uint16_t>(page, offsetof(PageHeader, lower));
  auto upper = load<uint16_t>(page, offsetof(PageHeader, upper));
  if (lower < kPageHeaderBytes || lower > upper || upper > kPageBytes) lower = upper = kPageBytes;
  const int index = add_page(block, static_cast<uint8_t>(kImage | file));
  add_patch(index, 0, page, lower);
  add_patch(index, upper, page + upper, static_cast<uint16_t>(kPageBytes - upper));
}

void Record::encode(std::byte* out) const {
  std::memcpy(out, &header, sizeof(header));
  out += sizeof(header);
  std::memcpy(out, pages, header.pages * sizeof(RecordPage));
  out += header.pages * sizeof(RecordPage);
  std::memcpy(out, patches, header.patches * sizeof(RecordPatch));
  out += header.patches * sizeof(RecordPatch);
  for (int i = 0; i < header.patches; i++) {
    if (patches[i].length == 0) continue;
    std::memcpy(out, bytes[i], patches[i].length);
    out += patches[i].length;
  }
}

Status Record::decode(const std::byte* from, size_t available) {
  const Status bad = Status::Error(Code::kCorruption, "log record is out of bounds");
  if (available < sizeof(header)) return bad;
  std::memcpy(&header, from, sizeof(header));
  if (header.length > available || header.pages > kMaxRecordPages ||
      header.patches > kMaxRecordPatches) {
    return bad;
  }
  if (header.kind < RecordKind::kChange || header.kind > RecordKind::kAbort) {
    return Status::Error(Code::kNewerFormat, "log record is of an unknown kind");
  }
  size_t end =
      sizeof(header) + header.pages * sizeof(RecordPage) + header.patches * sizeof(RecordPatch);
  if (end > header.length) return bad;
  from += sizeof(header);
  std::memcpy(pages, from, header.pages * sizeof(RecordPage));
  from += header.pages * sizeof(RecordPage);
  std::memcpy(patches, from, header.patches * sizeof(RecordPatch));
  from += header.patches * sizeof(RecordPatch);
  for (int i = 0; i < header.patches; i++) {
    const RecordPatch& patch = patches[i];
    if (patch.page >= header.pages || patch.offset + patch.length > kPageBytes) return bad;
    end += patch.length;
    if (end > header.length) return bad;
    bytes[i] = from;
    from += patch.length;
  }
  return end == header.length ? Status::Ok() : bad;
}

void Record::apply(int page, std::byte* bytes_of_page) const {
  if (pages[page].whole()) std::memset(bytes_of_page, 0, kPageBytes);
  for (int i = 0; i < header.patches; i++) {
    if (patches[i].page != page || patches[i].length == 0) continue;
    std::memcpy(bytes_of_page + patches[i].offset, bytes[i], patches[i].length);
  }
}

uint32_t group_crc(uint64_t store_number, const std::byte* group, uint32_t length) {
  uint32_t crc = crc32c(&store_number, sizeof(store_number));
  crc = crc32c_extend(crc, group, offsetof(GroupHeader, crc));
  constexpr size_t kAfter = offsetof(GroupHeader, crc) + sizeof(GroupHeader::crc);
  return crc32c_extend(crc, group + kAfter, length - kAfter);
}

}  // namespace toaststore
