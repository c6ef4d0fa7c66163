// put, get, rm, ls.

#include <algorithm>
#include <cstdio>

#include "ctl/command.h"
#include "ctl/find.h"
#include "ctl/open.h"
#include "ctl/stream.h"
#include "ctl/words.h"
#include "engine/format.h"

namespace toaststore::ctl {

// All files or none; the ids are printed when the values are there to stay.
int put(const Arguments& arguments) {
  const std::vector<std::string>& files = arguments.rest();
  const std::string* name = arguments.value("name");
  if (files.size() > 1 && (arguments.has("id") || name != nullptr)) {
    throw Failure(kUsage, "put: --id and --name are for one file");
  }
  if (arguments.has("id") && name != nullptr) {
    throw Failure(kUsage, "put: a value with a name gets its id from the store");
  }
  const uint64_t chosen = arguments.number("id", 0);
  Options options;
  if (const std::string* text = arguments.value("compression")) {
    options.compression = read_compression(*text);
  }
  // The first is read before a store is made for it.
  std::vector<std::byte> bytes = read_all(files[0]);
  OpenStore store(arguments.store(), OpenStore::For::kCreating, options);
  std::vector<uint64_t> ids;
  {
    WriteBatch batch(store.get());
    for (size_t i = 0; i < files.size() && name == nullptr; i++) {
      if (i > 0) bytes = read_all(files[i]);
      uint64_t id = chosen;
      expect(arguments.has("id") ? batch.put_at(id, bytes.data(), bytes.size())
                                 : batch.put(bytes.data(), bytes.size(), &id),
             arguments.store());
      ids.push_back(id);
    }
    if (name != nullptr) {
      expect(batch.set(name->data(), name->size(), bytes.data(), bytes.size()), in_quotes(*name));
    }
    expect(batch.commit(), arguments.store());
  }
  if (name != nullptr) {
    ids.push_back(0);
    expect(store->find_name(name->data(), name->size(), &ids[0]), in_quotes(*name));
  }
  store.close();
  for (const uint64_t id : ids) std::printf("%llu\n", static_cast<unsigned long long>(id));
  finish_printing();
  return kDone;
}

// In slices: a value may be larger than memory.
int get(const Arguments& arguments) {
  const Wanted wanted(arguments);
  const uint64_t offset = arguments.number("offset", 0);
  const uint64_t length = arguments.number("length", UINT64_MAX);
  const std::string* file = arguments.value("output");
  OpenStore store(arguments.store(), OpenStore::For::kReading);
  const uint64_t id = wanted.id(store.get());
  uint64_t raw_bytes;
  expect_found(store->length(id, &raw_bytes), wanted.subject());
  const uint64_t start = std::min(offset, raw_bytes);
  const uint64_t end = start + std::min(length, raw_bytes - start);
  Output output(file != nullptr ? *file : "-");
  output.open();
  Buffer slice;
  for (uint64_t at = start; at < end; at += slice.size()) {
    const size_t part = std::min<uint64_t>(kSliceBytes, end - at);
    expect(store->get_slice(id, at, part, &slice), wanted.subject());
    output.write(slice.data(), slice.size());
  }
  output.finish();
  store.close();
  return kDone;
}

// All values or none.
int remove(const Arguments& arguments) {
  const Wanted first(arguments);
  std::vector<uint64_t> ids;
  for (const std::string& text : arguments.rest()) ids.push_back(parse_number(text, "an id"));
  OpenStore store(arguments.store(), OpenStore::For::kWriting);
  if (ids.empty()) ids.push_back(first.id(store.get()));
  {
    WriteBatch batch(store.get());
    for (const uint64_t id : ids) {
      expect_found(batch.erase(id), arguments.store() + ": value " + std::to_string(id));
    }
    expect(batch.commit(), arguments.store());
  }
  store.close();
  return kDone;
}

namespace {

// One line for each: id, bytes, name.
class Lines final : public ValueVisitor, public NameVisitor {
 public:
  explicit Lines(char end) : end_(end) {}
  Status value(uint64_t id, uint64_t raw_bytes) override {
    std::printf("%llu\t%llu%c", static_cast<unsigned long long>(id),
                static_cast<unsigned long long>(raw_bytes), end_);
    return Status::Ok();
  }
  Status name(const void* key, size_t length, uint64_t id, uint64_t raw_bytes) override {
    std::printf("%llu\t%llu\t", static_cast<unsigned long long>(id),
                static_cast<unsigned long long>(raw_bytes));
    std::fwrite(key, 1, length, stdout);
    std::putchar(end_);
    return Status::Ok();
  }

 private:
  const char end_;
};

}  // namespace

int list(const Arguments& arguments) {
  const std::string* prefix = arguments.value("prefix");
  const bool names = arguments.has("names") || prefix != nullptr;
  const bool range = arguments.has("from") || arguments.has("to");
  if (names && range) throw Failure(kUsage, "ls: --from and --to are ids, names go by --prefix");
  const uint64_t from = arguments.number("from", 0);
  const uint64_t to = arguments.number("to", kInfinity);
  const std::string start = prefix != nullptr ? *prefix : "";
  OpenStore store(arguments.store(), OpenStore::For::kReading);
  Lines lines(arguments.has("null") ? '\0' : '\n');
  expect(names ? store->scan_prefix(start.data(), start.size(), &lines)
               : store->scan(from, to, &lines),
         arguments.store());
  finish_printing();
  store.close();
  return kDone;
}

}  // namespace toaststore::ctl
