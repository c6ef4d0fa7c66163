// The tree of names: a B-link tree after Lehman and Yao, whose pages are never freed.
//
// Locking: a reader latches one page at a time.  A page may have been split since the reader was
// led to it; its high key tells it to go right, and because no page ever goes, an old pointer is
// never worse than that.  A writer latches the leaf exclusively.  If the leaf has no room, one
// thread at a time comes down from the root and splits every full page that it is about to enter,
// so that the page above always has room for one name more.  A split is one change of left, right,
// parent and meta page: none is ever left half done.
//
// Latches: parent before child, left before right, then meta; a leaf of names before any page of
// the tree of ids.

#ifndef TOASTSTORE_FILE_NAME_TREE_H_
#define TOASTSTORE_FILE_NAME_TREE_H_

#include <atomic>
#include <mutex>

#include "file/data_file.h"
#include "file/name_page.h"

namespace toaststore {

// Blocks of an empty tree.
inline constexpr Block kEmptyNameBlocks = kFirstNameBlock + 1;

// Writes an empty tree into a file without pages, durably.
Status make_name_file(DataFile& file);

// Read a page of the tree, or the meta page, checked.
Status read_name_page(Pager& pager, Block block, uint8_t level, Latch latch, PageGuard* page);
Status read_name_meta(Pager& pager, Latch latch, PageGuard* page, NameMeta* meta);

class NameTree {
 public:
  // Latches the leaf that holds `name`, or would.
  Status find(Pager& pager, const Name& name, Latch latch, PageGuard* leaf) {
    return descend(pager, name, 0, latch, leaf);
  }

  // Makes room for a record of a leaf.  Another thread may take it.  REQUIRES: no latch is held.
  Status make_room(Pager& pager, const NameRecord& record);

 private:
  struct Root {
    Block block;
    uint8_t level;
  };
  struct Split;

  Status root(Pager& pager, Root* root);
  void note_root(const NameMeta& meta);
  Status descend(Pager& pager, const Name& name, uint8_t level, Latch latch, PageGuard* page);
  Status split_first_full(Pager& pager, const NameRecord& record, bool* done);
  Status grow(Pager& pager, const Root& root);
  Status split(Pager& pager, const Split& split);

  std::mutex splits_;
  // The root's level and block; 0: not known.  An old one leads everywhere by right links.
  std::atomic<uint64_t> root_{0};
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_NAME_TREE_H_
