// Recovery: the log is replayed from the last checkpoint on, and tells who never committed.

#ifndef TOASTSTORE_FILE_RECOVERY_H_
#define TOASTSTORE_FILE_RECOVERY_H_

#include <memory>

#include "file/buffer_pool.h"
#include "file/control.h"

namespace toaststore {

// Replays the log into the pages and brings *control's transactions up to date.  Pages stay dirty
// in the cache.  *end is where the log ended.  kCorruption where the log is damaged or speaks of
// pages that cannot be.
Status replay_log(Files& files, const char* directory, DataFile& data, DataFile& names,
                  BufferPool& pool, Control* control, Lsn* end);

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_RECOVERY_H_
