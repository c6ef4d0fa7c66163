// Adding up a store's books.

#include "engine/measure.h"

#include <algorithm>

#include "engine/chain.h"
#include "engine/map_page.h"

namespace toaststore {

namespace {

void add_extent(const MapEntry& entry, uint64_t bytes, Measure* result) {
  switch (entry.kind) {
    case ExtentKind::kFree:
      result->free_bytes += bytes;
      break;
    case ExtentKind::kPages:
      result->page_bytes += bytes;
      break;
    case ExtentKind::kValues:
      if ((entry.values.flags & kCounted) == 0) {
        result->open_bytes += bytes;
      } else {
        result->live_bytes += entry.stored_bytes - entry.values.dead_bytes;
        result->dead_bytes += entry.values.dead_bytes;
      }
      break;
  }
}

Status add_map_page(Context& context, uint32_t index, Block blocks, Measure* result) {
  MapPage map;
  TOASTSTORE_TRY(map.open(context, index, Latch::kShare));
  for (uint32_t i = 0; i < kExtentsPerMapPage; i++) {
    const Extent extent = map.first() + i;
    if (extent_start(extent) >= blocks) break;
    const Block end = std::min(extent_end(extent), blocks);
    add_extent(map.entries[i], uint64_t{end - extent_start(extent)} * kPageBytes, result);
  }
  return Status::Ok();
}

// A page that is gone was consumed meanwhile: what is behind it is measured the next time.
Status add_journal(Context& context, ChainId journal, Block block, Block blocks, Measure* result) {
  for (Block pages = 0; block != kNoBlock && pages < blocks; pages++) {
    TOASTSTORE_TRY(context.pager.pause(Step::kVerifyPage));
    PageGuard page;
    const Status status = page.read(context.pager, block, Latch::kShare, journal.kind);
    if (status.is(Code::kRetry)) return Status::Ok();
    TOASTSTORE_TRY(status);
    const auto tail = page.tail<ChainTail>();
    if (tail.start.level != journal.lane) return Status::Ok();
    result->journal_records += tail.count - tail.consumed;
    Xid& oldest = result->oldest_xid;
    const bool left = tail.consumed < tail.count && tail.min_xid != kNoXid;
    if (left && (oldest == kNoXid || xid_precedes(tail.min_xid, oldest))) oldest = tail.min_xid;
    block = tail.next;
  }
  return Status::Ok();
}

}  // namespace

Status measure(Context& context, Measure* result) {
  *result = Measure{};
  MetaBody meta;
  const Status status = read_meta(context, &meta);
  if (status.is(Code::kNotFound)) return Status::Ok();
  TOASTSTORE_TRY(status);
  result->settled = meta.settled;
  result->compacted_at = meta.compacted_at;
  result->checkpointed_at = meta.checkpointed_at;
  const Block blocks = context.pager.blocks();
  for (uint32_t index = 0; index < meta.map_pages; index++) {
    TOASTSTORE_TRY(context.pager.pause(Step::kVerifyPage));
    TOASTSTORE_TRY(add_map_page(context, index, blocks, result));
  }
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    TOASTSTORE_TRY(add_journal(context, ChainId::journal(lane), meta.lanes[lane].journal_head,
                               blocks, result));
  }
  return Status::Ok();
}

}  // namespace toaststore
