// One function for each kind of page.  Numbers of records are cut down to what fits a page before
// any is looked at.

#include "ctl/page_dump.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "ctl/words.h"
#include "engine/geometry.h"
#include "engine/value_page.h"

namespace toaststore::ctl {

namespace {

class Dump {
 public:
  Dump(const std::byte* page, Block block, const PageOrigin& origin)
      : page_(page), block_(block), origin_(origin) {}

  bool run();

 private:
  void fault(const char* reason) {
    std::printf("  fault: %s\n", reason);
    sound_ = false;
  }
  void meta();
  void lane(int number, const Lane& lane) const;
  void tree(bool leaf);
  void leaf_entry(uint16_t index);
  void inner_entry(uint16_t index);
  void map();
  void extent(Extent extent, const MapEntry& entry) const;
  void chain(bool journal);
  void values();

  const std::byte* page_;
  const Block block_;
  const PageOrigin origin_;
  bool sound_ = true;
};

std::string key_text(uint64_t key) { return key == kInfinity ? "infinity" : std::to_string(key); }

const char* name_of(PageKind kind) {
  switch (kind) {
    case PageKind::kMeta:
      return "meta page";
    case PageKind::kLeaf:
      return "leaf";
    case PageKind::kInner:
      return "inner page";
    case PageKind::kMap:
      return "map page";
    case PageKind::kJournal:
      return "journal page";
    case PageKind::kDead:
      return "page of the dead list";
    case PageKind::kRetired:
      return "retired page";
  }
  return nullptr;
}

void Dump::meta() {
  const auto body = load<MetaBody>(page_, kPageHeaderBytes);
  std::printf("  format version %u, values %s, compression %s, level %u\n", body.format_version,
              ctl::name_of(body.kind), ctl::name_of(body.codec), body.level);
  std::printf("  direct_max %u, extent_max %u, chunk_bytes %u\n", body.direct_max, body.extent_max,
              body.chunk_bytes);
  std::printf("  root %u at level %u, next id %" PRIu64 "\n", body.root, body.root_level,
              body.next_id);
  std::printf("  map pages %u, first with room %u, extent of pages %u, dead list %u to %u\n",
              body.map_pages, body.map_hint, body.page_extent, body.dead_head, body.dead_tail);
  if (body.magic != kMagic) fault("magic number is foreign");
  for (int i = 0; i < kLanes; i++) lane(i, body.lanes[i]);
}

void Dump::lane(int number, const Lane& lane) const {
  const bool used = lane.run_end != lane.run_start || lane.id_end != 0 || lane.journal_head != 0;
  if (!used) return;
  std::printf("  lane %d: run [%u, %u), ids [%" PRIu64 ", %" PRIu64 "), journal %u to %u\n", number,
              lane.run_start, lane.run_end, lane.id_start, lane.id_end, lane.journal_head,
              lane.journal_tail);
}

void Dump::tree(bool leaf) {
  const auto tail = tail_of<TreeTail>(page_);
  std::printf("  level %u, keys [%" PRIu64 ", %s), right %u, %u entries%s\n", tail.start.level,
              tail.low, key_text(tail.high).c_str(), tail.right, tail.count,
              (tail.flags & kSplitIncomplete) != 0 ? ", split is not finished" : "");
  const uint16_t count = std::min(tail.count, leaf ? kLeafCapacity : kInnerCapacity);
  for (uint16_t i = 0; i < count; i++) {
    if (leaf) {
      leaf_entry(i);
    } else {
      inner_entry(i);
    }
  }
}

void Dump::leaf_entry(uint16_t index) {
  const auto entry = record_at<Entry>(page_, index);
  std::printf("  %u: id %" PRIu64 ", %s, %s, %" PRIu64 " bytes, %" PRIu64
              " stored, at (%u, %u), first %u, pages %u, crc %08x, xmin %u, xmax %u, cmin %u, "
              "cmax %u\n",
              index, entry.id, ctl::name_of(entry.layout), ctl::name_of(entry.codec),
              entry.raw_bytes, entry.stored_bytes, entry.block, entry.item, entry.first_bytes,
              entry.pages, entry.crc, entry.xmin, entry.xmax, entry.cmin, entry.cmax);
  if (!record_sound(entry)) fault("leaf entry does not match its check");
}

void Dump::inner_entry(uint16_t index) {
  const auto child = record_at<Child>(page_, index);
  std::printf("  %u: from key %" PRIu64 " child %u\n", index, child.key, child.child);
  if (!record_sound(child)) fault("inner entry does not match its check");
}

void Dump::map() {
  const auto tail = tail_of<PlainTail>(page_);
  if (block_ < kFirstExtentBlock || map_block(tail.index) != block_ ||
      tail.index >= kMaxExtents / kExtentsPerMapPage) {
    fault("map page's ordinal is not its block's");
    return;
  }
  const Extent first = tail.index * kExtentsPerMapPage;
  uint32_t kinds[3] = {};
  for (uint32_t i = 0; i < kExtentsPerMapPage; i++) {
    const auto entry = record_at<MapEntry>(page_, i);
    if (!record_sound(entry) || entry.kind > ExtentKind::kValues) {
      std::printf("  extent %u:\n", first + i);
      fault("map entry does not match its check");
      continue;
    }
    kinds[static_cast<int>(entry.kind)]++;
    if (entry.kind != ExtentKind::kFree) extent(first + i, entry);
  }
  std::printf("  map page %u, extents %u to %u: %u free, %u of pages, %u of values\n", tail.index,
              first, first + kExtentsPerMapPage - 1, kinds[0], kinds[1], kinds[2]);
}

void Dump::extent(Extent extent, const MapEntry& entry) const {
  std::printf("  extent %u, blocks %u to %u: ", extent, extent_start(extent),
              extent_end(extent) - 1);
  if (entry.kind == ExtentKind::kPages) {
    const int used = std::popcount(entry.pages.used[0]) + std::popcount(entry.pages.used[1]);
    std::printf("%d of %u pages in use\n", used, extent_blocks(extent));
    return;
  }
  std::printf("values, lane %u, writer %" PRIu64, entry.lane, entry.values.writer);
  if ((entry.values.flags & kCounted) != 0) {
    const uint64_t bytes = uint64_t{extent_blocks(extent)} * kPageBytes;
    std::printf(", %u bytes stored (%" PRIu64 "%%), %u dead", entry.stored_bytes,
                entry.stored_bytes * uint64_t{100} / bytes, entry.values.dead_bytes);
  } else {
    std::printf(", not counted");
  }
  std::puts("");
}

void Dump::chain(bool journal) {
  const auto tail = tail_of<ChainTail>(page_);
  if (journal) {
    std::printf("  lane %u, next id %" PRIu64 ", position %u, oldest transaction %u\n",
                tail.start.level, tail.next_id, tail.position, tail.min_xid);
  } else {
    std::printf("  %" PRIu64 " chunks of the first record done\n", tail.next_id);
  }
  std::printf("  next page %u, %u records, %u of them done with\n", tail.next, tail.count,
              tail.consumed);
  const uint16_t count = std::min(tail.count, journal ? kJournalCapacity : kDeadCapacity);
  const size_t bytes = count * (journal ? sizeof(JournalRecord) : sizeof(DeadRecord));
  if (crc32c(page_ + kPageHeaderBytes, bytes) != tail.records_crc) {
    fault("chain records do not match their CRC");
  }
  for (uint16_t i = 0; i < count; i++) {
    if (journal) {
      const auto record = record_at<JournalRecord>(page_, i);
      const char* action = record.action == JournalAction::kPut      ? "put"
                           : record.action == JournalAction::kDelete ? "deleted"
                                                                     : "unknown action";
      std::printf("  %u: id %" PRIu64 " %s by transaction %u\n", i, record.id, action, record.xid);
    } else {
      const auto record = record_at<DeadRecord>(page_, i);
      std::printf("  %u: id %" PRIu64 ", %s, %" PRIu64
                  " bytes at (%u, %u), first %u, sequence %u\n",
                  i, record.id, ctl::name_of(record.layout), record.bytes, record.block,
                  record.item, record.first_bytes, record.sequence);
    }
  }
}

void Dump::values() {
  PageFill fill;
  const Status status = read_fill(page_, block_, &fill);
  if (!status.ok()) return fault(status.reason);
  std::printf("  %u pieces, %u bytes free\n", fill.items, fill.free);
  for (uint16_t item = 1; item <= fill.items; item++) {
    PieceClaim piece;
    const Status read = read_piece(page_, block_, origin_.kind, item, &piece);
    if (!read.ok()) {
      std::printf("  %u:\n", item);
      fault(read.reason);
      continue;
    }
    const bool top = piece.sequence >= kTopTableSequence;
    const bool table = piece.sequence >= kTableSequence;
    std::printf("  %u: id %" PRIu64 ", %s %u, %u bytes at %u\n", item, piece.id,
                top     ? "piece of the table of tables"
                : table ? "piece of a chunk table"
                        : "piece",
                piece.sequence - (top     ? kTopTableSequence
                                  : table ? kTableSequence
                                          : 0),
                piece.length, piece.offset);
  }
}

bool Dump::run() {
  const auto header = load<PageHeader>(page_, 0);
  std::printf("block %u: ", block_);
  if (is_zero_page(page_)) {
    std::puts("never written");
    return true;
  }
  // A value page has no tail: where one would be are bytes of a value.
  if (header.special == kPageBytes && header.size_version == kSizeVersion) {
    std::puts(block_ == 0 ? "empty page that starts every store" : "value page");
    dump_header(page_, origin_.of_server);
    values();
    return sound_;
  }
  const auto kind = static_cast<PageKind>(claimed_kind(page_));
  const char* name = name_of(kind);
  std::puts(name != nullptr ? name : "unknown page");
  dump_header(page_, origin_.of_server);
  const Status status = check_page(page_, block_, kind);
  if (!status.ok()) fault(status.reason);
  switch (kind) {
    case PageKind::kMeta:
      meta();
      break;
    case PageKind::kLeaf:
    case PageKind::kInner:
      tree(kind == PageKind::kLeaf);
      break;
    case PageKind::kMap:
      map();
      break;
    case PageKind::kJournal:
    case PageKind::kDead:
      chain(kind == PageKind::kJournal);
      break;
    case PageKind::kRetired:
      break;
  }
  return sound_;
}

}  // namespace

void dump_header(const std::byte* page, bool of_server) {
  const auto header = load<PageHeader>(page, 0);
  const uint64_t high = of_server ? header.lsn & 0xffffffff : header.lsn >> 32;
  const uint64_t low = of_server ? header.lsn >> 32 : header.lsn & 0xffffffff;
  std::printf("  header: lsn %" PRIX64 "/%" PRIX64
              ", checksum %04x, lower %u, upper %u, special %u\n",
              high, low, header.checksum, header.lower, header.upper, header.special);
}

bool dump_page(const std::byte* page, Block block, const PageOrigin& origin) {
  return Dump(page, block, origin).run();
}

}  // namespace toaststore::ctl
