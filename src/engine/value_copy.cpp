// Reading the parts of a value as they are stored.

#include "engine/value_copy.h"

#include <algorithm>

#include "engine/value_reader.h"

namespace toaststore {

bool cut_alike(const Options& a, const Options& b) {
  return a.direct_max == b.direct_max && a.extent_max == b.extent_max &&
         a.chunk_bytes == b.chunk_bytes;
}

Status CopiedParts::read(uint64_t part, StoredPart* stored) {
  Status status;
  if (space_.as() == nullptr) {
    const bool chunked = value_->layout == Layout::kChunked;
    status = space_.allocate(chunked ? store_.options.chunk_bytes : store_.options.extent_max);
  }
  if (status.ok()) {
    status = read_followed(store_, value_, [&] {
      return value_->layout == Layout::kChunked ? read_chunk(part, stored) : read_whole(stored);
    });
  }
  failed_ = !status.ok();
  return status;
}

Status CopiedParts::read_whole(StoredPart* stored) {
  *stored = {space_.as(), static_cast<uint32_t>(value_->stored_bytes), value_->codec};
  if (value_->stored_bytes == 0) return Status::Ok();
  TOASTSTORE_TRY(check_entry(store_, *value_));
  return read_whole_run(store_, run_of(*value_), space_.as());
}

Status CopiedParts::read_chunk(uint64_t chunk, StoredPart* stored) {
  TOASTSTORE_TRY(check_entry(store_, *value_));
  ChunkRef ref;
  uint32_t raw_bytes;
  TOASTSTORE_TRY(read_chunk_ref(store_, *value_, chunk, &ref, &raw_bytes));
  *stored = {space_.as(), ref.stored_bytes, ref.codec};
  return read_whole_run(store_, run_of(ref, value_->id), space_.as());
}

}  // namespace toaststore
