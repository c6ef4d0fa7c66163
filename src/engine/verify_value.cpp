// One value: proven whole, every part of it in a place of its own, and its stamps in the journal.

#include <algorithm>

#include "engine/meta.h"
#include "engine/tree.h"
#include "engine/verify_parts.h"

namespace toaststore {

namespace {

// Reads a run and compares its CRC.
Status prove_run(Context& context, const RunRef& run) {
  Scratch bytes(context.memory);
  TOASTSTORE_TRY(bytes.allocate(run.stored_bytes));
  TOASTSTORE_TRY(read_run(context, run, 0, run.stored_bytes, bytes.as()));
  if (crc32c(bytes.as(), run.stored_bytes) != run.crc) {
    return Status::Error(Code::kRetry, "chunk table does not match its CRC", run.block);
  }
  return Status::Ok();
}

Status prove_tables(Context& context, const Entry& entry) {
  const RunRef top = table_run_of(context, entry);
  TOASTSTORE_TRY(prove_run(context, top));
  const uint64_t tables = table_count(chunk_count(entry.raw_bytes, context.options.chunk_bytes));
  for (uint64_t table = 0; tables > 1 && table < tables; table++) {
    ChunkRef ref;
    TOASTSTORE_TRY(read_run(context, top, static_cast<uint32_t>(table * sizeof(ref)), sizeof(ref),
                            reinterpret_cast<std::byte*>(&ref)));
    if (!record_sound(ref) || ref.stored_bytes > kTableEntries * sizeof(ChunkRef)) {
      return Status::Error(Code::kRetry, "chunk table entry does not match its check", top.block);
    }
    TOASTSTORE_TRY(prove_run(context, run_of(ref, entry.id)));
  }
  return Status::Ok();
}

}  // namespace

Status prove_value(Context& context, const Entry& entry) {
  TOASTSTORE_TRY(check_entry(context, entry));
  Context proving = context;
  proving.proof = Proof::kAlways;
  uint64_t step = std::max<uint64_t>(entry.raw_bytes, 1);
  uint64_t stored = entry.stored_bytes;
  if (entry.layout == Layout::kChunked) {
    TOASTSTORE_TRY(prove_tables(context, entry));
    step = context.options.chunk_bytes;
    stored = 0;
  }
  Scratch raw(context.memory);
  TOASTSTORE_TRY(raw.allocate(std::min<uint64_t>(step, entry.raw_bytes)));
  for (uint64_t done = 0; done < entry.raw_bytes;) {
    const uint64_t part = std::min(step, entry.raw_bytes - done);
    TOASTSTORE_TRY(read_value(proving, entry, done, part, raw.as()));
    if (entry.layout == Layout::kChunked) {
      ChunkRef ref;
      TOASTSTORE_TRY(read_chunk_refs(context, entry, done / step, 1, &ref));
      stored += ref.stored_bytes;
    }
    done += part;
  }
  if (stored != entry.stored_bytes) {
    return Status::Error(Code::kRetry, "chunks do not add up to the stored bytes", entry.block);
  }
  return Status::Ok();
}

Status read_map_entry(Context& context, Extent extent, MapEntry* entry) {
  const Block block = map_block(map_page_of(extent));
  PageGuard map;
  TOASTSTORE_TRY(map.read(context.pager, block, Latch::kShare, PageKind::kMap));
  *entry = record_at<MapEntry>(map.data(), extent % kExtentsPerMapPage);
  if (record_sound(*entry)) return Status::Ok();
  return Status::Corruption(block, "map entry does not match its check");
}

namespace {

bool same_value(const Entry& a, const Entry& b) {
  return a.block == b.block && a.item == b.item && a.first_bytes == b.first_bytes &&
         a.crc == b.crc && a.layout == b.layout && a.codec == b.codec &&
         a.raw_bytes == b.raw_bytes && a.stored_bytes == b.stored_bytes;
}

class ValueVerifier {
 public:
  ValueVerifier(Verification* verification, Block leaf)
      : verification_(*verification), context_(verification->context), leaf_(leaf) {}

  // The first thing that is wrong, as kRetry or kCorruption.
  Status check(const Entry& entry) {
    TOASTSTORE_TRY(prove_value(context_, entry));
    TOASTSTORE_TRY(check_id(entry.id));
    if (entry.raw_bytes > 0) TOASTSTORE_TRY(check_parts(entry));
    return check_journal(entry);
  }

 private:
  Status wrong(const char* reason, Block block) {
    return Status::Error(Code::kRetry, reason, block);
  }

  // The counter and the lanes are asked again about what they may have handed out meanwhile.
  Status check_id(uint64_t id) {
    if (id >= verification_.meta.next_id) TOASTSTORE_TRY(read_meta(context_, &verification_.meta));
    if (id >= verification_.meta.next_id) return wrong("id was never handed out", leaf_);
    for (uint8_t lane = 0; lane < kLanes; lane++) {
      if (!may_hand_out(lane, id)) continue;
      TOASTSTORE_TRY(read_lane(context_, lane, &verification_.lanes[lane]));
      if (may_hand_out(lane, id)) return wrong("id will be handed out again", leaf_);
    }
    return Status::Ok();
  }
  bool may_hand_out(uint8_t lane, uint64_t id) const {
    const LaneState& state = verification_.lanes[lane];
    return state.known && id >= state.next_id && id < state.ids_end;
  }

  // The runs that the value is made of.  Each piece has an id and a sequence number, which are
  // proven: values of two ids share none, and neither do runs whose numbers do not overlap.
  Status check_parts(const Entry& entry) {
    if (entry.layout != Layout::kChunked) return check_run(run_of(entry));
    const uint64_t chunks = chunk_count(entry.raw_bytes, context_.options.chunk_bytes);
    const uint64_t parts = part_count(context_, entry);
    uint64_t least = 0;
    for (uint64_t part = 0; part < parts; part++) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyChunk));
      RunRef run;
      TOASTSTORE_TRY(read_part(context_, entry, part, &run));
      if (part == chunks) least = kTableSequence;
      if (part > chunks && part + 1 == parts) least = kTopTableSequence;
      const uint64_t end = uint64_t{run.sequence} + pieces(run);
      if (run.sequence < least || (part < chunks && end > kTableSequence)) {
        return wrong("parts of a value overlap", run.block);
      }
      least = end;
      TOASTSTORE_TRY(check_run(run));
    }
    return Status::Ok();
  }

  uint32_t pieces(const RunRef& run) const {
    return piece_count(verification_.meta.kind, run.stored_bytes, run.first_bytes);
  }

  // A run is contiguous and so are the extents of a lane's run: its ends tell.
  Status check_run(const RunRef& run) {
    const Block last = run.block + pieces(run) - 1;
    TOASTSTORE_TRY(check_extent(run.block));
    if (extent_of(last) != extent_of(run.block)) TOASTSTORE_TRY(check_extent(last));
    for (uint8_t lane = 0; lane < kLanes; lane++) {
      if (!overwrites(lane, run.block, last)) continue;
      TOASTSTORE_TRY(read_lane(context_, lane, &verification_.lanes[lane]));
      if (overwrites(lane, run.block, last)) {
        return wrong("value lies where its lane writes next", last);
      }
    }
    verification_.claim(run);
    return Status::Ok();
  }
  bool overwrites(uint8_t lane, Block first, Block last) const {
    const LaneState& state = verification_.lanes[lane];
    return state.known && first < state.run.end && last >= state.run.start && last > state.position;
  }

  Status check_extent(Block block) {
    const Extent extent = extent_of(block);
    if (map_page_of(extent) >= verification_.meta.map_pages) {
      TOASTSTORE_TRY(read_meta(context_, &verification_.meta));
    }
    if (map_page_of(extent) >= verification_.meta.map_pages) {
      return wrong("block lies beyond the map", block);
    }
    MapEntry entry;
    TOASTSTORE_TRY(read_map_entry(context_, extent, &entry));
    if (entry.kind == ExtentKind::kValues) return Status::Ok();
    return wrong("value lies in an extent that is not mapped as values", block);
  }

  // Whoever put or deleted it is noted until everybody has seen how that ended.
  Status check_journal(const Entry& entry) {
    if (!verification_.journals_known) return Status::Ok();
    const bool frozen = context_.transactions.frozen(entry.xmin) == entry.xmin;
    if (!frozen && verification_.settled(entry.xmin) &&
        !verification_.journaled.may_hold(entry.id, entry.xmin, JournalAction::kPut)) {
      return wrong("value was put, but no journal says so", leaf_);
    }
    if (entry.xmax != kNoXid && verification_.settled(entry.xmax) &&
        !verification_.journaled.may_hold(entry.id, entry.xmax, JournalAction::kDelete)) {
      return wrong("value was deleted, but no journal says so", leaf_);
    }
    return Status::Ok();
  }

  Verification& verification_;
  Context& context_;
  const Block leaf_;
};

}  // namespace

// What is wrong with an entry that is the same afterwards was wrong with it all the time, unless
// the value went away and came back to its place: it is given a second look.
Status verify_entry(Verification* verification, Block leaf, const Entry& entry) {
  ValueVerifier verifier(verification, leaf);
  Entry seen = entry;
  bool suspect = false;
  for (int look = 0; look < kMaxVerifyLooks; look++) {
    Status status = verifier.check(seen);
    if (!status.is(Code::kRetry) && !status.is(Code::kCorruption)) return status;
    if (status.block == kNoBlock) status.block = leaf;
    Entry now;
    bool found;
    const Status again = find_entry(verification->context, seen.id, &now, &found);
    if (!again.ok() && !again.is(Code::kCorruption)) return again;
    if (again.ok() && !found) return Status::Ok();
    const bool same = !again.ok() || same_value(now, seen);
    if (same && (suspect || !again.ok())) return verification->report(status, seen.id);
    suspect = same;
    if (again.ok()) seen = now;
  }
  return Status::Ok();
}

}  // namespace toaststore
