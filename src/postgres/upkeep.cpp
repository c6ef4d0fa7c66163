// Looking after a store: how much at a time, and how fast.

#include "postgres/upkeep.h"

#include "engine/chain.h"
#include "engine/meta.h"

namespace toaststore {

namespace {

// Gives way to interrupts, to the cost limits of VACUUM and to a deadline.
class UpkeepPace final : public Pace {
 public:
  explicit UpkeepPace(const UpkeepLimits& limits) : limits_(limits) {}

  Status pause(Step) override {
    vacuum_delay_point();
    if (limits_.deadline != 0 && GetCurrentTimestamp() >= limits_.deadline) {
      expired_ = true;
      return Status::Error(Code::kConflict, "time is up");
    }
    return Status::Ok();
  }

  bool expired() const { return expired_; }

 private:
  const UpkeepLimits& limits_;
  bool expired_ = false;
};

}  // namespace

UpkeepResult upkeep_store(Oid relid, const UpkeepLimits& limits, UpkeepReport* report) {
  if (!ConditionalLockRelationOid(relid, ShareUpdateExclusiveLock)) return UpkeepResult::kBusy;
  Relation rel = try_relation_open(relid, NoLock);
  if (rel == nullptr) return UpkeepResult::kBusy;
  if (!is_store(rel)) {
    relation_close(rel, NoLock);
    return UpkeepResult::kBusy;
  }
  UpkeepPace pace(limits);
  StoreHandle handle(rel, nullptr);
  handle.pager().set_pace(&pace);
  const Status status = clean(handle.context(), &report->cleaned);
  if (!pace.expired()) check(status, rel);
  handle.keep();
  relation_close(rel, NoLock);
  return pace.expired() ? UpkeepResult::kMore : UpkeepResult::kDone;
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

bool store_needs_upkeep(Relation rel) {
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
  return false;
}

}  // namespace toaststore
