// The free end of a store's file goes back to the file system.

#ifndef TOASTSTORE_POSTGRES_GIVE_BACK_H_
#define TOASTSTORE_POSTGRES_GIVE_BACK_H_

#include "postgres/host.h"

namespace toaststore {

// Returns how many blocks went.  Where it is not worth it, or somebody is using the store, none.
// REQUIRES: ShareUpdateExclusiveLock on the store.
uint64_t give_back(StoreHandle* handle);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_GIVE_BACK_H_
