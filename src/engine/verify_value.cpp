// Proving one value whole.

#include <algorithm>

#include "engine/value_reader.h"
#include "engine/verify.h"

namespace toaststore {

namespace {

// Reads a run and compares its CRC.
Status prove_run(Context& context, const RunRef& run) {
  Scratch bytes(context.memory);
  TOASTSTORE_TRY(bytes.allocate(run.stored_bytes));
  TOASTSTORE_TRY(read_run(context, run, 0, run.stored_bytes, bytes.as()));
  if (crc32c(bytes.as(), run.stored_bytes) != run.crc) {
    return Status::Error(Code::kRetry, "chunk table does not match its CRC", run.block);
  }
  return Status::Ok();
}

Status prove_tables(Context& context, const Entry& entry) {
  const RunRef top = table_run_of(context, entry);
  TOASTSTORE_TRY(prove_run(context, top));
  const uint64_t tables = table_count(chunk_count(entry.raw_bytes, context.options.chunk_bytes));
  for (uint64_t table = 0; tables > 1 && table < tables; table++) {
    ChunkRef ref;
    TOASTSTORE_TRY(read_run(context, top, static_cast<uint32_t>(table * sizeof(ref)), sizeof(ref),
                            reinterpret_cast<std::byte*>(&ref)));
    if (!record_sound(ref) || ref.stored_bytes > kTableEntries * sizeof(ChunkRef)) {
      return Status::Error(Code::kRetry, "chunk table entry does not match its check", top.block);
    }
    TOASTSTORE_TRY(prove_run(context, run_of(ref, entry.id)));
  }
  return Status::Ok();
}

}  // namespace

Status prove_value(Context& context, const Entry& entry) {
  TOASTSTORE_TRY(check_entry(context, entry));
  Context proving = context;
  proving.proof = Proof::kAlways;
  uint64_t step = std::max<uint64_t>(entry.raw_bytes, 1);
  uint64_t stored = entry.stored_bytes;
  if (entry.layout == Layout::kChunked) {
    TOASTSTORE_TRY(prove_tables(context, entry));
    step = context.options.chunk_bytes;
    stored = 0;
  }
  Scratch raw(context.memory);
  TOASTSTORE_TRY(raw.allocate(std::min<uint64_t>(step, entry.raw_bytes)));
  for (uint64_t done = 0; done < entry.raw_bytes;) {
    const uint64_t part = std::min(step, entry.raw_bytes - done);
    TOASTSTORE_TRY(read_value(proving, entry, done, part, raw.as()));
    if (entry.layout == Layout::kChunked) {
      ChunkRef ref;
      TOASTSTORE_TRY(read_chunk_refs(context, entry, done / step, 1, &ref));
      stored += ref.stored_bytes;
    }
    done += part;
  }
  if (stored != entry.stored_bytes) {
    return Status::Error(Code::kRetry, "chunks do not add up to the stored bytes", entry.block);
  }
  return Status::Ok();
}

}  // namespace toaststore
