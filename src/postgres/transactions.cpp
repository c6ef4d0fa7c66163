// The transactions port: PostgreSQL's rules of visibility (HeapTupleSatisfiesMVCC and
// HeapTupleSatisfiesUpdate) on an entry's four numbers.

#include "postgres/host.h"
#include "postgres/work_list.h"

namespace toaststore {

namespace {

bool is_frozen(Xid xid) { return xid == FrozenTransactionId || xid == BootstrapTransactionId; }

bool own(Xid xid) { return TransactionIdIsCurrentTransactionId(xid); }

// Has a change by this transaction and command happened, for the snapshot?
bool happened(Snapshot snapshot, Xid xid, CommandId command) {
  if (is_frozen(xid)) return true;
  if (own(xid)) {
    return snapshot->snapshot_type != SNAPSHOT_MVCC || command < snapshot->curcid;
  }
  if (snapshot->snapshot_type == SNAPSHOT_MVCC) {
    return !XidInMVCCSnapshot(xid, snapshot) && TransactionIdDidCommit(xid);
  }
  return !TransactionIdIsInProgress(xid) && TransactionIdDidCommit(xid);
}

// A transaction id of the last half of the circle, with its epoch.
FullTransactionId widen(Xid xid) {
  const FullTransactionId next = ReadNextFullTransactionId();
  uint32 epoch = EpochFromFullTransactionId(next);
  if (xid > XidFromFullTransactionId(next)) epoch--;
  return FullTransactionIdFromEpochAndXid(epoch, xid);
}

}  // namespace

// Whoever stamps something with the id changes the store.
Xid ServerTransactions::current() {
  note_change(rel_, ChangeKind::kPut);
  return GetCurrentTransactionId();
}

FullXid ServerTransactions::current_full() {
  note_change(rel_, ChangeKind::kPut);
  return U64FromFullTransactionId(GetCurrentFullTransactionId());
}

bool ServerTransactions::sees(const Stamps& stamps) const {
  if (!happened(snapshot_, stamps.xmin, stamps.cmin)) return false;
  return stamps.xmax == kNoXid || !happened(snapshot_, stamps.xmax, stamps.cmax);
}

bool ServerTransactions::visible(const Stamps& stamps) {
  if (snapshot_ == nullptr || snapshot_->snapshot_type == SNAPSHOT_ANY) return true;
  const bool seen = sees(stamps);
  if (CheckForSerializableConflictOutNeeded(rel_, snapshot_)) note_conflict(stamps, seen);
  return seen;
}

// A read that misses a concurrent change conflicts with the transaction that made it: the creator
// of what is not seen, the deleter of what still is (as HeapCheckForSerializableConflictOut).
void ServerTransactions::note_conflict(const Stamps& stamps, bool seen) {
  Xid xid = seen ? stamps.xmax : stamps.xmin;
  if (!TransactionIdIsNormal(xid) || own(xid)) return;
  if (!TransactionIdIsInProgress(xid) && !TransactionIdDidCommit(xid)) return;
  xid = SubTransGetTopmostTransaction(xid);
  if (TransactionIdPrecedes(xid, TransactionXmin)) return;
  CheckForSerializableConflictOut(rel_, xid, snapshot_);
}

void ServerTransactions::note_read() {
  if (snapshot_ != nullptr && IsMVCCSnapshot(snapshot_)) PredicateLockRelation(rel_, snapshot_);
}

void ServerTransactions::note_write() {
  CheckForSerializableConflictIn(rel_, nullptr, InvalidBlockNumber);
}

void ServerTransactions::note_delete() {
  note_write();
  note_change(rel_, ChangeKind::kDelete);
}

Fate ServerTransactions::fate(const Stamps& stamps, Xid* holder) {
  if (own(stamps.xmin)) {
    const bool later = snapshot_ != nullptr && snapshot_->snapshot_type == SNAPSHOT_MVCC &&
                       stamps.cmin >= snapshot_->curcid;
    if (later && stamps.xmax == kNoXid) return Fate::kUnseen;
  } else if (!is_frozen(stamps.xmin)) {
    if (TransactionIdIsInProgress(stamps.xmin)) {
      *holder = stamps.xmin;
      return Fate::kCreating;
    }
    if (!TransactionIdDidCommit(stamps.xmin)) return Fate::kAbsent;
  }
  if (stamps.xmax == kNoXid) return Fate::kLive;
  if (own(stamps.xmax)) return Fate::kOwnDeleted;
  if (TransactionIdIsInProgress(stamps.xmax)) {
    *holder = stamps.xmax;
    return Fate::kBusy;
  }
  return committed(stamps.xmax) ? Fate::kDeleted : Fate::kLive;
}

Status ServerTransactions::wait(Xid holder) {
  XactLockTableWait(holder, rel_, nullptr, XLTW_None);
  return Status::Ok();
}

bool ServerTransactions::removable(Xid deleter) {
  return TransactionIdPrecedes(deleter, GetOldestNonRemovableTransactionId(rel_));
}

// No transaction that is older than the horizon runs in this database.
FullXid ServerTransactions::oldest_running() { return U64FromFullTransactionId(widen(horizon())); }

// GiST's record of a page that is used again changes nothing and is replayed by core as a conflict
// with every snapshot that is not newer than the transaction.
void ServerTransactions::log_removal(Xid deleter, Block block) {
  if (!RelationNeedsWAL(rel_) || !XLogStandbyInfoActive()) return;
  gistXLogPageReuse(rel_, block, widen(deleter));
}

Status ServerTransactions::lost_race() {
  return IsolationUsesXactSnapshot()
             ? Status::Error(Code::kConflict, "deleted by a concurrent transaction")
             : Status::Error(Code::kNotFound, "deleted by a concurrent transaction");
}

}  // namespace toaststore
