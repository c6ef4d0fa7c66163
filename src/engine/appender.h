// A writer's hold on a lane: it takes ids and appends pieces, page after page.
//
// Values are packed as a stream of bytes: a value starts where the one before it ended, and
// continues on the adjacent pages.  No size wastes a page.
//
// Invariants:
//   * The lane stays locked from the first piece of a value to the change that inserts its entry;
//     that change logs the lane's position behind the pieces.  So pages behind the logged position
//     hold nothing that anybody points to, and are initialised again by the next writer.
//   * A run of pieces lies in contiguous blocks: its first piece at (block, item), each following
//     one as item 1 of the next block.

#ifndef TOASTSTORE_ENGINE_APPENDER_H_
#define TOASTSTORE_ENGINE_APPENDER_H_

#include "engine/space_map.h"
#include "engine/value_page.h"

namespace toaststore {

// Where a run of pieces is, and how its reader proves it.
struct RunRef {
  uint64_t id = 0;
  Block block = kNoBlock;
  uint16_t item = 0;
  uint16_t first_bytes = 0;
  uint32_t sequence = 0;
  uint32_t stored_bytes = 0;
  uint32_t crc = 0;
};

// Pieces of a run: the first, and full ones on the pages behind it.
inline uint32_t piece_count(StoreKind kind, uint32_t stored_bytes, uint16_t first_bytes) {
  if (stored_bytes == 0) return 0;
  const uint32_t rest = stored_bytes - first_bytes;
  return 1 + (rest + max_piece(kind) - 1) / max_piece(kind);
}

// Whose pieces are appended: a transaction's, or copies that the cleaner makes, which are in
// nobody's way once the cleaner is gone.
enum class Writer : uint8_t { kTransaction, kCleaner };

class Appender {
 public:
  explicit Appender(Context& context, Writer writer = Writer::kTransaction)
      : context_(context), writer_(writer) {}
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;
  ~Appender() { close(); }

  // Locks a lane: the one used last if it is free, else any, else waits.
  Status open();
  void close();
  bool opened() const { return opened_; }

  // The next id of the lane's batch; `expected` more are likely to follow.  REQUIRES, where none is
  // left: the entries of those handed out are in, or they may be handed out again.
  Status next_id(uint64_t expected, uint64_t* id);
  bool has_ids() const { return next_id_ < ids_end_; }

  // Appends a run.  `following` is what else of the value is still to come, in bytes.
  Status append(uint64_t id, uint32_t sequence, const std::byte* bytes, uint32_t length,
                uint64_t following, RunRef* run);
  // Appends a copy of a run, in no more pieces than that has: each keeps a sequence number of its
  // own.
  Status append_copy(const RunRef& old, const std::byte* bytes, RunRef* run);

  uint8_t lane() const { return lane_; }
  // What the change that inserts the entries logs in the lane's journal.
  Block position() const { return begun_ ? position_ : kNoBlock; }
  uint64_t following_id() const { return next_id_; }
  // Gives up the ids that are left of the lane's batch.
  void forget_ids() { next_id_ = ids_end_ = 0; }
  // Value pages that pieces were written to since the last call.
  uint32_t take_pages_written();

 private:
  Status lock();
  Status load_lane();
  Status load_fill();
  Status new_batch(uint64_t expected);
  Status reuse_ids(uint64_t expected);
  Status make_room(uint32_t length, uint64_t following, uint32_t most_pieces, uint16_t* first);
  Status append_run(const std::byte* bytes, uint64_t following, uint32_t most_pieces, RunRef* run);
  Status write_piece(Block block, uint64_t id, uint32_t sequence, const std::byte* bytes,
                     uint16_t length, uint16_t* item);

  Context& context_;
  const Writer writer_;
  bool opened_ = false;
  bool begun_ = false;  // position_ is a page of the run with a piece in it
  uint8_t lane_ = 0;
  Run run_;
  Block position_ = kNoBlock;
  PageFill fill_;  // of position_
  uint64_t next_id_ = 0;
  uint64_t ids_end_ = 0;
  uint32_t pages_written_ = 0;
  Block last_counted_ = kNoBlock;
};

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_APPENDER_H_
