// The tree, level by level from the root, each level from left to right.
//
// A page is compared with its right sibling and with its parent, each latched alone, so that a link
// that leads astray makes nobody wait.  Pages that cannot be reached are skipped with what lies
// below them.

#include "engine/meta.h"
#include "engine/tree.h"
#include "engine/verify_parts.h"

namespace toaststore {

namespace {

class TreeVerifier {
 public:
  explicit TreeVerifier(Verification* verification)
      : verification_(*verification),
        context_(verification->context),
        page_(verification->context.memory) {}

  Status run() {
    TOASTSTORE_TRY(page_.allocate(kPageBytes));
    for (int level = verification_.meta.root_level; level >= 0; level--) {
      TOASTSTORE_TRY(walk_level(static_cast<uint8_t>(level)));
    }
    return Status::Ok();
  }

 private:
  // What may be a fault.
  struct Suspect {
    Block block = kNoBlock;
    const char* reason = nullptr;
  };

  Status walk_level(uint8_t level) {
    adjoins_ = true;
    for (uint64_t key = 0; key < kInfinity;) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyPage));
      Suspect suspect;
      const Status status = look_at(key, level, &suspect);
      if (!status.ok()) {
        TOASTSTORE_TRY(report_lost(key, level, status));
        TOASTSTORE_TRY(next_known(key, level, &key));
        continue;
      }
      if (suspect.reason != nullptr) {
        TOASTSTORE_TRY(verification_.fault(suspect.block, suspect.reason));
      }
      TOASTSTORE_TRY(level == 0 ? check_leaf() : check_inner());
      key = tail_of<TreeTail>(page_.as()).high;
    }
    return Status::Ok();
  }

  // Copies the page that holds the key, and compares it with its neighbours.  What they must agree
  // on changes with the page itself: a suspect counts if the page is the same afterwards.
  Status look_at(uint64_t key, uint8_t level, Suspect* suspect) {
    const bool adjoined = adjoins_;
    for (int look = 0; look < kMaxVerifyLooks; look++) {
      TOASTSTORE_TRY(copy_page(key, level));
      *suspect = Suspect();
      TOASTSTORE_TRY(check_right(suspect));
      adjoins_ = suspect->reason == nullptr;
      // One fault is enough.
      if (adjoined && adjoins_) TOASTSTORE_TRY(check_parent(suspect));
      if (suspect->reason == nullptr) return Status::Ok();
      bool same;
      TOASTSTORE_TRY(compare_page(&same));
      if (same) return Status::Ok();
    }
    *suspect = Suspect();
    adjoins_ = true;
    return Status::Ok();
  }

  Status copy_page(uint64_t key, uint8_t level) {
    PageGuard page;
    TOASTSTORE_TRY(descend(context_, key, level, Latch::kShare, &page));
    block_ = page.block();
    std::memcpy(page_.as(), page.data(), kPageBytes);
    verification_.reach(block_);
    return Status::Ok();
  }

  Status compare_page(bool* same) {
    PageGuard page;
    const Status status = page.read(context_.pager, block_, Latch::kShare);
    *same = status.ok() && std::memcmp(page_.as(), page.data(), kPageBytes) == 0;
    return status.is(Code::kRetry) ? Status::Ok() : status;
  }

  // A sibling that is damaged is reported when its turn comes.
  Status check_right(Suspect* suspect) {
    const auto tail = tail_of<TreeTail>(page_.as());
    if (tail.right == kNoBlock) return Status::Ok();
    const uint8_t level = tail.start.level;
    bool adjoins;
    {
      PageGuard right;
      const Status status = right.read(context_.pager, tail.right, Latch::kShare,
                                       level == 0 ? PageKind::kLeaf : PageKind::kInner);
      if (status.is(Code::kCorruption)) return Status::Ok();
      if (!status.is(Code::kRetry)) TOASTSTORE_TRY(status);
      const bool lost = status.is(Code::kRetry);
      adjoins = !lost && right.tail<TreeTail>().start.level == level &&
                right.tail<TreeTail>().low == tail.high;
      if (adjoins && (right.tail<TreeTail>().flags & kMoved) != 0) verification_.reach(tail.right);
      right.release();
      if (lost) TOASTSTORE_TRY(is_lost(tail, &adjoins));
    }
    if (!adjoins) *suspect = {block_, "tree page and its right sibling do not adjoin"};
    return Status::Ok();
  }

  // Another kind of page is there: it is the sibling that is lost where a downlink leads to it too.
  Status is_lost(const TreeTail& tail, bool* lost) {
    PageGuard parent;
    uint16_t index;
    Child child{};
    const Status status = latch_parent(tail.high, tail.start.level, &parent, &index, &child);
    *lost = !status.ok() || child.key != tail.high || child.child == tail.right;
    return status.is(Code::kCorruption) || status.is(Code::kNotFound) ? Status::Ok() : status;
  }

  // kNotFound where the level has no parents.
  Status latch_parent(uint64_t key, uint8_t level, PageGuard* parent, uint16_t* index,
                      Child* child) {
    MetaBody meta;
    TOASTSTORE_TRY(read_meta(context_, &meta));
    if (meta.root_level <= level) return Status::Error(Code::kNotFound, "level of the root");
    const auto above = static_cast<uint8_t>(level + 1);
    TOASTSTORE_TRY(descend(context_, key, above, Latch::kShare, parent));
    return child_for(*parent, key, index, child);
  }

  // The page's downlink leads to it, and the next to what follows it; a page without one is the
  // right half of an unfinished split.
  Status check_parent(Suspect* suspect) {
    const auto tail = tail_of<TreeTail>(page_.as());
    PageGuard parent;
    uint16_t index;
    Child child;
    const Status status = latch_parent(tail.low, tail.start.level, &parent, &index, &child);
    // A parent that is damaged has been reported.
    if (status.is(Code::kCorruption) || status.is(Code::kNotFound)) return Status::Ok();
    TOASTSTORE_TRY(status);
    const auto above = parent.tail<TreeTail>();
    const bool last = index + 1 == above.count;
    const uint64_t next = last ? above.high : record_at<Child>(parent.data(), index + 1u).key;
    if (child.key == tail.low && child.child != block_) {
      const Block above_block = parent.block();
      parent.release();
      bool moved;
      TOASTSTORE_TRY(check_moved(child.child, &moved));
      if (!moved) *suspect = {above_block, "downlink leads to another page"};
    } else if (tail.high > next) {
      *suspect = {block_, "tree page's range is not its downlink's"};
    } else if (tail.high < next && (tail.flags & kSplitIncomplete) == 0) {
      *suspect = {tail.right, "page has no downlink though its split is finished"};
    }
    return Status::Ok();
  }

  // The page may have been moved from where its downlink leads to.  That changes without the page:
  // it counts if the downlink leads there afterwards.
  Status check_moved(Block from, bool* moved) {
    const auto tail = tail_of<TreeTail>(page_.as());
    const uint8_t level = tail.start.level;
    for (int look = 0; look < kMaxVerifyLooks; look++) {
      PageGuard page;
      Status status = page.read(context_.pager, from, Latch::kShare,
                                level == 0 ? PageKind::kLeaf : PageKind::kInner);
      if (!status.is(Code::kRetry) && !status.is(Code::kCorruption)) TOASTSTORE_TRY(status);
      const auto there = status.ok() ? page.tail<TreeTail>() : TreeTail{};
      page.release();
      *moved = (there.flags & kMoved) != 0 && there.start.level == level && there.low == tail.low &&
               there.right == block_;
      if (*moved) verification_.reach(from);
      if (*moved) return Status::Ok();
      PageGuard parent;
      uint16_t index;
      Child child;
      status = latch_parent(tail.low, level, &parent, &index, &child);
      if (!status.is(Code::kCorruption) && !status.is(Code::kNotFound)) TOASTSTORE_TRY(status);
      if (status.ok() && child.key == tail.low && child.child == from) return Status::Ok();
      *moved = !status.ok() || child.key != tail.low || child.child == block_;
      if (*moved) return Status::Ok();
      from = child.child;
    }
    *moved = true;
    return Status::Ok();
  }

  // What fails above the level has been reported there.
  Status report_lost(uint64_t key, uint8_t level, const Status& status) {
    if (!status.is(Code::kCorruption)) return status;
    verification_.cut_off = true;
    const bool known = !adjoins_;  // the page before has been reported, for its link leads here
    adjoins_ = true;
    PageGuard parent;
    uint16_t index;
    Child child;
    const Status above = latch_parent(key, level, &parent, &index, &child);
    parent.release();
    if (known || above.is(Code::kCorruption)) return Status::Ok();
    if (!above.is(Code::kNotFound)) TOASTSTORE_TRY(above);
    verification_.reach(status.block);
    return verification_.report(status);
  }

  // The next key that a page above knows of.
  Status next_known(uint64_t key, uint8_t level, uint64_t* next) {
    *next = kInfinity;
    for (int above = level + 1; above <= verification_.meta.root_level; above++) {
      PageGuard page;
      const Status status =
          descend(context_, key, static_cast<uint8_t>(above), Latch::kShare, &page);
      if (status.is(Code::kCorruption)) continue;
      TOASTSTORE_TRY(status);
      const auto tail = page.tail<TreeTail>();
      *next = tail.high;
      for (uint16_t i = 0; i < tail.count; i++) {
        const auto child = record_at<Child>(page.data(), i);
        if (record_sound(child) && child.key > key && child.key < *next) *next = child.key;
      }
      return Status::Ok();
    }
    return Status::Ok();
  }

  // ---- records, of the copy ------------------------------------------------------------------

  // A record that proves nothing is one fault; its neighbours are judged without it.
  Status check_inner() {
    const auto tail = tail_of<TreeTail>(page_.as());
    uint64_t least = tail.low;
    for (uint16_t i = 0; i < tail.count; i++) {
      const auto child = record_at<Child>(page_.as(), i);
      const char* reason = nullptr;
      if (!record_sound(child)) {
        reason = "inner entry does not match its check";
      } else if (child.key < least || child.key >= tail.high || (i == 0 && child.key != tail.low)) {
        reason = "inner entries are out of order";
      }
      if (reason == nullptr) {
        least = child.key + 1;
        continue;
      }
      verification_.cut_off = true;
      TOASTSTORE_TRY(verification_.fault(block_, reason));
    }
    return Status::Ok();
  }

  Status check_leaf() {
    const auto tail = tail_of<TreeTail>(page_.as());
    uint64_t least = tail.low;
    for (uint16_t i = 0; i < tail.count; i++) {
      const auto entry = record_at<Entry>(page_.as(), i);
      if (!record_sound(entry)) {
        verification_.tally_known = false;
        TOASTSTORE_TRY(verification_.fault(block_, "leaf entry does not match its check"));
        continue;
      }
      if (entry.id < least || entry.id >= tail.high) {
        verification_.tally_known = false;
        TOASTSTORE_TRY(verification_.fault(block_, "leaf entries are out of order", entry.id));
        continue;
      }
      least = entry.id + 1;
      if (entry.settled()) count_in(entry, &verification_.tally);
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyValue));
      TOASTSTORE_TRY(verify_entry(&verification_, block_, entry));
    }
    return Status::Ok();
  }

  Verification& verification_;
  Context& context_;
  Scratch page_;  // the page being looked at
  Block block_ = kNoBlock;
  bool adjoins_ = true;  // the right sibling of the last page looked at begins where it ends
};

}  // namespace

Status verify_tree(Verification* verification) { return TreeVerifier(verification).run(); }

}  // namespace toaststore
