// The procedures that look after a store.  They commit between batches, so that nothing they hold
// is held for long.

#include "postgres/settings.h"
#include "postgres/upkeep.h"

extern "C" {
#include "commands/tablecmds.h"
#include "executor/spi.h"
}

namespace {

using toaststore::Right;
using toaststore::UpkeepLimits;
using toaststore::UpkeepReport;
using toaststore::UpkeepResult;

// Others wait for a batch no longer than that; it costs a look at the space map to begin another.
constexpr int kBatch_ms = 1000;

void demand_own_transaction(FunctionCallInfo fcinfo, const char* procedure) {
  const auto* call = reinterpret_cast<const CallContext*>(fcinfo->context);
  const bool atomic = call == nullptr || !IsA(call, CallContext) || call->atomic;
  if (!atomic) return;
  ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                  errmsg("%s cannot run inside a transaction block", procedure),
                  errdetail("It commits between batches.")));
}

// One batch, in the transaction under way.
UpkeepResult run_batch(Oid relid, UpkeepLimits limits, const char* procedure) {
  Relation table;
  Relation rel = toaststore::open_store_of(relid, ShareUpdateExclusiveLock, Right::kOwn, &table);
  CheckTableNotInUse(rel, procedure);
  if (RELATION_IS_OTHER_TEMP(rel)) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("cannot access temporary tables of other sessions")));
  }
  limits.deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kBatch_ms);
  limits.threshold = toaststore::compaction_threshold;
  limits.bytes_per_s = toaststore::compaction_rate_kb * 1024.0;
  UpkeepReport report;
  report.cleaned.reads_left = false;
  const UpkeepResult result = toaststore::upkeep(rel, limits, &report);
  table_close(rel, NoLock);
  if (table != nullptr) table_close(table, NoLock);
  return result;
}

void run(FunctionCallInfo fcinfo, const UpkeepLimits& limits, const char* procedure) {
  const Oid relid = PG_GETARG_OID(0);
  demand_own_transaction(fcinfo, procedure);
  PreventCommandDuringRecovery(procedure);
  PreventCommandIfReadOnly(procedure);
  if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  for (bool more = true; more;) {
    more = run_batch(relid, limits, procedure) == UpkeepResult::kMore;
    SPI_commit();
  }
  SPI_finish();
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(toaststore_compact);
PG_FUNCTION_INFO_V1(toaststore_checkpoint);

// CALL compact(store regclass)
Datum toaststore_compact(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0)) PG_RETURN_VOID();
  run(fcinfo, UpkeepLimits{}, "toaststore.compact()");
  PG_RETURN_VOID();
}

// CALL checkpoint(store regclass)
Datum toaststore_checkpoint(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0)) PG_RETURN_VOID();
  UpkeepLimits limits;
  limits.compacts = limits.gives_back = false;
  run(fcinfo, limits, "toaststore.checkpoint()");
  PG_RETURN_VOID();
}
}
