// Splitting tree pages, in two changes: the halves first, the downlink second.

#include <algorithm>

#include "engine/meta.h"
#include "engine/space_map.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

size_t record_bytes(uint8_t level) { return level == 0 ? sizeof(Entry) : sizeof(Child); }

uint16_t capacity(uint8_t level) { return level == 0 ? kLeafCapacity : kInnerCapacity; }

uint16_t offset_of(uint8_t level, uint16_t index) {
  return static_cast<uint16_t>(kPageHeaderBytes + index * record_bytes(level));
}

uint64_t key_at(const PageGuard& page, uint8_t level, uint16_t index) {
  return load<uint64_t>(page.data(), offset_of(level, index));
}

bool record_proven(const PageGuard& page, uint8_t level, uint16_t index) {
  return level == 0 ? record_sound(record_at<Entry>(page.data(), index))
                    : record_sound(record_at<Child>(page.data(), index));
}

struct Cut {
  uint16_t count;  // records that stay
  uint64_t key;    // high key of the left half, low key of the right
};

// Ids mostly grow: a split at or near the right edge leaves a full page behind.
Status choose_cut(const PageGuard& page, uint8_t level, uint64_t key, Cut* cut) {
  const auto tail = page.tail<TreeTail>();
  uint16_t index = 0;
  while (index < tail.count && key_at(page, level, index) < key) index++;
  uint16_t count = tail.count / 2;
  if (index > tail.count - tail.count / 4) count = index;
  if (count == tail.count) {
    if (level == 0 && record_proven(page, level, static_cast<uint16_t>(count - 1))) {
      *cut = {count, key_at(page, level, static_cast<uint16_t>(count - 1)) + 1};
      return Status::Ok();
    }
    count--;  // an inner page is never empty
  }
  if (!record_proven(page, level, count)) {
    return Status::Corruption(page.block(), "tree record does not match its check");
  }
  *cut = {count, key_at(page, level, count)};
  return Status::Ok();
}

// The first change of a split.  REQUIRES: `left` latched exclusively.
Status split_halves(Context& context, const PageGuard& left, const PagePick& pick, const Cut& cut) {
  auto tail = left.tail<TreeTail>();
  const uint8_t level = tail.start.level;
  if (cut.key <= tail.low || cut.key >= tail.high) {
    return Status::Corruption(left.block(), "tree records lie outside of their page's range");
  }
  PageGuard right;
  TOASTSTORE_TRY(right.create(context.pager, pick.block));

  const auto kind = static_cast<PageKind>(tail.start.kind);
  auto right_tail = new_tail<TreeTail>(kind, pick.block, level);
  right_tail.low = cut.key;
  right_tail.high = tail.high;
  right_tail.right = tail.right;
  right_tail.count = static_cast<uint16_t>(tail.count - cut.count);

  Change change(context.pager, Step::kSplitPage);
  const int right_page = change.add(right);
  change.init(right_page, right_tail, offset_of(level, right_tail.count));
  change.write(right_page, kPageHeaderBytes, left.data() + offset_of(level, cut.count),
               right_tail.count * record_bytes(level));

  tail.high = cut.key;
  tail.right = pick.block;
  tail.count = cut.count;
  tail.flags |= kSplitIncomplete;
  const int left_page = change.add(left);
  change.put_lower(left_page, offset_of(level, cut.count));
  change.put_tail(left_page, tail);
  stage_pick(pick, &change);
  return change.commit();
}

Child child_record(uint64_t key, Block block) {
  Child child{key, block, 0};
  seal_record(&child);
  return child;
}

TreeTail without_mark(TreeTail tail) {
  tail.flags = static_cast<uint16_t>(tail.flags & ~kSplitIncomplete);
  return tail;
}

// A new root over `left` and its right sibling.  REQUIRES: `left` latched exclusively.
Status grow_root(Context& context, const PageGuard& left) {
  const auto tail = left.tail<TreeTail>();
  const auto level = static_cast<uint8_t>(tail.start.level + 1);
  if (level >= kMaxTreeLevels) return Status::Error(Code::kLimit, "tree is too high");
  PagePick pick;
  TOASTSTORE_TRY(pick_page(context, &pick));
  PageGuard root;
  TOASTSTORE_TRY(root.create(context.pager, pick.block));
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  if (meta.body.root != left.block()) {
    context.hints.known = false;
    return Status::Error(Code::kRetry, "tree has a higher root by now");
  }
  meta.body.root = pick.block;
  meta.body.root_level = level;

  auto root_tail = new_tail<TreeTail>(PageKind::kInner, pick.block, level);
  root_tail.high = kInfinity;
  root_tail.count = 2;
  const Child children[2] = {child_record(0, left.block()), child_record(tail.high, tail.right)};
  Change change(context.pager, Step::kGrowRoot);
  const int root_page = change.add(root);
  change.init(root_page, root_tail, record_offset<Child>(2));
  change.put(root_page, kPageHeaderBytes, children);
  change.put_tail(change.add(left), without_mark(tail));
  stage_pick(pick, &change);
  meta.stage(&change);
  TOASTSTORE_TRY(change.commit());
  context.hints.root = pick.block;
  context.hints.root_level = level;
  return Status::Ok();
}

// What stands in the way of finishing a split.
struct Obstacle {
  bool root_unsplit = false;             // the root's own split must be finished first
  uint64_t full_parent_key = kInfinity;  // the page above must be split, or its split finished
  bool left_taken = false;               // its latch was not free, or it has changed
};

// The left page of a split, as it was when its latch was given up.
struct LeftHalf {
  Block block;
  uint8_t level;
  uint64_t high;
};

// Latches the page again, if nobody else has it.  Its parent is in hand, so there is no waiting.
Status latch_again(Context& context, const LeftHalf& half, PageGuard* left) {
  const PageKind kind = half.level == 0 ? PageKind::kLeaf : PageKind::kInner;
  TOASTSTORE_TRY(left->try_read(context.pager, half.block, kind));
  const auto tail = left->tail<TreeTail>();
  if (tail.start.level != half.level || tail.high != half.high ||
      (tail.flags & kSplitIncomplete) == 0) {
    return Status::Error(Code::kRetry, "page has changed");
  }
  return Status::Ok();
}

// Puts the downlink of a page's right sibling into the parent.  The way there leads over pages that
// may be others by the time they are latched, so no latch is held.  kRetry: see the obstacle.
Status link_right(Context& context, const LeftHalf& half, Obstacle* obstacle) {
  PageGuard parent, left;
  uint64_t unfinished;
  TOASTSTORE_TRY(descend(context, half.high, static_cast<uint8_t>(half.level + 1),
                         Latch::kExclusive, &parent, &unfinished));
  auto parent_tail = parent.tail<TreeTail>();
  if (unfinished != kInfinity) {
    obstacle->full_parent_key = unfinished;
    return Status::Error(Code::kRetry, "a split on the way to the parent is not finished");
  }
  if ((parent_tail.flags & kSplitIncomplete) != 0 || parent_tail.count == kInnerCapacity) {
    obstacle->full_parent_key = half.high;
    return Status::Error(Code::kRetry, "parent has no room");
  }
  const Status status = latch_again(context, half, &left);
  obstacle->left_taken = status.is(Code::kRetry);
  TOASTSTORE_TRY(status);
  const auto tail = left.tail<TreeTail>();
  uint16_t index = 0;
  Child before{};
  TOASTSTORE_TRY(child_for(parent, tail.high, &index, &before));
  Change change(context.pager, Step::kLinkSibling);
  change.put_tail(change.add(left), without_mark(tail));
  std::byte moved[kRecordSpace];
  if (before.key != tail.high) {  // else the downlink is there: only the mark was left
    index++;
    const Child child = child_record(tail.high, tail.right);
    const size_t shifted = (parent_tail.count - index) * sizeof(Child);
    std::memcpy(moved, &child, sizeof(Child));
    std::memcpy(moved + sizeof(Child), parent.data() + record_offset<Child>(index), shifted);
    const int page = change.add(parent);
    change.write(page, record_offset<Child>(index), moved, sizeof(Child) + shifted);
    parent_tail.count++;
    change.put_lower(page, record_offset<Child>(parent_tail.count));
    change.put_tail(page, parent_tail);
  }
  return change.commit();
}

// One attempt to finish the split of the page that holds `key`.
Status try_finish(Context& context, uint64_t key, uint8_t level, Obstacle* obstacle) {
  LeftHalf half;
  {
    PageGuard left;
    TOASTSTORE_TRY(descend(context, key, level, Latch::kExclusive, &left));
    const auto tail = left.tail<TreeTail>();
    if ((tail.flags & kSplitIncomplete) == 0) return Status::Ok();
    MetaBody meta;
    TOASTSTORE_TRY(read_meta(context, &meta));
    if (meta.root_level <= level) {
      if (meta.root == left.block()) return grow_root(context, left);
      obstacle->root_unsplit = true;
      return Status::Error(Code::kRetry, "the root's split is not finished");
    }
    half = {left.block(), level, tail.high};
  }
  return link_right(context, half, obstacle);
}

}  // namespace

Status finish_split(Context& context, uint64_t key, uint8_t level) {
  for (;;) {
    Obstacle obstacle;
    const Status status = try_finish(context, key, level, &obstacle);
    if (!status.is(Code::kRetry)) return status;
    if (obstacle.left_taken) continue;  // and wait for it with nothing in hand
    if (obstacle.root_unsplit) {
      TOASTSTORE_TRY(finish_split(context, 0, level));  // the root is the leftmost page
    } else if (obstacle.full_parent_key != kInfinity) {
      const auto parent = static_cast<uint8_t>(level + 1);
      TOASTSTORE_TRY(split_page(context, obstacle.full_parent_key, parent, 1));
    } else {
      TOASTSTORE_TRY(refill_pages(context));
    }
  }
}

Status split_page(Context& context, uint64_t key, uint8_t level, uint16_t room) {
  for (;;) {
    uint64_t low;
    {
      PageGuard left;
      TOASTSTORE_TRY(descend(context, key, level, Latch::kExclusive, &left));
      const auto tail = left.tail<TreeTail>();
      low = tail.low;
      if ((tail.flags & kSplitIncomplete) == 0) {
        if (tail.count + room <= capacity(level)) return Status::Ok();
        PagePick pick;
        const Status status = pick_page(context, &pick);
        if (status.is(Code::kRetry)) {
          left.release();
          TOASTSTORE_TRY(refill_pages(context));
          continue;
        }
        TOASTSTORE_TRY(status);
        Cut cut;
        TOASTSTORE_TRY(choose_cut(left, level, key, &cut));
        TOASTSTORE_TRY(split_halves(context, left, pick, cut));
      }
    }
    TOASTSTORE_TRY(finish_split(context, low, level));
  }
}

}  // namespace toaststore
