// Descending the tree, and searching within a page.

#include <cassert>

#include "engine/meta.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

// A descent starts over when a page it was led to has moved; that takes a concurrent removal each
// time, so a tree that keeps a reader going is damaged.
constexpr int kMaxRestarts = 100;
// Pages to the right of the one a parent pointed at: splits whose downlink is not there yet.
constexpr int kMaxMovesRight = 100000;

bool holds(const TreeTail& tail, uint64_t key) { return tail.low <= key && key < tail.high; }

Status check_tree_page(const PageGuard& page) {
  const auto tail = page.tail<TreeTail>();
  const bool leaf = tail.start.level == 0;
  const bool moved = (tail.flags & kMoved) != 0;
  if (tail.start.level >= kMaxTreeLevels || tail.low >= tail.high + (moved ? 1 : 0) ||
      (tail.right == kNoBlock) != (tail.high == kInfinity) ||
      tail.count > (leaf ? kLeafCapacity : kInnerCapacity) ||
      (!leaf && !moved && tail.count == 0)) {
    return Status::Corruption(page.block(), "tree page holds impossible values");
  }
  return Status::Ok();
}

// Reads a tree page of a level, sound in itself.  kRetry where it is anything else by now.
Status read_tree_page(Context& context, Block block, uint8_t level, Latch latch, PageGuard* page) {
  const PageKind kind = level == 0 ? PageKind::kLeaf : PageKind::kInner;
  TOASTSTORE_TRY(page->read(context.pager, block, latch, kind));
  TOASTSTORE_TRY(check_tree_page(*page));
  if (page->tail<TreeTail>().start.level != level) {
    page->release();
    return Status::Error(Code::kRetry, "page is of another level", block);
  }
  return Status::Ok();
}

// From a page of the level, moves right to the one that holds the key.
Status move_right(Context& context, uint64_t key, uint8_t level, Latch latch, PageGuard* page,
                  uint64_t* unfinished) {
  for (int moves = 0; moves < kMaxMovesRight; moves++) {
    const auto tail = page->tail<TreeTail>();
    if (holds(tail, key)) return Status::Ok();
    if ((tail.flags & kSplitIncomplete) != 0) *unfinished = tail.low;
    const Block here = page->block();
    page->release();
    if (key < tail.low) return Status::Error(Code::kRetry, "key is left of the page", here);
    TOASTSTORE_TRY(read_tree_page(context, tail.right, level, latch, page));
    if (page->tail<TreeTail>().low < tail.high) {
      return Status::Error(Code::kRetry, "right sibling does not follow", tail.right);
    }
  }
  return Status::Corruption(page->block(), "right links do not end");
}

Status try_descend(Context& context, uint64_t key, uint8_t level, Latch latch, PageGuard* page,
                   uint64_t* unfinished) {
  TOASTSTORE_TRY(load_hints(context));
  Block block = context.hints.root;
  uint8_t at = context.hints.root_level;
  if (at < level) return Status::Error(Code::kRetry, "tree is not that high", block);
  for (;; at--) {
    const Latch wanted = at == level ? latch : Latch::kShare;
    TOASTSTORE_TRY(read_tree_page(context, block, at, wanted, page));
    *unfinished = kInfinity;
    TOASTSTORE_TRY(move_right(context, key, at, wanted, page, unfinished));
    if (at == level) return Status::Ok();
    uint16_t index;
    Child child;
    TOASTSTORE_TRY(child_for(*page, key, &index, &child));
    block = child.child;
    page->release();
  }
}

}  // namespace

Status descend(Context& context, uint64_t key, uint8_t level, Latch latch, PageGuard* page,
               uint64_t* unfinished) {
  assert(key < kInfinity);
  Status status;
  uint64_t ignored = kInfinity;
  if (unfinished == nullptr) unfinished = &ignored;
  for (int attempt = 0; attempt < kMaxRestarts; attempt++) {
    status = try_descend(context, key, level, latch, page, unfinished);
    if (!status.is(Code::kRetry)) return status;
    page->release();
    context.hints.known = false;
  }
  return Status::Corruption(status.block, status.reason);
}

// A probe reads keys that are not proven; the two neighbours of the result are.
Status lower_bound(const PageGuard& leaf, uint64_t key, uint16_t* index) {
  const auto tail = leaf.tail<TreeTail>();
  uint16_t low = 0;
  uint16_t high = tail.count;
  while (low < high) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    if (load<uint64_t>(leaf.data(), record_offset<Entry>(middle)) < key) {
      low = static_cast<uint16_t>(middle + 1);
    } else {
      high = middle;
    }
  }
  *index = low;
  if (low > 0) {
    const auto left = record_at<Entry>(leaf.data(), low - 1u);
    if (!record_sound(left) || left.id >= key || left.id < tail.low) {
      return Status::Corruption(leaf.block(), "leaf entry does not match its check");
    }
  }
  if (low < tail.count) {
    const auto right = record_at<Entry>(leaf.data(), low);
    if (!record_sound(right) || right.id < key || right.id >= tail.high) {
      return Status::Corruption(leaf.block(), "leaf entry does not match its check");
    }
  }
  return Status::Ok();
}

Status child_for(const PageGuard& inner, uint64_t key, uint16_t* index, Child* child) {
  const uint16_t count = inner.tail<TreeTail>().count;
  uint16_t low = 0;
  uint16_t high = count;  // first child whose key is > `key`
  while (low < high) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    if (load<uint64_t>(inner.data(), record_offset<Child>(middle)) <= key) {
      low = static_cast<uint16_t>(middle + 1);
    } else {
      high = middle;
    }
  }
  if (low == 0) return Status::Corruption(inner.block(), "inner page does not cover its range");
  *index = static_cast<uint16_t>(low - 1);
  *child = record_at<Child>(inner.data(), *index);
  bool sound = record_sound(*child) && child->key <= key;
  if (low < count) {
    const auto next = record_at<Child>(inner.data(), low);
    sound = sound && record_sound(next) && next.key > key;
  }
  if (!sound) return Status::Corruption(inner.block(), "inner entry does not match its check");
  return Status::Ok();
}

Status find_place(Context& context, uint64_t id, Latch latch, LeafPlace* place) {
  TOASTSTORE_TRY(descend(context, id, 0, latch, &place->leaf, &place->unfinished));
  TOASTSTORE_TRY(lower_bound(place->leaf, id, &place->index));
  place->found = false;
  if (place->index < place->leaf.tail<TreeTail>().count) {
    place->entry = record_at<Entry>(place->leaf.data(), place->index);
    place->found = place->entry.id == id;
  }
  return Status::Ok();
}

Status find_entry(Context& context, uint64_t id, Entry* entry, bool* found) {
  *found = false;
  LeafPlace place;
  Status status = find_place(context, id, Latch::kShare, &place);
  if (status.is(Code::kNotFound)) return Status::Ok();
  TOASTSTORE_TRY(status);
  *found = place.found;
  *entry = place.entry;
  return Status::Ok();
}

}  // namespace toaststore
