// The transactions port: what the engine must know of the host's transactions.  The engine keeps
// four numbers with each entry and never interprets them itself.

#ifndef TOASTSTORE_ENGINE_TRANSACTIONS_H_
#define TOASTSTORE_ENGINE_TRANSACTIONS_H_

#include <cstdint>

#include "toaststore/status.h"

namespace toaststore {

using Xid = uint32_t;      // wraps; 0 is none
using FullXid = uint64_t;  // never wraps

inline constexpr Xid kNoXid = 0;
inline constexpr Xid kFirstNormalXid = 3;  // as PostgreSQL's FirstNormalTransactionId

// Who created and who deleted a value, and by which command of theirs.
struct Stamps {
  Xid xmin = kNoXid;
  Xid xmax = kNoXid;
  uint32_t cmin = 0;
  uint32_t cmax = 0;
};

// What a writer may do with an entry that is already there, judged by the state of transactions
// now, not by a snapshot.
enum class Fate : uint8_t {
  kAbsent,      // its creator aborted: the place may be taken
  kLive,        // created by a finished or the own transaction, not deleted
  kCreating,    // its creator is another transaction, not finished yet
  kBusy,        // its deleter is another transaction, not finished yet
  kDeleted,     // deleted by another transaction, which committed
  kOwnDeleted,  // deleted by the caller's own transaction
  kUnseen,      // live, but created after the caller's command or snapshot began
};

class Transactions {
 public:
  // The caller's transaction id, assigned if there is none yet.
  virtual Xid current() = 0;
  virtual FullXid current_full() = 0;
  virtual uint32_t command() = 0;

  // Does the caller's snapshot see a value with these stamps?
  virtual bool visible(const Stamps& stamps) = 0;

  // For kCreating and kBusy, *holder is the transaction to wait for.
  virtual Fate fate(const Stamps& stamps, Xid* holder) = 0;

  // Waits until the transaction ends.  REQUIRES: no latch is held.
  virtual Status wait(Xid holder) = 0;

  // Has every snapshot here seen the end of this transaction, so that a value it deleted may go?
  // REQUIRES: it committed.
  virtual bool removable(Xid deleter) = 0;

  // Every transaction before this one is over, and every snapshot here has seen how it ended.
  virtual Xid horizon() = 0;
  // Did a transaction before the horizon commit?
  virtual bool committed(Xid xid) = 0;
  // What may stand for the creator of a value once everybody sees it.
  virtual Xid frozen(Xid creator) = 0;
  // Every transaction that has begun before this one is over.
  virtual FullXid oldest_running() = 0;

  // Values whose deletion by `deleter` some snapshot of a standby may not see yet are about to go
  // from this page: whoever still needs them there is told.
  virtual void log_removal(Xid deleter, Block block) = 0;

  // After a committed transaction deleted what the caller wanted to delete: kNotFound under READ
  // COMMITTED, kConflict where the caller's snapshot is the transaction's.
  virtual Status lost_race() = 0;

 protected:
  ~Transactions() = default;
};

// Order of transaction ids on the circle, as TransactionIdPrecedes: special ids come first.
inline bool xid_precedes(Xid a, Xid b) {
  if (a < kFirstNormalXid || b < kFirstNormalXid) return a < b;
  return static_cast<int32_t>(a - b) < 0;
}

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_TRANSACTIONS_H_
