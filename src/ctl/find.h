// Finding values: the one that a command is about, or all of them, some at a time.

#ifndef TOASTSTORE_CTL_FIND_H_
#define TOASTSTORE_CTL_FIND_H_

#include <string>
#include <vector>

#include "ctl/command.h"
#include "toaststore/store.h"

namespace toaststore::ctl {

// The value that the arguments name by its id or by --name.
class Wanted {
 public:
  // Throws unless exactly one of the two is given.
  explicit Wanted(const Arguments& arguments);

  // Its id.  Throws where there is no such name; an id that is given may lead to nothing.
  uint64_t id(Store* store) const;
  // What a message says it is about.
  std::string subject() const;

 private:
  const Arguments& arguments_;
  uint64_t id_ = 0;
};

struct Found {
  uint64_t id;
  uint64_t bytes;
  std::string name;  // empty where values were looked for by id
};

// How many are found at a time: a store's names need not fit memory.
inline constexpr size_t kFoundMax = 1000;

// The first values with names that start with `prefix` and come behind `last` (none: from the
// first).  Fewer than kFoundMax: there are no more.
Status find_names(Store* store, const std::string& prefix, const std::string& last,
                  std::vector<Found>* found);
// The first values with ids from `from` on.
Status find_values(Store* store, uint64_t from, std::vector<Found>* found);

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_FIND_H_
