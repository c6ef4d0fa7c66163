// Moving a tree page to another block, so that the file can end before it.

#include <initializer_list>

#include "engine/meta.h"
#include "engine/space_map.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

size_t record_bytes(uint8_t level) { return level == 0 ? sizeof(Entry) : sizeof(Child); }

// A root above the root: a page without a parent cannot be moved.
Status raise_root(Context& context) {
  MetaBody seen;
  TOASTSTORE_TRY(read_meta(context, &seen));
  const auto level = static_cast<uint8_t>(seen.root_level + 1);
  if (level >= kMaxTreeLevels) return Status::Error(Code::kLimit, "tree is too high");
  PageGuard old;
  TOASTSTORE_TRY(descend(context, 0, seen.root_level, Latch::kExclusive, &old));
  // A root that was split gets its root from whoever finishes the split.
  if ((old.tail<TreeTail>().flags & kSplitIncomplete) != 0) {
    old.release();
    return finish_split(context, 0, seen.root_level);
  }
  PagePick pick;
  TOASTSTORE_TRY(pick_page(context, &pick));
  PageGuard root;
  TOASTSTORE_TRY(root.create(context.pager, pick.block));
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  if (meta.body.root != old.block()) return Status::Ok();
  meta.body.root = pick.block;
  meta.body.root_level = level;
  auto tail = new_tail<TreeTail>(PageKind::kInner, pick.block, level);
  tail.high = kInfinity;
  tail.count = 1;
  Child child{0, old.block(), 0};
  seal_record(&child);
  Change change(context.pager, Step::kGrowRoot);
  const int page = change.add(root);
  change.init(page, tail, record_offset<Child>(1));
  change.put(page, kPageHeaderBytes, child);
  stage_pick(pick, &change);
  meta.stage(&change);
  TOASTSTORE_TRY(change.commit());
  context.hints.root = pick.block;
  context.hints.root_level = level;
  return Status::Ok();
}

// The first change.  REQUIRES: `old` latched exclusively.
Status copy_right(Context& context, const PageGuard& old) {
  PagePick pick;
  TOASTSTORE_TRY(pick_page(context, &pick));
  PageGuard copy;
  TOASTSTORE_TRY(copy.create(context.pager, pick.block));
  auto tail = old.tail<TreeTail>();
  auto copy_tail = tail;
  copy_tail.start.block = pick.block;
  const size_t bytes = tail.count * record_bytes(tail.start.level);
  Change change(context.pager, Step::kMovePage);
  const int page = change.add(copy);
  change.init(page, copy_tail, static_cast<uint16_t>(kPageHeaderBytes + bytes));
  change.write(page, kPageHeaderBytes, old.data() + kPageHeaderBytes, bytes);
  tail.high = tail.low;
  tail.right = pick.block;
  tail.count = 0;
  tail.flags = kMoved;
  const int left = change.add(old);
  change.put_lower(left, kPageHeaderBytes);
  change.put_tail(left, tail);
  stage_pick(pick, &change);
  return change.commit();
}

// Latches the page with an empty range at a block, and what leads to it.  *found is false where it
// is not, or not any more, as it was seen.
struct MovedPlace {
  PageGuard left;  // not held where the page is the first of its level
  PageGuard page;
  PageGuard parent;
  uint16_t index = 0;  // of the downlink
};

Status latch_moved(Context& context, Block block, const TreeTail& seen, MovedPlace* place,
                   bool* found) {
  *found = false;
  const uint8_t level = seen.start.level;
  if (seen.low > 0) {
    TOASTSTORE_TRY(descend(context, seen.low - 1, level, Latch::kExclusive, &place->left));
    if (place->left.tail<TreeTail>().right != block) return Status::Ok();
  }
  const auto kind = static_cast<PageKind>(seen.start.kind);
  TOASTSTORE_TRY(place->page.read(context.pager, block, Latch::kExclusive, kind));
  const auto tail = place->page.tail<TreeTail>();
  if ((tail.flags & kMoved) == 0 || tail.low != seen.low) return Status::Ok();
  const auto above = static_cast<uint8_t>(level + 1);
  TOASTSTORE_TRY(descend(context, seen.low, above, Latch::kExclusive, &place->parent));
  Child child;
  TOASTSTORE_TRY(child_for(place->parent, seen.low, &place->index, &child));
  *found = child.key == seen.low && child.child == block;
  return Status::Ok();
}

// The second change.
Status unlink_moved(Context& context, Block block, const TreeTail& seen) {
  MovedPlace place;
  bool found = false;
  TOASTSTORE_TRY(latch_moved(context, block, seen, &place, &found));
  if (!found) return Status::Ok();
  PageGuard map;
  TOASTSTORE_TRY(latch_map_of(context, block, &map));
  const Block copy = place.page.tail<TreeTail>().right;
  Change change(context.pager, Step::kUnlinkMoved);
  if (place.left.held()) {
    auto tail = place.left.tail<TreeTail>();
    tail.right = copy;
    change.put_tail(change.add(place.left), tail);
  }
  const int page = change.add(place.page);
  change.put_lower(page, kPageHeaderBytes);
  change.put_tail(page, new_tail<PlainTail>(PageKind::kRetired, block));
  Child child{seen.low, copy, 0};
  seal_record(&child);
  change.put(change.add(place.parent), record_offset<Child>(place.index), child);
  TOASTSTORE_TRY(stage_free(map, block, &change));
  return change.commit();
}

// What the page at a block says of itself.  *found is false where it is no tree page.
Status look(Context& context, Block block, TreeTail* tail, bool* found) {
  PageGuard page;
  TOASTSTORE_TRY(page.read(context.pager, block, Latch::kShare));
  const uint16_t kind = claimed_kind(page.data());
  *found = false;
  for (const PageKind wanted : {PageKind::kLeaf, PageKind::kInner}) {
    if (kind != static_cast<uint16_t>(wanted)) continue;
    TOASTSTORE_TRY(check_page(page.data(), block, wanted));
    *tail = page.tail<TreeTail>();
    *found = true;
  }
  return Status::Ok();
}

}  // namespace

Status move_tree_page(Context& context, Block block) {
  for (;;) {
    TreeTail tail{};
    bool found = false;
    TOASTSTORE_TRY(look(context, block, &tail, &found));
    if (!found) return Status::Ok();
    if ((tail.flags & kMoved) != 0) return unlink_moved(context, block, tail);
    MetaBody meta;
    TOASTSTORE_TRY(read_meta(context, &meta));
    Status status;
    if (meta.root_level == tail.start.level) {
      status = raise_root(context);
    } else {
      PageGuard page;
      TOASTSTORE_TRY(descend(context, tail.low, tail.start.level, Latch::kExclusive, &page));
      if (page.block() != block) return Status::Ok();
      status = copy_right(context, page);
    }
    if (status.is(Code::kRetry)) {
      TOASTSTORE_TRY(refill_pages(context));
    } else {
      TOASTSTORE_TRY(status);
    }
  }
}

}  // namespace toaststore
