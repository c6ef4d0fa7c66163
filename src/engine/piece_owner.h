// Whose is a piece found in a value page?  It is an entry's if the entry, or one of its chunk
// tables, leads to its place; otherwise nobody's.
//
// Pieces that lie side by side mostly belong to one value or to neighbours: the last entry and the
// last chunk table are kept.

#ifndef TOASTSTORE_ENGINE_PIECE_OWNER_H_
#define TOASTSTORE_ENGINE_PIECE_OWNER_H_

#include "engine/value_reader.h"

namespace toaststore {

struct PiecePlace {
  uint64_t id;
  uint32_t sequence;
  Block block;
  uint16_t item;
};

struct PieceOwner {
  bool owned = false;
  Entry entry{};
  uint64_t part = 0;  // of a chunked value, as read_part() counts
};

class OwnerFinder {
 public:
  explicit OwnerFinder(Context& context) : context_(context) {}
  OwnerFinder(const OwnerFinder&) = delete;
  OwnerFinder& operator=(const OwnerFinder&) = delete;

  Status find(const PiecePlace& place, PieceOwner* owner);

  // Entries may have changed.
  void forget() { known_ = false; }

 private:
  Status look_up(uint64_t id);
  Status find_part(const PiecePlace& place, PieceOwner* owner);

  Context& context_;
  bool known_ = false;
  bool found_ = false;
  uint64_t id_ = 0;
  Entry entry_{};
  bool part_known_ = false;
  uint64_t part_ = 0;  // the last found, and its run
  RunRef run_;
};

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_PIECE_OWNER_H_
