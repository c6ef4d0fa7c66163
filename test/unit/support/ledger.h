// What a store promised, and what may be found in it after a crash.
//
// Transactions are committed one after the other and the log is cut off somewhere: after a crash
// there is what the first so many of them made, of which those that were acknowledged as durable
// are the least, and those that had begun are the most.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_LEDGER_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_LEDGER_H_

#include <map>
#include <memory>
#include <vector>

#include "support/test_store.h"
#include "toaststore/store.h"

namespace toaststore::test {

using Contents = std::map<uint64_t, std::shared_ptr<const Bytes>>;

class Ledger {
 public:
  explicit Ledger(Contents start) : start_(std::move(start)) {}

  // What is there now, but for a transaction in doubt.
  const Contents& now() const;
  bool doubtful() const { return doubtful_; }

  // A transaction that did its first operation on the disk after `begun` others has been committed.
  void commit(Contents after, size_t begun);
  // It was to be committed, but the store said no and has failed.
  void doubt(Contents after, size_t begun);
  // All so far is durable when `operations` have been done.
  void durable(size_t operations);

  // Compares with a store that was opened after a crash that came after so many operations.  Fails
  // the test unless what is there is what may be; returns it.
  Contents check(Store* store, size_t operations) const;

 private:
  struct Moment {
    Contents contents;
    size_t begun;
    size_t durable;
  };

  Contents start_;
  std::vector<Moment> moments_;
  size_t settled_ = 0;  // moments that are durable
  bool doubtful_ = false;
};

// Fails the test on any fault of the store.
void expect_sound(Store* store);
// Values by id, as they can be read.
std::map<uint64_t, Bytes> read_all(Store* store);

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_LEDGER_H_
