// Compaction of an embedded store: the engine's, as a writer without a transaction.

#include "engine/cleaner.h"
#include "file/store_state.h"

namespace toaststore {

// A pager that lets the log be bounded between two steps, and ends with the store.
class CleaningPager final : public FilePager {
 public:
  explicit CleaningPager(StoreState* state)
      : FilePager(StoreFile::kData, state->data_, state->pool_, state->log_.get(), state->locks_),
        state_(state) {}

  Status pause(Step) override {
    if (state_->stop_) return Status::Error(Code::kConflict, "store is being closed");
    return state_->bound_log();
  }

 private:
  StoreState* state_;
};

Status StoreState::compact(Compaction* compaction) {
  const std::lock_guard<std::mutex> one(cleaning_);
  Writing writing(writers_);
  TOASTSTORE_TRY(log_->health());
  CleaningPager pager(this);
  pager.compact(&writing);
  FileTransactions transactions(xids_);
  Hints hints;
  hints.lane = kLanes - 1;  // the writers' own come last
  Context context{pager, transactions, memory_, hints, options_.values, Proof::kUnlessKnown};
  CleanReport report;
  const Status status = toaststore::compact(context, options_.compaction_threshold, &report);
  compaction->removed_values = report.removed_values;
  compaction->moved_bytes = report.moved_bytes;
  compaction->freed_bytes = report.freed_blocks * kPageBytes;
  if (status.ok()) compactions_++;
  return status;
}

}  // namespace toaststore
