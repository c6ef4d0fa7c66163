// Checking, searching and filling pages of names.

#include "file/name_page.h"

#include <cassert>

namespace toaststore {

namespace {

// lower and upper, which lie side by side in the header.
struct FreeSpace {
  uint16_t lower;
  uint16_t upper;
};
static_assert(offsetof(PageHeader, upper) ==
              offsetof(PageHeader, lower) + offsetof(FreeSpace, upper));

constexpr uint16_t slot_offset(uint16_t slot) {
  return static_cast<uint16_t>(kPageHeaderBytes + slot * kNameSlotBytes);
}

uint16_t slot_count(const NameTail& tail) {
  return static_cast<uint16_t>(tail.count + (tail.right != kNoBlock ? 1 : 0));
}

Status bad_record(Block block) {
  return Status::Corruption(block, "record of a name does not match its check");
}

// A record within bounds, not proven.
Status peek(const std::byte* page, Block block, uint16_t slot, NameRecordHeader* header,
            NameRecord* record) {
  const auto offset = load<uint16_t>(page, slot_offset(slot));
  if (offset < load<uint16_t>(page, offsetof(PageHeader, upper)) ||
      offset + sizeof(*header) > kTailOffset) {
    return Status::Corruption(block, "record of a name is out of bounds");
  }
  *header = load<NameRecordHeader>(page, offset);
  if (header->key_length > kMaxKeyBytes ||
      offset + sizeof(*header) + header->key_length > kTailOffset) {
    return Status::Corruption(block, "record of a name is out of bounds");
  }
  const auto* key = reinterpret_cast<const char*>(page + offset + sizeof(*header));
  record->name = {{key, header->key_length}, header->version};
  record->xid = header->xid;
  record->id = header->id;
  return Status::Ok();
}

uint32_t record_check(const NameRecordHeader& header, std::string_view key) {
  constexpr size_t kProven = sizeof(header.check);
  const uint32_t crc =
      crc32c(reinterpret_cast<const std::byte*>(&header) + kProven, sizeof(header) - kProven);
  return crc32c_extend(crc, key.data(), key.size());
}

void encode(const NameRecord& record, std::byte* out) {
  NameRecordHeader header{0,          static_cast<uint16_t>(record.name.key.size()),
                          0,          record.name.version,
                          record.xid, record.id};
  header.check = record_check(header, record.name.key);
  std::memcpy(out, &header, sizeof(header));
  std::memcpy(out + sizeof(header), record.name.key.data(), record.name.key.size());
}

NameTail tail_for(NamePageKind kind, Block block, uint8_t level) {
  NameTail tail{};
  tail.start = {static_cast<uint16_t>(kind), kNamePageVersion, level, block};
  tail.upper = kTailOffset;
  return tail;
}

}  // namespace

int compare(const Name& a, const Name& b) {
  const int keys = a.key.compare(b.key);
  if (keys != 0) return keys;
  return a.version == b.version ? 0 : a.version > b.version ? -1 : 1;
}

Status check_name_page(const std::byte* page, Block block, NamePageKind kind, uint8_t level) {
  const auto header = load<PageHeader>(page, 0);
  const auto tail = tail_of<NameTail>(page);
  if (crc32c(&tail, offsetof(NameTail, check)) != tail.check) {
    return Status::Corruption(block, "tail of a page of names does not match its check");
  }
  if (tail.start.version > kNamePageVersion) {
    return Status::Error(Code::kNewerFormat, "page of names was written by a newer version", block);
  }
  if (tail.start.kind != static_cast<uint16_t>(kind) || tail.start.level != level) {
    return Status::Corruption(block, "page of names is of another kind");
  }
  if (tail.start.block != block) {
    return Status::Corruption(block, "page of names belongs to another block");
  }
  const uint16_t lower = kind == NamePageKind::kMeta ? kPageHeaderBytes + sizeof(NameMeta)
                                                     : slot_offset(slot_count(tail));
  if (tail.count >= kMaxNameSlots || header.size_version != kSizeVersion ||
      header.special != kTailOffset || header.upper != tail.upper || header.upper > kTailOffset ||
      header.lower > header.upper || header.lower != lower) {
    return Status::Corruption(block, "header of a page of names is invalid");
  }
  if (crc32c(page + kPageHeaderBytes, lower - kPageHeaderBytes) != tail.front_check) {
    return Status::Corruption(block, "front of a page of names does not match its check");
  }
  return Status::Ok();
}

Status read_name(const std::byte* page, Block block, uint16_t slot, NameRecord* record) {
  NameRecordHeader header;
  TOASTSTORE_TRY(peek(page, block, slot, &header, record));
  return record_check(header, record->name.key) == header.check ? Status::Ok() : bad_record(block);
}

Status search_names(const std::byte* page, Block block, const Name& name, uint16_t* index) {
  NameRecordHeader header;
  NameRecord record;
  uint16_t low = 0;
  uint16_t high = name_count(page);
  while (low < high) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    TOASTSTORE_TRY(peek(page, block, middle, &header, &record));
    if (compare(record.name, name) < 0) {
      low = static_cast<uint16_t>(middle + 1);
    } else {
      high = middle;
    }
  }
  *index = low;
  if (low > 0) {
    TOASTSTORE_TRY(read_name(page, block, static_cast<uint16_t>(low - 1), &record));
    if (compare(record.name, name) >= 0) return bad_record(block);
  }
  if (low < name_count(page)) {
    TOASTSTORE_TRY(read_name(page, block, low, &record));
    if (compare(record.name, name) < 0) return bad_record(block);
  }
  return Status::Ok();
}

Status beyond_name_page(const std::byte* page, Block block, const Name& name, bool* beyond) {
  *beyond = false;
  if (name_right(page) == kNoBlock) return Status::Ok();
  NameRecord high;
  TOASTSTORE_TRY(read_name(page, block, name_count(page), &high));
  *beyond = compare(high.name, name) <= 0;
  return Status::Ok();
}

Status name_child(const std::byte* page, Block block, const Name& name, NameRecord* child) {
  uint16_t index;
  TOASTSTORE_TRY(search_names(page, block, name, &index));
  if (index < name_count(page)) {
    TOASTSTORE_TRY(read_name(page, block, index, child));
    if (compare(child->name, name) == 0) return Status::Ok();
  }
  if (index == 0) return Status::Corruption(block, "page of names does not cover its range");
  return read_name(page, block, static_cast<uint16_t>(index - 1), child);
}

void stage_name(const PageGuard& page, uint16_t index, const NameRecord& record,
                NameScratch* scratch, Change* change) {
  auto tail = page.tail<NameTail>();
  const uint16_t slots = slot_count(tail);
  FreeSpace space{slot_offset(static_cast<uint16_t>(slots + 1)),
                  load<uint16_t>(page.data(), offsetof(PageHeader, upper))};
  assert(name_room(page.data()) >= name_room_for(record) && index <= tail.count);
  space.upper = static_cast<uint16_t>(space.upper - record.bytes());
  encode(record, scratch->record);
  std::memcpy(scratch->slots, page.data() + kPageHeaderBytes, size_t{index} * kNameSlotBytes);
  scratch->slots[index] = space.upper;
  std::memcpy(scratch->slots + index + 1, page.data() + slot_offset(index),
              size_t{static_cast<uint16_t>(slots - index)} * kNameSlotBytes);
  tail.count++;
  tail.upper = space.upper;
  tail.front_check = crc32c(scratch->slots, (slots + size_t{1}) * kNameSlotBytes);

  const int at = change->add(page);
  change->put(at, offsetof(PageHeader, lower), space);
  change->write(at, slot_offset(index), scratch->slots + index,
                (slots + size_t{1} - index) * kNameSlotBytes);
  change->write(at, space.upper, scratch->record, record.bytes());
  change->put_tail(at, tail);
}

// Records of one key are of one size.
void stage_name_over(const PageGuard& page, uint16_t index, uint16_t given_up,
                     const NameRecord& record, NameScratch* scratch, Change* change) {
  auto tail = page.tail<NameTail>();
  const uint16_t slots = slot_count(tail);
  assert(index <= given_up && given_up < tail.count);
  std::memcpy(scratch->slots, page.data() + kPageHeaderBytes, size_t{slots} * kNameSlotBytes);
  const uint16_t place = scratch->slots[given_up];
  assert(load<NameRecordHeader>(page.data(), place).key_length == record.name.key.size());
  std::memmove(scratch->slots + index + 1, scratch->slots + index,
               size_t{static_cast<uint16_t>(given_up - index)} * kNameSlotBytes);
  scratch->slots[index] = place;
  encode(record, scratch->record);
  tail.front_check = crc32c(scratch->slots, size_t{slots} * kNameSlotBytes);

  const int at = change->add(page);
  change->write(at, slot_offset(index), scratch->slots + index,
                (given_up - index + size_t{1}) * kNameSlotBytes);
  change->write(at, place, scratch->record, sizeof(NameRecordHeader));
  change->put_tail(at, tail);
}

NameDraft::NameDraft(Block block, uint8_t level)
    : tail_(tail_for(NamePageKind::kTree, block, level)), page_{} {}

bool NameDraft::append(const NameRecord& record) {
  if (slot_offset(slots_) + name_room_for(record) > upper_) return false;
  upper_ = static_cast<uint16_t>(upper_ - record.bytes());
  encode(record, page_ + upper_);
  std::memcpy(page_ + slot_offset(slots_), &upper_, sizeof(upper_));
  slots_++;
  return true;
}

bool NameDraft::add(const NameRecord& record) {
  if (!append(record)) return false;
  tail_.count++;
  return true;
}

bool NameDraft::set_right(Block right, const Name& high) {
  tail_.right = right;
  return append({high, kNoXid, 0});
}

const std::byte* NameDraft::finish() {
  PageHeader header = header_for(slot_offset(slots_));
  header.upper = upper_;
  std::memcpy(page_, &header, sizeof(header));
  tail_.upper = upper_;
  tail_.front_check = crc32c(page_ + kPageHeaderBytes, size_t{slots_} * kNameSlotBytes);
  seal_tail(&tail_);
  std::memcpy(page_ + kTailOffset, &tail_, sizeof(tail_));
  return page_;
}

// The header's lsn and checksum are the host's.
void NameDraft::stage(const PageGuard& page, Change* change) {
  finish();
  const int at = change->add(page);
  constexpr uint16_t kOwn = offsetof(PageHeader, flags);
  change->write(at, kOwn, page_ + kOwn, slot_offset(slots_) - kOwn);
  change->write(at, upper_, page_ + upper_, kPageBytes - upper_);
}

namespace {

NameTail meta_tail(const NameMeta& meta) {
  NameTail tail = tail_for(NamePageKind::kMeta, kNameMetaBlock, 0);
  tail.front_check = crc32c(&meta, sizeof(meta));
  return tail;
}

}  // namespace

Status check_name_meta(const PageGuard& page, NameMeta* meta) {
  TOASTSTORE_TRY(check_name_page(page.data(), page.block(), NamePageKind::kMeta, 0));
  *meta = load<NameMeta>(page.data(), kPageHeaderBytes);
  if (meta->root_level >= kMaxNameLevels || meta->root < kFirstNameBlock ||
      meta->root >= meta->pages) {
    return Status::Corruption(page.block(), "meta page of names holds impossible values");
  }
  return Status::Ok();
}

void stage_name_meta(const PageGuard& page, const NameMeta& meta, Change* change) {
  const int at = change->add(page);
  change->put(at, kPageHeaderBytes, meta);
  change->put_tail(at, meta_tail(meta));
}

void make_name_meta(const NameMeta& meta, std::byte* page) {
  std::memset(page, 0, kPageBytes);
  const PageHeader header = header_for(kPageHeaderBytes + sizeof(meta));
  std::memcpy(page, &header, sizeof(header));
  std::memcpy(page + kPageHeaderBytes, &meta, sizeof(meta));
  NameTail tail = meta_tail(meta);
  seal_tail(&tail);
  std::memcpy(page + kTailOffset, &tail, sizeof(tail));
}

}  // namespace toaststore
