// import and export: a tree of files in, and out again.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>

#include "ctl/command.h"
#include "ctl/find.h"
#include "ctl/open.h"
#include "ctl/progress.h"
#include "ctl/stream.h"
#include "ctl/words.h"

namespace toaststore::ctl {

namespace fs = std::filesystem;

namespace {

// Says what goes wrong without ending the command.
void complain(const std::string& message) {
  std::fprintf(stderr, "toaststorectl: %s\n", message.c_str());
}

struct File {
  std::string name;  // relative to the directory
  uint64_t bytes;
};

// Regular files below a directory, by name.  The store itself may lie there.
std::vector<File> files_below(const std::string& directory, const std::string& store) {
  std::vector<File> files;
  std::error_code error;
  fs::recursive_directory_iterator at(directory, error);
  const auto check = [&](const std::string& path) {
    if (error) throw Failure(kFailed, path + ": " + error.message());
  };
  check(directory);
  while (at != fs::recursive_directory_iterator()) {
    const fs::directory_entry& entry = *at;
    const fs::file_status status = entry.symlink_status(error);
    check(entry.path());
    std::error_code none;
    if (fs::is_directory(status)) {
      if (fs::equivalent(entry.path(), store, none)) at.disable_recursion_pending();
    } else if (!fs::is_regular_file(status)) {
      complain(entry.path().string() + ": is not a regular file, left out");
    } else {
      files.push_back({entry.path().lexically_relative(directory), entry.file_size(error)});
      check(entry.path());
    }
    const std::string here = entry.path();
    at.increment(error);
    check(here);
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.name < b.name; });
  return files;
}

}  // namespace

// Each file by itself; closing makes all of them durable.
int import_files(const Arguments& arguments) {
  const std::string& directory = arguments.rest()[0];
  Options options;
  if (const std::string* text = arguments.value("compression")) {
    options.compression = read_compression(*text);
  }
  const std::vector<File> files = files_below(directory, arguments.store());
  uint64_t total = 0;
  for (const File& file : files) total += file.bytes;
  OpenStore store(arguments.store(), OpenStore::For::kFilling, options);
  {
    std::atomic<uint64_t> done{0};
    const Progress progress("importing", total, [&] { return done.load(); });
    for (const File& file : files) {
      const std::string path = fs::path(directory) / file.name;
      const std::vector<std::byte> bytes = read_all(path);
      expect(store->set(file.name.data(), file.name.size(), bytes.data(), bytes.size()), path);
      done += file.bytes;
    }
  }
  store.close();
  return kDone;
}

namespace {

// A name that leads out of the directory, or that no file can have, is none of a file.
bool can_be_path(const std::string& name) {
  if (name.find('\0') != std::string::npos) return false;
  for (size_t start = 0; start <= name.size();) {
    const size_t end = std::min(name.find('/', start), name.size());
    const std::string part = name.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    start = end + 1;
  }
  return true;
}

class Exporter {
 public:
  Exporter(Store* store, const std::string& directory) : store_(store), directory_(directory) {}

  // What can't be written ends the command, what can't be read is passed over.
  void write(const Found& value) {
    const std::string name = value.name.empty() ? std::to_string(value.id) : value.name;
    if (!can_be_path(name)) return pass_over(in_quotes(name) + ": can not be the name of a file");
    const fs::path path = fs::path(directory_) / name;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return pass_over(path.string() + ": " + error.message());
    const Status status = copy(value, path);
    done_ += value.bytes;
    if (status.ok()) return;
    fs::remove(path, error);
    char text[512];
    pass_over(in_quotes(name) + ": " + describe(status, text, sizeof(text)));
  }

  uint64_t passed_over() const { return passed_over_; }
  uint64_t done() const { return done_; }

 private:
  void pass_over(const std::string& message) {
    complain(message);
    passed_over_++;
  }

  Status copy(const Found& value, const std::string& path) {
    Output output(path);
    output.open();
    for (uint64_t at = 0; at < value.bytes; at += slice_.size()) {
      TOASTSTORE_TRY(store_->get_slice(value.id, at, kSliceBytes, &slice_));
      output.write(slice_.data(), slice_.size());
    }
    output.finish();
    return Status::Ok();
  }

  Store* store_;
  const std::string directory_;
  Buffer slice_;
  uint64_t passed_over_ = 0;
  std::atomic<uint64_t> done_{0};
};

// Calls back for each value that has a name, or for each value.
template <typename Visit>
void for_each(Store* store, const std::string& path, bool by_id, Visit visit) {
  std::vector<Found> found;
  std::string last;
  uint64_t from = 0;
  do {
    expect(by_id ? find_values(store, from, &found) : find_names(store, "", last, &found), path);
    for (const Found& value : found) visit(value);
    if (found.empty()) return;
    last = found.back().name;
    from = found.back().id + 1;
  } while (found.size() == kFoundMax);
}

}  // namespace

int export_files(const Arguments& arguments) {
  const std::string& directory = arguments.rest()[0];
  const bool by_id = arguments.has("ids");
  std::error_code error;
  if (fs::exists(directory, error) && !fs::is_empty(directory, error)) {
    throw Failure(kFailed, directory + ": is not empty");
  }
  OpenStore store(arguments.store(), OpenStore::For::kReading);
  uint64_t values = 0;
  uint64_t named = 0;
  uint64_t total = 0;
  for_each(store.get(), arguments.store(), true, [&](const Found&) { values++; });
  for_each(store.get(), arguments.store(), by_id, [&](const Found& value) {
    named++;
    total += value.bytes;
  });
  fs::create_directories(directory, error);
  if (error) throw Failure(kFailed, directory + ": " + error.message());
  Exporter exporter(store.get(), directory);
  {
    const Progress progress("exporting", total, [&] { return exporter.done(); });
    for_each(store.get(), arguments.store(), by_id,
             [&](const Found& value) { exporter.write(value); });
  }
  store.close();
  if (values > named) {
    complain("values without a name: " + std::to_string(values - named) + "; --ids exports all");
  }
  if (exporter.passed_over() == 0) return kDone;
  throw Failure(kFailed, "values not exported: " + std::to_string(exporter.passed_over()));
}

}  // namespace toaststore::ctl
