// Absorbing pages that hold little into their neighbours.

#include <initializer_list>

#include "engine/meta.h"
#include "engine/space_map.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

// Two neighbouring children of one parent, as seen without a latch.
struct Pair {
  Child left;
  Child right;
  bool found = false;
};

uint16_t capacity(uint8_t level) { return level == 0 ? kLeafCapacity : kInnerCapacity; }

size_t record_bytes(uint8_t level) { return level == 0 ? sizeof(Entry) : sizeof(Child); }

// An inner page is never empty.
bool spent(const TreeTail& tail) { return tail.count == (tail.start.level == 0 ? 0 : 1); }

// Which neighbour goes with the child that holds a key.
enum class Side : uint8_t { kLeft, kRight };

// The child that holds `key` with its neighbour under the same parent.
Status find_pair(Context& context, uint64_t key, uint8_t level, Side side, Pair* pair) {
  PageGuard parent;
  const auto above = static_cast<uint8_t>(level + 1);
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  if (meta.root_level < above) return Status::Ok();
  TOASTSTORE_TRY(descend(context, key, above, Latch::kShare, &parent));
  uint16_t index;
  Child child;
  TOASTSTORE_TRY(child_for(parent, key, &index, &child));
  const uint16_t count = parent.tail<TreeTail>().count;
  if (side == Side::kLeft ? index == 0 : index + 1 == count) return Status::Ok();
  if (side == Side::kLeft) index--;
  pair->left = record_at<Child>(parent.data(), index);
  pair->right = record_at<Child>(parent.data(), index + 1u);
  if (!record_sound(pair->left) || !record_sound(pair->right)) {
    return Status::Corruption(parent.block(), "inner entry does not match its check");
  }
  pair->found = true;
  return Status::Ok();
}

// Latches a child if it still is what its parent said.
Status latch_child(Context& context, const Child& child, uint8_t level, PageGuard* page,
                   bool* same) {
  const PageKind kind = level == 0 ? PageKind::kLeaf : PageKind::kInner;
  const Status status = page->read(context.pager, child.child, Latch::kExclusive, kind);
  *same = false;
  if (status.is(Code::kRetry)) return Status::Ok();
  TOASTSTORE_TRY(status);
  const auto tail = page->tail<TreeTail>();
  *same = tail.start.level == level && tail.low == child.key;
  return Status::Ok();
}

// The right one's records are copied, so it is spent or the two hold little: a spent left one waits
// for that, or the oldest values' deletion would copy every page of the tree.
bool can_absorb(const TreeTail& left, const TreeTail& right) {
  const int sum = left.count + right.count;
  const uint16_t most = capacity(left.start.level);
  return right.right != kNoBlock &&
         ((left.flags | right.flags) & (kSplitIncomplete | kMoved)) == 0 &&
         sum <= (spent(right) ? most : most / 2);
}

// The one change.  REQUIRES: all four pages latched exclusively; `index` is right's downlink.
Status commit_absorb(Context& context, const PageGuard& parent, uint16_t index,
                     const PageGuard& left, const PageGuard& right, const PageGuard& map) {
  auto tail = left.tail<TreeTail>();
  const auto right_tail = right.tail<TreeTail>();
  const size_t size = record_bytes(tail.start.level);
  Change change(context.pager, Step::kAbsorbPage);

  const int left_page = change.add(left);
  const auto end = static_cast<uint16_t>(kPageHeaderBytes + tail.count * size);
  change.write(left_page, end, right.data() + kPageHeaderBytes, right_tail.count * size);
  tail.count = static_cast<uint16_t>(tail.count + right_tail.count);
  tail.high = right_tail.high;
  tail.right = right_tail.right;
  change.put_lower(left_page, static_cast<uint16_t>(kPageHeaderBytes + tail.count * size));
  change.put_tail(left_page, tail);

  const int right_page = change.add(right);
  change.put_lower(right_page, kPageHeaderBytes);
  change.put_tail(right_page, new_tail<PlainTail>(PageKind::kRetired, right.block()));

  auto parent_tail = parent.tail<TreeTail>();
  std::byte moved[kRecordSpace];
  const size_t shifted = (parent_tail.count - index - 1u) * sizeof(Child);
  std::memcpy(moved, parent.data() + record_offset<Child>(index + 1u), shifted);
  const int parent_page = change.add(parent);
  change.write(parent_page, record_offset<Child>(index), moved, shifted);
  parent_tail.count--;
  change.put_lower(parent_page, record_offset<Child>(parent_tail.count));
  change.put_tail(parent_page, parent_tail);

  TOASTSTORE_TRY(stage_free(map, right.block(), &change));
  return change.commit();
}

// *parent_sparse: the parent holds little now.
Status absorb_pair(Context& context, const Pair& pair, uint8_t level, bool* absorbed,
                   bool* parent_sparse) {
  PageGuard left, right, parent, map;
  bool same;
  TOASTSTORE_TRY(latch_child(context, pair.left, level, &left, &same));
  // The link proves that `right` still lies right of `left`, as the latch order wants it.
  if (!same || left.tail<TreeTail>().right != pair.right.child) return Status::Ok();
  TOASTSTORE_TRY(latch_child(context, pair.right, level, &right, &same));
  if (!same || !can_absorb(left.tail<TreeTail>(), right.tail<TreeTail>())) {
    return Status::Ok();
  }
  const auto above = static_cast<uint8_t>(level + 1);
  TOASTSTORE_TRY(descend(context, pair.right.key, above, Latch::kExclusive, &parent));
  uint16_t index;
  Child child;
  TOASTSTORE_TRY(child_for(parent, pair.right.key, &index, &child));
  // Both must still be under this parent, side by side.
  if (child.child != right.block() || child.key != pair.right.key || index == 0 ||
      record_at<Child>(parent.data(), index - 1u).child != left.block()) {
    return Status::Ok();
  }
  TOASTSTORE_TRY(latch_map_of(context, right.block(), &map));
  TOASTSTORE_TRY(commit_absorb(context, parent, index, left, right, map));
  *absorbed = true;
  *parent_sparse = parent.tail<TreeTail>().count <= kSparseInner;
  return Status::Ok();
}

}  // namespace

Status absorb_sparse(Context& context, uint64_t id) {
  for (uint8_t level = 0; level + 1 < kMaxTreeLevels; level++) {
    bool absorbed = false;
    bool parent_sparse = false;
    // Into the left neighbour first: of an empty page there is nothing to copy.
    for (const Side side : {Side::kLeft, Side::kRight}) {
      Pair pair;
      TOASTSTORE_TRY(find_pair(context, id, level, side, &pair));
      if (pair.found) {
        TOASTSTORE_TRY(absorb_pair(context, pair, level, &absorbed, &parent_sparse));
      }
      if (absorbed) break;
    }
    if (!parent_sparse) break;
  }
  return Status::Ok();
}

}  // namespace toaststore
