// Pages of the file of names: their layout, the check every read goes through, and putting them
// together.
//
// The file `names` is a tree of its own beside the engine's.  Its pages are the engine's in outline
// (engine/page.h): the same header, a tail of 40 bytes at byte 8152, kinds of their own.
//
//   block  0        never written, so that 0 means "no block"
//          1        meta page
//          2        the first root, a leaf
//          3 ..     pages of the tree, in the order of their making; none is ever freed
//
// A page of the tree, leaf (level 0) or inner:
//
//   offset size
//        0   24     header         engine/page.h
//       24  2 n     slots          offsets of the records, in the order of names; where there is a
//                                  right sibling, the last one is that of the high key
//    lower          free
//    upper          records        without gaps, in any order, up to the tail
//     8152   40     tail
//
// A record, in a leaf one version of a name:
//
//        0    4     check          CRC-32C of everything behind it
//        4    2     key_length
//        6    2     zero
//        8    4     version        of the name, from 1; kAllVersions in most inner records
//       12    4     xid            the transaction that put the value; inner: 0
//       16    8     id             of the value; inner: block of a child; high key: 0
//       24    n     key
//
// Order of names: by key, bytes compared as unsigned, the shorter first where it is the start of
// the other; versions of one key from the newest to the oldest.
//
// An inner record holds the lowest name of its child, cut short where that tells the child from the
// one before it; the first of a level has the empty key.  Names in a page are before its high key,
// which is the lowest name of its right sibling.
//
// Invariants:
//   * Slots are proven by a CRC in the tail, each record by its own.  A search that ends between
//     two proven neighbours is right whatever else the page holds.
//   * upper is the end of the free space: lower and upper differ by all the room there is.

#ifndef TOASTSTORE_FILE_NAME_PAGE_H_
#define TOASTSTORE_FILE_NAME_PAGE_H_

#include <string_view>

#include "engine/pager.h"
#include "toaststore/store.h"

namespace toaststore {

inline constexpr Block kNameMetaBlock = 1;
inline constexpr Block kFirstNameBlock = 2;
// Bump when a page of the file of names changes.
inline constexpr uint8_t kNamePageVersion = 1;

// On disk: never renumber.
enum class NamePageKind : uint16_t { kMeta = 0x7380, kTree = 0x7381 };

// The tail of all of them.
//
//        0    8  start          engine/page.h
//        8    4  right          right sibling, or 0
//       12    2  count          records, the high key not counted
//       14    2  upper          as in the header
//       16    4  front_check    CRC-32C of the bytes from 24 to lower
//       20   16  zero
//       36    4  check          CRC-32C of the 36 bytes before
struct NameTail {
  TailStart start;  // level 0 is the leaves
  Block right;
  uint16_t count;
  uint16_t upper;
  uint32_t front_check;
  uint32_t zero[4];
  uint32_t check;
};
static_assert(sizeof(NameTail) == kTailBytes && offsetof(NameTail, check) == 36);

// The meta page, from byte 24 on.
struct NameMeta {
  Block root;
  Block pages;  // blocks in use
  uint8_t root_level;
  uint8_t zero[7];
};
static_assert(sizeof(NameMeta) == 16);

// A page has room for six of the longest keys besides its high key, so that a split leaves two
// pages with at least one record each.
struct NameRecordHeader {
  uint32_t check;
  uint16_t key_length;
  uint16_t zero;
  uint32_t version;
  Xid xid;
  uint64_t id;
};
static_assert(sizeof(NameRecordHeader) == 24 && offsetof(NameRecordHeader, id) == 16);

inline constexpr uint16_t kMaxNameRecord = sizeof(NameRecordHeader) + kMaxKeyBytes;
inline constexpr uint16_t kNameSlotBytes = sizeof(uint16_t);
// Every record has a key of a byte at least, but for one.
inline constexpr uint16_t kMaxNameSlots =
    kRecordSpace / (sizeof(NameRecordHeader) + kNameSlotBytes + 1) + 1;
static_assert(kRecordSpace / (kMaxNameRecord + kNameSlotBytes) >= 7);
// An inner page that is split leaves three children in each half, if all keys are of the longest.
inline constexpr uint8_t kMaxNameLevels = 24;

// A place in the order of names.
struct Name {
  std::string_view key;
  uint32_t version;
};
// Before all versions of a key.
inline constexpr uint32_t kAllVersions = UINT32_MAX;

int compare(const Name& a, const Name& b);

struct NameRecord {
  Name name;  // the key stays where it was read
  Xid xid;
  uint64_t id;

  uint16_t bytes() const {
    return static_cast<uint16_t>(sizeof(NameRecordHeader) + name.key.size());
  }
};

// Checks all of a page but its records.
Status check_name_page(const std::byte* page, Block block, NamePageKind kind, uint8_t level);

// ---- Reading.  REQUIRES: the page is checked. -------------------------------------------------

inline uint16_t name_count(const std::byte* page) { return tail_of<NameTail>(page).count; }
inline Block name_right(const std::byte* page) { return tail_of<NameTail>(page).right; }
// Bytes for one record more, slot included.
inline uint16_t name_room(const std::byte* page) {
  return static_cast<uint16_t>(load<uint16_t>(page, offsetof(PageHeader, upper)) -
                               load<uint16_t>(page, offsetof(PageHeader, lower)));
}
inline uint16_t name_room_for(const NameRecord& record) {
  return static_cast<uint16_t>(record.bytes() + kNameSlotBytes);
}

// Reads and proves the record of a slot; that of slot name_count() is the high key.
Status read_name(const std::byte* page, Block block, uint16_t slot, NameRecord* record);
// The first record that is not before `name`, proven with the one before it.
Status search_names(const std::byte* page, Block block, const Name& name, uint16_t* index);
// Is the name to be found in this page, or right of it?
Status beyond_name_page(const std::byte* page, Block block, const Name& name, bool* beyond);
// The block of the child that holds the name.
Status name_child(const std::byte* page, Block block, const Name& name, NameRecord* child);

// ---- Changing.  REQUIRES: `page` latched exclusively and checked. -----------------------------

// Memory that a staged change refers to until it commits.
struct NameScratch {
  uint16_t slots[kMaxNameSlots + 1];
  std::byte record[kMaxNameRecord];
};
// Stages a record's insertion at `index`.  REQUIRES: room for it.
void stage_name(const PageGuard& page, uint16_t index, const NameRecord& record,
                NameScratch* scratch, Change* change);
// The same, in the place of the record at `given_up`, at `index` or behind, which has the same key.
void stage_name_over(const PageGuard& page, uint16_t index, uint16_t given_up,
                     const NameRecord& record, NameScratch* scratch, Change* change);

// A page put together from its first record on.
class NameDraft {
 public:
  NameDraft(Block block, uint8_t level);
  NameDraft(const NameDraft&) = delete;
  NameDraft& operator=(const NameDraft&) = delete;

  // False where there is no room.
  [[nodiscard]] bool add(const NameRecord& record);
  // Comes last.
  [[nodiscard]] bool set_right(Block right, const Name& high);

  // Stages it as all there is in the page.  REQUIRES: lives until the change commits.
  void stage(const PageGuard& page, Change* change);
  // The page as it is written without a log.
  const std::byte* finish();

 private:
  bool append(const NameRecord& record);

  NameTail tail_;
  uint16_t slots_ = 0;
  uint16_t upper_ = kTailOffset;
  std::byte page_[kPageBytes];
};

// The meta page.
Status check_name_meta(const PageGuard& page, NameMeta* meta);
void stage_name_meta(const PageGuard& page, const NameMeta& meta, Change* change);
// As it is written without a log; `page` has room for one.
void make_name_meta(const NameMeta& meta, std::byte* page);

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_NAME_PAGE_H_
