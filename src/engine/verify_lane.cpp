// Lanes: no two write to the same blocks or hand out the same ids, and their runs are mapped as
// values.

#include "engine/map_page.h"
#include "engine/meta.h"
#include "engine/verify_parts.h"

namespace toaststore {

namespace {

bool has_run(const Lane& lane) { return lane.run_start != lane.run_end; }

// Nobody has used the lane when the verification began.
bool is_new(const Lane& lane) {
  return !has_run(lane) && lane.journal_head == kNoBlock && lane.id_start == lane.id_end;
}

bool run_possible(const Lane& lane, uint32_t map_pages) {
  if (lane.run_start > lane.run_end || lane.run_start < kFirstExtentBlock) return false;
  const Extent first = extent_of(lane.run_start);
  const Extent last = extent_of(lane.run_end - 1);
  return extent_start(first) == lane.run_start && extent_end(last) == lane.run_end &&
         map_page_of(first) == map_page_of(last) && map_page_of(last) < map_pages;
}

// The meta page alone tells of these.
const char* lane_fault(const MetaBody& meta, uint8_t index) {
  const Lane& lane = meta.lanes[index];
  if (has_run(lane) && !run_possible(lane, meta.map_pages)) return "lane's run is impossible";
  if (lane.id_start > lane.id_end || lane.id_end > meta.next_id) {
    return "lane's batch of ids is impossible";
  }
  for (uint8_t before = 0; before < index; before++) {
    const Lane& other = meta.lanes[before];
    if (has_run(lane) && has_run(other) && lane.run_start < other.run_end &&
        other.run_start < lane.run_end) {
      return "runs of two lanes overlap";
    }
    if (lane.id_start < other.id_end && other.id_start < lane.id_end) {
      return "two lanes hand out the same ids";
    }
  }
  return nullptr;
}

// The lane may open another run, and the cleaner free this one, between the looks at meta and map:
// both are latched.
Status check_run(Verification* verification, uint8_t index) {
  Context& context = verification->context;
  const Lane seen = verification->meta.lanes[index];
  MapPage map;
  const Status status = map.open(context, map_page_of(extent_of(seen.run_start)), Latch::kShare);
  // A map page that cannot be read is reported when its turn comes.
  if (status.is(Code::kCorruption)) return Status::Ok();
  TOASTSTORE_TRY(status);
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  const Lane& lane = meta.lanes[index];
  if (lane.run_start != seen.run_start || lane.run_end != seen.run_end) return Status::Ok();
  Block bad = kNoBlock;
  for (Extent extent = extent_of(lane.run_start); extent <= extent_of(lane.run_end - 1); extent++) {
    if (map.of(extent).kind != ExtentKind::kValues && bad == kNoBlock) bad = extent_start(extent);
  }
  map.guard.release();
  if (bad == kNoBlock) return Status::Ok();
  return verification->fault(bad, "lane's run is not mapped as values");
}

}  // namespace

Status read_lane(Context& context, uint8_t lane, LaneState* state) {
  *state = LaneState();
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  for (int look = 0; look < kMaxVerifyLooks; look++) {
    const Lane seen = meta.lanes[lane];
    ChainTail tail{};
    bool readable = true;
    if (seen.journal_tail != kNoBlock) {
      PageGuard page;
      const Status status =
          page.read(context.pager, seen.journal_tail, Latch::kShare, PageKind::kJournal);
      if (status.is(Code::kCorruption)) return Status::Ok();
      readable = !status.is(Code::kRetry);
      if (readable) {
        TOASTSTORE_TRY(status);
        tail = page.tail<ChainTail>();
      }
    }
    TOASTSTORE_TRY(read_meta(context, &meta));
    const Lane& now = meta.lanes[lane];
    if (now.run_start != seen.run_start || now.run_end != seen.run_end ||
        now.id_start != seen.id_start || now.id_end != seen.id_end ||
        now.journal_tail != seen.journal_tail) {
      continue;
    }
    if (!readable) return Status::Ok();
    const bool begun = tail.position >= now.run_start && tail.position < now.run_end;
    const bool in_batch = tail.next_id >= now.id_start && tail.next_id <= now.id_end;
    *state = {true,
              {now.run_start, now.run_end},
              begun ? tail.position : kNoBlock,
              in_batch ? tail.next_id : now.id_start,
              now.id_end};
    return Status::Ok();
  }
  return Status::Ok();
}

Status verify_lanes(Verification* verification) {
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    const char* reason = lane_fault(verification->meta, lane);
    if (reason != nullptr) {
      TOASTSTORE_TRY(verification->fault(kMetaBlock, reason));
      continue;
    }
    if (is_new(verification->meta.lanes[lane])) continue;
    TOASTSTORE_TRY(read_lane(verification->context, lane, &verification->lanes[lane]));
    if (has_run(verification->meta.lanes[lane])) TOASTSTORE_TRY(check_run(verification, lane));
  }
  return Status::Ok();
}

}  // namespace toaststore
