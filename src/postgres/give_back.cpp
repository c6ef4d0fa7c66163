// Giving the free end of a store's file back, as VACUUM does with a heap's.
//
// The map says first that the blocks are free: that was logged when their extents were freed. Then,
// under AccessExclusiveLock, which nobody is made to wait for, the file is cut, which is logged and
// replayed like the cutting of any table.  Backends remember that a file has at least so many
// blocks and write into them without looking again: they are told before the lock is given up,
// whatever becomes of the transaction.

#include "postgres/give_back.h"

#include "engine/tidy.h"

namespace toaststore {

namespace {

// Blocks of the file, and how many of them are needed.
struct Ends {
  Block file = 0;
  Block needed = 0;
};

bool look(StoreHandle* handle, Ends* ends) {
  ends->file = handle->pager().blocks();
  const Status status = find_end(handle->context(), &ends->needed);
  if (status.is(Code::kNotFound)) return false;
  check(status, handle->rel());
  return worth_giving_back(ends->file, ends->needed);
}

}  // namespace

bool can_give_back(StoreHandle* handle) {
  Ends ends;
  return look(handle, &ends);
}

bool give_back(StoreHandle* handle, uint64_t* given_blocks) {
  Relation rel = handle->rel();
  Ends ends;
  if (!look(handle, &ends)) return true;
  if (!ConditionalLockRelation(rel, AccessExclusiveLock)) return false;
  // Somebody may have come in between.
  if (look(handle, &ends)) {
    check(drop_map_pages(handle->context()), rel);
    forget_store_everywhere(rel);
    RelationTruncate(rel, ends.needed);
    handle->pager().forget_blocks();
    *given_blocks += ends.file - ends.needed;
    stop_after(Step::kGiveBack);
  }
  UnlockRelation(rel, AccessExclusiveLock);
  return true;
}

}  // namespace toaststore
