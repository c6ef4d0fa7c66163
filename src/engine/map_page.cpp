// Reading and staging a map page as a whole.

#include "engine/map_page.h"

namespace toaststore {

Status MapPage::open(Context& context, uint32_t map_page, Latch latch) {
  index = map_page;
  const Block block = map_block(map_page);
  Status status = guard.read(context.pager, block, latch, PageKind::kMap);
  if (status.is(Code::kRetry)) return Status::Corruption(block, "map page is missing");
  TOASTSTORE_TRY(status);
  std::memcpy(static_cast<void*>(entries), guard.data() + kPageHeaderBytes, sizeof(entries));
  for (const MapEntry& entry : entries) {
    if (!record_sound(entry)) {
      guard.release();
      return Status::Corruption(block, "map entry does not match its check");
    }
  }
  return Status::Ok();
}

bool MapPage::holds_something(Extent extent) const {
  const MapEntry& entry = entries[extent - first()];
  const bool itself =
      extent == first() && index > 0 && entry.pages.used[0] == 1 && entry.pages.used[1] == 0;
  return entry.kind != ExtentKind::kFree && !itself;
}

void MapPage::stage(Change* change, Extent from, Extent to) {
  for (Extent extent = from; extent < to; extent++) seal_record(&of(extent));
  change->write(change->add(guard), record_offset<MapEntry>(from - first()), &of(from),
                (to - from) * sizeof(MapEntry));
}

// The hint in the meta page moves back to it.
Status stage_free_extent(Context& context, uint32_t map_page, MetaGuard* meta, Change* change) {
  TOASTSTORE_TRY(meta->open(context, Latch::kExclusive));
  if (meta->body.map_hint <= map_page) return Status::Ok();
  meta->body.map_hint = map_page;
  meta->stage(change);
  return Status::Ok();
}

}  // namespace toaststore
