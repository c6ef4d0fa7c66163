// Ports of the engine over the bytes of a fuzz input: pages that are only read, memory with a
// limit, transactions that have all committed.

#ifndef TOASTSTORE_TEST_FUZZ_SUPPORT_PORTS_H_
#define TOASTSTORE_TEST_FUZZ_SUPPORT_PORTS_H_

#include <cstdlib>
#include <cstring>

#include "engine/context.h"

namespace toaststore::fuzz {

// Whole pages of the input.  Each is read from a copy of its own, so that a read beyond a page is
// seen by the sanitizer.
class InputPager final : public Pager {
 public:
  InputPager(const uint8_t* input, size_t length)
      : input_(input), blocks_(static_cast<Block>(length / kPageBytes)) {}

  Status read(Block block, Latch, PageRef* page) override {
    if (block >= blocks_) return Status::Error(Code::kRetry, "beyond the end", block);
    auto* copy = static_cast<std::byte*>(std::aligned_alloc(64, kPageBytes));
    std::memcpy(copy, input_ + size_t{block} * kPageBytes, kPageBytes);
    *page = {};
    page->data = copy;
    page->block = block;
    return Status::Ok();
  }
  void release(const PageRef& page) override { std::free(const_cast<std::byte*>(page.data)); }
  Block blocks() override { return blocks_; }

  Status try_read(Block, PageRef*) override { return read_only(); }
  Status create(Block, PageRef*) override { return read_only(); }
  Status reserve(Block, Block) override { return read_only(); }
  Status apply(const Change&) override { return read_only(); }
  Status write_piece(const PieceWrite&, uint16_t*) override { return read_only(); }
  Status lock_lane(uint8_t, bool, bool*) override { return read_only(); }
  void unlock_lane(uint8_t) override {}
  Status lock_creation() override { return read_only(); }
  void unlock_creation() override {}
  Status pause(Step) override { return Status::Ok(); }

 private:
  static Status read_only() { return Status::Error(Code::kIo, "read only"); }

  const uint8_t* input_;
  Block blocks_;
};

class LimitedMemory final : public Memory {
 public:
  void* allocate(size_t bytes) override { return bytes > kMost ? nullptr : std::malloc(bytes); }
  void release(void* memory) override { std::free(memory); }

 private:
  static constexpr size_t kMost = 16 * 1024 * 1024;
};

class AllCommitted final : public Transactions {
 public:
  Xid current() override { return kFirstNormalXid; }
  FullXid current_full() override { return kFirstNormalXid; }
  uint32_t command() override { return 0; }
  bool visible(const Stamps&) override { return true; }
  Fate fate(const Stamps&, Xid*) override { return Fate::kLive; }
  Status wait(Xid) override { return Status::Ok(); }
  bool removable(Xid) override { return false; }
  Xid horizon() override { return kFirstNormalXid; }
  bool committed(Xid) override { return true; }
  Xid frozen(Xid creator) override { return creator; }
  FullXid oldest_running() override { return kFirstNormalXid; }
  void log_removal(Xid, Block) override {}
  Status lost_race() override { return Status::Error(Code::kNotFound, "gone"); }
};

}  // namespace toaststore::fuzz

#endif  // TOASTSTORE_TEST_FUZZ_SUPPORT_PORTS_H_
