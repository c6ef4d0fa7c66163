// Changing the entries of a leaf.

#include "engine/tree.h"

namespace toaststore {

Status find_room(Context& context, uint64_t id, uint16_t room, LeafPlace* place) {
  for (;;) {
    TOASTSTORE_TRY(find_place(context, id, Latch::kExclusive, place));
    const auto tail = place->leaf.tail<TreeTail>();
    const bool marked = (tail.flags & kSplitIncomplete) != 0;
    if (marked || place->unfinished != kInfinity) {
      place->leaf.release();
      TOASTSTORE_TRY(finish_split(context, marked ? tail.low : place->unfinished, 0));
    } else if (tail.count + room > kLeafCapacity) {
      place->leaf.release();
      TOASTSTORE_TRY(split_page(context, id, 0, room));
    } else {
      return Status::Ok();
    }
  }
}

void stage_insert(const LeafPlace& place, const Entry* entries, uint16_t count, std::byte* scratch,
                  Change* change) {
  auto tail = place.leaf.tail<TreeTail>();
  const uint16_t offset = record_offset<Entry>(place.index);
  const size_t added = count * sizeof(Entry);
  const size_t shifted = (tail.count - place.index) * sizeof(Entry);
  std::memcpy(scratch, entries, added);
  std::memcpy(scratch + added, place.leaf.data() + offset, shifted);

  const int page = change->add(place.leaf);
  change->write(page, offset, scratch, added + shifted);
  tail.count = static_cast<uint16_t>(tail.count + count);
  change->put_lower(page, record_offset<Entry>(tail.count));
  change->put_tail(page, tail);
}

void stage_replace(const LeafPlace& place, const Entry& entry, Change* change) {
  change->put(change->add(place.leaf), record_offset<Entry>(place.index), entry);
}

void stage_remove(const LeafPlace& place, std::byte* scratch, Change* change) {
  auto tail = place.leaf.tail<TreeTail>();
  const uint16_t offset = record_offset<Entry>(place.index);
  const size_t shifted = (tail.count - place.index - 1u) * sizeof(Entry);
  std::memcpy(scratch, place.leaf.data() + offset + sizeof(Entry), shifted);

  const int page = change->add(place.leaf);
  change->write(page, offset, scratch, shifted);
  tail.count = static_cast<uint16_t>(tail.count - 1);
  change->put_lower(page, record_offset<Entry>(tail.count));
  change->put_tail(page, tail);
}

}  // namespace toaststore
