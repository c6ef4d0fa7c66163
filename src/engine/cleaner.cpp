// The order of cleaning.

#include "engine/cleaner.h"

namespace toaststore {

Status clean(Context& context, CleanReport* report) {
  report->phase = CleanPhase::kJournals;
  TOASTSTORE_TRY(clean_journals(context, report));
  report->phase = CleanPhase::kDeadList;
  TOASTSTORE_TRY(charge_dead(context, report));
  TOASTSTORE_TRY(tidy_extents(context, report));
  report->phase = CleanPhase::kCount;
  return count_extents(context, context.transactions.oldest_running(), report);
}

Status compact(Context& context, double threshold, CleanReport* report) {
  TOASTSTORE_TRY(clean(context, report));
  report->phase = CleanPhase::kCompact;
  return compact_extents(context, threshold, report);
}

}  // namespace toaststore
