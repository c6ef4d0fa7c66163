// The settings of upkeep, as pg_settings shows them.

#include "postgres/settings.h"

#include "postgres/pg.h"

extern "C" {
#include "utils/guc.h"
}

namespace toaststore {

double compaction_threshold = 0.5;
int compaction_rate_kb = 0;

void define_settings() {
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

}  // namespace toaststore
