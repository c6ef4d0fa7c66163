// stat, verify, compact, checkpoint.

#include <algorithm>
#include <cstdio>
#include <utility>

#include "ctl/command.h"
#include "ctl/find.h"
#include "ctl/open.h"
#include "ctl/page_file.h"
#include "ctl/progress.h"
#include "ctl/stream.h"
#include "ctl/words.h"
#include "engine/geometry.h"

namespace toaststore::ctl {

namespace {

// Names and what they stand for, as lines or as a JSON object.
class Facts {
 public:
  void add(const char* name, uint64_t number) {
    facts_.push_back({name, std::to_string(number), false});
  }
  // `word` is one of the program's own: it has nothing in it that JSON would escape.
  void add(const char* name, const std::string& word) { facts_.push_back({name, word, true}); }

  void print_lines() const {
    for (const Fact& fact : facts_) std::printf("%-18s %s\n", fact.name, fact.value.c_str());
  }
  void print_json() const {
    const char* separator = "{";
    for (const Fact& fact : facts_) {
      const char* quote = fact.word ? "\"" : "";
      std::printf("%s\"%s\": %s%s%s", separator, fact.name, quote, fact.value.c_str(), quote);
      separator = ", ";
    }
    std::puts("}");
  }

 private:
  struct Fact {
    const char* name;
    std::string value;
    bool word;
  };
  std::vector<Fact> facts_;
};

// Bytes of the file by what the map says of them.
struct Space {
  uint64_t free = 0;
  uint64_t pages = 0;
  uint64_t values = 0;
};

Space space_of(PageFile* file, const MetaBody& meta) {
  Space space;
  std::byte page[kPageBytes];
  for (uint32_t index = 0; index < meta.map_pages && map_block(index) < file->blocks(); index++) {
    file->read(map_block(index), page);
    expect(check_page(page, map_block(index), PageKind::kMap), "the space map");
    for (uint32_t i = 0; i < kExtentsPerMapPage; i++) {
      const Extent extent = index * kExtentsPerMapPage + i;
      const auto entry = record_at<MapEntry>(page, i);
      // What is not reserved yet takes no space.
      if (extent_start(extent) >= file->blocks()) break;
      const Block end = std::min(extent_end(extent), file->blocks());
      const uint64_t bytes = uint64_t{end - extent_start(extent)} * kPageBytes;
      if (entry.kind == ExtentKind::kFree) space.free += bytes;
      if (entry.kind == ExtentKind::kPages) space.pages += bytes;
      if (entry.kind == ExtentKind::kValues) space.values += bytes;
    }
  }
  return space;
}

std::string compression_of(const MetaBody& meta) {
  std::string text = name_of(meta.codec);
  if (meta.level != 0) text += ":" + std::to_string(meta.level);
  return text;
}

// How a store was made; nothing where it has no pages yet.
void add_meta(const std::string& path, Facts* facts) {
  PageFile file(path);
  MetaBody meta;
  if (!file.read_meta(&meta)) return;
  facts->add("kind", name_of(meta.kind));
  facts->add("format_version", meta.format_version);
  facts->add("direct_max", meta.direct_max);
  facts->add("extent_max", meta.extent_max);
  facts->add("chunk_bytes", meta.chunk_bytes);
  facts->add("compression", compression_of(meta));
  facts->add("tree_levels", meta.root_level + 1u);
  const Space space = space_of(&file, meta);
  facts->add("value_extent_bytes", space.values);
  facts->add("page_extent_bytes", space.pages);
  facts->add("free_extent_bytes", space.free);
}

Facts facts_of_store(const std::string& path) {
  class Totals final : public ValueVisitor, public NameVisitor {
   public:
    Status name(const void*, size_t, uint64_t, uint64_t) override {
      names++;
      return Status::Ok();
    }
    Status value(uint64_t, uint64_t raw_bytes) override {
      values++;
      bytes += raw_bytes;
      return Status::Ok();
    }
    uint64_t values = 0;
    uint64_t bytes = 0;
    uint64_t names = 0;
  } totals;
  OpenStore store(path, OpenStore::For::kReading);
  Statistics statistics;
  expect(store->statistics(&statistics), path);
  expect(store->scan(0, kInfinity, &totals), path);
  expect(store->scan_prefix("", 0, &totals), path);
  Facts facts;
  facts.add("values", totals.values);
  facts.add("value_bytes", totals.bytes);
  facts.add("names", totals.names);
  facts.add("next_id", statistics.next_id);
  facts.add("data_bytes", statistics.data_bytes);
  facts.add("names_bytes", statistics.names_bytes);
  add_meta(path, &facts);
  store.close();
  return facts;
}

Facts facts_of_value(const std::string& path, const Wanted& wanted) {
  OpenStore store(path, OpenStore::For::kReading);
  const uint64_t id = wanted.id(store.get());
  ValueInfo info;
  expect_found(store->info(id, &info), wanted.subject());
  Facts facts;
  facts.add("id", id);
  facts.add("layout", name_of(info.layout));
  facts.add("compression", name_of(info.codec));
  facts.add("raw_bytes", info.raw_bytes);
  facts.add("stored_bytes", info.stored_bytes);
  facts.add("chunks", info.chunks);
  facts.add("pages", info.pages);
  store.close();
  return facts;
}

}  // namespace

int stat(const Arguments& arguments) {
  const bool of_value = arguments.has("name") || !arguments.rest().empty();
  const Facts facts = of_value ? facts_of_value(arguments.store(), Wanted(arguments))
                               : facts_of_store(arguments.store());
  if (arguments.has("json")) {
    facts.print_json();
  } else {
    facts.print_lines();
  }
  finish_printing();
  return kDone;
}

namespace {

class PrintFaults final : public FaultVisitor {
 public:
  Status fault(Block block, uint64_t id, const char* reason) override {
    if (block != kNoBlock) std::printf("block %u: ", block);
    if (id != 0) std::printf("value %llu: ", static_cast<unsigned long long>(id));
    std::printf("%s\n", reason);
    count++;
    return Status::Ok();
  }
  uint64_t count = 0;
};

}  // namespace

// Nothing is printed of a healthy store.
int verify(const Arguments& arguments) {
  OpenStore store(arguments.store(), OpenStore::For::kReading);
  Statistics statistics{};
  (void)store->statistics(&statistics);  // which verify() does without
  PrintFaults faults;
  Status status;
  {
    // Most pages are read once.
    const uint64_t total = statistics.data_bytes + statistics.names_bytes;
    const Progress progress("verifying", total, [&] {
      Statistics now{};
      return store->statistics(&now).ok() ? now.cache_misses * kPageBytes : 0;
    });
    status = store->verify(&faults);
  }
  expect(status, arguments.store());
  finish_printing();
  store.close();
  if (faults.count == 0) return kDone;
  throw Failure(kNotFound, arguments.store() + ": " + std::to_string(faults.count) +
                               (faults.count == 1 ? " fault" : " faults"));
}

int compact(const Arguments& arguments) {
  OpenStore store(arguments.store(), OpenStore::For::kWriting);
  Statistics statistics{};
  expect(store->statistics(&statistics), arguments.store());
  Compaction done;
  Status status;
  {
    const Progress progress("compacting", statistics.data_bytes, [&] {
      Statistics now{};
      return store->statistics(&now).ok() ? now.cache_misses * kPageBytes : 0;
    });
    status = store->compact(&done);
  }
  expect(status, arguments.store());
  const auto print = [](const char* what, uint64_t number) {
    std::printf("%s\t%llu\n", what, static_cast<unsigned long long>(number));
  };
  print("removed_values", done.removed_values);
  print("moved_bytes", done.moved_bytes);
  print("freed_bytes", done.freed_bytes);
  print("given_back_bytes", done.given_back_bytes);
  finish_printing();
  store.close();
  return kDone;
}

// Closing checkpoints too; this says at once if it fails.
int checkpoint(const Arguments& arguments) {
  OpenStore store(arguments.store(), OpenStore::For::kWriting);
  expect(store->checkpoint(), arguments.store());
  store.close();
  return kDone;
}

}  // namespace toaststore::ctl
