// The free end of a store's file goes back to the file system.

#ifndef TOASTSTORE_POSTGRES_GIVE_BACK_H_
#define TOASTSTORE_POSTGRES_GIVE_BACK_H_

#include "postgres/host.h"

namespace toaststore {

// Is there enough of it to be worth while?
bool can_give_back(StoreHandle* handle);

// Gives it back, if it is worth while, and counts the blocks.  False where it could not, for
// somebody uses the store.  REQUIRES: ShareUpdateExclusiveLock on the store.
bool give_back(StoreHandle* handle, uint64_t* given_blocks);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_GIVE_BACK_H_
