// Transactions as PostgreSQL's: ids in order, in progress until committed or aborted, snapshots by
// the set of those in progress, own changes visible to later commands, savepoints as
// subtransactions of their own id.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_FAKE_TRANSACTIONS_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_FAKE_TRANSACTIONS_H_

#include <functional>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/transactions.h"

namespace toaststore::test {

// What all sessions share: the fate of every transaction id.
class World {
 public:
  enum class State { kRunning, kCommitted, kAborted };

  Xid begin() {
    running_.insert(next_);
    return next_++;
  }
  void end(Xid xid, State state) {
    running_.erase(xid);
    if (state == State::kAborted) aborted_.insert(xid);
  }
  State state(Xid xid) const {
    if (running_.contains(xid)) return State::kRunning;
    return aborted_.contains(xid) ? State::kAborted : State::kCommitted;
  }
  // Whoever was running is not any more.
  void crash() {
    aborted_.insert(running_.begin(), running_.end());
    running_.clear();
  }
  Xid next() const { return next_; }
  // The ids that follow start here: for tests near the wrap.
  void jump(Xid next) { next_ = next; }
  const std::set<Xid>& running() const { return running_; }

  // Deletions by transactions before this one are seen by everybody; kNoXid: none is.
  Xid horizon = kNoXid;
  // The transactions whose deleted values were announced to go.
  std::vector<Xid> removals;

 private:
  Xid next_ = 100;
  std::set<Xid> running_;
  std::set<Xid> aborted_;
};

// One session's view.
class Session final : public Transactions {
 public:
  explicit Session(World& world) : world_(world) { new_command(); }

  // ---- the port ----
  Xid current() override;
  FullXid current_full() override { return current(); }
  uint32_t command() override { return command_; }
  bool visible(const Stamps& stamps) override;
  Fate fate(const Stamps& stamps, Xid* holder) override;
  Status wait(Xid holder) override;
  bool removable(Xid deleter) override { return xid_precedes(deleter, world_.horizon); }
  Xid horizon() override { return world_.horizon; }
  bool committed(Xid xid) override { return world_.state(xid) == World::State::kCommitted; }
  Xid frozen(Xid) override { return 2; }
  FullXid oldest_running() override;
  void log_removal(Xid deleter, Block block) override;
  Status lost_race() override;

  // ---- the session ----
  void commit() { finish(World::State::kCommitted); }
  void abort() { finish(World::State::kAborted); }
  // What a statement does first: counts the command, takes a snapshot unless it is the
  // transaction's.
  void new_command();
  void savepoint();
  void rollback_to_savepoint();
  bool in_savepoint() const { return stack_.size() > 1; }

  bool repeatable_read = false;
  // Called by wait(): ends the holder.
  std::function<void(Xid)> on_wait;
  int waits = 0;

 private:
  bool own(Xid xid) const;
  bool finished_before(Xid xid) const;  // committed, and in the snapshot's past
  void finish(World::State state);
  void take_snapshot();

  World& world_;
  std::vector<Xid> stack_;  // of the transaction and its savepoints; 0: no id yet
  std::vector<Xid> own_;    // ids of this transaction that did not abort
  uint32_t command_ = 0;
  bool snapshot_taken_ = false;
  Xid horizon_ = 0;  // ids from here on began after the snapshot
  std::set<Xid> in_progress_;
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_FAKE_TRANSACTIONS_H_
