// What the view stat_stores shows of a store.  A monitor must not hang or fail because of one
// store: of a store that is locked, or that cannot be read, it shows what there is.

#include <cmath>

#include "engine/measure.h"
#include "postgres/host.h"
#include "postgres/work_list.h"

extern "C" {
#include "utils/resowner.h"
#include "utils/timestamp.h"
}

namespace {

using toaststore::Measure;
using toaststore::StoreHandle;
using toaststore::Tally;
using toaststore::Work;

// Columns of store_statistics().
enum Column : uint8_t {
  kSizeBytes,
  kDirectValues,
  kExtentValues,
  kChunkedValues,
  kRawBytes,
  kStoredBytes,
  kCompressionRatio,
  kLiveBytes,
  kDeadBytes,
  kOpenBytes,
  kPageBytes,
  kFreeBytes,
  kAmplification,
  kUnprocessed,
  kOldestXid,
  kLastCompaction,
  kLastCheckpoint,
  kFault,
  kWorkerDue,
  kWorkerFailures,
  kLastError,
  kLastErrorState,
  kLastErrorAt,
  kColumns
};

struct Row {
  Datum values[kColumns] = {};
  bool nulls[kColumns];

  Row() { memset(nulls, true, sizeof(nulls)); }
  void set(Column column, Datum value) {
    values[column] = value;
    nulls[column] = false;
  }
  void count(Column column, uint64_t number) {
    set(column, Int64GetDatum(static_cast<int64>(number)));
  }
  void ratio(Column column, uint64_t number, uint64_t of) {
    if (of == 0) return;
    const double factor = static_cast<double>(number) / static_cast<double>(of);
    set(column, Float8GetDatum(std::round(factor * 100) / 100));
  }
  void time(Column column, TimestampTz time) {
    if (time != 0) set(column, TimestampTzGetDatum(time));
  }
};

void add_measure(Relation rel, Row* row) {
  const uint64_t size = uint64_t{RelationGetNumberOfBlocks(rel)} * BLCKSZ;
  row->count(kSizeBytes, size);
  StoreHandle handle(rel, nullptr);
  Measure measured;
  toaststore::check(toaststore::measure(handle.context(), &measured), rel);
  const Tally& settled = measured.settled;
  row->count(kDirectValues, settled.values[0]);
  row->count(kExtentValues, settled.values[1]);
  row->count(kChunkedValues, settled.values[2]);
  row->count(kRawBytes, settled.raw_bytes);
  row->count(kStoredBytes, settled.stored_bytes);
  row->ratio(kCompressionRatio, settled.raw_bytes, settled.stored_bytes);
  row->count(kLiveBytes, measured.live_bytes);
  row->count(kDeadBytes, measured.dead_bytes);
  row->count(kOpenBytes, measured.open_bytes);
  row->count(kPageBytes, measured.page_bytes);
  row->count(kFreeBytes, measured.free_bytes);
  row->ratio(kAmplification, size, measured.live_bytes + measured.open_bytes);
  row->count(kUnprocessed, measured.journal_records);
  if (measured.oldest_xid != toaststore::kNoXid) {
    row->set(kOldestXid, TransactionIdGetDatum(measured.oldest_xid));
  }
  row->time(kLastCompaction, measured.compacted_at);
  row->time(kLastCheckpoint, measured.checkpointed_at);
}

// Has a file that this backend can read.
bool is_readable(Relation rel) {
  if (!toaststore::is_store(rel) || RELATION_IS_OTHER_TEMP(rel)) return false;
  return !RecoveryInProgress() || RelationIsPermanent(rel);
}

// Raises where the store cannot be read.  Rights have been checked: only monitors may call.
void measure_store(Oid relid, Row* row) {
  if (!ConditionalLockRelationOid(relid, AccessShareLock)) {
    row->set(kFault, CStringGetTextDatum("locked"));
    return;
  }
  Relation rel = try_relation_open(relid, NoLock);
  if (rel == nullptr) {
    UnlockRelationOid(relid, AccessShareLock);
    return;
  }
  if (is_readable(rel)) add_measure(rel, row);
  relation_close(rel, AccessShareLock);
}

// In a subtransaction, which takes away what an error leaves behind.
void try_to_measure(Oid relid, Row* row) {
  MemoryContext context = CurrentMemoryContext;
  ResourceOwner owner = CurrentResourceOwner;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(context);
  PG_TRY();
  {
    measure_store(relid, row);
    ReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    // Those are meant for the statement, not for the store.
    const int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
    if (category == ERRCODE_OPERATOR_INTERVENTION) PG_RE_THROW();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(context);
    row->set(kFault, CStringGetTextDatum(error->message));
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
  CurrentResourceOwner = owner;
}

void add_work(Oid relid, Row* row) {
  if (!toaststore::have_work_list()) return;
  Work work{};
  const bool known = toaststore::find_work(relid, &work);
  row->set(kWorkerFailures, Int32GetDatum(static_cast<int32>(work.failures)));
  if (!known) return;
  row->time(kWorkerDue, work.taken ? work.visited : work.due);
  if (work.failed_at == 0) return;
  row->set(kLastError, CStringGetTextDatum(work.error));
  row->set(kLastErrorState, CStringGetTextDatum(unpack_sql_state(work.sqlstate)));
  row->time(kLastErrorAt, work.failed_at);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(toaststore_store_statistics);

Datum toaststore_store_statistics(PG_FUNCTION_ARGS) {
  const Oid relid = PG_GETARG_OID(0);
  TupleDesc columns;
  if (get_call_result_type(fcinfo, nullptr, &columns) != TYPEFUNC_COMPOSITE) {
    elog(ERROR, "return type must be a row type");
  }
  Row row;
  try_to_measure(relid, &row);
  add_work(relid, &row);
  HeapTuple tuple = heap_form_tuple(BlessTupleDesc(columns), row.values, row.nulls);
  PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}
}
