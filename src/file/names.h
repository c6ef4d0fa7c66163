// Values by name.
//
// A name is a version in the tree of names: key, id, and the transaction that put the value.  It
// says nothing of who sees it; that is said by the value's entry in the tree of ids, as an index
// says nothing and the table all.  An id may be used again once the transaction that put it has
// aborted: a version speaks of an entry only if it was put by the same transaction.
//
//   * To set a name is to put a value, to insert a version before all others of its key, and to
//     delete the value that the name had, all in one transaction.
//   * To erase one is to delete its value.  No version goes with it.
//   * A version that nobody will see again gives its place to the next one of its key, or goes when
//     its page is full.
//
// Invariants:
//   * All versions of a key are looked for from its first place on.  A writer holds the leaf of
//     that place exclusively from the look at the versions to the insertion: of two writers the
//     second finds the first one's version, and waits for it, holding no latch.
//   * Versions are ordered from the newest to the oldest, and the first that is not dead decides:
//     all behind it were deleted before it was put, or by whom put it.
//   * To any snapshot at most one version of a key is visible.

#ifndef TOASTSTORE_FILE_NAMES_H_
#define TOASTSTORE_FILE_NAMES_H_

#include "engine/store.h"
#include "engine/verify.h"
#include "file/name_tree.h"
#include "file/transactions.h"

namespace toaststore {

// kInvalid where it cannot be one.
Status check_key(const void* key, size_t length);

class Names {
 public:
  // `values` is the tree of ids, with the caller's transaction; `pager` that of the names.
  Names(Context& values, XidTable& xids, NameTree& tree, Pager& pager)
      : values_(values), xids_(xids), tree_(tree), pager_(pager) {}

  // The entry of a name's value, as of now.  kNotFound where there is none.
  Status find(std::string_view key, Entry* entry);

  // Names in [from, to), or from `from` on where `to` is empty, as they were when the scan began.
  Status scan(std::string_view from, std::string_view to, NameVisitor* visitor);

  // REQUIRES: in a transaction; check_key().
  Status set(std::string_view key, const std::byte* bytes, uint64_t length, bool* replaced);
  // kNotFound where there is no such name.
  Status erase(std::string_view key);

  // Reports each fault of the tree of names.  REQUIRES: nobody writes meanwhile.
  Status verify(FaultSink* sink);

 private:
  // The entry of a version's value.  *found is false where there is none, or another value's.
  Status find_value(const NameRecord& record, Entry* entry, bool* found);

  // What a writer finds in a version.
  enum class State : uint8_t {
    kNone,     // there is no version
    kDead,     // nobody sees it, nor will
    kDeleted,  // whoever comes does not see it
    kLive,
    kPending,  // another transaction is at it
  };
  struct Newest {
    State state = State::kNone;
    uint64_t id = 0;       // kLive
    Xid holder = kNoXid;   // kPending
    uint32_t version = 0;  // of the first version, dead or not
    uint16_t index = 0;    // of it in its leaf
    bool dead_here = false;
    uint16_t dead = 0;  // a dead one in the same leaf
  };

  Status judge(const NameRecord& record, State* state, Xid* holder);
  Status find_newest(const PageGuard& leaf, std::string_view key, Newest* newest);
  Status insert(NameRecord* record, Newest* newest);
  Status clear_dead(const PageGuard& leaf, bool* cleared);
  Status visit_page(const std::byte* page, Block block, const Name& from, std::string_view to,
                    const XidSnapshot& snapshot, NameVisitor* visitor, bool* more);

  Context& values_;
  XidTable& xids_;
  NameTree& tree_;
  Pager& pager_;
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_NAMES_H_
