// The rules of visibility, as in PostgreSQL's heapam_visibility.c.

#include "support/fake_transactions.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace toaststore::test {

Xid Session::current() {
  if (stack_.empty()) stack_.push_back(kNoXid);
  for (Xid& xid : stack_) {
    if (xid == kNoXid) {
      xid = world_.begin();
      own_.push_back(xid);
    }
  }
  return stack_.back();
}

bool Session::own(Xid xid) const { return std::find(own_.begin(), own_.end(), xid) != own_.end(); }

bool Session::finished_before(Xid xid) const {
  if (xid < kFirstNormalXid) return true;
  return world_.state(xid) == World::State::kCommitted && xid_precedes(xid, horizon_) &&
         !in_progress_.contains(xid);
}

bool Session::visible(const Stamps& stamps) {
  if (own(stamps.xmin)) {
    if (stamps.cmin >= command_) return false;
  } else if (!finished_before(stamps.xmin)) {
    return false;
  }
  if (stamps.xmax == kNoXid) return true;
  if (own(stamps.xmax)) return stamps.cmax >= command_;
  return !finished_before(stamps.xmax);
}

Fate Session::fate(const Stamps& stamps, Xid* holder) {
  const bool mine = own(stamps.xmin);
  if (!mine && stamps.xmin >= kFirstNormalXid) {
    switch (world_.state(stamps.xmin)) {
      case World::State::kAborted:
        return Fate::kAbsent;
      case World::State::kRunning:
        *holder = stamps.xmin;
        return Fate::kCreating;
      case World::State::kCommitted:
        break;
    }
  }
  if (stamps.xmax != kNoXid) {
    if (own(stamps.xmax)) return Fate::kOwnDeleted;
    switch (world_.state(stamps.xmax)) {
      case World::State::kAborted:
        break;
      case World::State::kRunning:
        *holder = stamps.xmax;
        return Fate::kBusy;
      case World::State::kCommitted:
        return Fate::kDeleted;
    }
  }
  const bool seen = mine ? stamps.cmin < command_ : finished_before(stamps.xmin);
  return seen ? Fate::kLive : Fate::kUnseen;
}

Status Session::wait(Xid holder) {
  waits++;
  if (on_wait) on_wait(holder);
  if (world_.state(holder) == World::State::kRunning) {
    ADD_FAILURE() << "waits for ever for transaction " << holder;
    return Status::Error(Code::kIo, "deadlock");
  }
  return Status::Ok();
}

void Session::log_removal(Xid deleter, Block block) {
  (void)block;
  if (!removable(deleter)) ADD_FAILURE() << "removes what " << deleter << " deleted too early";
  world_.removals.push_back(deleter);
}

FullXid Session::oldest_running() {
  Xid oldest = world_.next();
  for (const Xid xid : world_.running()) {
    if (xid_precedes(xid, oldest)) oldest = xid;
  }
  return oldest;
}

Status Session::lost_race() {
  return repeatable_read ? Status::Error(Code::kConflict, "could not serialize access")
                         : Status::Error(Code::kNotFound, "no such value");
}

void Session::take_snapshot() {
  horizon_ = world_.next();
  in_progress_ = world_.running();
  snapshot_taken_ = true;
}

void Session::new_command() {
  command_++;
  if (!snapshot_taken_ || !repeatable_read) take_snapshot();
}

void Session::savepoint() {
  if (stack_.empty()) stack_.push_back(kNoXid);
  stack_.push_back(kNoXid);
}

void Session::rollback_to_savepoint() {
  const Xid xid = stack_.back();
  stack_.pop_back();
  if (xid == kNoXid) return;
  // Savepoints released into this one would share its fate; tests do not nest that way.
  world_.end(xid, World::State::kAborted);
  std::erase(own_, xid);
}

void Session::finish(World::State state) {
  for (const Xid xid : own_) world_.end(xid, state);
  stack_.clear();
  own_.clear();
  command_ = 0;
  snapshot_taken_ = false;
  new_command();
}

}  // namespace toaststore::test
