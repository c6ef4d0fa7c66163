// Looking after a store: what VACUUM, the procedures and the background worker call.
//
// Whoever looks after a store holds ShareUpdateExclusiveLock on it, so there is one at a time, and
// the horizon is asked for after the lock is had.  Readers and writers go on.  All of the work may
// be interrupted, fail or crash between any two steps: what was not done is done the next time.
//
// How far it has come shows as the server shows VACUUM, in pg_stat_get_progress_info('VACUUM'):
// parameters of our own lie behind those of VACUUM.

#ifndef TOASTSTORE_POSTGRES_UPKEEP_H_
#define TOASTSTORE_POSTGRES_UPKEEP_H_

#include "engine/cleaner.h"
#include "postgres/host.h"

namespace toaststore {

// Parameters of progress, counted from 0 (the functions of SQL call them param10 and so on).
constexpr int kProgressPhase = 9;         // CleanPhase
constexpr int kProgressExtentsToDo = 10;  // of compaction
constexpr int kProgressExtentsDone = 11;
constexpr int kProgressMovedBytes = 12;

struct UpkeepLimits {
  TimestampTz deadline = 0;  // 0: none
  double bytes_per_s = 0;    // of values moved; 0: as fast as it goes
  double threshold = 0.5;    // dead share of an extent from which on values are moved out of it
  bool compacts = true;      // false: cleans and checkpoints only
  bool gives_back = true;    // free space at the end of the file to the file system
  bool gives_way = true;     // ends early where somebody waits for the lock
  // Where there is one, it is asked at every pause whether to end at once.
  bool (*asked_to_stop)() = nullptr;
};

struct UpkeepReport {
  CleanReport cleaned;
  uint64_t given_back_blocks = 0;  // to the file system
  bool end_in_use = false;         // the free end of the file could not be: somebody uses the store

  // Is there something that has to wait until others have ended?
  bool left_some() const {
    return cleaned.oldest_left != kNoXid || cleaned.left_extents > 0 || end_in_use;
  }
};

enum class UpkeepResult : uint8_t {
  kBusy,  // the lock was not to be had, or the store is gone: nothing was done
  kMore,  // the deadline came first, or somebody who waits
  kDone,  // there is nothing left that can be done now
};

// Looks after a store without waiting for a lock.  The caller is in a transaction of its own, which
// keeps the lock, and commits it soon; errors are raised.
UpkeepResult upkeep_store(Oid relid, const UpkeepLimits& limits, UpkeepReport* report);

// The same where the caller has the lock (or a stronger one).
UpkeepResult upkeep(Relation rel, const UpkeepLimits& limits, UpkeepReport* report);

// Is there something to do?  Reads the map and a page of each journal, and writes nothing.  It is
// false when upkeep_store() has returned kDone, has left nothing, and nothing has happened since.
// REQUIRES: some lock on `rel`.
bool store_needs_upkeep(Relation rel, double threshold);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_UPKEEP_H_
