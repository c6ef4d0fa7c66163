// The three layouts, on the way to disk.

#include "engine/value_writer.h"

#include <algorithm>

#include "engine/chunk_table.h"
#include "engine/codec.h"

namespace toaststore {

namespace {

void point_at(const RunRef& run, Entry* entry) {
  entry->block = run.block;
  entry->item = run.item;
  entry->first_bytes = run.first_bytes;
  entry->crc = run.crc;
}

Status write_whole(Context& context, Appender* appender, uint64_t id, PartSource* source,
                   Entry* entry) {
  StoredPart part;
  TOASTSTORE_TRY(source->read(0, &part));
  RunRef run;
  TOASTSTORE_TRY(appender->append(id, 0, part.bytes, part.length, 0, &run));
  entry->layout = part.length <= context.options.direct_max ? Layout::kDirect : Layout::kExtent;
  entry->codec = part.codec;
  entry->stored_bytes = part.length;
  point_at(run, entry);
  return Status::Ok();
}

ChunkRef chunk_ref(const RunRef& run, Codec codec) {
  ChunkRef ref{};
  ref.block = run.block;
  ref.sequence = run.sequence;
  ref.stored_bytes = run.stored_bytes;
  ref.crc = run.crc;
  ref.item = run.item;
  ref.first_bytes = run.first_bytes;
  ref.codec = codec;
  seal_record(&ref);
  return ref;
}

// The chunks of one value, written in order; their table, and its tables if there are several.
class ChunkWriter {
 public:
  ChunkWriter(Context& context, Appender* appender, uint64_t id)
      : context_(context),
        appender_(appender),
        id_(id),
        refs_(context.memory),
        tables_(context.memory) {}

  Status write(PartSource* source, uint64_t length, Entry* entry) {
    const uint32_t chunk_bytes = context_.options.chunk_bytes;
    const uint64_t chunks = chunk_count(length, chunk_bytes);
    const uint64_t tables = table_count(chunks);
    if (chunks > kMaxChunks) return Status::Error(Code::kLimit, "value has too many chunks");
    TOASTSTORE_TRY(refs_.allocate(std::min<uint64_t>(chunks, kTableEntries) * sizeof(ChunkRef)));
    TOASTSTORE_TRY(tables_.allocate(tables * sizeof(ChunkRef)));

    RunRef table;
    uint32_t in_table = 0;
    uint64_t done_tables = 0;
    for (uint64_t chunk = 0; chunk < chunks; chunk++) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kPutChunk));
      StoredPart part;
      TOASTSTORE_TRY(source->read(chunk, &part));
      const uint64_t done = std::min((chunk + 1) * chunk_bytes, length);
      TOASTSTORE_TRY(write_chunk(part, length - done, entry, &refs_.as<ChunkRef>()[in_table++]));
      if (in_table == kTableEntries || done == length) {
        TOASTSTORE_TRY(write_table(refs_.as<ChunkRef>(), in_table, &table));
        tables_.as<ChunkRef>()[done_tables++] = chunk_ref(table, Codec::kNone);
        in_table = 0;
      }
    }
    if (tables > 1) {
      table_sequence_ = kTopTableSequence;
      TOASTSTORE_TRY(write_table(tables_.as<ChunkRef>(), static_cast<uint32_t>(tables), &table));
    }
    point_at(table, entry);
    return Status::Ok();
  }

 private:
  Status write_chunk(const StoredPart& part, uint64_t following, Entry* entry, ChunkRef* ref) {
    if (part.codec != Codec::kNone) entry->codec = part.codec;
    RunRef run;
    TOASTSTORE_TRY(appender_->append(id_, sequence_, part.bytes, part.length, following, &run));
    sequence_ += piece_count(context_.options.kind, part.length, run.first_bytes);
    entry->stored_bytes += part.length;
    *ref = chunk_ref(run, part.codec);
    return Status::Ok();
  }

  Status write_table(const ChunkRef* refs, uint32_t count, RunRef* run) {
    const auto length = static_cast<uint32_t>(count * sizeof(ChunkRef));
    TOASTSTORE_TRY(appender_->append(id_, table_sequence_, reinterpret_cast<const std::byte*>(refs),
                                     length, 0, run));
    table_sequence_ += piece_count(context_.options.kind, length, run->first_bytes);
    return Status::Ok();
  }

  Context& context_;
  Appender* appender_;
  uint64_t id_;
  uint32_t sequence_ = 0;
  uint32_t table_sequence_ = kTableSequence;
  Scratch refs_;
  Scratch tables_;
};

}  // namespace

Status RawParts::read(uint64_t part, StoredPart* stored) {
  const bool chunked = length_ > context_.options.extent_max;
  const uint64_t most = chunked ? context_.options.chunk_bytes : length_;
  const uint64_t start = part * most;
  const auto length = static_cast<uint32_t>(std::min(most, length_ - start));
  *stored = {bytes_ + start, length, Codec::kNone};
  const Compression& compression = context_.options.compression;
  if (compression.codec == Codec::kNone) return Status::Ok();
  if (space_.as() == nullptr) TOASTSTORE_TRY(space_.allocate(compress_space(most)));
  size_t compressed;
  compress(compression, stored->bytes, length, space_.as(), &compressed);
  if (compressed != 0) {
    *stored = {space_.as(), static_cast<uint32_t>(compressed), compression.codec};
  }
  return Status::Ok();
}

Status write_parts(Context& context, Appender* appender, uint64_t id, uint64_t length,
                   PartSource* source, Entry* entry) {
  if (length > kMaxValueBytes) return Status::Error(Code::kLimit, "value is too long");
  appender->take_pages_written();  // what a value that failed has left there
  *entry = Entry{};
  entry->id = id;
  entry->raw_bytes = length;
  if (length <= context.options.extent_max) {
    TOASTSTORE_TRY(write_whole(context, appender, id, source, entry));
  } else {
    entry->layout = Layout::kChunked;
    ChunkWriter writer(context, appender, id);
    TOASTSTORE_TRY(writer.write(source, length, entry));
  }
  entry->pages = appender->take_pages_written();
  return Status::Ok();
}

}  // namespace toaststore
