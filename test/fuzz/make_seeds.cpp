// Writes the seed corpus: small stores, their logs and control files, records, compressed bytes.
//
//   make_seeds DIRECTORY

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/codec.h"
#include "file/log.h"
#include "file/log_format.h"
#include "support/memory_files.h"
#include "toaststore/store.h"

namespace toaststore::fuzz {
namespace {

std::string text(size_t length, int seed) {
  std::string bytes;
  while (bytes.size() < length) bytes += "value " + std::to_string(seed++ * 7919) + "; ";
  bytes.resize(length);
  return bytes;
}

void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.reason);
  std::exit(1);
}

void write(const std::filesystem::path& directory, const std::string& target,
           const std::string& name, const void* bytes, size_t length) {
  std::filesystem::create_directories(directory / target);
  std::ofstream file(directory / target / name, std::ios::binary);
  file.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(length));
}

void store_seed(const std::filesystem::path& directory, const std::string& name, Codec codec,
                int values, size_t length) {
  MemoryFiles files;
  StoreOptions options;
  options.files = &files;
  options.cache_bytes = 1 << 20;
  options.log_segment_bytes = kMinSegmentBytes;
  options.values.compression.codec = codec;
  options.values.direct_max = 500;
  options.values.extent_max = 4000;
  options.values.chunk_bytes = kChunkBytesMin;
  Store* store;
  must(Store::open("s", options, &store));
  const auto before = *files.files.at("s/control");
  for (int i = 0; i < values; i++) {
    const std::string bytes = text(length, i);
    uint64_t id;
    must(store->put(bytes.data(), bytes.size(), &id));
    if (i % 3 == 1) must(store->erase(id));
  }
  char path[kMaxPath];
  segment_path("s", 1, path);
  const auto log = *files.files.at(path);
  must(store->close());
  delete store;

  const auto& data = *files.files.at("s/data");
  write(directory, "pages", name, data.data(), data.size());
  write(directory, "relation", name, data.data(), data.size());
  size_t log_length = log.size();
  while (log_length > 0 && log[log_length - 1] == std::byte{}) log_length--;
  std::vector<std::byte> whole{std::byte(before.size() / 8)};
  whole.insert(whole.end(), before.begin(), before.end());
  whole.insert(whole.end(), log.begin(), log.begin() + static_cast<ptrdiff_t>(log_length));
  write(directory, "directory", name, whole.data(), whole.size());
  Record record;
  if (record.decode(log.data() + kGroupHeaderBytes, log_length - kGroupHeaderBytes).ok()) {
    write(directory, "record", name, log.data() + kGroupHeaderBytes, record.header.length);
  }
}

// The keys of the target, and longer ones where there are more: they fill more than one page.
void names_seed(const std::filesystem::path& directory, const std::string& name, int names) {
  MemoryFiles files;
  StoreOptions options;
  options.files = &files;
  options.cache_bytes = 1 << 20;
  Store* store;
  must(Store::open("s", options, &store));
  for (int i = 0; i < names; i++) {
    std::string key = "name " + std::to_string(i);
    if (i >= 8) key += std::string(200, 'n');
    must(store->set(key.data(), key.size(), "value", 5));
    if (i % 3 == 0) must(store->set(key.data(), key.size(), "again", 5));
  }
  must(store->close());
  delete store;
  const auto& pages = *files.files.at("s/names");
  write(directory, "names", name, pages.data(), pages.size());
}

void codec_seed(const std::filesystem::path& directory, const std::string& name,
                const Compression& compression) {
  const std::string bytes = text(3000, 1);
  std::string packed(compress_space(bytes.size()), '\0');
  size_t stored = 0;
  compress(compression, reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(),
           reinterpret_cast<std::byte*>(packed.data()), &stored);
  const std::string seed = std::string("\xb7\x0b", 2) + packed.substr(0, stored);
  write(directory, "codec", name, seed.data(), seed.size());
}

}  // namespace
}  // namespace toaststore::fuzz

int main(int argc, char** argv) {
  using namespace toaststore;
  if (argc != 2) return 2;
  fuzz::store_seed(argv[1], "direct", Codec::kNone, 9, 200);
  fuzz::store_seed(argv[1], "extent", Codec::kLz4, 4, 3000);
  fuzz::store_seed(argv[1], "chunked", Codec::kZstd, 2, 40000);
  fuzz::store_seed(argv[1], "split", Codec::kNone, 200, 10);
  fuzz::codec_seed(argv[1], "lz4", {Codec::kLz4, 0});
  fuzz::codec_seed(argv[1], "zstd", {Codec::kZstd, 1});
  fuzz::names_seed(argv[1], "empty", 0);
  fuzz::names_seed(argv[1], "leaf", 8);
  fuzz::names_seed(argv[1], "split", 100);
  std::string operations;
  for (int i = 0; i < 200; i++) operations += static_cast<char>(i * 37 + i / 5);
  fuzz::write(argv[1], "operations", "mixed", operations.data(), operations.size());
  return 0;
}
