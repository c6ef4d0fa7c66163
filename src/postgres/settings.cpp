// The settings of the library, as pg_settings shows them; that of the tests is in stop_points.cpp.

#include "postgres/settings.h"

#include "postgres/work_list.h"

extern "C" {
#include "utils/guc.h"
}

namespace toaststore {

double compaction_threshold = 0.5;
int compaction_rate_kb = 0;
bool worker_enabled = true;
int max_workers = 2;
int naptime_s = 10;
int checkpoint_interval_s = 300;

namespace {

void define_upkeep_settings() {
  DefineCustomRealVariable(
      "toaststore.compaction_threshold",
      "Dead share of an extent from which on compaction moves what is alive out of it.",
      "Less takes less space and moves more bytes.", &compaction_threshold, 0.5, 0.1, 0.9,
      PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("toaststore.compaction_rate",
                          "Bytes of values that compaction moves in a second, at most.",
                          "0 moves them as fast as it goes.", &compaction_rate_kb, 0, 0, INT_MAX,
                          PGC_USERSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
}

void define_worker_settings() {
  DefineCustomBoolVariable(
      "toaststore.worker", "Looks after stores in the background.",
      "It needs toaststore in shared_preload_libraries; without, VACUUM and autovacuum do it.",
      &worker_enabled, worker_enabled, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "toaststore.max_workers", "Most databases whose stores are looked after at a time.",
      "Each takes one of max_worker_processes, for a few seconds at a time.", &max_workers,
      max_workers, 1, kMaxWorkers, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "toaststore.naptime", "Time from a deletion or rollback to the visit of a worker.",
      "The worker makes room of what was deleted or rolled back.", &naptime_s, naptime_s, 1,
      SECS_PER_DAY, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "toaststore.checkpoint_interval", "Time from any other change to the visit of a worker.",
      "The worker brings the accounts of the store up to date, so that little is left to look at "
      "after a crash.",
      &checkpoint_interval_s, checkpoint_interval_s, 1, SECS_PER_DAY, PGC_SIGHUP, GUC_UNIT_S,
      nullptr, nullptr, nullptr);
}

}  // namespace

void define_settings() {
  define_upkeep_settings();
  define_worker_settings();
}

}  // namespace toaststore
