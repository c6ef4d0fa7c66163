// Random bytes, and records like those that services log.

#include "engine/source.h"

#include <cstdio>
#include <cstring>

namespace bench {

namespace {

// Where windows start.  A prime step visits all of these places before one comes again.
constexpr size_t kStarts = size_t{32} << 20;
constexpr size_t kStep = 4'099'691;

void append_record(Random* random, std::string* out) {
  static const char* const kVerbs[] = {"created", "updated", "moved", "deleted", "viewed"};
  char record[256];
  const int length = std::snprintf(
      record, sizeof(record),
      "{\"time\":\"2026-%02u-%02uT%02u:%02u:%02uZ\",\"user\":\"u%08llx\",\"action\":\"%s\","
      "\"object\":\"/media/%05u\",\"bytes\":%u,\"status\":200,\"agent\":\"uploader/2.4\"}\n",
      static_cast<unsigned>(random->below(12) + 1), static_cast<unsigned>(random->below(28) + 1),
      static_cast<unsigned>(random->below(24)), static_cast<unsigned>(random->below(60)),
      static_cast<unsigned>(random->below(60)),
      static_cast<unsigned long long>(random->below(0x100000000)), kVerbs[random->below(5)],
      static_cast<unsigned>(random->below(100000)), static_cast<unsigned>(random->below(1u << 22)));
  out->append(record, static_cast<size_t>(length));
}

}  // namespace

// splitmix64.
uint64_t Random::next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

Source::Source(bool compressible, size_t value_bytes) : value_bytes_(value_bytes) {
  const size_t length = kStarts + value_bytes;
  Random random(value_bytes);
  bytes_.reserve(length + 256);
  while (bytes_.size() < length) {
    if (compressible) {
      append_record(&random, &bytes_);
    } else {
      const uint64_t number = random.next();
      bytes_.append(reinterpret_cast<const char*>(&number), sizeof(number));
    }
  }
}

std::string_view Source::value(uint64_t index) const {
  return std::string_view(bytes_).substr(index * kStep % kStarts, value_bytes_);
}

}  // namespace bench
