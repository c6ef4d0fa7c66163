// put, get, rm, ls.

#include <algorithm>
#include <cstdio>

#include "ctl/command.h"
#include "ctl/names.h"
#include "ctl/open.h"
#include "ctl/stream.h"
#include "engine/format.h"

namespace toaststore::ctl {

namespace {

// A value passes through memory in parts of this size.
constexpr size_t kSliceBytes = size_t{1} << 20;

uint64_t parse_id(const std::string& text) { return parse_number(text, "an id"); }

std::string value_of(const std::string& store, uint64_t id) {
  return store + ": value " + std::to_string(id);
}

}  // namespace

// All files or none; the ids are printed when the values are there to stay.
int put(const Arguments& arguments) {
  if (arguments.has("id") && arguments.rest().size() > 1) {
    throw Failure(kUsage, "put: --id is for one file");
  }
  const uint64_t chosen = arguments.number("id", 0);
  Options options;
  if (const std::string* text = arguments.value("compression")) {
    options.compression = parse_compression(*text);
  }
  // The first is read before a store is made for it.
  const std::vector<std::string>& files = arguments.rest();
  std::vector<std::byte> bytes = read_all(files[0]);
  OpenStore store(arguments.store(), OpenStore::For::kCreating, options);
  std::vector<uint64_t> ids;
  {
    WriteBatch batch(store.get());
    for (size_t i = 0; i < files.size(); i++) {
      if (i > 0) bytes = read_all(files[i]);
      uint64_t id = chosen;
      expect(arguments.has("id") ? batch.put_at(id, bytes.data(), bytes.size())
                                 : batch.put(bytes.data(), bytes.size(), &id),
             arguments.store());
      ids.push_back(id);
    }
    expect(batch.commit(), arguments.store());
  }
  store.close();
  for (const uint64_t id : ids) std::printf("%llu\n", static_cast<unsigned long long>(id));
  finish_printing();
  return kDone;
}

// In slices: a value may be larger than memory.
int get(const Arguments& arguments) {
  const uint64_t id = parse_id(arguments.rest()[0]);
  const uint64_t offset = arguments.number("offset", 0);
  const uint64_t length = arguments.number("length", UINT64_MAX);
  const std::string* file = arguments.value("output");
  OpenStore store(arguments.store(), OpenStore::For::kReading);
  const std::string subject = value_of(arguments.store(), id);
  uint64_t raw_bytes;
  expect_found(store->length(id, &raw_bytes), subject);
  const uint64_t start = std::min(offset, raw_bytes);
  const uint64_t end = start + std::min(length, raw_bytes - start);
  Output output(file != nullptr ? *file : "-");
  output.open();
  Buffer slice;
  for (uint64_t at = start; at < end; at += slice.size()) {
    expect(store->get_slice(id, at, std::min<uint64_t>(kSliceBytes, end - at), &slice), subject);
    output.write(slice.data(), slice.size());
  }
  output.finish();
  store.close();
  return kDone;
}

// All values or none.
int remove(const Arguments& arguments) {
  std::vector<uint64_t> ids;
  for (const std::string& text : arguments.rest()) ids.push_back(parse_id(text));
  OpenStore store(arguments.store(), OpenStore::For::kWriting);
  {
    WriteBatch batch(store.get());
    for (const uint64_t id : ids) {
      expect_found(batch.erase(id), value_of(arguments.store(), id));
    }
    expect(batch.commit(), arguments.store());
  }
  store.close();
  return kDone;
}

int list(const Arguments& arguments) {
  class Lines final : public ValueVisitor {
   public:
    Status value(uint64_t id, uint64_t raw_bytes) override {
      std::printf("%llu\t%llu\n", static_cast<unsigned long long>(id),
                  static_cast<unsigned long long>(raw_bytes));
      return Status::Ok();
    }
  } lines;
  const uint64_t from = arguments.number("from", 0);
  const uint64_t to = arguments.number("to", kInfinity);
  OpenStore store(arguments.store(), OpenStore::For::kReading);
  expect(store->scan(from, to, &lines), arguments.store());
  finish_printing();
  store.close();
  return kDone;
}

}  // namespace toaststore::ctl
