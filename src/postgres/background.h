// The processes that look after stores by themselves: a launcher, which the server starts with the
// library preloaded, and workers, which it asks for when something is due.
//
// A connection to a database is in the way of DROP DATABASE, CREATE DATABASE .. TEMPLATE and ALTER
// DATABASE.  So:
//   * The launcher is connected to the shared catalogs only.
//   * A worker leaves after kSliceMs, and another one goes on.  It holds the lock on the database
//     that these commands want, so that they wait for it, and leaves as soon as one does: before it
//     has the lock it does not stay, and whoever it could wait for within the database would be in
//     their way, too.
//   * The launcher asks for no worker in a database that such a command has locked.
//
// Nothing is done in intervals.  The launcher sleeps until the time at which the first of the noted
// work is due (work_list.h), or for good.

#ifndef TOASTSTORE_POSTGRES_BACKGROUND_H_
#define TOASTSTORE_POSTGRES_BACKGROUND_H_

#include "postgres/pg.h"

extern "C" {
#include "catalog/pg_database.h"
#include "storage/lock.h"
}

namespace toaststore {

// Below the 5 s that DROP DATABASE waits for others to leave.
constexpr int kSliceMs = 3000;

// Called once, when the library is loaded.
void register_launcher();

// The lock on a database that each connection takes for a moment.
inline LOCKTAG database_lock(Oid database) {
  LOCKTAG tag;
  SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
  return tag;
}
constexpr LOCKMODE kDatabaseLockMode = RowExclusiveLock;

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_BACKGROUND_H_
