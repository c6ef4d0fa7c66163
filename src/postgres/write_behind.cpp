// Writing the log behind a backend that fills it.
//
// Whoever inserts into full buffers of the log writes them out himself, a page at a time, and syncs
// each segment before the next: the processor waits for the disk, and then the disk for the
// processor.  The walwriter can do it meanwhile, but comes by itself every wal_writer_delay only.
// So it is woken, as by a commit that does not wait (XLogSetAsyncXactLSN).  What it syncs at once
// is wal_writer_flush_after, as ever.

#include "postgres/host.h"

namespace toaststore {

namespace {

// What wal_writer_flush_after is as installed: to wake it for less is in vain.
constexpr Size kWakeAfterBytes = Size{1024} * 1024;

}  // namespace

void write_behind(Size logged, XLogRecPtr end) {
  static Size unannounced = 0;  // bytes of this backend
  unannounced += logged;
  if (unannounced < kWakeAfterBytes) return;
  unannounced = 0;
  XLogSetAsyncXactLSN(end);
}

}  // namespace toaststore
