// A value of one store on its way into another, as it is stored: nothing is decompressed, and
// nothing is copied that its CRC does not prove.

#ifndef TOASTSTORE_ENGINE_VALUE_COPY_H_
#define TOASTSTORE_ENGINE_VALUE_COPY_H_

#include "engine/value_writer.h"

namespace toaststore {

// Do stores with these options cut values into the same parts?
bool cut_alike(const Options& a, const Options& b);

class CopiedParts final : public PartSource {
 public:
  // Where the value has moved meanwhile, *value is refreshed.  REQUIRES: the options of `store` are
  // known, and those of the store that is copied to are alike.
  CopiedParts(Context& store, Entry* value) : store_(store), value_(value), space_(store.memory) {}

  Status read(uint64_t part, StoredPart* stored) override;

  // Was it the store that the value is read from that failed?
  bool failed() const { return failed_; }

 private:
  Status read_whole(StoredPart* stored);
  Status read_chunk(uint64_t chunk, StoredPart* stored);

  Context& store_;
  Entry* value_;
  Scratch space_;
  bool failed_ = false;
};

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_VALUE_COPY_H_
