// What is chosen when a store is created, with the bounds of each choice.

#ifndef TOASTSTORE_OPTIONS_H_
#define TOASTSTORE_OPTIONS_H_

#include <cstdint>

namespace toaststore {

// On disk in entries and chunk tables: never renumber.
enum class Codec : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

// On disk in entries: never renumber.
enum class Layout : uint8_t { kDirect = 1, kExtent = 2, kChunked = 3 };

// Whose values a store holds; on disk in the meta page: never renumber.  It decides the width of
// the id in each piece: 8 bytes by id, 4 bytes (an oid) behind TOAST pointers.
enum class StoreKind : uint8_t { kById = 1, kToast = 2 };

struct Compression {
  Codec codec = Codec::kLz4;
  int level = 0;  // zstd only; 0 is the library's default
};

// A direct value fills at most two pieces on adjacent pages.
inline constexpr uint32_t kDirectMaxLimit = 8000;
// A run of 256 kB is 33 pages: it fits any extent of the steady size with room to spare.
inline constexpr uint32_t kExtentMaxLimit = 256 * 1024;
inline constexpr uint32_t kChunkBytesMin = 8 * 1024;
inline constexpr uint32_t kChunkBytesLimit = 256 * 1024;

struct Options {
  StoreKind kind = StoreKind::kById;
  uint32_t direct_max = 4096;    // stored bytes, inclusive
  uint32_t extent_max = 65536;   // raw bytes, inclusive: above it a value is chunked
  uint32_t chunk_bytes = 65536;  // raw bytes of each chunk but the last
  Compression compression;

  bool thresholds_valid() const {
    return direct_max <= kDirectMaxLimit && extent_max <= kExtentMaxLimit &&
           direct_max <= extent_max && chunk_bytes >= kChunkBytesMin &&
           chunk_bytes <= kChunkBytesLimit;
  }
};

}  // namespace toaststore

#endif  // TOASTSTORE_OPTIONS_H_
