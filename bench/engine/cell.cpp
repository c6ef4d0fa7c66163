// Filling stores, and proving what is in them.

#include "engine/cell.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

namespace bench {

void Holder::make() {
  store_.reset();
  std::filesystem::remove_all(directory());
  held_.clear();
  next_index_ = 0;
  open();
}

void Holder::open() {
  std::filesystem::create_directories(directory());
  store_ = kind_.open({directory(), plan_.cache_bytes, plan_.log_bytes, plan_.compressible});
}

void Holder::put() {
  const uint64_t id = store_->put(source_.value(next_index_));
  held_.push_back({id, next_index_++});
}

void Holder::replace(size_t place) {
  store_->erase(held_[place].id);
  const uint64_t id = store_->put(source_.value(next_index_));
  held_[place] = {id, next_index_++};
}

void Holder::load() {
  held_.reserve(plan_.values());
  size_t gathered = 0;
  for (size_t i = 0; i < plan_.values(); i++) {
    put();
    gathered += plan_.value_bytes;
    if (gathered >= kLoadBytes) {
      store_->commit();
      gathered = 0;
    }
  }
  store_->commit();
}

void Holder::verify() {
  std::vector<Held> wanted = held_;
  std::sort(wanted.begin(), wanted.end(), [](auto& a, auto& b) { return a.id < b.id; });
  size_t seen = 0;
  store_->scan([&](uint64_t id, std::string_view bytes) {
    if (seen == wanted.size() || wanted[seen].id != id) {
      die(std::string(name()) + ": a scan gives a value that is not there, or leaves one out");
    }
    compare(name(), bytes, source_.value(wanted[seen++].index));
  });
  if (seen != wanted.size()) die(std::string(name()) + ": a scan ends too early");
}

uint64_t Holder::disk_bytes() const {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory())) {
    struct stat status;
    if (stat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

void compare(const char* name, std::string_view found, std::string_view expected) {
  if (found != expected) die(std::string(name) + ": a value is not what was put");
}

void print_result(const Plan& plan, const char* workload, const char* contender, int round,
                  double value, const char* unit) {
  std::printf("%s,%s,%zu,%zu,%s,%d,%.6g,%s\n", workload,
              plan.compressible ? "compressible" : "random", plan.value_bytes, plan.total_bytes,
              contender, round, value, unit);
  std::fflush(stdout);
}

}  // namespace bench
