// Space that is held and not needed, and the end of the store.

#ifndef TOASTSTORE_ENGINE_TIDY_H_
#define TOASTSTORE_ENGINE_TIDY_H_

#include "engine/cleaner.h"
#include "engine/geometry.h"

namespace toaststore {

// Makes lanes leave the extents that end behind a block: who comes next appends elsewhere.  A lane
// in use stays as it is.
Status leave_lanes(Context& context, Block end, CleanReport* report);

// The block behind the last that is in use; map pages that describe nothing else are not.
Status find_end(Context& context, Block* end);

// Is there so much of a file behind its needed blocks that it is worth while to give it back?
bool worth_giving_back(Block blocks, Block needed);

// Drops map pages from the end that describe nothing in use.  REQUIRES: nobody else uses the store.
Status drop_map_pages(Context& context);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_TIDY_H_
