// What every part of the engine is handed: the three ports, the store's options, and hints.
//
// Hints are caches and nothing else: each use is checked against the page it leads to, and a wrong
// one costs a second look at the meta page.  A host may keep them between calls for one incarnation
// of the store's file (inside the server: for one relfilenode).

#ifndef TOASTSTORE_ENGINE_CONTEXT_H_
#define TOASTSTORE_ENGINE_CONTEXT_H_

#include "engine/memory.h"
#include "engine/pager.h"
#include "engine/transactions.h"
#include "toaststore/options.h"

namespace toaststore {

struct Hints {
  bool known = false;  // loaded from the meta page
  uint8_t root_level = 0;
  uint8_t lane = 0;  // tried first
  Block root = kNoBlock;
  uint32_t page_extent = 0;
  uint32_t map_cursor = 0;  // map page to look at next for a run before the open one
  Block journal_tail[kLanes] = {};
  Block dead_tail = kNoBlock;

  friend bool operator==(const Hints&, const Hints&) = default;
};

// When the CRC of a value's bytes is checked, apart from where they are moved or verified.
enum class Proof : uint8_t {
  kWhenDecoded,  // for hosts whose pages have checksums of their own
  kUnlessKnown,  // by whoever is first to read them: for hosts that keep that in mind with a page
  kAlways,
};

struct Context {
  Pager& pager;
  Transactions& transactions;
  Memory& memory;
  Hints& hints;
  // Thresholds are the meta page's once the store has one.
  Options options;
  Proof proof = Proof::kAlways;
  // Bytes of values were read without a latch since read_followed() began.  Their pages may have
  // gone to another use meanwhile; who does not check a CRC looks whether the entry has changed.
  bool unlatched = false;
};

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_CONTEXT_H_
