// A pager over pages in memory that is stricter than any host: it fails the running test when the
// engine breaks a rule of the port, and fails or dies where a test asks it to.
//
// Rules it holds the engine to:
//   * Nobody latches a page twice, and latches are taken in one order: tree pages bottom-up and
//     left to right, then journal and dead-list pages, then map pages, then meta.  Nothing is
//     latched while a value page is.  A page that was just picked from the map is nobody's and has
//     no rank.
//   * A change patches only pages that it latched exclusively, each listed once, within bounds,
//     and leaves every one of them sound.  A piece goes only to a block that the map knows as
//     taken for values, under the lane's lock, with no latch held.
//   * Only reserved blocks are created or written.
//
// The pager belongs to one thread: a second session is played by calling back (on_wait, on_read).

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_MEMORY_PAGER_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_MEMORY_PAGER_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/pager.h"

namespace toaststore::test {

using PageBytes = std::array<std::byte, kPageBytes>;

class MemoryPager final : public Pager {
 public:
  // ---- the port ----
  Status read(Block block, Latch latch, PageRef* page) override;
  Status try_read(Block block, PageRef* page) override;
  Status create(Block block, PageRef* page) override;
  void release(const PageRef& page) override;
  bool read_often(Block) override { return reads_often; }
  Status read_past_cache(Block first, uint32_t count, const std::byte** pages,
                         uint32_t* got) override;
  Status reserve(Block end, Block limit) override;
  Block blocks() override { return static_cast<Block>(frames_.size()); }
  Status apply(const Change& change) override;
  Status write_piece(const PieceWrite& piece, uint16_t* item) override;
  Status lock_lane(uint8_t lane, bool wait, bool* locked) override;
  void unlock_lane(uint8_t lane) override;
  Status lock_creation() override;
  void unlock_creation() override;
  Status pause(Step step) override;

  // ---- failures ----
  // The n-th fallible call from now on (1 is the next) returns kIo; all after it too if persistent.
  void fail_at(uint64_t call, bool persistent);
  // The store dies after n more atomic steps (changes applied, pieces written): later ones are
  // lost, every call fails until reopen().
  void die_after(uint64_t steps);
  bool died() const { return dead_; }
  bool failed() const { return failures_ > 0; }
  // How often the engine has offered to be interrupted.
  uint64_t pauses() const { return pauses_; }
  // Fallible calls and atomic steps since the last arming.
  uint64_t calls() const { return calls_; }
  uint64_t steps() const { return steps_; }
  // The most pages latched or written between two pauses since forget_stretches().
  uint64_t longest_stretch() const { return longest_stretch_; }
  void forget_stretches() { stretch_ = longest_stretch_ = 0; }
  // Bytes that changes have patched since forget_patched().
  uint64_t patched_bytes() const { return patched_bytes_; }
  void forget_patched() { patched_bytes_ = 0; }
  // No failure any more; latches and lanes are free as after a restart.
  void reopen();

  // ---- looking and tampering ----
  std::byte* page(Block block) { return frame(block).bytes.data(); }
  // Remembers this state; rewind() returns to it at the cost of the pages changed since.
  void mark();
  void rewind();
  // To be called before tampering with a page by hand between mark() and rewind().
  void touch(Block block) { save(block); }
  // Cuts the file short.
  void truncate(Block end) { frames_.resize(end); }

  // Fails the test if a latch or a lane is held, or ever was taken against the rules.
  void expect_idle(const char* where);
  bool lane_locked(uint8_t lane) const { return lanes_[lane]; }
  void set_lane_locked(uint8_t lane, bool locked) { lanes_[lane] = locked; }

  // reserve() goes to its limit instead of to what is asked.
  bool generous = false;
  // More blocks than this cannot be reserved.
  Block disk_blocks = UINT32_MAX;
  // The order of latches is not asserted: pages lie in places where they do not belong.
  bool misplaced = false;
  // Pages that another session has latched, until somebody waits for them.
  std::set<Block> latched_elsewhere;
  // The most pages that are read past the cache at once.
  uint32_t most_past_cache = 0;
  // Pages that are in the cache.
  std::set<Block> cached;
  // Called with the pages read past the cache: the place for another session's doings, and for what
  // a read without a latch may see of them.
  std::function<void(std::byte* pages, Block first, uint32_t count)> on_past_cache;
  // How many there were.
  uint64_t pages_past_cache = 0;
  // What read_often() says.
  bool reads_often = false;
  // Called before a latch is taken while none is held: the place for another session's doings.
  std::function<void()> on_read;
  // Called by lock_lane(wait) for a lane that is taken; has to free it.
  std::function<void(uint8_t)> on_lane_wait;
  // Called by lock_creation() before it has the lock: another session may be first.
  std::function<void()> on_lock_creation;

 private:
  struct Frame {
    alignas(8) PageBytes bytes{};
    bool latched = false;
    Latch latch = Latch::kShare;
    bool fresh = false;
    std::unique_ptr<PageBytes> before;  // what a page under creation held
    uint64_t saved = 0;                 // the mark it was last saved for
  };
  struct Held {
    Block block;
    bool created;
  };

  Frame& frame(Block block);
  Status fallible(const char* what);
  Status step();
  void check_order(Block block);
  void hold(Block block, Latch latch, PageRef* page);
  void check_piece(const PieceWrite& piece);
  void check_applied(Block block);
  void save(Block block);
  void broken(const std::string& rule);
  void note_work() { longest_stretch_ = std::max(longest_stretch_, ++stretch_); }

  std::vector<std::unique_ptr<Frame>> frames_;  // null: all zero
  std::vector<Held> held_;
  bool lanes_[kLanes] = {};
  bool creating_ = false;

  std::vector<PageBytes> past_cache_;
  uint64_t patched_bytes_ = 0;
  uint64_t pauses_ = 0;
  uint64_t calls_ = 0;
  uint64_t fail_call_ = 0;
  bool fail_persistent_ = false;
  uint64_t failures_ = 0;
  uint64_t steps_ = 0;
  uint64_t last_step_ = UINT64_MAX;
  bool dead_ = false;
  bool calling_back_ = false;
  uint64_t stretch_ = 0;
  uint64_t longest_stretch_ = 0;

  uint64_t mark_ = 0;
  Block marked_blocks_ = 0;
  std::unordered_map<Block, PageBytes> saved_;
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_MEMORY_PAGER_H_
