// Finding and extending the end of a chain.

#include "engine/chain.h"

#include "engine/meta.h"
#include "engine/space_map.h"

namespace toaststore {

namespace {

// Pages that other backends may have linked since the end of a chain was noted.  After more of
// them asking the meta page is cheaper.
constexpr int kMaxTailHops = 16;
// Looks at the meta page for the end of a chain.
constexpr int kMaxLooks = 100;

Block& tail_hint(Hints* hints, ChainId chain) {
  return chain.kind == PageKind::kJournal ? hints->journal_tail[chain.lane] : hints->dead_tail;
}

enum class Wait : bool { kNo, kYes };

Status read_page(Context& context, ChainId chain, Block block, Latch latch, Wait wait,
                 PageGuard* page) {
  TOASTSTORE_TRY(wait == Wait::kYes ? page->read(context.pager, block, latch, chain.kind)
                                    : page->try_read(context.pager, block, chain.kind));
  if (page->tail<ChainTail>().start.level != chain.lane) {
    page->release();
    return Status::Error(Code::kRetry, "page is of another chain", block);
  }
  return Status::Ok();
}

// Follows the chain from the noted end to its last page.  kRetry: none is noted, it is too far
// away, it has gone to another use, or it would have to be waited for.
Status latch_last(Context& context, ChainId chain, Latch latch, Wait wait, PageGuard* page) {
  Block& hint = tail_hint(&context.hints, chain);
  if (hint == kNoBlock) return Status::Error(Code::kRetry, "chain has no page");
  for (int hop = 0; hop < kMaxTailHops; hop++) {
    TOASTSTORE_TRY(read_page(context, chain, hint, latch, wait, page));
    const Block next = page->tail<ChainTail>().next;
    if (next == kNoBlock) return Status::Ok();
    page->release();
    hint = next;
  }
  return Status::Error(Code::kRetry, "chain of pages does not end", hint);
}

}  // namespace

Block& chain_head(MetaBody* body, ChainId chain) {
  return chain.kind == PageKind::kJournal ? body->lanes[chain.lane].journal_head : body->dead_head;
}

Block& chain_tail(MetaBody* body, ChainId chain) {
  return chain.kind == PageKind::kJournal ? body->lanes[chain.lane].journal_tail : body->dead_tail;
}

Status latch_chain_tail(Context& context, ChainId chain, Latch latch, PageGuard* page) {
  TOASTSTORE_TRY(load_hints(context));
  Status status = latch_last(context, chain, latch, Wait::kYes, page);
  // The hint is unset or the page has gone to another use: ask the meta page.  The page it names
  // may have been left behind and freed before it is latched, but not every time.
  for (int attempt = 0; status.is(Code::kRetry); attempt++) {
    if (attempt == kMaxLooks) {
      return Status::Corruption(status.block, "a chain does not lead to its last page");
    }
    MetaBody body;
    TOASTSTORE_TRY(read_meta(context, &body));
    if (chain_tail(&body, chain) == kNoBlock) {
      return Status::Error(Code::kRetry, "chain has no page yet");
    }
    status = latch_last(context, chain, latch, Wait::kYes, page);
  }
  return status;
}

Status try_chain_tail(Context& context, ChainId chain, uint16_t records, PageGuard* page) {
  TOASTSTORE_TRY(load_hints(context));
  TOASTSTORE_TRY(latch_last(context, chain, Latch::kExclusive, Wait::kNo, page));
  if (page->tail<ChainTail>().count + records > chain.capacity()) {
    page->release();
    return Status::Error(Code::kRetry, "chain page is full");
  }
  return Status::Ok();
}

namespace {

// Links a fresh page, if the last one has not enough room.  kRetry: there is no page at hand.
Status try_extend(Context& context, ChainId chain, uint16_t records, bool* done) {
  PageGuard last;
  ChainTail old{};
  const Status status = latch_chain_tail(context, chain, Latch::kExclusive, &last);
  if (!status.is(Code::kRetry)) {
    TOASTSTORE_TRY(status);
    old = last.tail<ChainTail>();
    *done = old.count + records <= chain.capacity();
    if (*done) return Status::Ok();
  }
  PagePick pick;
  TOASTSTORE_TRY(pick_page(context, &pick));
  PageGuard fresh;
  TOASTSTORE_TRY(fresh.create(context.pager, pick.block));
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  Block& tail = chain_tail(&meta.body, chain);
  if (tail != (last.held() ? last.block() : kNoBlock)) {
    tail_hint(&context.hints, chain) = tail;
    return Status::Ok();  // another backend was first
  }
  tail = pick.block;
  if (!last.held()) chain_head(&meta.body, chain) = pick.block;

  Change change(context.pager, Step::kLinkChainPage);
  auto page = new_tail<ChainTail>(chain.kind, pick.block, chain.lane);
  page.next_id = old.next_id;
  page.position = old.position;
  change.init(change.add(fresh), page, kPageHeaderBytes);
  if (last.held()) {
    old.next = pick.block;
    change.put_tail(change.add(last), old);
  }
  stage_pick(pick, &change);
  meta.stage(&change);
  TOASTSTORE_TRY(change.commit());
  tail_hint(&context.hints, chain) = pick.block;
  *done = true;
  return Status::Ok();
}

}  // namespace

Status ensure_chain_room(Context& context, ChainId chain, uint16_t records) {
  for (bool done = false; !done;) {
    const Status status = try_extend(context, chain, records, &done);
    if (status.is(Code::kRetry)) {
      TOASTSTORE_TRY(refill_pages(context));
    } else {
      TOASTSTORE_TRY(status);
    }
  }
  return Status::Ok();
}

void note_xid(Xid xid, ChainTail* tail) {
  if (tail->min_xid == kNoXid || xid_precedes(xid, tail->min_xid)) tail->min_xid = xid;
}

DeadRecord dead_record(const Entry& entry) {
  DeadRecord record{};
  record.id = entry.id;
  record.block = entry.block;
  record.bytes = entry.layout == Layout::kChunked ? entry.raw_bytes : entry.stored_bytes;
  record.item = entry.item;
  record.first_bytes = entry.first_bytes;
  record.layout = entry.layout;
  return record;
}

Status read_first_page(Context& context, ChainId chain, Block* block, ChainTail* tail,
                       void* records) {
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  *block = chain_head(&meta, chain);
  if (*block == kNoBlock) return Status::Ok();
  PageGuard page;
  const Status status = page.read(context.pager, *block, Latch::kShare, chain.kind);
  if (status.is(Code::kRetry))
    return Status::Corruption(*block, "first page of a chain is missing");
  TOASTSTORE_TRY(status);
  TOASTSTORE_TRY(check_chain_page(page, chain));
  *tail = page.tail<ChainTail>();
  std::memcpy(records, page.data() + kPageHeaderBytes, tail->count * chain.record_bytes());
  return Status::Ok();
}

// Who comes with an old hint finds a retired page, and asks the meta page.
Status unlink_first_page(Context& context, ChainId chain, Block block) {
  PageGuard page, map;
  TOASTSTORE_TRY(page.read(context.pager, block, Latch::kExclusive, chain.kind));
  TOASTSTORE_TRY(latch_map_of(context, block, &map));
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  chain_head(&meta.body, chain) = page.tail<ChainTail>().next;
  Change change(context.pager, Step::kUnlinkChainPage);
  const int slot = change.add(page);
  change.put_lower(slot, kPageHeaderBytes);
  change.put_tail(slot, new_tail<PlainTail>(PageKind::kRetired, block));
  TOASTSTORE_TRY(stage_free(map, block, &change));
  meta.stage(&change);
  return change.commit();
}

Status renew_chain(Context& context, ChainId chain) {
  MetaBody meta;
  TOASTSTORE_TRY(read_meta(context, &meta));
  const Block old = chain_head(&meta, chain);
  if (old == kNoBlock || old != chain_tail(&meta, chain)) return Status::Ok();
  const auto all_consumed = [&](bool* all) {
    PageGuard page;
    TOASTSTORE_TRY(page.read(context.pager, old, Latch::kShare, chain.kind));
    const auto tail = page.tail<ChainTail>();
    *all = tail.consumed == tail.count;
    return Status::Ok();
  };
  bool all;
  TOASTSTORE_TRY(all_consumed(&all));
  if (!all) return Status::Ok();
  // More than a page holds: a fresh one, whatever room is left.
  TOASTSTORE_TRY(ensure_chain_room(context, chain, static_cast<uint16_t>(chain.capacity() + 1)));
  // Nobody appends to a page that has another behind it.
  TOASTSTORE_TRY(all_consumed(&all));
  return all ? unlink_first_page(context, chain, old) : Status::Ok();
}

Status check_chain_page(const PageGuard& page, ChainId chain) {
  const auto tail = page.tail<ChainTail>();
  const size_t bytes = tail.count * chain.record_bytes();
  if (tail.start.level != chain.lane || tail.consumed > tail.count) {
    return Status::Corruption(page.block(), "chain page holds impossible values");
  }
  if (crc32c(page.data() + kPageHeaderBytes, bytes) != tail.records_crc) {
    return Status::Corruption(page.block(), "chain records do not match their CRC");
  }
  return Status::Ok();
}

}  // namespace toaststore
