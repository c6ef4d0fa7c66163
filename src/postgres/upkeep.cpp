// Looking after a store: how much at a time, and how fast.

#include "postgres/upkeep.h"

#include <algorithm>

#include "engine/chain.h"
#include "engine/meta.h"
#include "postgres/give_back.h"

extern "C" {
#include "commands/progress.h"
#include "utils/backend_progress.h"
#include "utils/wait_event.h"
}

namespace toaststore {

namespace {

// Gives way to interrupts, to VACUUM's cost limits, to the rate, to a deadline and to who waits for
// the lock, and tells how far it has come.
class UpkeepPace final : public Pace {
 public:
  UpkeepPace(StoreHandle* handle, const UpkeepLimits& limits, const CleanReport& report)
      : rel_(handle->rel()),
        pager_(handle->pager()),
        limits_(limits),
        report_(report),
        start_(GetCurrentTimestamp()) {}

  Status pause(Step) override {
    vacuum_delay_point();
    tell();
    if (limits_.bytes_per_s > 0) slow_down();
    if (asked_to_stop()) return end_early();
    if (!advanced()) return Status::Ok();
    const bool waited_for = limits_.gives_way && ++pauses_ % kLooksForWaiters == 0 &&
                            LockHasWaitersRelation(rel_, ShareUpdateExclusiveLock);
    const bool late = limits_.deadline != 0 && GetCurrentTimestamp() >= limits_.deadline;
    return waited_for || late ? end_early() : Status::Ok();
  }

  void tell() const {
    const int parameters[] = {PROGRESS_VACUUM_PHASE, kProgressPhase, kProgressExtentsToDo,
                              kProgressExtentsDone, kProgressMovedBytes};
    const auto phase = static_cast<int64>(report_.phase);
    const bool cleans = report_.phase < CleanPhase::kCompact;
    const int64 values[] = {
        cleans ? PROGRESS_VACUUM_PHASE_SCAN_HEAP : PROGRESS_VACUUM_PHASE_VACUUM_HEAP, phase,
        static_cast<int64>(report_.extents_to_do), static_cast<int64>(report_.extents_done),
        static_cast<int64>(report_.moved_bytes)};
    pgstat_progress_update_multi_param(lengthof(parameters), parameters, values);
  }

  bool ended_early() const { return ended_early_; }

  // Has anything been done?  Whoever begins again must not end at the same place for ever.  Each
  // change brings the work on, and from one to the next a bounded number of pages is read: those of
  // the map, of an extent, and of the values that begin in it.
  bool advanced() const { return pager_.changes() > 0; }

 private:
  static constexpr uint32_t kLooksForWaiters = 16;
  static constexpr long kLongestNap_ms = 100;  // and then asks whether to stop

  bool asked_to_stop() const { return limits_.asked_to_stop != nullptr && limits_.asked_to_stop(); }

  Status end_early() {
    ended_early_ = true;
    return Status::Error(Code::kConflict, "upkeep ends early");
  }

  // Sleeps until as much time has gone by as the bytes moved may take.
  void slow_down() {
    while (!asked_to_stop()) {
      const TimestampTz due =
          start_ + static_cast<TimestampTz>(static_cast<double>(report_.moved_bytes) /
                                            limits_.bytes_per_s * USECS_PER_SEC);
      const TimestampTz until = limits_.deadline != 0 ? std::min(due, limits_.deadline) : due;
      const long left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
      if (left_ms <= 0) return;
      WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                std::min(left_ms, kLongestNap_ms), WAIT_EVENT_VACUUM_DELAY);
      ResetLatch(MyLatch);
      CHECK_FOR_INTERRUPTS();
    }
  }

  Relation rel_;
  const ServerPager& pager_;
  const UpkeepLimits& limits_;
  const CleanReport& report_;
  const TimestampTz start_;
  uint32_t pauses_ = 0;
  bool ended_early_ = false;
};

}  // namespace

UpkeepResult upkeep(Relation rel, const UpkeepLimits& limits, UpkeepReport* report) {
  pgstat_progress_start_command(PROGRESS_COMMAND_VACUUM, RelationGetRelid(rel));
  StoreHandle handle(rel, nullptr);
  UpkeepPace pace(&handle, limits, report->cleaned);
  handle.pager().set_pace(&pace);
  Context& context = handle.context();
  context.hints.lane = kLanes - 1;  // the writers' own come last
  const Status status = limits.compacts ? compact(context, limits.threshold, &report->cleaned)
                                        : clean(context, &report->cleaned);
  pace.tell();
  if (!pace.ended_early()) check(status, rel);
  const bool done = !pace.ended_early();
  if (done && pace.advanced()) {
    const TimestampTz now = GetCurrentTimestamp();
    check(note_upkeep(context, limits.compacts ? now : 0, now), rel);
  }
  if (done && limits.gives_back) {
    report->end_in_use = !give_back(&handle, &report->given_back_blocks);
  }
  handle.keep();
  pgstat_progress_end_command();
  return done ? UpkeepResult::kDone : UpkeepResult::kMore;
}

UpkeepResult upkeep_store(Oid relid, const UpkeepLimits& limits, UpkeepReport* report) {
  if (!ConditionalLockRelationOid(relid, ShareUpdateExclusiveLock)) return UpkeepResult::kBusy;
  Relation rel = try_relation_open(relid, NoLock);
  if (rel == nullptr) return UpkeepResult::kBusy;
  const bool store = is_store(rel) && !RELATION_IS_OTHER_TEMP(rel);
  const UpkeepResult result = store ? upkeep(rel, limits, report) : UpkeepResult::kBusy;
  relation_close(rel, NoLock);
  return result;
}

namespace {

// Does the chain begin with something that can be consumed?
bool has_ready(StoreHandle* handle, ChainId chain, Block head, Xid horizon) {
  if (head == kNoBlock) return false;
  PageGuard page;
  const Status status = page.read(handle->context().pager, head, Latch::kShare, chain.kind);
  if (status.is(Code::kRetry)) return true;  // its page was consumed meanwhile
  check(status, handle->rel());
  const auto tail = page.tail<ChainTail>();
  if (tail.consumed == tail.count) return tail.next != kNoBlock;
  // Records are consumed in their order.
  return chain.kind == PageKind::kDead ||
         xid_precedes(record_at<JournalRecord>(page.data(), tail.consumed).xid, horizon);
}

}  // namespace

bool store_needs_upkeep(Relation rel, double threshold) {
  StoreHandle handle(rel, nullptr);
  MetaBody meta;
  const Status status = read_meta(handle.context(), &meta);
  if (status.is(Code::kNotFound)) return false;
  check(status, rel);
  const Xid horizon = handle.transactions().horizon();
  if (has_ready(&handle, ChainId::dead(), meta.dead_head, horizon)) return true;
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    if (has_ready(&handle, ChainId::journal(lane), meta.lanes[lane].journal_head, horizon)) {
      return true;
    }
  }
  bool found;
  check(find_uncounted(handle.context(), &found), rel);
  if (!found) check(find_compactable(handle.context(), threshold, &found), rel);
  return found || can_give_back(&handle);
}

}  // namespace toaststore
