// What a store must do to be compared, and what all of them are told.
//
// A contender is used by one thread.  What goes wrong ends the program: a benchmark that goes on
// after an error measures something else.

#ifndef TOASTSTORE_BENCH_ENGINE_CONTENDER_H_
#define TOASTSTORE_BENCH_ENGINE_CONTENDER_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct Settings {
  std::string directory;      // the contender's own; exists
  size_t cache_bytes = 0;     // for pages, blocks and values together
  size_t log_bytes = 0;       // of log between checkpoints or flushes
  bool compressible = false;  // whoever compresses does so, by LZ4
};

class Contender {
 public:
  virtual ~Contender() = default;

  // Changes gather in a transaction until commit(), which returns when they are durable.
  // The store chooses the id: the next one.
  virtual uint64_t put(std::string_view bytes) = 0;
  virtual void erase(uint64_t id) = 0;
  virtual void commit() = 0;

  // The bytes are copied out of the store, into memory that is good until the next call.
  virtual std::string_view get(uint64_t id) = 0;
  virtual std::string_view slice(uint64_t id, size_t offset, size_t length) = 0;
  // All values in the order of ids, each copied as by get().
  using Visit = std::function<void(uint64_t id, std::string_view bytes)>;
  virtual void scan(const Visit& visit) = 0;

  // Everything is where it belongs: nothing is left to do in the background.
  virtual void settle() = 0;
};

using Open = std::unique_ptr<Contender> (*)(const Settings& settings);
std::unique_ptr<Contender> open_toaststore(const Settings& settings);
std::unique_ptr<Contender> open_rocksdb(const Settings& settings);
std::unique_ptr<Contender> open_lmdb(const Settings& settings);
// Values are compressed before they are put, as an application would.
std::unique_ptr<Contender> open_lmdb_lz4(const Settings& settings);

struct Kind {
  const char* name;
  Open open;
};
[[noreturn]] inline void die(const std::string& reason) {
  std::fprintf(stderr, "bench/engine: %s\n", reason.c_str());
  std::exit(1);
}

}  // namespace bench

#endif  // TOASTSTORE_BENCH_ENGINE_CONTENDER_H_
