// Reading values and slices of them, with the proof that the bytes are the value's own.
//
// kRetry from any function here means that something at the entry's place is not what the entry
// says: it may have moved.  The caller looks the entry up again; if it is unchanged, that is
// corruption, and the status names block and reason.

#ifndef TOASTSTORE_ENGINE_VALUE_READER_H_
#define TOASTSTORE_ENGINE_VALUE_READER_H_

#include "engine/appender.h"
#include "engine/chunk_table.h"
#include "engine/tree.h"

namespace toaststore {

// Copies stored bytes [offset, offset + length) of a run, proving each piece touched.
Status read_run(Context& context, const RunRef& run, uint32_t offset, uint32_t length,
                std::byte* out);

// Copies all stored bytes of a run, proven by its CRC.
Status read_whole_run(Context& context, const RunRef& run, std::byte* out);

// Copies the value's bytes [offset, offset + length).  REQUIRES: within raw_bytes.
Status read_value(Context& context, const Entry& entry, uint64_t offset, uint64_t length,
                  std::byte* out);

// Reads chunk table entries [first, first + count) of a chunked value, each proven by its check.
Status read_chunk_refs(Context& context, const Entry& entry, uint64_t first, uint32_t count,
                       ChunkRef* refs);

// The entry of one chunk, and how many raw bytes it has.
Status read_chunk_ref(Context& context, const Entry& entry, uint64_t chunk, ChunkRef* ref,
                      uint32_t* raw_bytes);

// The run of a direct or extent value, of a chunk, and of a chunked value's (top) table.
RunRef run_of(const Entry& entry);
RunRef run_of(const ChunkRef& ref, uint64_t id);
RunRef table_run_of(Context& context, const Entry& entry);

// The runs that a chunked value is made of: its chunks, then its tables, the top one last.
uint64_t part_count(Context& context, const Entry& entry);
Status read_part(Context& context, const Entry& entry, uint64_t part, RunRef* run);

// A value is moved by compaction, one move at a time: a reader that loses this many races in a row
// has met something else.
inline constexpr int kMaxReadAttempts = 100;

inline bool same_entry(const Entry& a, const Entry& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

// Do both lead to the same pieces?
inline bool same_place(const Entry& a, const Entry& b) {
  return a.block == b.block && a.item == b.item && a.layout == b.layout && a.crc == b.crc &&
         a.raw_bytes == b.raw_bytes && a.stored_bytes == b.stored_bytes;
}

// Calls read() until it does not say kRetry, after a move with *entry as it is then.  What was read
// without a latch counts if the entry leads there still: pieces are not freed before it leads
// elsewhere, so that nobody has written where they are.
template <typename Read>
Status read_followed(Context& context, Entry* entry, Read read) {
  Status status;
  for (int attempt = 0; attempt < kMaxReadAttempts; attempt++) {
    context.unlatched = false;
    status = read();
    if (status.block == kNoBlock) status.block = entry->block;  // where its pieces should be
    const bool unlatched = status.ok() && context.unlatched;
    if (!status.is(Code::kRetry) && !unlatched) return status;
    Entry now;
    bool found;
    TOASTSTORE_TRY(find_entry(context, entry->id, &now, &found));
    // The id may have been given to another value.
    const bool gone = !found || now.raw_bytes != entry->raw_bytes;
    if (gone) return Status::Error(Code::kNotFound, "value is gone");
    if (unlatched) {
      if (same_place(now, *entry)) return status;
      status = Status::Error(Code::kRetry, "value was moved while it was read", entry->block);
    }
    if (same_entry(now, *entry)) break;
    *entry = now;
  }
  return Status::Corruption(status.block, status.reason);
}

// Can this entry exist in a store with these options?
Status check_entry(Context& context, const Entry& entry);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_VALUE_READER_H_
