// One kind of data in one size, and what every contender holds of it.

#ifndef TOASTSTORE_BENCH_ENGINE_CELL_H_
#define TOASTSTORE_BENCH_ENGINE_CELL_H_

#include <memory>
#include <string>
#include <vector>

#include "engine/contender.h"
#include "engine/source.h"

namespace bench {

struct Plan {
  std::string directory;
  std::string workloads = "load get slice scan put churn";  // or "crash" alone
  std::string only;  // the contenders, unless all that there are
  bool compressible = false;
  size_t value_bytes = 4096;
  size_t total_bytes = size_t{64} << 20;
  size_t cache_bytes = size_t{256} << 20;
  size_t log_bytes = size_t{64} << 20;
  int rounds = 1;
  double read_seconds = 0.2;
  size_t puts = 50;
  bool check_each = false;  // every read is compared, also those that are timed

  size_t values() const { return total_bytes / value_bytes; }
  bool has(const std::string& workload) const {
    return workloads.find(workload) != std::string::npos;
  }
};

// Those that are compared: LMDB with LZ4 where there is something to compress.
std::vector<Kind> contenders(const Plan& plan);

// Bytes of a slice.
inline constexpr size_t kSliceBytes = 1000;
// Bytes of a transaction of a bulk load.
inline constexpr size_t kLoadBytes = size_t{8} << 20;

// A contender with a store that holds values of the source.
class Holder {
 public:
  Holder(const Kind& kind, const Plan& plan, const Source& source)
      : kind_(kind), plan_(plan), source_(source) {}

  const char* name() const { return kind_.name; }
  Contender& store() { return *store_; }
  size_t count() const { return held_.size(); }
  uint64_t id(size_t place) const { return held_[place].id; }
  std::string_view expected(size_t place) const { return source_.value(held_[place].index); }

  // Opens a store without values; one from before is gone.
  void make();
  void close() { store_.reset(); }
  void open();
  // Loads all values, durably.
  void load();
  // Puts the next value in the source, into the transaction.
  void put();
  // Replaces the value at a place by the next one, in the transaction.
  void replace(size_t place);
  // Compares everything in the store with what must be there.
  void verify();
  // Bytes in its files, as the disk counts them.
  uint64_t disk_bytes() const;

 private:
  struct Held {
    uint64_t id;
    uint64_t index;  // in the source
  };
  std::string directory() const { return plan_.directory + "/" + kind_.name; }

  const Kind kind_;
  const Plan& plan_;
  const Source& source_;
  std::unique_ptr<Contender> store_;
  std::vector<Held> held_;
  uint64_t next_index_ = 0;
};

// Ends the program unless what was read is what was put.
void compare(const char* name, std::string_view found, std::string_view expected);

// One line of the results.
void print_result(const Plan& plan, const char* workload, const char* contender, int round,
                  double value, const char* unit);

// Every workload of the plan but crashes: rounds of contenders that take turns.
void measure(const Plan& plan);
// A process that is killed while it puts, and what opening its store again takes.
void measure_crashes(const Plan& plan);

}  // namespace bench

#endif  // TOASTSTORE_BENCH_ENGINE_CELL_H_
