// The bytes that go into every store: value i of a size is always the same, and no two are.

#ifndef TOASTSTORE_BENCH_ENGINE_SOURCE_H_
#define TOASTSTORE_BENCH_ENGINE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

// A generator whose numbers do not depend on the library.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  uint64_t below(uint64_t bound) { return next() % bound; }

 private:
  uint64_t state_;
};

class Source {
 public:
  // Random bytes, which nothing compresses, or records of text, which LZ4 makes about a third.
  Source(bool compressible, size_t value_bytes);
  std::string_view value(uint64_t index) const;

 private:
  size_t value_bytes_;
  std::string bytes_;  // values are windows on it: making one costs nothing
};

}  // namespace bench

#endif  // TOASTSTORE_BENCH_ENGINE_SOURCE_H_
