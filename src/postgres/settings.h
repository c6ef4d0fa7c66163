// The settings of upkeep.

#ifndef TOASTSTORE_POSTGRES_SETTINGS_H_
#define TOASTSTORE_POSTGRES_SETTINGS_H_

namespace toaststore {

extern double compaction_threshold;  // dead share of an extent from which on values are moved
extern int compaction_rate_kb;       // a second; 0: as fast as it goes

void define_settings();

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_SETTINGS_H_
