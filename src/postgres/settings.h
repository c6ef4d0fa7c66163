// The settings of the library, by name without their prefix.

#ifndef TOASTSTORE_POSTGRES_SETTINGS_H_
#define TOASTSTORE_POSTGRES_SETTINGS_H_

namespace toaststore {

// Of upkeep:
extern double compaction_threshold;  // dead share of an extent from which on values are moved
extern int compaction_rate_kb;       // a second; 0: as fast as it goes
// Of the worker:
extern bool worker_enabled;        // toaststore.worker
extern int max_workers;            // databases looked after at a time
extern int naptime_s;              // from a deletion to a visit
extern int checkpoint_interval_s;  // from any other change to a visit

// Called once, when the library is loaded.
void define_settings();

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_SETTINGS_H_
