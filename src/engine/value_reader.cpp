// The three layouts, on the way back.

#include "engine/value_reader.h"

#include <algorithm>

#include "engine/codec.h"

namespace toaststore {

namespace {

// Chunk table entries read at once.
constexpr uint32_t kRefBatch = 32;

Status crc_mismatch(Block block) {
  return Status::Error(Code::kRetry, "value bytes do not match their CRC", block);
}

// A run and how its bytes are to be taken.
struct CodedRun {
  RunRef run;
  Codec codec;
  uint32_t raw_bytes;
};

// One of the pieces that a run is made of.
struct RunPiece {
  Block block;
  uint32_t start;  // in the run
  PieceKey key;
};

RunPiece piece_of(StoreKind kind, const RunRef& run, uint32_t index) {
  const uint32_t whole = max_piece(kind);
  const uint32_t start = index == 0 ? 0 : run.first_bytes + (index - 1) * whole;
  const uint32_t size = index == 0 ? run.first_bytes : std::min(whole, run.stored_bytes - start);
  return {run.block + index, start,
          PieceKey{kind, run.id, run.sequence + index, index == 0 ? run.item : uint16_t{1},
                   static_cast<uint16_t>(size)}};
}

// The block behind the last piece of a run.
Block end_of(StoreKind kind, const RunRef& run) {
  return run.block + piece_count(kind, run.stored_bytes, run.first_bytes);
}

// Where the pieces of one value are found, one after the other.  Where many pages are wanted, those
// that are not in the host's cache are read past it, several at once.
class PieceSource {
 public:
  explicit PieceSource(Context& context) : context_(context) {}
  // For so many bytes of this value.
  PieceSource(Context& context, const Entry& entry, uint64_t length)
      : context_(context),
        through_cache_(length > kLeastPages * kPageBytes && context.pager.read_often(entry.block)) {
  }

  Context& context() { return context_; }

  // Pieces in the blocks before `end` are going to be asked for, and then maybe those of runs that
  // follow them up to `later_end`.
  void begin(Block end) {
    end_ = std::max(end, later_end_);
    refused_ = 0;
    known_ = true;
  }
  void expect_until(Block later_end) { later_end_ = later_end; }

  // *bytes: those of the piece, until the next call.
  Status find(const RunPiece& piece, const std::byte** bytes) {
    latched_.release();
    TOASTSTORE_TRY(read_past_cache(piece.block));
    if (has(piece.block)) {
      const std::byte* page = pages_ + size_t{piece.block - first_} * kPageBytes;
      if (find_piece(page, piece.block, piece.key, bytes).ok()) {
        context_.unlatched = true;
        known_ = false;
        return Status::Ok();
      }
      got_ = 0;  // what is wrong, if anything, is for the latched page to say
      refused_++;
    }
    TOASTSTORE_TRY(latched_.read(context_.pager, piece.block, Latch::kShare));
    TOASTSTORE_TRY(find_piece(latched_.data(), piece.block, piece.key, bytes));
    known_ = known_ && context_.pager.known(latched_.page(), piece.key.item);
    return Status::Ok();
  }
  // To be called before anything else is read.
  void end() { latched_.release(); }

  // Did the host know the bytes of all pieces since begin()?
  bool known() const { return known_; }

 private:
  // Fewer pages gain little, and are worth having in the cache.
  static constexpr Block kLeastPages = 4;
  // A run shares its first page with the one before, so that one page in the cache says little.
  static constexpr int kMaxRefused = 2;

  bool has(Block block) const { return block - first_ < got_; }

  Status read_past_cache(Block block) {
    const Block wanted = end_ - block;
    if (has(block) || refused_ >= kMaxRefused || (wanted < kLeastPages && got_ == 0)) {
      return Status::Ok();
    }
    if (through_cache_) return Status::Ok();
    first_ = block;
    TOASTSTORE_TRY(context_.pager.read_past_cache(block, wanted, &pages_, &got_));
    refused_ = got_ == 0 ? refused_ + 1 : 0;
    return Status::Ok();
  }

  Context& context_;
  const bool through_cache_ = false;
  Block end_ = 0;
  Block later_end_ = 0;
  int refused_ = 0;
  bool known_ = true;
  PageGuard latched_;
  // Pages read past the cache.
  const std::byte* pages_ = nullptr;
  Block first_ = 0;
  uint32_t got_ = 0;
};

// Copies stored bytes of a run, proving each piece touched.
Status copy_run(PieceSource* source, const RunRef& run, uint32_t offset, uint32_t length,
                std::byte* out) {
  Context& context = source->context();
  const StoreKind kind = context.options.kind;
  const auto index_at = [&](uint32_t byte) {
    return byte < run.first_bytes ? 0 : 1 + (byte - run.first_bytes) / max_piece(kind);
  };
  const uint32_t end = offset + length;
  source->begin(length == 0 ? run.block : run.block + index_at(end - 1) + 1);
  for (uint32_t index = index_at(offset); offset < end; index++) {
    const RunPiece piece = piece_of(kind, run, index);
    const uint32_t skip = offset - piece.start;
    const uint32_t part = std::min(piece.key.length - skip, end - offset);
    if (offset + part < end) {
      const RunPiece next = piece_of(kind, run, index + 1);
      context.pager.expect(next.block, first_piece_offset(kind, next.key.length));
    }
    const std::byte* bytes;
    TOASTSTORE_TRY(source->find(piece, &bytes));
    std::memcpy(out, bytes + skip, part);
    out += part;
    offset += part;
  }
  source->end();
  return Status::Ok();
}

// The run's bytes are proven: has the host keep in mind that what its pages hold are these.
Status make_known(Context& context, const RunRef& run, const std::byte* proven) {
  const StoreKind kind = context.options.kind;
  const uint32_t pieces = piece_count(kind, run.stored_bytes, run.first_bytes);
  for (uint32_t i = 0; i < pieces; i++) {
    const RunPiece piece = piece_of(kind, run, i);
    PageGuard page;
    TOASTSTORE_TRY(page.read(context.pager, piece.block, Latch::kShare));
    const std::byte* bytes;
    // It may have gone, or come again from the disk, since it was read.
    if (find_piece(page.data(), piece.block, piece.key, &bytes).ok() &&
        std::memcmp(bytes, proven + piece.start, piece.key.length) == 0) {
      context.pager.make_known(page.page(), piece.key.item);
    }
  }
  return Status::Ok();
}

Status read_proven(PieceSource* source, const RunRef& run, std::byte* out) {
  Context& context = source->context();
  TOASTSTORE_TRY(copy_run(source, run, 0, run.stored_bytes, out));
  if (source->known() && context.proof == Proof::kUnlessKnown) return Status::Ok();
  if (crc32c(out, run.stored_bytes) != run.crc) return crc_mismatch(run.block);
  return context.proof == Proof::kUnlessKnown ? make_known(context, run, out) : Status::Ok();
}

Status read_plain(PieceSource* source, const RunRef& run, uint32_t offset, uint32_t length,
                  std::byte* out) {
  Context& context = source->context();
  if (context.proof == Proof::kWhenDecoded) return copy_run(source, run, offset, length, out);
  if (offset == 0 && length == run.stored_bytes) return read_proven(source, run, out);
  if (context.proof == Proof::kUnlessKnown) {
    TOASTSTORE_TRY(copy_run(source, run, offset, length, out));
    if (source->known()) return Status::Ok();
  }
  Scratch whole(context.memory);
  TOASTSTORE_TRY(whole.allocate(run.stored_bytes));
  TOASTSTORE_TRY(read_proven(source, run, whole.as()));
  std::memcpy(out, whole.as() + offset, length);
  return Status::Ok();
}

Status read_coded(PieceSource* source, const CodedRun& coded, uint32_t offset, uint32_t length,
                  std::byte* out) {
  if (coded.codec == Codec::kNone) return read_plain(source, coded.run, offset, length, out);
  Context& context = source->context();
  Scratch stored(context.memory);
  TOASTSTORE_TRY(stored.allocate(coded.run.stored_bytes));
  TOASTSTORE_TRY(read_proven(source, coded.run, stored.as()));
  const bool whole = offset == 0 && length == coded.raw_bytes;
  Scratch raw(context.memory);
  std::byte* target = out;
  if (!whole) {
    TOASTSTORE_TRY(raw.allocate(coded.raw_bytes));
    target = raw.as();
  }
  Status status = decompress_prefix(coded.codec, stored.as(), coded.run.stored_bytes, target,
                                    coded.raw_bytes, offset + length);
  status.block = coded.run.block;
  TOASTSTORE_TRY(status);
  if (!whole) std::memcpy(out, target + offset, length);
  return Status::Ok();
}

uint32_t chunk_raw_bytes(const Context& context, const Entry& entry, uint64_t chunk) {
  const uint64_t start = chunk * context.options.chunk_bytes;
  return static_cast<uint32_t>(
      std::min<uint64_t>(context.options.chunk_bytes, entry.raw_bytes - start));
}

Status check_ref(const ChunkRef& ref, uint32_t stored_max, Block table) {
  if (!record_sound(ref)) {
    return Status::Error(Code::kRetry, "chunk table entry does not match its check", table);
  }
  if (ref.stored_bytes == 0 || ref.stored_bytes > stored_max || ref.item == 0 ||
      ref.first_bytes == 0 || ref.first_bytes > ref.stored_bytes) {
    return Status::Error(Code::kRetry, "chunk table entry holds impossible values", table);
  }
  return Status::Ok();
}

Status check_chunk(const ChunkRef& ref, uint32_t raw, Block table) {
  TOASTSTORE_TRY(check_ref(ref, raw, table));
  if (ref.codec == Codec::kNone && ref.stored_bytes != raw) {
    return Status::Error(Code::kRetry, "chunk has a foreign length", table);
  }
  return Status::Ok();
}

// Where the pages end that these chunks take without a gap: a chunk begins in the last page of the
// one before, or behind it.  The entries but the first are not proven yet: it is a hint.
Block end_of_chunks(const Context& context, const Entry& entry, const ChunkRef* refs,
                    uint64_t count) {
  const StoreKind kind = context.options.kind;
  Block end = 0;
  for (uint64_t i = 0; i < count && (i == 0 || end - refs[i].block <= 1); i++) {
    end = end_of(kind, run_of(refs[i], entry.id));
  }
  return end;
}

Status read_chunked(Context& context, const Entry& entry, uint64_t offset, uint64_t length,
                    std::byte* out) {
  const uint32_t chunk_bytes = context.options.chunk_bytes;
  const uint64_t last = (offset + length - 1) / chunk_bytes;
  // The chunks before it are wanted to their ends.
  const uint64_t whole_end =
      offset + length == entry.raw_bytes ? last + 1 : (offset + length) / chunk_bytes;
  PieceSource source(context, entry, length);
  ChunkRef refs[kRefBatch];
  for (uint64_t chunk = offset / chunk_bytes; chunk <= last;) {
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(kRefBatch, last - chunk + 1));
    TOASTSTORE_TRY(read_chunk_refs(context, entry, chunk, count, refs));
    for (uint32_t i = 0; i < count; i++, chunk++) {
      const uint32_t raw = chunk_raw_bytes(context, entry, chunk);
      const uint64_t start = chunk * chunk_bytes;
      const auto from = static_cast<uint32_t>(offset > start ? offset - start : 0);
      const auto to = static_cast<uint32_t>(std::min<uint64_t>(raw, offset + length - start));
      TOASTSTORE_TRY(check_chunk(refs[i], raw, entry.block));
      const CodedRun coded{run_of(refs[i], entry.id), refs[i].codec, raw};
      TOASTSTORE_TRY(context.pager.pause(Step::kReadChunk));
      const uint64_t whole =
          std::min<uint64_t>(count - i, chunk < whole_end ? whole_end - chunk : 0);
      source.expect_until(end_of_chunks(context, entry, refs + i, whole));
      TOASTSTORE_TRY(read_coded(&source, coded, from, to - from, out + (start + from - offset)));
    }
  }
  return Status::Ok();
}

}  // namespace

RunRef run_of(const Entry& entry) {
  return {entry.id,          entry.block, entry.item,
          entry.first_bytes, 0,           static_cast<uint32_t>(entry.stored_bytes),
          entry.crc};
}

RunRef run_of(const ChunkRef& ref, uint64_t id) {
  return {id, ref.block, ref.item, ref.first_bytes, ref.sequence, ref.stored_bytes, ref.crc};
}

RunRef table_run_of(Context& context, const Entry& entry) {
  const uint64_t chunks = chunk_count(entry.raw_bytes, context.options.chunk_bytes);
  const uint64_t tables = table_count(chunks);
  RunRef run = run_of(entry);
  run.stored_bytes = static_cast<uint32_t>((tables > 1 ? tables : chunks) * sizeof(ChunkRef));
  run.sequence = tables > 1 ? kTopTableSequence : kTableSequence;
  return run;
}

Status read_run(Context& context, const RunRef& run, uint32_t offset, uint32_t length,
                std::byte* out) {
  PieceSource source(context);
  return copy_run(&source, run, offset, length, out);
}

Status read_whole_run(Context& context, const RunRef& run, std::byte* out) {
  TOASTSTORE_TRY(read_run(context, run, 0, run.stored_bytes, out));
  return crc32c(out, run.stored_bytes) == run.crc ? Status::Ok() : crc_mismatch(run.block);
}

Status read_chunk_refs(Context& context, const Entry& entry, uint64_t first, uint32_t count,
                       ChunkRef* refs) {
  const uint64_t chunks = chunk_count(entry.raw_bytes, context.options.chunk_bytes);
  const RunRef top = table_run_of(context, entry);
  if (table_count(chunks) == 1) {
    return read_run(context, top, static_cast<uint32_t>(first * sizeof(ChunkRef)),
                    static_cast<uint32_t>(count * sizeof(ChunkRef)),
                    reinterpret_cast<std::byte*>(refs));
  }
  while (count > 0) {
    const uint64_t table = first / kTableEntries;
    const auto index = static_cast<uint32_t>(first % kTableEntries);
    const auto entries =
        static_cast<uint32_t>(std::min<uint64_t>(kTableEntries, chunks - table * kTableEntries));
    const uint32_t part = std::min(count, entries - index);
    ChunkRef lower;
    TOASTSTORE_TRY(read_run(context, top, static_cast<uint32_t>(table * sizeof(ChunkRef)),
                            sizeof(ChunkRef), reinterpret_cast<std::byte*>(&lower)));
    const auto bytes = static_cast<uint32_t>(entries * sizeof(ChunkRef));
    TOASTSTORE_TRY(check_ref(lower, bytes, entry.block));
    if (lower.stored_bytes != bytes) {
      return Status::Error(Code::kRetry, "chunk table has a foreign length", entry.block);
    }
    TOASTSTORE_TRY(read_run(
        context, run_of(lower, entry.id), static_cast<uint32_t>(index * sizeof(ChunkRef)),
        static_cast<uint32_t>(part * sizeof(ChunkRef)), reinterpret_cast<std::byte*>(refs)));
    first += part;
    refs += part;
    count -= part;
  }
  return Status::Ok();
}

Status read_chunk_ref(Context& context, const Entry& entry, uint64_t chunk, ChunkRef* ref,
                      uint32_t* raw_bytes) {
  TOASTSTORE_TRY(read_chunk_refs(context, entry, chunk, 1, ref));
  *raw_bytes = chunk_raw_bytes(context, entry, chunk);
  return check_chunk(*ref, *raw_bytes, entry.block);
}

uint64_t part_count(Context& context, const Entry& entry) {
  const uint64_t chunks = chunk_count(entry.raw_bytes, context.options.chunk_bytes);
  const uint64_t tables = table_count(chunks);
  return chunks + (tables > 1 ? tables + 1 : 1);
}

Status read_part(Context& context, const Entry& entry, uint64_t part, RunRef* run) {
  const uint64_t chunks = chunk_count(entry.raw_bytes, context.options.chunk_bytes);
  *run = table_run_of(context, entry);
  if (part + 1 == part_count(context, entry)) return Status::Ok();
  ChunkRef ref;
  if (part < chunks) {
    TOASTSTORE_TRY(read_chunk_refs(context, entry, part, 1, &ref));
    TOASTSTORE_TRY(check_ref(ref, context.options.chunk_bytes, entry.block));
  } else {
    TOASTSTORE_TRY(read_run(context, *run, static_cast<uint32_t>((part - chunks) * sizeof(ref)),
                            sizeof(ref), reinterpret_cast<std::byte*>(&ref)));
    TOASTSTORE_TRY(check_ref(ref, kTableEntries * sizeof(ChunkRef), entry.block));
  }
  *run = run_of(ref, entry.id);
  return Status::Ok();
}

Status check_entry(Context& context, const Entry& entry) {
  const Options& options = context.options;
  bool sound = entry.codec <= Codec::kZstd && entry.zero == 0 && entry.xmin != kNoXid;
  switch (entry.layout) {
    case Layout::kDirect:
    case Layout::kExtent:
      sound = sound && entry.raw_bytes <= options.extent_max &&
              entry.stored_bytes <= entry.raw_bytes &&
              (entry.layout == Layout::kDirect) == (entry.stored_bytes <= options.direct_max) &&
              (entry.codec == Codec::kNone) == (entry.stored_bytes == entry.raw_bytes) &&
              entry.first_bytes <= entry.stored_bytes;
      break;
    case Layout::kChunked:
      sound = sound && entry.raw_bytes > options.extent_max &&
              entry.raw_bytes <= kMaxChunks * options.chunk_bytes &&
              entry.stored_bytes <= entry.raw_bytes && entry.stored_bytes > 0;
      break;
    default:
      sound = false;
  }
  if (entry.raw_bytes > 0) {
    sound = sound && entry.item > 0 && entry.item <= kMaxItems && entry.first_bytes > 0 &&
            entry.first_bytes <= max_piece(options.kind) && entry.block > kMetaBlock;
  }
  return sound ? Status::Ok()
               : Status::Error(Code::kCorruption, "leaf entry holds impossible values");
}

Status read_value(Context& context, const Entry& entry, uint64_t offset, uint64_t length,
                  std::byte* out) {
  if (length == 0) return Status::Ok();
  TOASTSTORE_TRY(check_entry(context, entry));
  if (entry.layout == Layout::kChunked) return read_chunked(context, entry, offset, length, out);
  const CodedRun coded{run_of(entry), entry.codec, static_cast<uint32_t>(entry.raw_bytes)};
  PieceSource source(context, entry, length);
  return read_coded(&source, coded, static_cast<uint32_t>(offset), static_cast<uint32_t>(length),
                    out);
}

}  // namespace toaststore
