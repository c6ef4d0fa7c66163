// The workloads, timed by Google Benchmark.
//
// Contenders take turns within each round, and every round begins with another of them, so that
// whatever else the machine does meets all of them alike.  A store has nothing left to do in the
// background when another one is measured.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "engine/cell.h"

namespace bench {

namespace {

using benchmark::State;

// Values replaced in one transaction.
constexpr size_t kReplaced = 8;

// Takes the time of one run; there is no more to tell.
class Taker final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.error_occurred) die(run.error_message);
      seconds_each = run.real_accumulated_time / static_cast<double>(run.iterations);
    }
  }
  double seconds_each = 0;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Bench {
 public:
  explicit Bench(const Plan& plan)
      : plan_(plan), source_(plan.compressible, plan.value_bytes), order_(plan.values()) {
    for (const Kind& kind : contenders(plan)) {
      holders_.push_back(std::make_unique<Holder>(kind, plan_, source_));
    }
    std::iota(order_.begin(), order_.end(), size_t{0});
    Random random(1);
    for (size_t i = order_.size(); i > 1; i--) std::swap(order_[i - 1], order_[random.below(i)]);
  }

  void run() {
    if (plan_.has("load")) {
      in_turns("load", "B/s", [this](Holder& holder) { return load(holder); });
    } else {
      for (const auto& holder : holders_) fill(*holder);
    }
    for (const auto& holder : holders_) {
      print_result(plan_, "disk", holder->name(), 0, static_cast<double>(holder->disk_bytes()),
                   "B");
    }
    warm();
    if (plan_.has("get")) in_turns("get", "s", [this](Holder& holder) { return get(holder); });
    if (plan_.has("slice")) {
      in_turns("slice", "s", [this](Holder& holder) { return slice(holder); });
    }
    if (plan_.has("scan")) {
      in_turns("scan", "B/s", [this](Holder& holder) { return scan(holder); });
    }
    if (plan_.has("put")) in_turns("put", "s", [this](Holder& holder) { return put(holder); });
    if (plan_.has("churn")) {
      in_turns("churn", "B/s", [this](Holder& holder) { return churn(holder); });
      for (const auto& holder : holders_) {
        print_result(plan_, "disk_after_churn", holder->name(), 0,
                     static_cast<double>(holder->disk_bytes()), "B");
      }
    }
  }

 private:
  template <typename Measure>
  void in_turns(const char* workload, const char* unit, Measure measure) {
    for (round_ = 0; round_ < plan_.rounds; round_++) {
      for (size_t i = 0; i < holders_.size(); i++) {
        Holder& holder = *holders_[(i + static_cast<size_t>(round_)) % holders_.size()];
        const double value = measure(holder);
        print_result(plan_, workload, holder.name(), round_, value, unit);
        holder.verify();
      }
    }
  }

  // Seconds an iteration took.  `tune` sets how long it runs.
  template <typename Tune, typename Body>
  double time(Tune tune, Body body) {
    benchmark::ClearRegisteredBenchmarks();
    tune(benchmark::RegisterBenchmark("timed", body));
    Taker taker;
    benchmark::RunSpecifiedBenchmarks(&taker, "timed");
    return taker.seconds_each;
  }
  template <typename Body>
  double time_reads(Body body) {
    return time([&](auto* timed) { timed->UseRealTime()->MinTime(plan_.read_seconds); }, body);
  }

  void fill(Holder& holder) {
    holder.make();
    holder.load();
    holder.store().settle();
  }

  // Everything that a cache can hold is in it, and the memory it needs has been touched.
  void warm() {
    for (const auto& holder : holders_) {
      holder->verify();
      holder->verify();
    }
  }

  // Bytes a second until everything is where it belongs: neither a log to replay nor a memtable is
  // left.  Every transaction of the load is durable when it returns.
  double load(Holder& holder) {
    holder.make();
    double durable = 0;
    const double settled = time([](auto* timed) { timed->UseRealTime()->Iterations(1); },
                                [&](State& state) {
                                  for (auto _ : state) {
                                    const auto start = std::chrono::steady_clock::now();
                                    holder.load();
                                    durable = seconds_since(start);
                                    holder.store().settle();
                                  }
                                });
    const auto bytes = static_cast<double>(plan_.values() * plan_.value_bytes);
    print_result(plan_, "load_durable", holder.name(), round_, bytes / durable, "B/s");
    return bytes / settled;
  }

  double get(Holder& holder) {
    size_t turn = 0;
    return time_reads([&](State& state) {
      for (auto _ : state) {
        const size_t place = order_[turn++ % order_.size()];
        const std::string_view bytes = holder.store().get(holder.id(place));
        if (plan_.check_each) compare(holder.name(), bytes, holder.expected(place));
        benchmark::DoNotOptimize(bytes.data());
      }
    });
  }

  double slice(Holder& holder) {
    size_t turn = 0;
    Random random(2);
    return time_reads([&](State& state) {
      for (auto _ : state) {
        const size_t place = order_[turn++ % order_.size()];
        const size_t offset = random.below(plan_.value_bytes - kSliceBytes + 1);
        const std::string_view bytes = holder.store().slice(holder.id(place), offset, kSliceBytes);
        if (plan_.check_each) {
          compare(holder.name(), bytes, holder.expected(place).substr(offset, kSliceBytes));
        }
        benchmark::DoNotOptimize(bytes.data());
      }
    });
  }

  double scan(Holder& holder) {
    uint64_t bytes = 0;
    uint64_t scans = 0;
    const double seconds = time_reads([&](State& state) {
      for (auto _ : state) {
        scans++;
        holder.store().scan([&](uint64_t, std::string_view value) {
          bytes += value.size();
          benchmark::DoNotOptimize(value.data());
        });
      }
    });
    return static_cast<double>(bytes) / static_cast<double>(scans) / seconds;
  }

  // One durable put.
  double put(Holder& holder) {
    const double seconds = time(
        [this](auto* timed) {
          timed->UseRealTime()->Iterations(static_cast<benchmark::IterationCount>(plan_.puts));
        },
        [&](State& state) {
          for (auto _ : state) {
            holder.put();
            holder.store().commit();
          }
        });
    holder.store().settle();
    return seconds;
  }

  // Bytes a second that replace others, in durable transactions of a few values, and until what
  // that leaves to do is done.
  double churn(Holder& holder) {
    Random random(3 + holder.count());
    const auto transactions = static_cast<benchmark::IterationCount>(
        std::clamp<size_t>(plan_.total_bytes / 4 / (kReplaced * plan_.value_bytes), 1, plan_.puts));
    const double seconds = time([](auto* timed) { timed->UseRealTime()->Iterations(1); },
                                [&](State& state) {
                                  for (auto _ : state) {
                                    for (benchmark::IterationCount i = 0; i < transactions; i++) {
                                      for (size_t j = 0; j < kReplaced; j++)
                                        holder.replace(random.below(holder.count()));
                                      holder.store().commit();
                                    }
                                    holder.store().settle();
                                  }
                                });
    const auto bytes =
        static_cast<double>(transactions) * static_cast<double>(kReplaced * plan_.value_bytes);
    return bytes / seconds;
  }

  const Plan& plan_;
  const Source source_;
  int round_ = 0;
  std::vector<size_t> order_;  // all places, in no order
  std::vector<std::unique_ptr<Holder>> holders_;
};

}  // namespace

void measure(const Plan& plan) { Bench(plan).run(); }

}  // namespace bench
