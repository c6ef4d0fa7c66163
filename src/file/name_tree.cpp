// Descending the tree of names, and splitting its pages.

#include "file/name_tree.h"

#include <algorithm>

namespace toaststore {

namespace {

// What a block number can tell apart.
constexpr Block kMostBlocks = UINT32_MAX;

constexpr uint16_t kMostRoom = kMaxNameRecord + kNameSlotBytes;

Status damaged_link(Block block) {
  return Status::Corruption(block, "links between pages of names do not end");
}

// From a page of the level, moves right to the one that holds the name.
Status move_right(Pager& pager, const Name& name, uint8_t level, Latch latch, PageGuard* page) {
  for (Block moves = 0; moves < pager.blocks(); moves++) {
    bool beyond;
    TOASTSTORE_TRY(beyond_name_page(page->data(), page->block(), name, &beyond));
    if (!beyond) return Status::Ok();
    const Block right = name_right(page->data());
    page->release();
    TOASTSTORE_TRY(read_name_page(pager, right, level, latch, page));
  }
  return damaged_link(page->block());
}

// Where to cut a page in two, and the lowest name of the right half.  The key stays in the page.
struct Cut {
  uint16_t count;  // records that stay
  Name low;
};

// The shortest key that is behind `left` and not behind `right`; versions of one key are told apart
// by their numbers.
Name between(const Name& left, const Name& right) {
  if (left.key == right.key) return right;
  size_t same = 0;
  while (same < left.key.size() && left.key[same] == right.key[same]) same++;
  return {right.key.substr(0, same + 1), kAllVersions};
}

// The middle by bytes.
Status find_middle(const PageGuard& page, uint16_t* middle) {
  const uint16_t count = name_count(page.data());
  const auto upper = load<uint16_t>(page.data(), offsetof(PageHeader, upper));
  const uint32_t half = (kTailOffset - upper + count * kNameSlotBytes) / 2u;
  uint32_t bytes = 0;
  uint16_t index = 0;
  for (; index < count && bytes < half; index++) {
    NameRecord record;
    TOASTSTORE_TRY(read_name(page.data(), page.block(), index, &record));
    bytes += name_room_for(record);
  }
  *middle = std::clamp<uint16_t>(index, 1, static_cast<uint16_t>(count - 1));
  return Status::Ok();
}

Status read_pair(const PageGuard& page, uint16_t index, NameRecord* left, NameRecord* right) {
  TOASTSTORE_TRY(read_name(page.data(), page.block(), static_cast<uint16_t>(index - 1), left));
  return read_name(page.data(), page.block(), index, right);
}

// Names are often put in order: a split at the right edge of the tree leaves a full page behind.
// Versions of one key stay together where that can be.
Status choose_cut(const PageGuard& page, uint8_t level, const Name& name, Cut* cut) {
  const uint16_t count = name_count(page.data());
  NameRecord left;
  NameRecord right;
  TOASTSTORE_TRY(read_pair(page, static_cast<uint16_t>(count - 1), &left, &right));
  if (name_right(page.data()) == kNoBlock && compare(right.name, name) < 0) {
    *cut = {static_cast<uint16_t>(count - 1),
            level == 0 ? between(left.name, right.name) : right.name};
    return Status::Ok();
  }
  uint16_t middle;
  TOASTSTORE_TRY(find_middle(page, &middle));
  TOASTSTORE_TRY(read_pair(page, middle, &left, &right));
  *cut = {middle, right.name};
  if (level > 0) return Status::Ok();
  for (uint16_t distance = 0; distance < count; distance++) {
    for (const int index : {middle - distance, middle + distance}) {
      if (index < 1 || index >= count) continue;
      TOASTSTORE_TRY(read_pair(page, static_cast<uint16_t>(index), &left, &right));
      if (left.name.key == right.name.key) continue;
      *cut = {static_cast<uint16_t>(index), between(left.name, right.name)};
      return Status::Ok();
    }
  }
  return Status::Ok();
}

Status draft_records(const PageGuard& page, uint16_t from, uint16_t to, NameDraft* draft) {
  for (uint16_t index = from; index < to; index++) {
    NameRecord record;
    TOASTSTORE_TRY(read_name(page.data(), page.block(), index, &record));
    if (!draft->add(record)) {
      return Status::Corruption(page.block(), "records of names overlap");
    }
  }
  return Status::Ok();
}

Status draft_high(const PageGuard& page, NameDraft* draft) {
  const Block right = name_right(page.data());
  if (right == kNoBlock) return Status::Ok();
  NameRecord high;
  TOASTSTORE_TRY(read_name(page.data(), page.block(), name_count(page.data()), &high));
  if (!draft->set_right(right, high.name)) {
    return Status::Corruption(page.block(), "records of names overlap");
  }
  return Status::Ok();
}

// A block behind all that are in use, and what the meta page says when it is one of them.
struct FreshPage {
  PageGuard page;
  NameMeta meta;

  // REQUIRES: nobody else makes pages.
  Status open(Pager& pager) {
    PageGuard meta_page;
    TOASTSTORE_TRY(read_name_meta(pager, Latch::kShare, &meta_page, &meta));
    meta_page.release();
    if (meta.pages == kMostBlocks) return Status::Error(Code::kNoSpace, "file of names is full");
    TOASTSTORE_TRY(pager.reserve(meta.pages + 1, kMostBlocks));
    TOASTSTORE_TRY(check_unused(pager, meta.pages));
    return page.create(pager, meta.pages++);
  }

  // Where the last write of the meta page was lost, it takes pages for free that are not.
  static Status check_unused(Pager& pager, Block block) {
    PageGuard page;
    TOASTSTORE_TRY(page.read(pager, block, Latch::kShare));
    if (load<uint16_t>(page.data(), offsetof(PageHeader, upper)) == 0) return Status::Ok();
    return Status::Corruption(block, "page of names behind the last one is in use");
  }
};

}  // namespace

Status make_name_file(DataFile& file) {
  TOASTSTORE_TRY(file.reserve(kEmptyNameBlocks, kEmptyNameBlocks));
  std::byte meta[kPageBytes];
  make_name_meta({kFirstNameBlock, kEmptyNameBlocks, 0, {}}, meta);
  NameDraft leaf(kFirstNameBlock, 0);
  TOASTSTORE_TRY(file.write(kNameMetaBlock, meta));
  TOASTSTORE_TRY(file.write(kFirstNameBlock, leaf.finish()));
  return file.sync();
}

Status read_name_page(Pager& pager, Block block, uint8_t level, Latch latch, PageGuard* page) {
  Status status = page->read(pager, block, latch);
  if (status.is(Code::kRetry)) {
    return Status::Corruption(block, "page of names lies beyond the end of the file");
  }
  TOASTSTORE_TRY(status);
  status = check_name_page(page->data(), block, NamePageKind::kTree, level);
  if (status.ok() && level > 0 && name_count(page->data()) == 0) {
    status = Status::Corruption(block, "inner page of names is empty");
  }
  if (!status.ok()) page->release();
  return status;
}

Status read_name_meta(Pager& pager, Latch latch, PageGuard* page, NameMeta* meta) {
  const Status status = page->read(pager, kNameMetaBlock, latch);
  if (status.is(Code::kRetry)) {
    return Status::Corruption(kNameMetaBlock, "file of names has no meta page");
  }
  TOASTSTORE_TRY(status);
  return check_name_meta(*page, meta);
}

Status NameTree::root(Pager& pager, Root* root) {
  uint64_t known = root_.load(std::memory_order_acquire);
  if (known == 0) {
    PageGuard page;
    NameMeta meta;
    TOASTSTORE_TRY(read_name_meta(pager, Latch::kShare, &page, &meta));
    note_root(meta);
    known = root_.load(std::memory_order_acquire);
  }
  *root = {static_cast<Block>(known), static_cast<uint8_t>(known >> 32)};
  return Status::Ok();
}

void NameTree::note_root(const NameMeta& meta) {
  root_.store(uint64_t{meta.root_level} << 32 | meta.root, std::memory_order_release);
}

Status NameTree::descend(Pager& pager, const Name& name, uint8_t level, Latch latch,
                         PageGuard* page) {
  Root root;
  TOASTSTORE_TRY(this->root(pager, &root));
  Block block = root.block;
  for (uint8_t at = root.level;; at--) {
    const Latch wanted = at == level ? latch : Latch::kShare;
    TOASTSTORE_TRY(read_name_page(pager, block, at, wanted, page));
    TOASTSTORE_TRY(move_right(pager, name, at, wanted, page));
    if (at == level) return Status::Ok();
    NameRecord child;
    TOASTSTORE_TRY(name_child(page->data(), page->block(), name, &child));
    block = static_cast<Block>(child.id);
    page->release();
  }
}

Status NameTree::make_room(Pager& pager, const NameRecord& record) {
  const std::lock_guard<std::mutex> lock(splits_);
  for (bool done = false; !done;) TOASTSTORE_TRY(split_first_full(pager, record, &done));
  return Status::Ok();
}

struct NameTree::Split {
  Block parent;
  Block child;
  uint8_t level;  // of the child
  const Name& name;
  uint16_t room;  // that the child does not have
};

// Nothing but leaves changes meanwhile.  *done: no page on the way is full.
Status NameTree::split_first_full(Pager& pager, const NameRecord& record, bool* done) {
  *done = false;
  Root root;
  TOASTSTORE_TRY(this->root(pager, &root));
  Block parent = kNoBlock;
  Block block = root.block;
  for (uint8_t level = root.level;; level--) {
    const uint16_t room = level == 0 ? name_room_for(record) : kMostRoom;
    PageGuard page;
    TOASTSTORE_TRY(read_name_page(pager, block, level, Latch::kShare, &page));
    if (name_room(page.data()) < room) {
      page.release();
      if (parent == kNoBlock) return grow(pager, root);
      return split(pager, {parent, block, level, record.name, room});
    }
    if (level == 0) {
      *done = true;
      return Status::Ok();
    }
    NameRecord child;
    TOASTSTORE_TRY(name_child(page.data(), page.block(), record.name, &child));
    parent = block;
    block = static_cast<Block>(child.id);
  }
}

// A root above the full one, which is split next.
Status NameTree::grow(Pager& pager, const Root& root) {
  FreshPage fresh;
  TOASTSTORE_TRY(fresh.open(pager));
  fresh.meta.root = fresh.page.block();
  fresh.meta.root_level = static_cast<uint8_t>(root.level + 1);
  if (fresh.meta.root_level >= kMaxNameLevels) {
    return Status::Error(Code::kLimit, "tree of names is too high");
  }
  PageGuard meta;
  NameMeta before;
  TOASTSTORE_TRY(read_name_meta(pager, Latch::kExclusive, &meta, &before));
  NameDraft draft(fresh.page.block(), fresh.meta.root_level);
  (void)draft.add({{"", kAllVersions}, kNoXid, root.block});
  Change change(pager, Step::kGrowRoot);
  draft.stage(fresh.page, &change);
  stage_name_meta(meta, fresh.meta, &change);
  TOASTSTORE_TRY(change.commit());
  note_root(fresh.meta);
  return Status::Ok();
}

// The page is made before readers are kept out of the others: taking it may wait for the disk.
Status NameTree::split(Pager& pager, const Split& split) {
  FreshPage fresh;
  TOASTSTORE_TRY(fresh.open(pager));
  PageGuard parent;
  PageGuard left;
  PageGuard meta;
  TOASTSTORE_TRY(read_name_page(pager, split.parent, static_cast<uint8_t>(split.level + 1),
                                Latch::kExclusive, &parent));
  TOASTSTORE_TRY(read_name_page(pager, split.child, split.level, Latch::kExclusive, &left));
  NameMeta before;
  TOASTSTORE_TRY(read_name_meta(pager, Latch::kExclusive, &meta, &before));
  if (name_room(left.data()) >= split.room) return Status::Ok();  // a leaf was cleared meanwhile
  const uint16_t count = name_count(left.data());
  if (count < 2) return Status::Corruption(left.block(), "page of names is full without records");
  Cut cut;
  TOASTSTORE_TRY(choose_cut(left, split.level, split.name, &cut));

  NameDraft right_half(fresh.page.block(), split.level);
  TOASTSTORE_TRY(draft_records(left, cut.count, count, &right_half));
  TOASTSTORE_TRY(draft_high(left, &right_half));
  NameDraft left_half(left.block(), split.level);
  TOASTSTORE_TRY(draft_records(left, 0, cut.count, &left_half));
  const NameRecord down{cut.low, kNoXid, fresh.page.block()};
  uint16_t index;
  TOASTSTORE_TRY(search_names(parent.data(), parent.block(), cut.low, &index));
  if (!left_half.set_right(fresh.page.block(), cut.low) ||
      name_room(parent.data()) < name_room_for(down)) {
    return Status::Corruption(left.block(), "records of names overlap");
  }
  NameScratch scratch;
  Change change(pager, Step::kSplitPage);
  stage_name(parent, index, down, &scratch, &change);
  left_half.stage(left, &change);
  right_half.stage(fresh.page, &change);
  stage_name_meta(meta, fresh.meta, &change);
  return change.commit();
}

}  // namespace toaststore
