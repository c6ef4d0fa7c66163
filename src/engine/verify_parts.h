// What the parts of a verification share: where faults go, what has been reached, and who has
// claimed how many bytes of each extent.
//
// In the order of the work:
//   lanes   runs and batches of ids that meta gives to the lanes
//   chains  the journals are noted, dead ranges are claimed
//   tree    level by level, every value proven, its bytes claimed
//   tally   the meta page's, against the entries that the walk has met
//   space   the map, page by page, against what was reached and claimed

#ifndef TOASTSTORE_ENGINE_VERIFY_PARTS_H_
#define TOASTSTORE_ENGINE_VERIFY_PARTS_H_

#include <algorithm>

#include "engine/chain.h"
#include "engine/geometry.h"
#include "engine/space_map.h"
#include "engine/value_reader.h"
#include "engine/verify.h"

namespace toaststore {

// Looks at something that others change before it is not judged.
inline constexpr int kMaxVerifyLooks = 100;

// A set of journal records that may take another for one of its own, but never misses one (a Bloom
// filter).
class RecordFilter {
 public:
  explicit RecordFilter(Memory& memory) : bits_(memory) {}

  Status allocate(uint64_t records);
  void add(const JournalRecord& record);
  bool may_hold(uint64_t id, Xid xid, JournalAction action) const;

 private:
  Scratch bits_;
  uint64_t mask_ = 0;
};

// What a lane will do next.
struct LaneState {
  bool known = false;
  Run run;
  Block position = kNoBlock;  // its last page with a committed piece, or none in the run
  uint64_t next_id = 0;
  uint64_t ids_end = 0;
};

class Verification {
 public:
  Verification(Context& port, FaultSink* faults, VerifyBeside others);
  Verification(const Verification&) = delete;
  Verification& operator=(const Verification&) = delete;

  // REQUIRES: `meta` is read.
  Status begin();

  // Faults of the store are reported; failures of the verification itself are returned.  A newer
  // format is none of the store's faults.
  Status report(const Status& status, uint64_t id = 0);
  Status fault(Block block, const char* reason, uint64_t id = 0);

  // A single page is led to.
  void reach(Block block);
  bool was_reached(Block block) const;

  // The bytes of a run are a value's, or are listed as dead.
  void claim(const RunRef& run);
  // False: a fault in the extent has been reported already.
  bool claimed(Extent extent, uint32_t* bytes) const;

  // Is a journal record of this transaction in its journal by the time that is looked at?
  bool settled(Xid xid) const;

  Context& context;
  const VerifyBeside beside;
  MetaBody meta{};
  Block blocks = 0;
  bool cut_off = false;  // not every page in use was reached
  Tally tally{};         // of the entries in the leaves as they were walked
  bool tally_known = true;
  RecordFilter journaled;
  bool journals_known = true;
  LaneState lanes[kLanes];

 private:
  FaultSink* sink_;
  Extent extents_ = 0;
  FullXid oldest_ = 0;
  Scratch reached_;  // a bit per block
  Scratch claimed_;  // bytes per extent
};

Status verify_lanes(Verification* verification);
Status verify_chains(Verification* verification);
Status verify_tree(Verification* verification);
Status verify_tally(Verification* verification);
Status verify_space(Verification* verification);

// One value, found in a leaf.
Status verify_entry(Verification* verification, Block leaf, const Entry& entry);

// The lane's state at one moment; not known where its journal cannot be read.
Status read_lane(Context& context, uint8_t lane, LaneState* state);

// The map's word on an extent.
Status read_map_entry(Context& context, Extent extent, MapEntry* entry);

class ChainVisitor {
 public:
  // A page, copied out and proven.
  virtual Status visit(Block block, const std::byte* page) = 0;

 protected:
  ~ChainVisitor() = default;
};
// Visits the pages of a chain from its head; from there again where the cleaner has taken pages
// away meanwhile.  *broken is ok where the end was reached, kRetry where the cleaner was too fast.
Status walk_chain(Context& context, ChainId chain, ChainVisitor* visitor, Status* broken);

// Tells whether the list of dead ranges has changed.
struct DeadListState {
  Block head = kNoBlock;
  uint16_t consumed = 0;
  uint64_t part = 0;
  Block tail = kNoBlock;
  uint16_t count = 0;
  friend bool operator==(const DeadListState&, const DeadListState&) = default;
};
Status read_dead_state(Context& context, DeadListState* state);

// Calls `each` with the runs of a dead range, from a part on.  kRetry or kCorruption: its chunk
// table cannot be read.
template <typename Each>
Status each_dead_run(Context& context, const DeadRecord& record, uint64_t part, Each each) {
  Entry entry{};
  entry.id = record.id;
  entry.block = record.block;
  entry.item = record.item;
  entry.first_bytes = record.first_bytes;
  entry.layout = record.layout;
  entry.raw_bytes = entry.stored_bytes = record.bytes;
  if (record.layout != Layout::kChunked) {
    each(run_of(entry));
    return Status::Ok();
  }
  for (const uint64_t parts = part_count(context, entry); part < parts; part++) {
    RunRef run;
    TOASTSTORE_TRY(context.pager.pause(Step::kVerifyChunk));
    TOASTSTORE_TRY(read_part(context, entry, part, &run));
    each(run);
  }
  return Status::Ok();
}

// Calls `each` with extent and length of the pieces of a run.
template <typename Each>
void each_piece(StoreKind kind, const RunRef& run, Each each) {
  uint32_t piece = run.first_bytes;
  uint32_t left = run.stored_bytes;
  for (Block block = run.block; left > 0 && piece > 0 && block >= kFirstExtentBlock; block++) {
    piece = std::min(piece, left);
    each(extent_of(block), piece);
    left -= piece;
    piece = max_piece(kind);
  }
}

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_VERIFY_PARTS_H_
