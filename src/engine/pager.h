// The pager port, and the guards and changes through which alone the engine touches pages.
//
// A page is read under a guard that holds it pinned and latched.  It is modified only by a Change:
// the engine lists patches (page, offset, bytes) to a few exclusively latched pages, and the host
// applies and logs them as one atomic step.  Nobody compares pages afterwards, and nothing but a
// change in progress can write to a page.
//
// Invariants:
//   * Latches are waited for in one order: tree pages bottom-up and left to right, then map pages,
//     then meta.  For the end of a chain, and for a value page, nobody waits with a latch in hand;
//     nothing is latched while a value page is.
//   * All that can fail comes before apply(): it cannot fail half-way.
//   * Guards are skippable: they hold nothing but a pin and a latch, which the host's transaction
//     abort releases too.

#ifndef TOASTSTORE_ENGINE_PAGER_H_
#define TOASTSTORE_ENGINE_PAGER_H_

#include "engine/format.h"
#include "engine/step.h"

namespace toaststore {

enum class Latch : uint8_t { kShare, kExclusive };

// A pinned and latched page; `handle` is the host's own.
struct PageRef {
  const std::byte* data = nullptr;
  Block block = kNoBlock;
  int64_t handle = 0;
  bool fresh = false;      // contents unspecified until a change initialises it
  bool exclusive = false;  // the latch, for hosts that need to know at its release
};

// One piece of a value to append to a value page.
struct PieceWrite {
  Block block;
  bool fresh;  // the first piece of the page in this incarnation: initialise the page
  StoreKind kind;
  uint64_t id;
  uint32_t sequence;
  const std::byte* bytes;
  uint16_t length;
  uint64_t following = 0;  // bytes of the value that come behind it
};

class Change;

class Pager {
 public:
  // Reads a page and latches it.  kRetry beyond the end of the file.
  virtual Status read(Block block, Latch latch, PageRef* page) = 0;
  // As read(), exclusively, but does not wait: kRetry also where the page is latched.
  virtual Status try_read(Block block, PageRef* page) = 0;
  // Latches a page exclusively whose contents do not matter: the next change initialises it.
  // REQUIRES: the block is reserved.
  virtual Status create(Block block, PageRef* page) = 0;
  virtual void release(const PageRef& page) = 0;
  // Reads pages from `first` on past the host's cache and without latches, at most `count` of them:
  // *got says how many, none where the page at `first` is in the cache or this cannot be done. They
  // are what the file holds at some moment, are at *pages until the next call, and prove nothing
  // that a torn page could not say: see Context::unlatched.
  virtual Status read_past_cache(Block, uint32_t, const std::byte**, uint32_t* got) {
    *got = 0;
    return Status::Ok();
  }
  // A value that begins in this block is about to be read.  True where it is read so often that its
  // pages are better read through the cache.
  virtual bool read_often(Block) { return false; }
  // The page is about to be read, from this byte on: a host may bring it nearer meanwhile.
  virtual void expect(Block, uint16_t) {}
  // Have the bytes of a value page's item been proven, or written, since the page came into memory?
  virtual bool known(const PageRef&, uint16_t) { return false; }
  virtual void make_known(const PageRef&, uint16_t) {}

  // Makes sure that blocks [0, end) exist on disk, with space really reserved.  May go further, to
  // `limit` at most.
  virtual Status reserve(Block end, Block limit) = 0;
  virtual Block blocks() = 0;

  // Applies and logs the change as one atomic step.
  virtual Status apply(const Change& change) = 0;

  // Appends a piece to a value page, as one logged step of its own; *item is its item number.
  virtual Status write_piece(const PieceWrite& piece, uint16_t* item) = 0;

  // Lanes are locked for the time of a put, not latched: the holder does I/O and may wait.
  virtual Status lock_lane(uint8_t lane, bool wait, bool* locked) = 0;
  virtual void unlock_lane(uint8_t lane) = 0;

  // Serialises the making of a new store.
  virtual Status lock_creation() = 0;
  virtual void unlock_creation() = 0;

  // A long piece of work has come to where it may be interrupted.  REQUIRES: no latch is held.
  virtual Status pause(Step step) = 0;

 protected:
  ~Pager() = default;
};

// A page under a latch.  Move-only.
class PageGuard {
 public:
  PageGuard() = default;
  PageGuard(const PageGuard&) = delete;
  PageGuard& operator=(const PageGuard&) = delete;
  PageGuard(PageGuard&& other) noexcept : pager_(other.pager_), page_(other.page_) {
    other.pager_ = nullptr;
  }
  PageGuard& operator=(PageGuard&& other) noexcept {
    if (this != &other) {
      release();
      pager_ = other.pager_;
      page_ = other.page_;
      other.pager_ = nullptr;
    }
    return *this;
  }
  ~PageGuard() { release(); }

  // Reads without looking at the page.
  Status read(Pager& pager, Block block, Latch latch) {
    release();
    TOASTSTORE_TRY(pager.read(block, latch, &page_));
    pager_ = &pager;
    return Status::Ok();
  }
  // Reads and checks: the statuses of Pager::read and check_page.
  Status read(Pager& pager, Block block, Latch latch, PageKind kind) {
    TOASTSTORE_TRY(read(pager, block, latch));
    Status status = check_page(page_.data, block, kind);
    if (!status.ok()) release();
    return status;
  }
  // Reads and checks, without waiting.
  Status try_read(Pager& pager, Block block, PageKind kind) {
    release();
    TOASTSTORE_TRY(pager.try_read(block, &page_));
    pager_ = &pager;
    Status status = check_page(page_.data, block, kind);
    if (!status.ok()) release();
    return status;
  }
  Status create(Pager& pager, Block block) {
    release();
    TOASTSTORE_TRY(pager.create(block, &page_));
    pager_ = &pager;
    return Status::Ok();
  }
  void release() {
    if (pager_ != nullptr) {
      pager_->release(page_);
      pager_ = nullptr;
    }
  }

  bool held() const { return pager_ != nullptr; }
  Block block() const { return page_.block; }
  const std::byte* data() const { return page_.data; }
  const PageRef& page() const { return page_; }
  template <typename T>
  T tail() const {
    return tail_of<T>(page_.data);
  }

 private:
  Pager* pager_ = nullptr;
  PageRef page_;
};

// Patches to at most four exclusively latched pages.  The bytes patched in must live until
// commit(); small ones are copied into the change itself.
class Change {
 public:
  static constexpr int kMaxPages = 4;  // what one Generic WAL record carries
  static constexpr int kMaxPatches = 16;
  static constexpr uint16_t kCopySpace = 512;  // bytes of patches kept in the change

  struct Patch {
    uint8_t page;
    uint16_t offset;
    uint16_t length;
    const void* bytes;
  };

  Change(Pager& pager, Step step) : pager_(pager), step_(step) {}
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

  // REQUIRES: the guard holds an exclusive latch and outlives the change.
  int add(const PageGuard& guard);
  // Writes `length` bytes that stay where they are until commit().
  void write(int page, uint16_t offset, const void* bytes, size_t length);
  // Writes a copy of a small struct.
  template <typename T>
  void put(int page, uint16_t offset, const T& value) {
    write(page, offset, copy(&value, sizeof(T)), sizeof(T));
  }
  // Sets where the records of a page end.
  void put_lower(int page, uint16_t lower) { put(page, offsetof(PageHeader, lower), lower); }
  // Completes a tail's check and writes it.
  template <typename T>
  void put_tail(int page, T tail) {
    seal_tail(&tail);
    put(page, kTailOffset, tail);
  }
  // Writes header and tail of a fresh page whose records end at `lower`.
  template <typename T>
  void init(int page, T tail, uint16_t lower) {
    put(page, 0, header_for(lower));
    put_tail(page, tail);
  }

  Status commit() { return pager_.apply(*this); }

  Step step() const { return step_; }
  int pages() const { return pages_; }
  const PageRef& page(int index) const { return page_[index]; }
  int patches() const { return patches_; }
  const Patch& patch(int index) const { return patch_[index]; }

 private:
  const void* copy(const void* bytes, size_t length);

  Pager& pager_;
  Step step_;
  int pages_ = 0;
  int patches_ = 0;
  uint16_t copied_ = 0;
  PageRef page_[kMaxPages];
  Patch patch_[kMaxPatches];
  std::byte copies_[kCopySpace];
};

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_PAGER_H_
