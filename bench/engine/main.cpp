// engine KEY=VALUE..: measures one kind of data in one size and prints what it finds as lines of
// workload,data,value bytes,total bytes,contender,round,value,unit.  bench/engine/run calls it.

#include <cstring>

#include "engine/cell.h"

namespace bench {

std::vector<Kind> contenders(const Plan& plan) {
  std::vector<Kind> kinds = {
      {"toaststore", open_toaststore}, {"rocksdb", open_rocksdb}, {"lmdb", open_lmdb}};
  if (plan.compressible) kinds.push_back({"lmdb+lz4", open_lmdb_lz4});
  if (!plan.only.empty()) std::erase_if(kinds, [&](auto& kind) { return plan.only != kind.name; });
  return kinds;
}

namespace {

// A number with an optional unit: k, M or G.
size_t bytes_of(const std::string& text) {
  size_t used;
  const size_t number = std::stoull(text, &used);
  const std::string unit = text.substr(used);
  if (unit == "k") return number << 10;
  if (unit == "M") return number << 20;
  if (unit == "G") return number << 30;
  if (!unit.empty()) die("no such unit: " + unit);
  return number;
}

void set(Plan* plan, const std::string& key, const std::string& value) {
  if (key == "directory") {
    plan->directory = value;
  } else if (key == "workloads") {
    plan->workloads = value;
  } else if (key == "only") {
    plan->only = value;
  } else if (key == "data" && (value == "random" || value == "compressible")) {
    plan->compressible = value == "compressible";
  } else if (key == "value") {
    plan->value_bytes = bytes_of(value);
  } else if (key == "total") {
    plan->total_bytes = bytes_of(value);
  } else if (key == "cache") {
    plan->cache_bytes = bytes_of(value);
  } else if (key == "log") {
    plan->log_bytes = bytes_of(value);
  } else if (key == "rounds") {
    plan->rounds = std::stoi(value);
  } else if (key == "seconds") {
    plan->read_seconds = std::stod(value);
  } else if (key == "puts") {
    plan->puts = std::stoul(value);
  } else if (key == "check" && (value == "each" || value == "all")) {
    plan->check_each = value == "each";
  } else {
    die("no such setting: " + key + "=" + value);
  }
}

}  // namespace

}  // namespace bench

int main(int argc, char** argv) {
  bench::Plan plan;
  for (int i = 1; i < argc; i++) {
    const char* equals = std::strchr(argv[i], '=');
    if (equals == nullptr) bench::die(std::string("not KEY=VALUE: ") + argv[i]);
    bench::set(&plan, {argv[i], static_cast<size_t>(equals - argv[i])}, equals + 1);
  }
  if (plan.directory.empty()) bench::die("directory=.. is needed");
  if (plan.value_bytes < bench::kSliceBytes || plan.values() == 0) bench::die("values too small");
  if (plan.workloads == "crash") {
    bench::measure_crashes(plan);
  } else {
    bench::measure(plan);
  }
}
