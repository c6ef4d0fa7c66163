// The order of cleaning.

#include "engine/cleaner.h"

namespace toaststore {

Status clean(Context& context, CleanReport* report) {
  TOASTSTORE_TRY(clean_journals(context, report));
  TOASTSTORE_TRY(charge_dead(context, report));
  return count_extents(context, report);
}

// What moving leaves behind is charged at once: extents that were emptied are free.
Status compact(Context& context, double threshold, CleanReport* report) {
  TOASTSTORE_TRY(clean(context, report));
  TOASTSTORE_TRY(compact_extents(context, threshold, report));
  return charge_dead(context, report);
}

}  // namespace toaststore
