// VACUUM and autovacuum of a store: upkeep at VACUUM's pace, and what the catalog and the
// statistics are told afterwards.

#include "engine/meta.h"
#include "postgres/settings.h"
#include "postgres/store_am.h"
#include "postgres/upkeep.h"

namespace toaststore {

namespace {

// Every transaction id in the store is of a journal record that was left, or of a transaction that
// was not over when the horizon was asked for.
TransactionId oldest_xid(const CleanReport& cleaned, TransactionId horizon_before) {
  const TransactionId horizon =
      TransactionIdIsValid(cleaned.horizon) ? cleaned.horizon : horizon_before;
  const bool left = TransactionIdIsValid(cleaned.oldest_left) &&
                    TransactionIdPrecedes(cleaned.oldest_left, horizon);
  return left ? cleaned.oldest_left : horizon;
}

// The settled ones, and those of the journal records that were left.
double count_live(Relation rel, const CleanReport& cleaned) {
  StoreHandle handle(rel, nullptr);
  MetaBody meta;
  const Status status = read_meta(handle.context(), &meta);
  if (status.is(Code::kNotFound)) return 0;
  check(status, rel);
  const auto settled = static_cast<double>(meta.settled.all_values());
  const auto put = static_cast<double>(cleaned.left_puts);
  return Max(settled + put - static_cast<double>(cleaned.left_deletes), 0);
}

void tell(Relation rel, const UpkeepReport& report, int level, double live, double dead) {
  const CleanReport& cleaned = report.cleaned;
  ereport(level,
          (errmsg("vacuumed toaststore \"%s\": " UINT64_FORMAT " values removed, " UINT64_FORMAT
                  " frozen, %.0f remain, %.0f are dead but not yet removable",
                  RelationGetRelationName(rel), cleaned.removed_values, cleaned.frozen_values, live,
                  dead),
           errdetail(UINT64_FORMAT " bytes of values moved, " UINT64_FORMAT
                                   " blocks freed, " UINT64_FORMAT " given back.",
                     cleaned.moved_bytes, cleaned.freed_blocks, report.given_back_blocks)));
}

}  // namespace

void relation_vacuum(Relation rel, VacuumParams* params, BufferAccessStrategy strategy) {
  (void)strategy;
  const MultiXactId oldest_multi = GetOldestMultiXactId();
  const TransactionId horizon = GetOldestNonRemovableTransactionId(rel);
  UpkeepLimits limits;
  limits.threshold = compaction_threshold;
  limits.bytes_per_s = compaction_rate_kb * 1024.0;
  limits.gives_back = params->truncate != VACOPTVALUE_DISABLED;
  limits.gives_way = false;  // autovacuum is cancelled by those who wait, VACUUM is the user's wish
  UpkeepReport report;
  upkeep(rel, limits, &report);

  const double live = count_live(rel, report.cleaned);
  const auto dead = static_cast<double>(report.cleaned.left_deletes);
  vac_update_relstats(rel, RelationGetNumberOfBlocks(rel), live, 0, false,
                      oldest_xid(report.cleaned, horizon), oldest_multi, nullptr, nullptr, false);
  pgstat_report_vacuum(RelationGetRelid(rel), rel->rd_rel->relisshared,
                       static_cast<PgStat_Counter>(live), static_cast<PgStat_Counter>(dead));
  const bool verbose = (params->options & VACOPT_VERBOSE) != 0;
  tell(rel, report, verbose ? INFO : DEBUG2, live, dead);
}

}  // namespace toaststore
