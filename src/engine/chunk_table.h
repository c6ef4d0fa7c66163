// Chunk tables: where the chunks of a chunked value are.
//
// A value above `extent_max` raw bytes is cut into chunks of `chunk_bytes`, each compressed and
// stored by itself, so that a slice reads only the chunks it touches.  The table is a run of
// pieces like any other; a value of more chunks than one table holds has a table of tables.
//
// A table is an array of
//
//   offset size
//        0    4  block          first piece
//        4    4  sequence       of the first piece
//        8    4  stored_bytes   of the chunk (of the lower table)
//       12    4  crc            CRC-32C of the stored bytes
//       16    2  item           of the first piece
//       18    2  first_bytes    in the first piece
//       20    1  codec          of the chunk
//       21    3  zero
//       24    4  check          CRC-32C of the 24 bytes before
//
// so that a reader of a few entries needs no more of the table to prove them.

#ifndef TOASTSTORE_ENGINE_CHUNK_TABLE_H_
#define TOASTSTORE_ENGINE_CHUNK_TABLE_H_

#include "engine/format.h"

namespace toaststore {

struct ChunkRef {
  Block block;
  uint32_t sequence;
  uint32_t stored_bytes;
  uint32_t crc;
  uint16_t item;
  uint16_t first_bytes;
  Codec codec;
  uint8_t zero[3];
  uint32_t check;
};
static_assert(sizeof(ChunkRef) == 28 && offsetof(ChunkRef, check) == 24);

// Entries of a table: 56 kB, about a chunk.
inline constexpr uint32_t kTableEntries = 2048;
// Two levels.
inline constexpr uint64_t kMaxChunks = uint64_t{kTableEntries} * kTableEntries;

inline constexpr uint64_t chunk_count(uint64_t raw_bytes, uint32_t chunk_bytes) {
  return (raw_bytes + chunk_bytes - 1) / chunk_bytes;
}
inline constexpr uint64_t table_count(uint64_t chunks) {
  return (chunks + kTableEntries - 1) / kTableEntries;
}

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_CHUNK_TABLE_H_
