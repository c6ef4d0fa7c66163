// Transactions of the embedded store: every batch is one.
//
// An id is running, then committed or aborted; of those that aborted, or were running when a crash
// came, a list is kept (in the control file too), all others below the next id have committed.
//
// Invariants:
//   * `logged` is set under the log's insertion lock, together with the commit record: a checkpoint
//     knows exactly whose commit lies behind its position.
//   * A commit is seen by others when it is as durable as the store's sync mode promises.
//   * Lanes are locked here too, for a transaction may wait for another with a lane in hand: no
//     circle of those that wait is ever closed, be it for transactions or for lanes.

#ifndef TOASTSTORE_FILE_TRANSACTIONS_H_
#define TOASTSTORE_FILE_TRANSACTIONS_H_

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "engine/format.h"
#include "engine/transactions.h"

namespace toaststore {

// Running at once; a batch more is refused.
inline constexpr uint32_t kMaxRunning = 256;

// Who compacts has no transaction, but locks lanes as if it had: one at a time, and it waits for
// nothing meanwhile.
inline constexpr Xid kCompactionXid = 1;

// What a scan sees: whatever had committed when it began.
struct XidSnapshot {
  Xid next = kNoXid;
  uint32_t count = 0;
  Xid running[kMaxRunning];

  bool sees(Xid xid) const;
};

class XidTable;

// A writer's share in the store, which verify() takes for itself.  Who waits for another
// transaction lets go of it meanwhile: the other may be in the hands of the one who verifies.
using Writing = std::shared_lock<std::shared_mutex>;

// A snapshot that is kept in mind while it exists: what it sees does not go.
class OpenSnapshot {
 public:
  explicit OpenSnapshot(XidTable& table);
  ~OpenSnapshot();
  OpenSnapshot(const OpenSnapshot&) = delete;
  OpenSnapshot& operator=(const OpenSnapshot&) = delete;

  const XidSnapshot& get() const { return snapshot_; }

 private:
  friend class XidTable;

  XidTable& table_;
  XidSnapshot snapshot_;
  OpenSnapshot* before_ = nullptr;  // in the table's list
  OpenSnapshot* after_ = nullptr;
};

class XidTable {
 public:
  // Ids go on at `next`; those listed have aborted.
  Status load(Xid next, const Xid* aborted, uint32_t count);
  // For pages of another host, whose commit log is not at hand: every transaction has committed.
  void trust_all() { trusts_all_ = true; }
  bool trusts_all() const { return trusts_all_; }

  Status begin(Xid* xid);
  // The commit record is in the log.  REQUIRES: under the log's insertion lock.
  void set_logged(Xid xid);
  void commit(Xid xid) { end(xid, false); }
  void abort(Xid xid) { end(xid, true); }

  // Has the transaction committed, for everybody?
  bool committed(Xid xid);
  bool running(Xid xid);
  void snapshot(XidSnapshot* snapshot);
  // Does an open snapshot see what `creator` put and `deleter` deleted?  REQUIRES: both committed,
  // so that no snapshot to come sees it.
  bool needed(Xid creator, Xid deleter);

  // All ids before it have ended, and every open snapshot sees how.
  Xid horizon();
  // All ids before it have ended.
  Xid oldest_running() const { return settled_.load(std::memory_order_acquire); }

  // Waits until `holder` ends.  kConflict where it waits for `self`, by itself or through others.
  Status wait(Xid self, Xid holder);

  // A lane is locked by a transaction, or by the compaction, for the time of one call.
  bool try_lock_lane(uint8_t lane, Xid self);
  // Waits for the lane.  kConflict as above.
  Status lock_lane(uint8_t lane, Xid self);
  void unlock_lane(uint8_t lane);

  // What the control file has to say: the next id, and all that aborted or have no commit record.
  // REQUIRES: under the log's insertion lock.
  Status unfinished(Xid* next, std::unique_ptr<Xid[]>* xids, uint32_t* count);

 private:
  struct Running {
    Xid xid;
    Xid waits_for;
    const std::atomic<Xid>* lane;  // whose holder it waits for, or null
    bool logged;
  };

  friend class OpenSnapshot;

  Running* find(Xid xid);
  Status check_circle(Xid self, Xid other);
  void take(XidSnapshot* snapshot) const;
  bool in_aborted(Xid xid) const;
  void end(Xid xid, bool aborted);
  void settle();

  std::mutex mutex_;
  std::condition_variable ended_;
  bool trusts_all_ = false;  // set before the table is shared
  Xid next_ = kFirstNormalXid;
  // All ids below have committed or are in the list of aborted ones.
  std::atomic<Xid> settled_{kFirstNormalXid};
  Running running_[kMaxRunning];
  uint32_t count_ = 0;
  std::atomic<Xid> lanes_[kLanes] = {};  // their holders
  std::atomic<uint32_t> lane_waiters_{0};
  std::unique_ptr<Xid[]> aborted_;  // ascending
  std::atomic<uint32_t> aborted_count_{0};
  uint32_t aborted_space_ = 0;
  OpenSnapshot* open_ = nullptr;  // the first of them
};

// The engine's port for one batch or one reader.
class FileTransactions final : public Transactions {
 public:
  // `snapshot` null: sees whatever has committed by now.
  explicit FileTransactions(XidTable& table, const XidSnapshot* snapshot = nullptr)
      : table_(table), snapshot_(snapshot) {}

  Status begin() { return xid_ == kNoXid ? table_.begin(&xid_) : Status::Ok(); }
  Xid xid() const { return xid_; }
  void join(Xid xid, Writing* writing = nullptr) {
    xid_ = xid;
    writing_ = writing;
  }
  void forget() { xid_ = kNoXid; }

  Xid current() override { return xid_; }
  FullXid current_full() override { return xid_; }
  uint32_t command() override { return 0; }
  bool visible(const Stamps& stamps) override;
  Fate fate(const Stamps& stamps, Xid* holder) override;
  Status wait(Xid holder) override;
  bool removable(Xid) override { return false; }
  Xid horizon() override { return table_.horizon(); }
  bool committed(Xid xid) override { return table_.committed(xid); }
  // Names know a value by its creator too.
  Xid frozen(Xid creator) override { return creator; }
  FullXid oldest_running() override { return table_.oldest_running(); }
  void log_removal(Xid, Block) override {}
  Status lost_race() override {
    return Status::Error(Code::kNotFound, "deleted by another batch meanwhile");
  }

 private:
  bool seen(Xid xid);

  XidTable& table_;
  const XidSnapshot* snapshot_;
  Xid xid_ = kNoXid;
  Writing* writing_ = nullptr;
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_TRANSACTIONS_H_
