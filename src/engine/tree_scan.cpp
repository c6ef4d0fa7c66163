// Ordered scans: a leaf at a time, copied out, so that no latch is held while the caller works.

#include "engine/meta.h"
#include "engine/tree.h"

namespace toaststore {

namespace {

Status copy_entries(const PageGuard& leaf, uint16_t from, uint16_t to, LeafBatch* batch) {
  batch->count = static_cast<uint16_t>(to - from);
  std::memcpy(static_cast<void*>(batch->entries), leaf.data() + record_offset<Entry>(from),
              batch->count * sizeof(Entry));
  const auto tail = leaf.tail<TreeTail>();
  uint64_t least = tail.low;
  for (uint16_t i = 0; i < batch->count; i++) {
    const Entry& entry = batch->entries[i];
    if (!record_sound(entry)) {
      return Status::Corruption(leaf.block(), "leaf entry does not match its check");
    }
    if (entry.id < least || entry.id >= tail.high) {
      return Status::Corruption(leaf.block(), "leaf entries are out of order");
    }
    least = entry.id + 1;
  }
  return Status::Ok();
}

}  // namespace

Status read_forward(Context& context, uint64_t from, LeafBatch* batch) {
  batch->count = 0;
  batch->next = kInfinity;
  PageGuard leaf;
  const Status status = descend(context, from, 0, Latch::kShare, &leaf);
  if (status.is(Code::kNotFound)) return Status::Ok();
  TOASTSTORE_TRY(status);
  uint16_t index;
  TOASTSTORE_TRY(lower_bound(leaf, from, &index));
  const auto tail = leaf.tail<TreeTail>();
  batch->next = tail.high;
  return copy_entries(leaf, index, tail.count, batch);
}

Status read_backward(Context& context, uint64_t from, LeafBatch* batch) {
  batch->count = 0;
  batch->next = 0;
  PageGuard leaf;
  const Status status = descend(context, from, 0, Latch::kShare, &leaf);
  if (status.is(Code::kNotFound)) return Status::Ok();
  TOASTSTORE_TRY(status);
  uint16_t index;
  TOASTSTORE_TRY(lower_bound(leaf, from + 1, &index));
  const auto tail = leaf.tail<TreeTail>();
  batch->next = tail.low == 0 ? 0 : tail.low - 1;
  return copy_entries(leaf, 0, index, batch);
}

}  // namespace toaststore
