// The launcher: asks for workers when something is due.

#include "postgres/background.h"
#include "postgres/settings.h"
#include "postgres/work_list.h"

extern "C" {
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
}

namespace toaststore {

namespace {

constexpr int kRestartS = 5;
// How long a database that is being made, copied or dropped is left alone.
constexpr int64 kLockedUs = USECS_PER_SEC;

// Of the slots' workers; those that an earlier launcher asked for have none.
BackgroundWorkerHandle* handles[kMaxWorkers];
uint32 last_number = 0;
TimestampTz no_slot_until = 0;  // the server has no slot for a process before
bool no_slot_told = false;

BackgroundWorker description(const char* type, const char* function) {
  BackgroundWorker worker{};
  strlcpy(worker.bgw_name, type, sizeof(worker.bgw_name));
  strlcpy(worker.bgw_type, type, sizeof(worker.bgw_type));
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  strlcpy(worker.bgw_library_name, "toaststore", sizeof(worker.bgw_library_name));
  strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
  return worker;
}

TimestampTz now_plus(int64 us) { return GetCurrentTimestamp() + us; }

// Every database that takes connections is to be searched for stores.
void search_databases() {
  StartTransactionCommand();
  PushActiveSnapshot(GetTransactionSnapshot());
  bool all = true;
  Relation catalog = table_open(DatabaseRelationId, AccessShareLock);
  SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, nullptr, 0, nullptr);
  while (HeapTuple tuple = systable_getnext(scan)) {
    const auto* form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
    if (!form->datallowconn || database_is_invalid_form(const_cast<Form_pg_database>(form))) {
      continue;
    }
    all = add_work({form->oid, InvalidOid}, GetCurrentTimestamp()) && all;
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  PopActiveSnapshot();
  CommitTransactionCommand();
  if (!all) request_search();
}

enum class Reach : uint8_t { kGone, kLocked, kOpen };

// Can a worker connect to the database?
Reach reach(Oid database) {
  Reach reach = Reach::kGone;
  const LOCKTAG tag = database_lock(database);
  StartTransactionCommand();
  if (LockAcquire(&tag, kDatabaseLockMode, false, true) == LOCKACQUIRE_NOT_AVAIL) {
    reach = Reach::kLocked;
  } else {
    HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
    if (HeapTupleIsValid(tuple)) {
      auto* form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
      if (form->datallowconn && !database_is_invalid_form(form)) reach = Reach::kOpen;
      ReleaseSysCache(tuple);
    }
  }
  CommitTransactionCommand();
  return reach;
}

// Asks for a worker.  False where the server has no slot for one.
bool start_worker(int slot, Oid database) {
  BackgroundWorker worker = description("toaststore worker", "toaststore_worker_main");
  worker.bgw_restart_time = BGW_NEVER_RESTART;
  worker.bgw_main_arg = Int32GetDatum(slot);
  worker.bgw_notify_pid = MyProcPid;
  const uint32 number = ++last_number;
  memcpy(worker.bgw_extra, &number, sizeof(number));
  write_slot(slot, {database, number, WorkerState::kAsked});
  if (RegisterDynamicBackgroundWorker(&worker, &handles[slot])) return true;
  handles[slot] = nullptr;
  write_slot(slot, {});
  return false;
}

// Frees the slots of workers that have ended; `all` also those that an earlier launcher asked for
// and that have not begun.
void reap(bool all) {
  for (int i = 0; i < kMaxWorkers; i++) {
    BackgroundWorkerHandle*& handle = handles[i];
    pid_t pid;
    const bool gone = handle != nullptr && GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED;
    const WorkerSlot slot = read_slot(i);
    if (!OidIsValid(slot.database)) continue;
    last_number = Max(last_number, slot.number);
    const bool over =
        slot.state >= WorkerState::kDone || (all && slot.state == WorkerState::kAsked);
    if (handle != nullptr ? !gone : !over) continue;
    // One that failed would fail again at once.
    if (slot.state != WorkerState::kDone) {
      postpone(slot.database, now_plus(naptime_s * USECS_PER_SEC));
    }
    if (handle != nullptr) pfree(handle);
    handle = nullptr;
    write_slot(i, {});
  }
}

void stop_workers() {
  for (BackgroundWorkerHandle* handle : handles) {
    if (handle != nullptr) TerminateBackgroundWorker(handle);
  }
}

// Starts what is due.  When it has to be asked again: a time, or 0 for when the latch is set.
TimestampTz start_due() {
  for (;;) {
    Oid busy[kMaxWorkers];
    int busy_count = 0;
    int free_slot = -1;
    for (int i = 0; i < kMaxWorkers; i++) {
      const WorkerSlot slot = read_slot(i);
      if (OidIsValid(slot.database)) {
        busy[busy_count++] = slot.database;
      } else if (free_slot < 0) {
        free_slot = i;
      }
    }
    if (busy_count >= max_workers || free_slot < 0) return 0;
    Oid database = InvalidOid;
    const TimestampTz due = next_visit(busy, busy_count, &database);
    if (due == 0 || due > GetCurrentTimestamp()) return due;
    if (no_slot_until > GetCurrentTimestamp()) return no_slot_until;
    switch (reach(database)) {
      case Reach::kGone:
        forget_database(database);
        continue;
      case Reach::kLocked:
        postpone(database, now_plus(kLockedUs));
        continue;
      case Reach::kOpen:
        break;
    }
    if (start_worker(free_slot, database)) {
      no_slot_told = false;
      continue;
    }
    no_slot_until = now_plus(naptime_s * USECS_PER_SEC);
    if (!no_slot_told) {
      ereport(LOG, (errmsg("toaststore found no free slot for a background worker"),
                    errhint("You might need to increase max_worker_processes.")));
    }
    no_slot_told = true;
  }
}

void on_exit(int, Datum) { set_launcher(nullptr); }

[[noreturn]] void launch() {
  set_launcher(MyLatch);
  before_shmem_exit(on_exit, 0);
  pgstat_report_appname("toaststore launcher");
  reap(true);
  for (;;) {
    ResetLatch(MyLatch);
    if (ShutdownRequestPending) proc_exit(1);  // 0 would be for good
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    reap(false);
    TimestampTz next = 0;
    if (worker_enabled) {
      if (take_search_request()) search_databases();
      next = start_due();
    } else {
      stop_workers();
    }
    long wait_ms = -1;
    if (next != 0) wait_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next);
    pgstat_report_stat(true);
    pgstat_report_activity(STATE_IDLE, nullptr);
    WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (next != 0 ? WL_TIMEOUT : 0), wait_ms,
              PG_WAIT_EXTENSION);
  }
}

}  // namespace

void register_launcher() {
  if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
  BackgroundWorker worker = description("toaststore launcher", "toaststore_launcher_main");
  worker.bgw_restart_time = kRestartS;
  RegisterBackgroundWorker(&worker);
}

}  // namespace toaststore

extern "C" {

void toaststore_launcher_main(Datum argument);

void toaststore_launcher_main(Datum argument) {
  (void)argument;
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  toaststore::launch();
}
}
