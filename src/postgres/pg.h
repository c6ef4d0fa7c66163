// PostgreSQL's headers, as C.  Engine headers are included before this one: the server's macros
// (Min, Max, Assert, ERROR, _) must not reach them.

#ifndef TOASTSTORE_POSTGRES_PG_H_
#define TOASTSTORE_POSTGRES_PG_H_

extern "C" {
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/gist_private.h"
#include "access/heapam.h"
#include "access/heapam_xlog.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/toast_helper.h"
#include "access/toast_internals.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "catalog/storage.h"
#include "catalog/storage_xlog.h"
#include "commands/defrem.h"
#include "commands/vacuum.h"
#include "executor/instrument.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "pgstat.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "storage/procarray.h"
#include "storage/sinval.h"
#include "storage/smgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

// A setting that no header declares (bufpage.c).
extern bool ignore_checksum_failure;
}

// Macros that name types of the server's, outside of our namespace, which has its own Block and
// PageHeader.
inline char* buffer_page(Buffer buffer) { return BufferGetPage(buffer); }
inline uint16 stored_checksum(const char* page) {
  return reinterpret_cast<const PageHeaderData*>(page)->pd_checksum;
}
inline void set_page_lsn(char* page, XLogRecPtr lsn) { PageSetLSN(page, lsn); }

#endif  // TOASTSTORE_POSTGRES_PG_H_
