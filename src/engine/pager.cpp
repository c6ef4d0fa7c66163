// Gathering a change.  Bounds are the engine's own to keep, so a breach is a bug: it is asserted.

#include "engine/pager.h"

#include <cassert>

namespace toaststore {

int Change::add(const PageGuard& guard) {
  assert(guard.held() && pages_ < kMaxPages);
  page_[pages_] = guard.page();
  return pages_++;
}

void Change::write(int page, uint16_t offset, const void* bytes, size_t length) {
  assert(page < pages_ && patches_ < kMaxPatches && offset + length <= kPageBytes);
  if (length == 0) return;
  patch_[patches_++] = {static_cast<uint8_t>(page), offset, static_cast<uint16_t>(length), bytes};
}

const void* Change::copy(const void* bytes, size_t length) {
  assert(copied_ + length <= kCopySpace);
  std::byte* place = copies_ + copied_;
  std::memcpy(place, bytes, length);
  copied_ = static_cast<uint16_t>(copied_ + length);
  return place;
}

}  // namespace toaststore
