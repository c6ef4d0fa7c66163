// Finding an id that no entry has, in a tree that may be dense over millions of ids.
//
// A subtree whose key range is wider than the most entries it can hold has a gap.  Inner pages show
// the ranges of their children, so that one page of each level on the way up, and one on the way
// down, lead to a leaf that has one.

#include <algorithm>

#include "engine/meta.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

class GapSearch {
 public:
  GapSearch(Context& context, uint64_t last) : context_(context), end_(last + 1) {}

  Status run(uint64_t from, IdRange* gap) {
    for (uint64_t key = from; key < end_;) {
      bool found;
      uint64_t next;
      TOASTSTORE_TRY(look_in_leaf(key, gap, &found, &next));
      if (found) return Status::Ok();
      // Where ids are so dense that no range shows a gap, leaf by leaf.
      bool wide;
      TOASTSTORE_TRY(skip_to_wide(key, &next, &wide));
      key = next;
    }
    return Status::Error(Code::kNotFound, "no id is free");
  }

 private:
  // The first gap at or after `key` in its leaf; *next is where the leaf ends.
  Status look_in_leaf(uint64_t key, IdRange* gap, bool* found, uint64_t* next) {
    LeafPlace place;
    TOASTSTORE_TRY(find_place(context_, key, Latch::kShare, &place));
    const auto tail = place.leaf.tail<TreeTail>();
    *next = std::min(tail.high, end_);
    gap->start = key;
    gap->end = *next;
    for (uint16_t i = place.index; i < tail.count; i++) {
      const auto entry = record_at<Entry>(place.leaf.data(), i);
      if (!record_sound(entry)) {
        return Status::Corruption(place.leaf.block(), "leaf entry does not match its check");
      }
      if (entry.id != gap->start) {
        gap->end = std::min(entry.id, end_);
        break;
      }
      gap->start++;
    }
    *found = gap->start < gap->end;
    return Status::Ok();
  }

  // Moves *key, the end of the leaf that `from` is in, on to a leaf that must have a gap, if the
  // pages above show one.
  Status skip_to_wide(uint64_t from, uint64_t* key, bool* wide) {
    *wide = false;
    uint64_t capacity = kLeafCapacity;
    for (uint8_t level = 1; level <= context_.hints.root_level && !*wide; level++) {
      TOASTSTORE_TRY(wide_child(from, level, capacity, true, key, wide));
      if (*wide) return go_down(level, capacity, key);
      capacity *= kInnerCapacity;
    }
    return Status::Ok();
  }

  // A subtree of `level` that begins at *key is too wide: so is one of its children, each time.
  Status go_down(uint8_t level, uint64_t capacity, uint64_t* key) {
    for (; level > 1; level--) {
      capacity /= kInnerCapacity;
      bool wide;
      const uint64_t low = *key;
      TOASTSTORE_TRY(wide_child(low, static_cast<uint8_t>(level - 1), capacity, false, key, &wide));
      if (!wide) return Status::Ok();  // it was filled meanwhile
    }
    return Status::Ok();
  }

  // The first child of the page of `level` over `key`, from the one that holds it on or behind
  // that, whose range is wider than `capacity`.
  Status wide_child(uint64_t key, uint8_t level, uint64_t capacity, bool behind, uint64_t* low,
                    bool* wide) {
    PageGuard page;
    TOASTSTORE_TRY(descend(context_, key, level, Latch::kShare, &page));
    uint16_t index;
    Child child;
    TOASTSTORE_TRY(child_for(page, key, &index, &child));
    const auto tail = page.tail<TreeTail>();
    *wide = false;
    for (auto i = static_cast<uint16_t>(index + (behind ? 1 : 0)); i < tail.count; i++) {
      child = record_at<Child>(page.data(), i);
      const uint64_t next =
          i + 1 < tail.count ? record_at<Child>(page.data(), i + size_t{1}).key : tail.high;
      if (!record_sound(child)) {
        return Status::Corruption(page.block(), "inner entry does not match its check");
      }
      if (child.key >= end_) break;
      if (std::min(next, end_) - child.key <= capacity) continue;
      *low = child.key;
      *wide = true;
      break;
    }
    return Status::Ok();
  }

  Context& context_;
  const uint64_t end_;
};

}  // namespace

Status find_gap(Context& context, uint64_t from, uint64_t last, IdRange* gap) {
  TOASTSTORE_TRY(load_hints(context));
  return GapSearch(context, last).run(from, gap);
}

}  // namespace toaststore
