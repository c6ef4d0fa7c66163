// A worker: looks after what is due in one database, for one slice of time.

#include "postgres/background.h"
#include "postgres/settings.h"
#include "postgres/upkeep.h"
#include "postgres/work_list.h"

extern "C" {
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace toaststore {

namespace {

// The longest that work waits that could not be done: while an old snapshot needs what is to be
// removed, or while a store is damaged.
constexpr int64 kMaxDelayS = 10 * SECS_PER_MINUTE;
// Stores whose oids a search reads at a time.
constexpr int kSearchBatch = 100;

int slot_index;
TimestampTz deadline;
// The work in hand: if the process is ended in the middle of it, another one goes on.
Work in_hand;

// Holds the database's lock until it is let go, or an error takes it away; false where somebody
// else wants it.
bool hold_database() {
  const LOCKTAG tag = database_lock(MyDatabaseId);
  return LockHeldByMe(&tag, kDatabaseLockMode) ||
         LockAcquire(&tag, kDatabaseLockMode, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void let_database_go() {
  const LOCKTAG tag = database_lock(MyDatabaseId);
  if (LockHeldByMe(&tag, kDatabaseLockMode)) LockRelease(&tag, kDatabaseLockMode, true);
}

// Is the worker in somebody's way, or are its settings not those of the server any more?
bool has_to_leave() {
  if (ConfigReloadPending) return true;
  const LOCKTAG tag = database_lock(MyDatabaseId);
  return LockHasWaiters(&tag, kDatabaseLockMode, true);
}

bool time_is_up() { return GetCurrentTimestamp() >= deadline || has_to_leave(); }

TimestampTz after_nap() { return GetCurrentTimestamp() + naptime_s * USECS_PER_SEC; }

// The work in hand has to wait, twice as long each time in a row.
void delay(uint32* times) {
  const int64 doubled_s = *times < 16 ? Min(int64{naptime_s} << *times, kMaxDelayS) : kMaxDelayS;
  ++*times;
  const int64 delay_s = Max(doubled_s, int64{naptime_s});
  in_hand.due = in_hand.not_before = GetCurrentTimestamp() + delay_s * USECS_PER_SEC;
}

// The error that was raised is logged and kept for the views; the transaction is over.
void keep_error(MemoryContext context) {
  MemoryContextSwitchTo(context);
  HOLD_INTERRUPTS();
  ErrorData* error = CopyErrorData();
  EmitErrorReport();
  AbortOutOfAnyTransaction();
  FlushErrorState();
  MemoryContextSwitchTo(context);
  in_hand.failed_at = GetCurrentTimestamp();
  in_hand.sqlstate = error->sqlerrcode;
  const int length =
      pg_mbcliplen(error->message, static_cast<int>(strlen(error->message)), kMaxErrorBytes - 1);
  memcpy(in_hand.error, error->message, length);
  in_hand.error[length] = '\0';
  FreeErrorData(error);
  RESUME_INTERRUPTS();
}

void show(const char* name, Oid store) {
  const char* schema = get_namespace_name(get_rel_namespace(store));
  char* activity = psprintf("toaststore: %s.%s", schema != nullptr ? schema : "", name);
  pgstat_report_activity(STATE_RUNNING, activity);
  pfree(activity);
}

// What is left of a store's work after a visit.
void look_after_store() {
  in_hand.due = 0;
  UpkeepLimits limits;
  limits.deadline = deadline;
  limits.asked_to_stop = has_to_leave;
  limits.threshold = compaction_threshold;
  limits.bytes_per_s = compaction_rate_kb * 1024.0;
  UpkeepReport report;
  report.cleaned.reads_left = false;
  UpkeepResult result = UpkeepResult::kDone;
  StartTransactionCommand();
  const char* name = get_rel_name(in_hand.key.store);
  if (name != nullptr) {
    show(name, in_hand.key.store);
    result = upkeep_store(in_hand.key.store, limits, &report);
  }
  CommitTransactionCommand();
  in_hand.failures = 0;
  in_hand.not_before = 0;
  const CleanReport& cleaned = report.cleaned;
  switch (result) {
    case UpkeepResult::kBusy:
      delay(&in_hand.delays);
      break;
    case UpkeepResult::kMore:
      in_hand.due = GetCurrentTimestamp();
      break;
    case UpkeepResult::kDone:
      if (cleaned.removed_values + cleaned.frozen_values > 0) in_hand.delays = 0;
      if (report.left_some()) delay(&in_hand.delays);
      break;
  }
}

void add_context(void*) {
  errcontext("while looking after relation %u in the background", in_hand.key.store);
}

// An error ends the visit, not the worker.
void visit(void (*work)()) {
  MemoryContext context = CurrentMemoryContext;
  ErrorContextCallback callback{error_context_stack, add_context, nullptr};
  PG_TRY();
  {
    error_context_stack = &callback;
    work();
    error_context_stack = callback.previous;
  }
  PG_CATCH();
  {
    keep_error(context);
    delay(&in_hand.failures);
  }
  PG_END_TRY();
}

// ---- searches --------------------------------------------------------------------------------

// Reads the oids of the next stores behind `after`, in order.
int next_stores(Oid after, Oid* stores) {
  int count = 0;
  StartTransactionCommand();
  const Oid method = get_am_oid(kAccessMethod, true);
  if (OidIsValid(method)) {
    PushActiveSnapshot(GetTransactionSnapshot());
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_class_oid, BTGreaterStrategyNumber, F_OIDGT, ObjectIdGetDatum(after));
    Relation catalog = table_open(RelationRelationId, AccessShareLock);
    Relation index = index_open(ClassOidIndexId, AccessShareLock);
    SysScanDesc scan = systable_beginscan_ordered(catalog, index, nullptr, 1, &key);
    while (count < kSearchBatch) {
      HeapTuple tuple = systable_getnext_ordered(scan, ForwardScanDirection);
      if (!HeapTupleIsValid(tuple)) break;
      const auto* form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
      if (form->relam != method || !RELKIND_HAS_STORAGE(form->relkind)) continue;
      if (form->relpersistence == RELPERSISTENCE_TEMP) continue;
      stores[count++] = form->oid;
    }
    systable_endscan_ordered(scan);
    index_close(index, AccessShareLock);
    table_close(catalog, AccessShareLock);
    PopActiveSnapshot();
  }
  CommitTransactionCommand();
  return count;
}

bool needs_visit(Oid store) {
  // What is locked may need one.
  if (!ConditionalLockRelationOid(store, AccessShareLock)) return true;
  Relation rel = try_relation_open(store, NoLock);
  if (rel == nullptr) return false;
  const bool needs = is_store(rel) && store_needs_upkeep(rel, compaction_threshold);
  relation_close(rel, NoLock);
  return needs;
}

Oid looked_at;
bool found_work;

void look_at_store() {
  StartTransactionCommand();
  PushActiveSnapshot(GetTransactionSnapshot());
  found_work = needs_visit(looked_at);
  PopActiveSnapshot();
  CommitTransactionCommand();
}

// A store that cannot be looked at is visited: that will tell.
bool has_work(Oid store) {
  MemoryContext context = CurrentMemoryContext;
  looked_at = store;
  found_work = true;
  PG_TRY();
  { look_at_store(); }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    AbortOutOfAnyTransaction();
    MemoryContextSwitchTo(context);
    FlushErrorState();
  }
  PG_END_TRY();
  return found_work;
}

void search() {
  pgstat_report_activity(STATE_RUNNING, "toaststore: search for stores");
  in_hand.due = 0;
  for (;;) {
    Oid stores[kSearchBatch];
    const int count = next_stores(in_hand.resume, stores);
    for (int i = 0; i < count; i++) {
      const TimestampTz now = GetCurrentTimestamp();
      if (time_is_up()) {
        in_hand.due = now;
        return;
      }
      if (has_work(stores[i]) && !add_work({MyDatabaseId, stores[i]}, now)) {
        in_hand.due = after_nap();
        return;
      }
      in_hand.resume = stores[i];
    }
    if (count < kSearchBatch) break;
  }
  in_hand.resume = InvalidOid;
}

// ---- the process -----------------------------------------------------------------------------

// The end of a process releases no lock that was taken outside of a transaction.
void on_exit(int, Datum) {
  let_database_go();
  if (OidIsValid(in_hand.key.database)) {
    in_hand.due = after_nap();
    finish_work(in_hand);
  }
  WorkerSlot slot = read_slot(slot_index);
  if (slot.state == WorkerState::kBegun) slot.state = WorkerState::kFailed;
  write_slot(slot_index, slot);
  wake_launcher();
}

// As autovacuum's: no setting of a user or a database may change what the worker does.
void set_options() {
  const struct {
    const char* name;
    const char* value;
  } options[] = {{"search_path", ""},
                 {"zero_damaged_pages", "false"},
                 {"ignore_checksum_failure", "false"},
                 {"statement_timeout", "0"},
                 {"lock_timeout", "0"},
                 {"idle_in_transaction_session_timeout", "0"},
                 {"default_transaction_isolation", "read committed"},
                 {"default_transaction_read_only", "false"}};
  for (const auto& option : options) {
    SetConfigOption(option.name, option.value, PGC_SUSET, PGC_S_OVERRIDE);
  }
  if (synchronous_commit > SYNCHRONOUS_COMMIT_LOCAL_FLUSH) {
    SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
  }
}

void work_in_database() {
  deadline = GetCurrentTimestamp() + kSliceMs * INT64CONST(1000);
  while (hold_database() && !time_is_up() && take_work(MyDatabaseId, &in_hand)) {
    visit(OidIsValid(in_hand.key.store) ? look_after_store : search);
    finish_work(in_hand);
    in_hand = Work{};
    pgstat_report_stat(false);
    CHECK_FOR_INTERRUPTS();
  }
  let_database_go();
}

void run(uint32 number) {
  WorkerSlot slot = read_slot(slot_index);
  // A new launcher has given the slot to another worker.
  if (slot.number != number || slot.state != WorkerState::kAsked) return;
  slot.state = WorkerState::kBegun;
  write_slot(slot_index, slot);
  before_shmem_exit(on_exit, 0);
  BackgroundWorkerInitializeConnectionByOid(slot.database, InvalidOid, 0);
  pgstat_report_appname("toaststore worker");
  set_options();
  work_in_database();
  slot.state = WorkerState::kDone;
  write_slot(slot_index, slot);
}

}  // namespace

}  // namespace toaststore

extern "C" {

void toaststore_worker_main(Datum slot);

void toaststore_worker_main(Datum slot) {
  toaststore::slot_index = DatumGetInt32(slot);
  uint32 number;
  memcpy(&number, MyBgworkerEntry->bgw_extra, sizeof(number));
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  toaststore::run(number);
}
}
