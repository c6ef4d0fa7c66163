// The rules of the pager port, checked at every call.

#include "support/memory_pager.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/geometry.h"
#include "engine/value_page.h"

namespace toaststore::test {

namespace {

constexpr std::byte kGarbage{0x5a};
// Of journal and dead-list pages: only the first latch may be theirs.
constexpr int kChainRank = 2;

// Where a page stands in the latch order; 0 for pages without a rank.
int rank_of(const std::byte* page, Block block) {
  const auto start = load<TailStart>(page, kTailOffset);
  const auto kind = static_cast<PageKind>(start.kind);
  if (kind == PageKind::kMeta && block == kMetaBlock) return 4;
  if (!check_page(page, block, kind).ok()) return 0;
  switch (kind) {
    case PageKind::kLeaf:
    case PageKind::kInner:
      return 1;
    case PageKind::kJournal:
    case PageKind::kDead:
      return kChainRank;
    case PageKind::kMap:
      return 3;
    default:
      return 0;
  }
}

bool is_value_page(const std::byte* page, Block block) {
  PageFill fill;
  return block > kMetaBlock && read_fill(page, block, &fill).ok();
}

// May `next` be latched after `held`, both of one rank?
bool in_order(const std::byte* held, Block held_block, const std::byte* next, Block next_block,
              int rank) {
  if (rank == 1) {
    const auto a = tail_of<TreeTail>(held);
    const auto b = tail_of<TreeTail>(next);
    if (a.start.level != b.start.level) return a.start.level < b.start.level;
    return a.high <= b.low;
  }
  return held_block < next_block;
}

}  // namespace

MemoryPager::Frame& MemoryPager::frame(Block block) {
  if (frames_[block] == nullptr) frames_[block] = std::make_unique<Frame>();
  return *frames_[block];
}

void MemoryPager::broken(const std::string& rule) { ADD_FAILURE() << "pager rule: " << rule; }

Status MemoryPager::fallible(const char* what) {
  calls_++;
  const bool fail =
      fail_call_ != 0 && (fail_persistent_ ? calls_ >= fail_call_ : calls_ == fail_call_);
  if (!fail && !dead_) return Status::Ok();
  failures_++;
  return Status::Error(Code::kIo, what);
}

// Counts an atomic step that is about to happen.
Status MemoryPager::step() {
  if (steps_ >= last_step_) {
    dead_ = true;
    return Status::Error(Code::kIo, "died");
  }
  steps_++;
  return Status::Ok();
}

void MemoryPager::check_order(Block block) {
  if (misplaced) return;
  const std::byte* next = frame(block).bytes.data();
  const int rank = rank_of(next, block);
  const bool value = is_value_page(next, block);
  for (const Held& held : held_) {
    if (held.created) continue;
    const std::byte* page = frame(held.block).bytes.data();
    if (value || is_value_page(page, held.block)) broken("a value page is latched alone");
    if (rank == kChainRank) broken("a page of a chain is waited for under a latch");
    const int held_rank = rank_of(page, held.block);
    if (rank == 0 || held_rank == 0) continue;
    if (held_rank > rank || (held_rank == rank && !in_order(page, held.block, next, block, rank))) {
      broken("latch of block " + std::to_string(block) + " after that of " +
             std::to_string(held.block) + " is against the order");
    }
  }
}

Status MemoryPager::read(Block block, Latch latch, PageRef* page) {
  if (held_.empty() && on_read && !calling_back_) {
    calling_back_ = true;
    on_read();
    calling_back_ = false;
  }
  TOASTSTORE_TRY(fallible("injected failure of read"));
  note_work();
  if (block >= frames_.size()) {
    return Status::Error(Code::kRetry, "block is beyond the end of the file", block);
  }
  Frame& frame = this->frame(block);
  if (frame.latched) {
    broken("block " + std::to_string(block) + " is latched twice");
    return Status::Error(Code::kIo, "deadlock");
  }
  check_order(block);
  if (latched_elsewhere.erase(block) > 0 && !held_.empty()) {
    broken("block " + std::to_string(block) + " is waited for under a latch");
  }
  hold(block, latch, page);
  return Status::Ok();
}

Status MemoryPager::read_past_cache(Block first, uint32_t count, const std::byte** pages,
                                    uint32_t* got) {
  *got = 0;
  if (!held_.empty()) broken("pages are read past the cache under a latch");
  past_cache_.clear();
  for (Block block = first; *got < std::min(count, most_past_cache); block++, ++*got) {
    if (block >= frames_.size() || cached.contains(block)) break;
    past_cache_.push_back(frame(block).bytes);
  }
  if (*got == 0) return Status::Ok();
  note_work();
  pages_past_cache += *got;
  *pages = past_cache_[0].data();
  if (on_past_cache && !calling_back_) {
    calling_back_ = true;
    on_past_cache(past_cache_[0].data(), first, *got);
    calling_back_ = false;
  }
  return Status::Ok();
}

Status MemoryPager::try_read(Block block, PageRef* page) {
  TOASTSTORE_TRY(fallible("injected failure of try_read"));
  note_work();
  if (block >= frames_.size()) {
    return Status::Error(Code::kRetry, "block is beyond the end of the file", block);
  }
  if (frame(block).latched || latched_elsewhere.contains(block)) {
    return Status::Error(Code::kRetry, "page is latched", block);
  }
  hold(block, Latch::kExclusive, page);
  return Status::Ok();
}

void MemoryPager::hold(Block block, Latch latch, PageRef* page) {
  Frame& frame = this->frame(block);
  frame.latched = true;
  frame.latch = latch;
  held_.push_back({block, false});
  *page = {frame.bytes.data(), block, static_cast<int64_t>(block), false};
}

Status MemoryPager::create(Block block, PageRef* page) {
  TOASTSTORE_TRY(fallible("injected failure of create"));
  note_work();
  if (block >= frames_.size()) {
    broken("block " + std::to_string(block) + " is created but not reserved");
    return Status::Error(Code::kIo, "not reserved");
  }
  Frame& frame = this->frame(block);
  if (frame.latched) {
    broken("block " + std::to_string(block) + " is latched twice");
    return Status::Error(Code::kIo, "deadlock");
  }
  const int rank = rank_of(frame.bytes.data(), block);
  if (rank != 0) broken("block " + std::to_string(block) + " is created but in use");
  frame.latched = true;
  frame.latch = Latch::kExclusive;
  frame.fresh = true;
  frame.before = std::make_unique<PageBytes>(frame.bytes);
  save(block);
  frame.bytes.fill(kGarbage);
  held_.push_back({block, true});
  *page = {frame.bytes.data(), block, static_cast<int64_t>(block), true};
  return Status::Ok();
}

void MemoryPager::release(const PageRef& page) {
  Frame& frame = this->frame(page.block);
  if (!frame.latched) broken("a page is released that is not held");
  if (frame.fresh) frame.bytes = *frame.before;  // nobody initialised it
  frame.fresh = false;
  frame.before.reset();
  frame.latched = false;
  std::erase_if(held_, [&](const Held& held) { return held.block == page.block; });
}

Status MemoryPager::reserve(Block end, Block limit) {
  TOASTSTORE_TRY(fallible("injected failure of reserve"));
  if (limit < end) broken("reserve's limit is below what it asks for");
  const Block target = generous ? limit : end;
  if (end > disk_blocks) return Status::Error(Code::kNoSpace, "disk is full");
  if (frames_.size() < target) frames_.resize(std::min(target, disk_blocks));
  return Status::Ok();
}

// The page must be sound after every change.
void MemoryPager::check_applied(Block block) {
  const std::byte* bytes = frame(block).bytes.data();
  if (block == 0) {
    PageFill fill;
    if (!read_fill(bytes, 0, &fill).ok() || fill.items != 0) broken("block 0 is not empty");
    return;
  }
  const auto kind = static_cast<PageKind>(load<TailStart>(bytes, kTailOffset).kind);
  const Status status = check_page(bytes, block, kind);
  if (!status.ok()) broken(std::string("a change leaves a bad page: ") + status.reason);
}

Status MemoryPager::apply(const Change& change) {
  TOASTSTORE_TRY(fallible("injected failure of apply"));
  if (change.pages() == 0 || change.pages() > Change::kMaxPages) broken("pages of a change");
  if (change.patches() > Change::kMaxPatches) broken("patches of a change");
  for (int i = 0; i < change.pages(); i++) {
    const Frame& frame = this->frame(change.page(i).block);
    if (!frame.latched || frame.latch != Latch::kExclusive) {
      broken("a change lists a page that is not latched exclusively");
    }
    for (int j = 0; j < i; j++) {
      if (change.page(i).block == change.page(j).block) broken("a change lists a page twice");
    }
  }
  TOASTSTORE_TRY(step());
  for (int i = 0; i < change.pages(); i++) save(change.page(i).block);
  for (int i = 0; i < change.patches(); i++) {
    const Change::Patch& patch = change.patch(i);
    if (patch.page >= change.pages() || patch.offset + patch.length > kPageBytes) {
      broken("a patch is out of bounds");
      continue;
    }
    Frame& frame = this->frame(change.page(patch.page).block);
    std::memcpy(frame.bytes.data() + patch.offset, patch.bytes, patch.length);
    patched_bytes_ += patch.length;
  }
  for (int i = 0; i < change.pages(); i++) {
    frame(change.page(i).block).fresh = false;
    check_applied(change.page(i).block);
  }
  return Status::Ok();
}

void MemoryPager::check_piece(const PieceWrite& piece) {
  if (!held_.empty()) broken("a piece is written under a latch");
  if (std::none_of(lanes_, lanes_ + kLanes, [](bool locked) { return locked; })) {
    broken("a piece is written without a lane");
  }
  if (piece.length == 0 || piece.length > max_piece(piece.kind)) broken("length of a piece");
  const Extent extent = extent_of(piece.block);
  const Block map = map_block(map_page_of(extent));
  const auto entry = record_at<MapEntry>(frame(map).bytes.data(), extent % kExtentsPerMapPage);
  if (record_sound(entry) && entry.kind != ExtentKind::kValues)
    broken("a piece goes to blocks not taken for values");
}

Status MemoryPager::write_piece(const PieceWrite& piece, uint16_t* item) {
  TOASTSTORE_TRY(fallible("injected failure of write_piece"));
  note_work();
  if (piece.block >= frames_.size() || piece.block < kFirstExtentBlock) {
    broken("a piece goes to a block that is not reserved");
    return Status::Error(Code::kIo, "not reserved");
  }
  check_piece(piece);
  TOASTSTORE_TRY(step());
  save(piece.block);
  std::byte* bytes = frame(piece.block).bytes.data();
  if (piece.fresh) {
    if (rank_of(bytes, piece.block) != 0) broken("a piece overwrites a page in use");
    init_value_page(bytes);
  }
  PageFill fill;
  const Status status = read_fill(bytes, piece.block, &fill);
  if (!status.ok() || fill.room(piece.kind) < piece.length) {
    broken("a piece does not fit its page");
    return Status::Error(Code::kIo, "no room");
  }
  *item = add_piece(bytes, piece, 0).item;
  return Status::Ok();
}

Status MemoryPager::lock_lane(uint8_t lane, bool wait, bool* locked) {
  TOASTSTORE_TRY(fallible("injected failure of lock_lane"));
  if (lane >= kLanes) broken("no such lane");
  if (!held_.empty()) broken("a lane is locked under a latch");
  *locked = false;
  if (lanes_[lane] && wait) {
    if (on_lane_wait) on_lane_wait(lane);
    if (lanes_[lane]) {
      broken("a lane is waited for for ever");
      return Status::Error(Code::kIo, "deadlock");
    }
  }
  if (lanes_[lane]) return Status::Ok();
  lanes_[lane] = true;
  *locked = true;
  return Status::Ok();
}

void MemoryPager::unlock_lane(uint8_t lane) {
  if (!lanes_[lane]) broken("a lane is unlocked that is not locked");
  lanes_[lane] = false;
}

Status MemoryPager::lock_creation() {
  TOASTSTORE_TRY(fallible("injected failure of lock_creation"));
  if (on_lock_creation) on_lock_creation();
  if (creating_) broken("the lock of creation is taken twice");
  if (!held_.empty()) broken("the lock of creation is taken under a latch");
  creating_ = true;
  return Status::Ok();
}

void MemoryPager::unlock_creation() {
  if (!creating_) broken("the lock of creation is given back twice");
  creating_ = false;
}

Status MemoryPager::pause(Step step) {
  pauses_++;
  if (!held_.empty()) broken("the engine offers to be interrupted under a latch");
  stretch_ = 0;
  return fallible(name_of(step));
}

void MemoryPager::fail_at(uint64_t call, bool persistent) {
  calls_ = 0;
  failures_ = 0;
  fail_call_ = call;
  fail_persistent_ = persistent;
}

void MemoryPager::die_after(uint64_t steps) {
  steps_ = 0;
  last_step_ = steps;
}

void MemoryPager::reopen() {
  fail_at(0, false);
  steps_ = 0;
  last_step_ = UINT64_MAX;
  dead_ = false;
  std::fill(lanes_, lanes_ + kLanes, false);
}

void MemoryPager::mark() {
  mark_++;
  marked_blocks_ = blocks();
  saved_.clear();
}

void MemoryPager::save(Block block) {
  if (mark_ == 0 || block >= marked_blocks_ || frame(block).saved == mark_) return;
  frame(block).saved = mark_;
  saved_.emplace(block, frame(block).bytes);
}

void MemoryPager::rewind() {
  frames_.resize(marked_blocks_);
  for (const auto& [block, bytes] : saved_) frame(block).bytes = bytes;
  saved_.clear();
  mark_++;
}

void MemoryPager::expect_idle(const char* where) {
  EXPECT_TRUE(held_.empty()) << held_.size() << " pages stay latched after " << where;
  for (const Held& held : held_) frame(held.block).latched = false;
  held_.clear();
  for (int lane = 0; lane < kLanes; lane++) {
    EXPECT_FALSE(lanes_[lane]) << "lane " << lane << " stays locked after " << where;
  }
  EXPECT_FALSE(creating_) << "the lock of creation stays taken after " << where;
}

}  // namespace toaststore::test
