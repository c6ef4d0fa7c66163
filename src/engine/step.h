// The steps that operations are made of, by name.  A host may look for interrupts at a pause, and a
// test may stop, fail or kill the process when a step has been done: a crash between any two steps
// must leave a store that is whole.

#ifndef TOASTSTORE_ENGINE_STEP_H_
#define TOASTSTORE_ENGINE_STEP_H_

#include <cstdint>

namespace toaststore {

enum class Step : uint8_t {
  // Changes: done under latches.
  kCreateStore,      // block 0, meta, the first map page, the root
  kGrowMap,          // a map page more
  kOpenPageExtent,   // an extent for pages that hold no values
  kTakeRun,          // a lane takes blocks for values
  kTakeIds,          // a lane takes a batch of ids
  kRaiseNextId,      // the counter moves past an id of the caller's choice
  kDropBatch,        // a lane gives up its batch of ids
  kNoteCompression,  // meta notes what new values are compressed with
  kWritePiece,       // one piece of a value
  kLinkChainPage,    // a fresh page at the end of a journal or of the dead list
  kInsertEntries,    // entries of new values and their journal records
  kReplaceEntry,     // an entry takes the place of one that nobody needs
  kStampDeleted,     // the deleter's stamp in an entry and its journal record
  kRemoveEntry,      // an entry goes, its pieces are listed as dead
  kSplitPage,        // a tree page in two, the right one without a downlink yet
  kGrowRoot,         // a root above a split one
  kLinkSibling,      // the downlink of a split's right page
  kAbsorbPage,       // an empty tree page goes into its neighbour
  kCleanLeaf,        // entries of a leaf are removed or frozen, as the journal asks
  kConsumeJournal,   // journal records are done with
  kUnlinkChainPage,  // the first page of a chain is free
  kChargeDead,       // dead ranges are charged to their extents
  kCountExtent,      // what is in an extent has been counted
  kMoveValue,        // an entry points to a copy of its pieces, the old ones are listed as dead
  kDropCopy,         // a copy that came too late is listed as dead
  kTrimLane,         // a lane gives up blocks of its run
  kFreeExtent,       // an extent of single pages, none in use, is free
  kMovePage,         // the records of a tree page are in a fresh right sibling
  kUnlinkMoved,      // what was left of it is free
  kDropMapPage,      // the last map page goes
  kNoteUpkeep,       // meta notes when the store was looked after

  // Pauses: no latch is held.
  kPutValue,     // before the pieces of a value
  kPutChunk,     // before a chunk
  kReadChunk,    // before a chunk
  kVerifyPage,   // before a page of the tree, of a chain or of the map
  kVerifyValue,  // before a value
  kVerifyChunk,  // before the place of a chunk
  kClean,        // before a page of a chain
  kCountPage,    // before a value page is counted
  kMoveRun,      // before pieces are copied
  kReserve,      // after the file has grown
  kGiveBack,     // after the end of the file was given back
  kCopyStore,    // after the file of a store has been copied
};

inline constexpr Step kFirstPause = Step::kPutValue;

// In the order of the enumeration.
inline constexpr const char* kStepNames[] = {
    "create_store",      "grow_map",        "open_page_extent", "take_run",
    "take_ids",          "raise_next_id",   "drop_batch",       "note_compression",
    "write_piece",       "link_chain_page", "insert_entries",   "replace_entry",
    "stamp_deleted",     "remove_entry",    "split_page",       "grow_root",
    "link_sibling",      "absorb_page",     "clean_leaf",       "consume_journal",
    "unlink_chain_page", "charge_dead",     "count_extent",     "move_value",
    "drop_copy",         "trim_lane",       "free_extent",      "move_page",
    "unlink_moved",      "drop_map_page",   "note_upkeep",      "put_value",
    "put_chunk",         "read_chunk",      "verify_page",      "verify_value",
    "verify_chunk",      "clean",           "count_page",       "move_run",
    "reserve",           "give_back",       "copy_store",
};
inline constexpr int kSteps = sizeof(kStepNames) / sizeof(kStepNames[0]);
static_assert(kSteps == static_cast<int>(Step::kCopyStore) + 1);

constexpr const char* name_of(Step step) { return kStepNames[static_cast<int>(step)]; }

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_STEP_H_
