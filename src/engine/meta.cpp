// Reading and staging the meta page, and the birth of a store.

#include "engine/meta.h"

#include "engine/space_map.h"

namespace toaststore {

namespace {

Status check_body(const MetaBody& body) {
  if (body.magic != kMagic) return Status::Corruption(kMetaBlock, "not a toaststore meta page");
  if (body.format_version != kFormatVersion) {
    return Status::Error(Code::kNewerFormat, "store was written by a newer version", kMetaBlock);
  }
  Options options;
  options.direct_max = body.direct_max;
  options.extent_max = body.extent_max;
  options.chunk_bytes = body.chunk_bytes;
  if (!options.thresholds_valid() || body.root <= kMetaBlock || body.root_level >= kMaxTreeLevels ||
      body.map_pages == 0 || (body.kind != StoreKind::kById && body.kind != StoreKind::kToast)) {
    return Status::Corruption(kMetaBlock, "meta page holds impossible values");
  }
  return Status::Ok();
}

uint32_t meta_check(const MetaBody& body, const PlainTail& tail) {
  return crc32c_extend(crc32c(&body, sizeof(body)), &tail, offsetof(PlainTail, check));
}

void adopt(Context& context, const MetaBody& body) {
  Hints& hints = context.hints;
  hints.known = true;
  hints.root = body.root;
  hints.root_level = body.root_level;
  hints.page_extent = body.page_extent;
  hints.dead_tail = body.dead_tail;
  for (uint8_t lane = 0; lane < kLanes; lane++) {
    hints.journal_tail[lane] = body.lanes[lane].journal_tail;
  }
  context.options.kind = body.kind;
  context.options.direct_max = body.direct_max;
  context.options.extent_max = body.extent_max;
  context.options.chunk_bytes = body.chunk_bytes;
}

}  // namespace

Status MetaGuard::open(Context& context, Latch latch) {
  Status status = guard_.read(context.pager, kMetaBlock, latch);
  if (status.is(Code::kRetry)) return Status::Error(Code::kNotFound, "store is empty");
  TOASTSTORE_TRY(status);
  if (claimed_kind(guard_.data()) == 0 && is_zero_page(guard_.data())) {
    guard_.release();
    return Status::Error(Code::kNotFound, "store is empty");
  }
  status = check_page(guard_.data(), kMetaBlock, PageKind::kMeta);
  if (status.is(Code::kRetry)) {
    return Status::Corruption(kMetaBlock, "block 1 is not a meta page");
  }
  TOASTSTORE_TRY(status);
  body = load<MetaBody>(guard_.data(), kPageHeaderBytes);
  tail_ = guard_.tail<PlainTail>();
  return check_body(body);
}

void MetaGuard::stage(Change* change) {
  const int page = change->add(guard_);
  tail_.check = meta_check(body, tail_);
  change->write(page, kPageHeaderBytes, &body, sizeof(body));
  change->put(page, kTailOffset, tail_);
}

namespace {

Status copy_meta(Context& context, MetaBody* body) {
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kShare));
  *body = meta.body;
  adopt(context, *body);
  return Status::Ok();
}

Status block_is_blank(Context& context, Block block, bool* blank) {
  PageGuard page;
  const Status status = page.read(context.pager, block, Latch::kShare);
  *blank = status.is(Code::kRetry) || (status.ok() && is_zero_page(page.data()));
  return status.is(Code::kRetry) ? Status::Ok() : status;
}

}  // namespace

// The first pages are made in one change: where the map is there, a blank meta page is damage, and
// taking the store for an empty one would write over it.
Status read_meta(Context& context, MetaBody* body) {
  Status status = copy_meta(context, body);
  if (!status.is(Code::kNotFound)) return status;
  bool blank;
  TOASTSTORE_TRY(block_is_blank(context, kFirstMapBlock, &blank));
  if (blank) return status;
  status = copy_meta(context, body);  // it may have been made meanwhile
  if (!status.is(Code::kNotFound)) return status;
  return Status::Corruption(kMetaBlock, "meta page is blank in a store that is not empty");
}

Status store_compression(Context& context) {
  MetaBody seen;
  const Status status = read_meta(context, &seen);
  if (status.is(Code::kNotFound)) return Status::Ok();  // the first put will note it
  TOASTSTORE_TRY(status);
  MetaGuard meta;
  TOASTSTORE_TRY(meta.open(context, Latch::kExclusive));
  meta.body.codec = context.options.compression.codec;
  meta.body.level = static_cast<uint8_t>(context.options.compression.level);
  Change change(context.pager, Step::kNoteCompression);
  meta.stage(&change);
  return change.commit();
}

namespace {

// Takes it away where the sign is negative; the numbers wrap.  A damaged entry may be of no layout.
void count(const Entry& entry, uint64_t sign, Tally* tally) {
  const unsigned layout =
      static_cast<unsigned>(entry.layout) - static_cast<unsigned>(Layout::kDirect);
  if (layout < 3) tally->values[layout] += sign;
  tally->raw_bytes += sign * entry.raw_bytes;
  tally->stored_bytes += sign * entry.stored_bytes;
}

}  // namespace

void count_in(const Entry& entry, Tally* tally) { count(entry, 1, tally); }

void count_out(const Entry& entry, Tally* tally) { count(entry, ~uint64_t{0}, tally); }

Status note_upkeep(Context& context, int64_t compacted_at, int64_t checkpointed_at) {
  MetaGuard meta;
  const Status status = meta.open(context, Latch::kExclusive);
  if (status.is(Code::kNotFound)) return Status::Ok();
  TOASTSTORE_TRY(status);
  if (compacted_at != 0) meta.body.compacted_at = compacted_at;
  if (checkpointed_at != 0) meta.body.checkpointed_at = checkpointed_at;
  Change change(context.pager, Step::kNoteUpkeep);
  meta.stage(&change);
  return change.commit();
}

Status load_hints(Context& context) {
  if (context.hints.known) return Status::Ok();
  MetaBody body;
  return read_meta(context, &body);
}

namespace {

MetaBody first_body(const Options& options) {
  MetaBody body{};
  body.magic = kMagic;
  body.format_version = kFormatVersion;
  body.kind = options.kind;
  body.direct_max = options.direct_max;
  body.extent_max = options.extent_max;
  body.chunk_bytes = options.chunk_bytes;
  body.codec = options.compression.codec;
  body.level = static_cast<uint8_t>(options.compression.level);
  body.root = kFirstRootBlock;
  body.next_id = kMinId;
  body.map_pages = 1;
  body.page_extent = 0;
  return body;
}

// One change: block 0, meta, map page 0 with itself and the root in use, an empty root leaf.
Status write_first_pages(Context& context) {
  Pager& pager = context.pager;
  TOASTSTORE_TRY(pager.reserve(kFirstRootBlock + 1, kFirstRootBlock + 1));
  PageGuard zero, meta, map, root;
  TOASTSTORE_TRY(root.create(pager, kFirstRootBlock));
  TOASTSTORE_TRY(map.create(pager, kFirstMapBlock));
  TOASTSTORE_TRY(meta.create(pager, kMetaBlock));
  TOASTSTORE_TRY(zero.create(pager, 0));

  Change change(pager, Step::kCreateStore);
  PageHeader empty = header_for(kPageHeaderBytes);
  empty.upper = empty.special = kPageBytes;
  change.put(change.add(zero), 0, empty);

  const MetaBody body = first_body(context.options);
  int page = change.add(meta);
  auto meta_tail = new_tail<PlainTail>(PageKind::kMeta, kMetaBlock);
  meta_tail.check = meta_check(body, meta_tail);
  change.put(page, 0, header_for(kPageHeaderBytes + sizeof(MetaBody)));
  change.write(page, kPageHeaderBytes, &body, sizeof(body));
  change.put(page, kTailOffset, meta_tail);

  MapEntry entries[kExtentsPerMapPage];
  fresh_map_entries(entries);
  static_assert(kFirstMapBlock == extent_start(0) && kFirstRootBlock == kFirstMapBlock + 1);
  entries[0].pages.used[0] = 0b11;
  seal_record(&entries[0]);
  page = change.add(map);
  change.init(page, new_tail<PlainTail>(PageKind::kMap, kFirstMapBlock), kTailOffset);
  change.write(page, kPageHeaderBytes, entries, sizeof(entries));

  auto tree = new_tail<TreeTail>(PageKind::kLeaf, kFirstRootBlock);
  tree.high = kInfinity;
  change.init(change.add(root), tree, kPageHeaderBytes);
  return change.commit();
}

}  // namespace

Status create_store_pages(Context& context) {
  if (context.hints.known) return Status::Ok();  // from the meta page, so it is there
  MetaBody body;
  Status status = read_meta(context, &body);
  if (!status.is(Code::kNotFound)) return status;
  TOASTSTORE_TRY(context.pager.lock_creation());
  status = read_meta(context, &body);
  if (status.is(Code::kNotFound)) status = write_first_pages(context);
  context.pager.unlock_creation();
  TOASTSTORE_TRY(status);
  return read_meta(context, &body);
}

}  // namespace toaststore
