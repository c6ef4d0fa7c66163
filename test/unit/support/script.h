// A short life of a store that touches every kind of change, played while the pager or the memory
// fails, and the account of what was acknowledged meanwhile.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_SCRIPT_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_SCRIPT_H_

#include <map>
#include <set>
#include <vector>

#include "support/test_store.h"

namespace toaststore::test {

// Small thresholds, so that every layout is cheap.
Options script_options();

// Brings a store to the edge: the next changes split leaves, need fresh journal and dead-list
// pages, another extent of single pages, and a second map page.
void bring_to_the_edge(TestStore* store, std::map<uint64_t, Bytes>* live);

class Script {
 public:
  // Plays on a store that holds the values of `live`.
  Script(TestStore* store, std::map<uint64_t, Bytes> live)
      : store_(store), live_(std::move(live)) {}

  // Plays every operation, each a transaction, and goes on after one that fails.
  // With stop_at_failure it ends with the first.
  void play(bool stop_at_failure);

  // Every acknowledged value is there and whole, nothing else is, and the store verifies.
  void check();

  // How operations of the last play failed.
  const std::vector<Status>& failures() const { return failures_; }

 private:
  using Operation = Status (Script::*)();

  Status put_many(int count, size_t length);
  Status put_small() { return put_many(60, 50); }
  Status put_more() { return put_many(70, 100); }
  Status put_direct();
  Status put_extent();
  Status put_chunked();
  Status put_at_far();
  Status put_at_gap();
  Status put_aborted();
  Status replace_aborted();
  Status erase_some();
  Status purge_erased();
  Status purge_leaf();
  Status compact();
  Status read_all();

  void done(uint64_t id, const Bytes& bytes) { pending_[id] = bytes; }

  TestStore* store_;
  std::map<uint64_t, Bytes> live_;
  std::map<uint64_t, Bytes> pending_;  // put by the running operation
  std::set<uint64_t> erasing_;         // erased by it
  std::set<uint64_t> erased_;
  std::vector<Status> failures_;
  uint64_t seed_ = 1000;
  uint64_t plays_ = 0;
  uint64_t far_id_ = 0;
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_SCRIPT_H_
