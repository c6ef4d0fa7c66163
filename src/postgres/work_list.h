// What there is to do in stores, in shared memory: backends note what they have changed, the
// launcher reads when a worker is due in which database, workers read where, and views read how it
// went.  It is there only where the library is in shared_preload_libraries.
//
// A store is in the list while something is to be done in it, or the worker has failed there.  A
// store that nobody changes is not: an idle server has nothing to wake up for.  The list says where
// to look, never what is true: a crash takes it, and it is made anew by a look at every store.
//
// Invariants:
//   * All of it is read and written under its lock, which is held for a few instructions only.
//   * A change is noted when its transaction has ended, so that a visit which begins by taking the
//     note can clean what the transaction left.

#ifndef TOASTSTORE_POSTGRES_WORK_LIST_H_
#define TOASTSTORE_POSTGRES_WORK_LIST_H_

#include "postgres/pg.h"

namespace toaststore {

// Where more stores than this have something to do at a time, all are looked at again.
constexpr int kMaxWork = 1024;
constexpr int kMaxWorkers = 16;
constexpr int kMaxErrorBytes = 256;

// A store of a database, or, where `store` is invalid, the search for stores in it.
struct WorkKey {
  Oid database;
  Oid store;
};

struct Work {
  WorkKey key;
  TimestampTz due;         // when a worker is to come; 0: for nothing
  TimestampTz not_before;  // changes do not make it come earlier
  TimestampTz visited;     // when a worker last came
  bool taken;              // it is there now
  uint32 delays;           // visits in a row that left something for later
  uint32 failures;         // visits in a row that ended in an error
  Oid resume;              // of a search: it goes on behind this store
  TimestampTz failed_at;   // of the last error; 0: there was none
  int sqlstate;
  char error[kMaxErrorBytes];
};

// Called once, when the library is loaded.
void install_work_list();
// Is there shared memory, and so a launcher?
bool have_work_list();

// ---- backends --------------------------------------------------------------------------------

// This transaction changes the store.  A worker will come soon if something is deleted or rolled
// back, to make room, else after some time, to checkpoint.
enum class ChangeKind : uint8_t { kPut, kDelete };
void note_change(Relation rel, ChangeKind kind);
// This transaction makes a database, which may have stores from the start.
void note_new_database(Oid database);

// ---- the launcher ----------------------------------------------------------------------------

// The latch that wakes it, or null when it ends.
void set_launcher(Latch* latch);
// Is every database to be searched for stores?  True once for each time that it was asked for.
bool take_search_request();
void request_search();
// When the next visit is due, and in which database, but for those of `busy`; 0: none is.
TimestampTz next_visit(const Oid* busy, int busy_count, Oid* database);
// Nothing is to be done in the database before the time.
void postpone(Oid database, TimestampTz until);
void forget_database(Oid database);

// Slots of workers.  One is taken from when a worker is asked for until that worker is gone.
enum class WorkerState : uint8_t { kAsked, kBegun, kDone, kFailed };
struct WorkerSlot {
  Oid database;   // invalid: the slot is free
  uint32 number;  // tells the workers of a slot apart
  WorkerState state;
};
WorkerSlot read_slot(int slot);
void write_slot(int slot, const WorkerSlot& value);
void wake_launcher();

// ---- workers ---------------------------------------------------------------------------------

// Takes what is due in the database and was visited longest ago.  False: nothing is.
bool take_work(Oid database, Work* work);
// A worker is to come at the time, at the latest.  False: the list is full.
bool add_work(const WorkKey& key, TimestampTz due);
// A visit to what was taken has ended, and another is due as `work` says.
void finish_work(const Work& work);

// ---- views -----------------------------------------------------------------------------------

// What the list says of a store of this database.  False: nothing.
bool find_work(Oid store, Work* work);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_WORK_LIST_H_
