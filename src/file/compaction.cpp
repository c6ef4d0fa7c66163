// Compaction of an embedded store: the engine's, as a writer without a transaction; and cutting off
// the free end of its file.

#include "engine/cleaner.h"
#include "engine/tidy.h"
#include "file/store_state.h"

namespace toaststore {

// A pager that lets the log be bounded between two steps, and ends with the store.
class CleaningPager final : public FilePager {
 public:
  explicit CleaningPager(StoreState* state)
      : FilePager(StoreFile::kData, state->data_, state->pool_, state->log_.get(), state->locks_),
        state_(state) {}

  Status pause(Step) override {
    if (state_->closing_) return Status::Error(Code::kConflict, "store is being closed");
    return state_->bound_log();
  }

 private:
  StoreState* state_;
};

// What the engine is handed.
struct StoreState::Cleaning {
  explicit Cleaning(StoreState* of) : state(*of) {
    hints.lane = kLanes - 1;  // the writers' own come last
  }

  StoreState& state;
  CleaningPager pager{&state};
  FileTransactions transactions{state.xids_};
  Hints hints;
  Context context{pager, transactions,          state.memory_,
                  hints, state.options_.values, Proof::kUnlessKnown};
};

Status StoreState::compact(Compaction* compaction) {
  const std::lock_guard<std::mutex> one(cleaning_);
  if (log_ == nullptr) return Status::Error(Code::kInvalid, "store is read-only");
  {
    Writing writing(writers_);
    TOASTSTORE_TRY(log_->health());
    Cleaning cleaning(this);
    cleaning.pager.compact(&writing);
    CleanReport report;
    const Status status =
        toaststore::compact(cleaning.context, options_.compaction_threshold, &report);
    compaction->removed_values = report.removed_values;
    compaction->moved_bytes = report.moved_bytes;
    compaction->freed_bytes = report.freed_blocks * kPageBytes;
    TOASTSTORE_TRY(status);
  }
  TOASTSTORE_TRY(give_back(&compaction->given_back_bytes));
  compactions_++;
  return Status::Ok();
}

// Writers wait, but not for long: the pages that they changed before are written already.  The
// control file says that the data file may be shorter before it is, and no record that is replayed
// from there on changes a page that went: the log goes on in a new group.
Status StoreState::give_back(uint64_t* bytes) {
  Cleaning cleaning(this);
  Block needed;
  const Status status = find_end(cleaning.context, &needed);
  if (status.is(Code::kNotFound)) return Status::Ok();
  TOASTSTORE_TRY(status);
  if (!worth_giving_back(data_.blocks(), needed)) return Status::Ok();
  TOASTSTORE_TRY(checkpoint());
  const std::lock_guard<std::shared_mutex> alone(writers_);
  TOASTSTORE_TRY(find_end(cleaning.context, &needed));
  const Block blocks = data_.blocks();
  if (!worth_giving_back(blocks, needed)) return Status::Ok();
  TOASTSTORE_TRY(drop_map_pages(cleaning.context));
  const std::lock_guard<std::mutex> one(checkpoint_);
  TOASTSTORE_TRY(log_->sync(log_->end()));
  TOASTSTORE_TRY(checkpoint_alone(needed));
  TOASTSTORE_TRY(data_.truncate(needed));
  *bytes = uint64_t{blocks - needed} * kPageBytes;
  return Status::Ok();
}

}  // namespace toaststore
