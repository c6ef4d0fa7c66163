// A map page in hand: its entries, copied out, and its latch.

#ifndef TOASTSTORE_ENGINE_MAP_PAGE_H_
#define TOASTSTORE_ENGINE_MAP_PAGE_H_

#include "engine/context.h"
#include "engine/geometry.h"
#include "engine/meta.h"

namespace toaststore {

struct MapPage {
  PageGuard guard;
  uint32_t index = 0;
  MapEntry entries[kExtentsPerMapPage];

  Extent first() const { return index * kExtentsPerMapPage; }
  MapEntry& of(Extent extent) { return entries[extent - first()]; }

  // Is there something in the extent, other than a page of the map that goes when nothing follows?
  bool holds_something(Extent extent) const;

  // Latches and proves every entry; nothing stays latched where that fails.
  Status open(Context& context, uint32_t map_page, Latch latch = Latch::kExclusive);

  // Stages the entries of extents [from, to).
  void stage(Change* change, Extent from, Extent to);
};

// Stages that the map page has a free extent.  REQUIRES: `meta` outlives the change.
Status stage_free_extent(Context& context, uint32_t map_page, MetaGuard* meta, Change* change);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_MAP_PAGE_H_
