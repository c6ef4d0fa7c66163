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

Status write_whole(Context& context, Appender* appender, uint64_t id, const std::byte* bytes,
                   uint32_t length, Entry* entry) {
  Scratch scratch(context.memory);
  size_t stored = 0;
  if (context.options.compression.codec != Codec::kNone) {
    TOASTSTORE_TRY(scratch.allocate(compress_space(length)));
    compress(context.options.compression, bytes, length, scratch.as(), &stored);
  }
  entry->codec = stored == 0 ? Codec::kNone : context.options.compression.codec;
  if (stored != 0) {
    bytes = scratch.as();
    length = static_cast<uint32_t>(stored);
  }
  RunRef run;
  TOASTSTORE_TRY(appender->append(id, 0, bytes, length, 0, &run));
  entry->layout = length <= context.options.direct_max ? Layout::kDirect : Layout::kExtent;
  entry->stored_bytes = length;
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
        buffer_(context.memory),
        refs_(context.memory),
        tables_(context.memory) {}

  Status write(const std::byte* bytes, uint64_t length, Entry* entry) {
    const uint32_t chunk_bytes = context_.options.chunk_bytes;
    const uint64_t chunks = chunk_count(length, chunk_bytes);
    const uint64_t tables = table_count(chunks);
    if (chunks > kMaxChunks) return Status::Error(Code::kLimit, "value has too many chunks");
    TOASTSTORE_TRY(buffer_.allocate(compress_space(chunk_bytes)));
    TOASTSTORE_TRY(refs_.allocate(std::min<uint64_t>(chunks, kTableEntries) * sizeof(ChunkRef)));
    TOASTSTORE_TRY(tables_.allocate(tables * sizeof(ChunkRef)));

    RunRef table;
    uint32_t in_table = 0;
    uint64_t done_tables = 0;
    for (uint64_t done = 0; done < length;) {
      const auto part = static_cast<uint32_t>(std::min<uint64_t>(chunk_bytes, length - done));
      TOASTSTORE_TRY(context_.pager.pause(Step::kPutChunk));
      TOASTSTORE_TRY(write_chunk(bytes + done, part, length - done - part, entry,
                                 &refs_.as<ChunkRef>()[in_table++]));
      done += part;
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
  Status write_chunk(const std::byte* bytes, uint32_t length, uint64_t following, Entry* entry,
                     ChunkRef* ref) {
    const Compression& compression = context_.options.compression;
    size_t stored;
    compress(compression, bytes, length, buffer_.as(), &stored);
    const Codec codec = stored == 0 ? Codec::kNone : compression.codec;
    if (stored != 0) {
      entry->codec = codec;
      bytes = buffer_.as();
      length = static_cast<uint32_t>(stored);
    }
    RunRef run;
    TOASTSTORE_TRY(appender_->append(id_, sequence_, bytes, length, following, &run));
    sequence_ += piece_count(context_.options.kind, length, run.first_bytes);
    entry->stored_bytes += length;
    *ref = chunk_ref(run, codec);
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
  Scratch buffer_;
  Scratch refs_;
  Scratch tables_;
};

}  // namespace

Status write_value(Context& context, Appender* appender, uint64_t id, const std::byte* bytes,
                   uint64_t length, Entry* entry) {
  if (length > kMaxValueBytes) return Status::Error(Code::kLimit, "value is too long");
  appender->take_pages_written();  // what a value that failed has left there
  *entry = Entry{};
  entry->id = id;
  entry->raw_bytes = length;
  if (length <= context.options.extent_max) {
    TOASTSTORE_TRY(write_whole(context, appender, id, bytes, static_cast<uint32_t>(length), entry));
  } else {
    entry->layout = Layout::kChunked;
    ChunkWriter writer(context, appender, id);
    TOASTSTORE_TRY(writer.write(bytes, length, entry));
  }
  entry->pages = appender->take_pages_written();
  return Status::Ok();
}

}  // namespace toaststore
