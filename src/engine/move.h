// Moving values: what empties extents, one after the other.

#ifndef TOASTSTORE_ENGINE_MOVE_H_
#define TOASTSTORE_ENGINE_MOVE_H_

#include "engine/cleaner.h"
#include "engine/geometry.h"

namespace toaststore {

// Extents of values to be emptied.
class ExtentQueue {
 public:
  // *found is false where there is none left.
  virtual Status next(Extent* extent, bool* found) = 0;

 protected:
  ~ExtentQueue() = default;
};

// Empties the extents of the queue: each is free when the next is asked for, unless it holds a
// value that cannot be read.  REQUIRES: as the functions of cleaner.h; the extents are counted.
Status empty_extents(Context& context, ExtentQueue* queue, CleanReport* report);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_MOVE_H_
