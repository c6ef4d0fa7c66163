// The journals, and the list of dead ranges: that they hang together, that the journals' records
// are noted for the tree to be compared with, and that nothing dead is somebody's.

#include <algorithm>

#include "engine/meta.h"
#include "engine/piece_owner.h"
#include "engine/tree.h"
#include "engine/verify_parts.h"

namespace toaststore {

// ---- walking -----------------------------------------------------------------------------------

namespace {

// One way along a chain.
class ChainWalk {
 public:
  ChainWalk(Context& context, ChainId chain, ChainVisitor* visitor)
      : context_(context), chain_(chain), visitor_(visitor), copy_(context.memory) {}

  Status prepare() { return copy_.allocate(kPageBytes); }

  Status run(const MetaBody& meta, Status* broken) {
    *broken = Status::Ok();
    MetaBody body = meta;
    last_ = chain_tail(&body, chain_);
    // Of a circle the page that is remembered comes again, when it is remembered for long enough.
    Block remembered = kNoBlock;
    uint64_t steps = 0;
    uint64_t turn = 1;
    for (Block block = chain_head(&body, chain_); block != kNoBlock;) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyPage));
      if (block == remembered) {
        *broken = Status::Corruption(block, "chain leads back into itself");
        return Status::Ok();
      }
      if (++steps == turn) {
        remembered = block;
        turn *= 2;
      }
      TOASTSTORE_TRY(copy_page(block, broken));
      if (!broken->ok()) return Status::Ok();
      TOASTSTORE_TRY(visitor_->visit(block, copy_.as()));
      block = tail_of<ChainTail>(copy_.as()).next;
    }
    return Status::Ok();
  }

 private:
  Status copy_page(Block block, Status* broken) {
    PageGuard page;
    Status status = page.read(context_.pager, block, Latch::kShare, chain_.kind);
    if (status.ok()) status = check_chain_page(page, chain_);
    if (status.ok()) status = check_end(page);
    if (!status.is(Code::kRetry) && !status.is(Code::kCorruption)) TOASTSTORE_TRY(status);
    *broken = status;
    if (status.ok()) std::memcpy(copy_.as(), page.data(), kPageBytes);
    return Status::Ok();
  }

  // A page and meta change together where the chain grows: both are latched.
  Status check_end(const PageGuard& page) {
    const bool ends = page.tail<ChainTail>().next == kNoBlock;
    if (ends == (page.block() == last_)) return Status::Ok();
    MetaBody meta;
    TOASTSTORE_TRY(read_meta(context_, &meta));
    last_ = chain_tail(&meta, chain_);
    if (ends == (page.block() == last_)) return Status::Ok();
    return Status::Corruption(page.block(), "chain does not end where meta says");
  }

  Context& context_;
  const ChainId chain_;
  ChainVisitor* visitor_;
  Scratch copy_;
  Block last_ = kNoBlock;
};

}  // namespace

// Pages leave a chain at its head only: while that stays, what is linked is the chain's.
Status walk_chain(Context& context, ChainId chain, ChainVisitor* visitor, Status* broken) {
  ChainWalk walk(context, chain, visitor);
  TOASTSTORE_TRY(walk.prepare());
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  for (int look = 0; look < kMaxVerifyLooks; look++) {
    const Block head = chain_head(&meta, chain);
    TOASTSTORE_TRY(walk.run(meta, broken));
    if (broken->ok()) return Status::Ok();
    TOASTSTORE_TRY(read_meta(context, &meta));
    if (chain_head(&meta, chain) == head) {
      if (broken->is(Code::kRetry)) broken->code = Code::kCorruption;
      return Status::Ok();
    }
  }
  *broken = Status::Error(Code::kRetry, "chain is consumed faster than it is read");
  return Status::Ok();
}

// ---- the journals ------------------------------------------------------------------------------

namespace {

class RecordCounter final : public ChainVisitor {
 public:
  Status visit(Block, const std::byte* page) override {
    const auto tail = tail_of<ChainTail>(page);
    records += tail.count - tail.consumed;
    return Status::Ok();
  }
  uint64_t records = 0;
};

class JournalVisitor final : public ChainVisitor {
 public:
  explicit JournalVisitor(Verification* verification) : verification_(verification) {}

  Status visit(Block block, const std::byte* page) override {
    verification_->reach(block);
    const auto tail = tail_of<ChainTail>(page);
    bool sound = true;
    bool oldest_known = true;
    for (uint16_t i = tail.consumed; i < tail.count; i++) {
      const auto record = record_at<JournalRecord>(page, i);
      sound = sound && possible(record);
      oldest_known =
          oldest_known && tail.min_xid != kNoXid && !xid_precedes(record.xid, tail.min_xid);
      verification_->journaled.add(record);
    }
    if (!sound) return verification_->fault(block, "journal record holds impossible values");
    if (oldest_known) return Status::Ok();
    return verification_->fault(block, "journal page does not know its oldest transaction");
  }

 private:
  bool possible(const JournalRecord& record) const {
    return record.id >= kMinId && record.id <= max_id(verification_->meta.kind) &&
           record.xid >= kFirstNormalXid &&
           (record.action == JournalAction::kPut || record.action == JournalAction::kDelete);
  }

  Verification* verification_;
};

// ---- the list of dead ranges -------------------------------------------------------------------

bool same_range(const DeadRecord& a, const DeadRecord& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

class DeadVisitor final : public ChainVisitor {
 public:
  explicit DeadVisitor(Verification* verification)
      : verification_(verification), owners_(verification->context) {}

  Status visit(Block block, const std::byte* page) override {
    verification_->reach(block);
    const auto tail = tail_of<ChainTail>(page);
    for (uint16_t i = tail.consumed; i < tail.count; i++) {
      const auto record = record_at<DeadRecord>(page, i);
      if (record.bytes == 0) continue;  // an empty value's: it has no pieces
      if (!possible(record)) {
        TOASTSTORE_TRY(verification_->fault(block, "dead range holds impossible values"));
        continue;
      }
      TOASTSTORE_TRY(claim(record, i == tail.consumed ? tail.next_id : 0));
      TOASTSTORE_TRY(check(block, i, record));
    }
    return Status::Ok();
  }

 private:
  bool possible(const DeadRecord& record) const {
    const bool chunked = record.layout == Layout::kChunked;
    return record.id >= kMinId && record.id <= max_id(verification_->meta.kind) &&
           record.block >= kFirstExtentBlock && record.item > 0 && record.item <= kMaxItems &&
           record.first_bytes > 0 && record.first_bytes <= max_piece(verification_->meta.kind) &&
           (chunked || record.layout == Layout::kDirect || record.layout == Layout::kExtent) &&
           record.bytes <= (chunked ? kMaxChunks * verification_->context.options.chunk_bytes
                                    : uint64_t{UINT32_MAX});
  }

  // A chunk table that cannot be read any more claims nothing: its extent is looked at again.
  Status claim(const DeadRecord& record, uint64_t part) {
    const Status status = each_dead_run(verification_->context, record, part,
                                        [this](const RunRef& run) { verification_->claim(run); });
    return status.is(Code::kRetry) || status.is(Code::kCorruption) ? Status::Ok() : status;
  }

  // Does an entry lead to the range?
  Status is_owned(const DeadRecord& record, bool* owned) {
    *owned = false;
    Status status;
    if (record.layout == Layout::kChunked) {
      Entry entry;
      bool found;
      status = find_entry(verification_->context, record.id, &entry, &found);
      *owned = status.ok() && found && entry.layout == Layout::kChunked &&
               entry.block == record.block && entry.item == record.item;
    } else {
      owners_.forget();
      PieceOwner owner;
      status = owners_.find({record.id, record.sequence, record.block, record.item}, &owner);
      *owned = status.ok() && owner.owned;
    }
    // What cannot be found is reported when the tree is walked.
    return status.is(Code::kRetry) || status.is(Code::kCorruption) ? Status::Ok() : status;
  }

  // Still on the list?
  Status is_listed(Block block, uint16_t index, const DeadRecord& record, bool* listed) {
    PageGuard page;
    const Status status =
        page.read(verification_->context.pager, block, Latch::kShare, PageKind::kDead);
    *listed = false;
    if (status.is(Code::kRetry) || status.is(Code::kCorruption)) return Status::Ok();
    TOASTSTORE_TRY(status);
    const auto tail = page.tail<ChainTail>();
    *listed = tail.consumed <= index && index < tail.count &&
              same_range(record_at<DeadRecord>(page.data(), index), record);
    return Status::Ok();
  }

  // The place may have been charged, freed and written again between two looks, but not while the
  // list stays as it is.
  Status check(Block block, uint16_t index, const DeadRecord& record) {
    bool owned, listed;
    TOASTSTORE_TRY(is_owned(record, &owned));
    for (int look = 0; owned && look < kMaxVerifyLooks; look++) {
      DeadListState before, after;
      TOASTSTORE_TRY(read_dead_state(verification_->context, &before));
      TOASTSTORE_TRY(is_owned(record, &owned));
      if (!owned) return Status::Ok();
      TOASTSTORE_TRY(is_listed(block, index, record, &listed));
      if (!listed) return Status::Ok();
      TOASTSTORE_TRY(read_dead_state(verification_->context, &after));
      if (before != after) continue;
      return verification_->fault(record.block, "bytes of a value are listed as dead", record.id);
    }
    return Status::Ok();
  }

  Verification* verification_;
  OwnerFinder owners_;
};

// A chain that began later has no record that is asked for.
Status walk(Verification* verification, ChainId chain, ChainVisitor* visitor) {
  if (chain_head(&verification->meta, chain) == kNoBlock) return Status::Ok();
  Status broken;
  TOASTSTORE_TRY(walk_chain(verification->context, chain, visitor, &broken));
  if (broken.ok()) return Status::Ok();
  verification->cut_off = true;
  if (chain.kind == PageKind::kJournal) verification->journals_known = false;
  if (broken.is(Code::kRetry)) return Status::Ok();
  verification->reach(broken.block);
  return verification->report(broken);
}

}  // namespace

// Only the first page has records consumed, and only its last change matters.
Status read_dead_state(Context& context, DeadListState* state) {
  *state = DeadListState();
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  state->head = meta.dead_head;
  state->tail = meta.dead_tail;
  for (const Block block : {meta.dead_head, meta.dead_tail}) {
    if (block == kNoBlock) continue;
    PageGuard page;
    const Status status = page.read(context.pager, block, Latch::kShare, PageKind::kDead);
    // The next look sees another head, or the walk along the list reports it.
    if (status.is(Code::kRetry) || status.is(Code::kCorruption)) continue;
    TOASTSTORE_TRY(status);
    const auto tail = page.tail<ChainTail>();
    if (block == meta.dead_head) {
      state->consumed = tail.consumed;
      state->part = tail.next_id;
    }
    if (block == meta.dead_tail) state->count = tail.count;
  }
  return Status::Ok();
}

Status verify_chains(Verification* verification) {
  RecordCounter counter;
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    if (verification->meta.lanes[lane].journal_head == kNoBlock) continue;
    Status broken;  // reported below
    TOASTSTORE_TRY(walk_chain(verification->context, ChainId::journal(lane), &counter, &broken));
  }
  TOASTSTORE_TRY(verification->journaled.allocate(counter.records));
  JournalVisitor journals(verification);
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    TOASTSTORE_TRY(walk(verification, ChainId::journal(lane), &journals));
  }
  DeadVisitor dead(verification);
  return walk(verification, ChainId::dead(), &dead);
}

}  // namespace toaststore
