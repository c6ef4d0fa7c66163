// Files in memory, for fuzz targets: they fail only where a file would grow beyond a limit.

#ifndef TOASTSTORE_TEST_FUZZ_SUPPORT_MEMORY_FILES_H_
#define TOASTSTORE_TEST_FUZZ_SUPPORT_MEMORY_FILES_H_

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "file/files.h"

namespace toaststore::fuzz {

inline constexpr uint64_t kMostBytes = 64 << 20;

using Content = std::shared_ptr<std::vector<std::byte>>;

class MemoryFile final : public File {
 public:
  explicit MemoryFile(Content content) : content_(std::move(content)) {}

  Status read(uint64_t offset, void* bytes, size_t length) override {
    std::memset(bytes, 0, length);
    if (offset >= content_->size()) return Status::Ok();
    std::memcpy(bytes, content_->data() + offset,
                std::min<uint64_t>(length, content_->size() - offset));
    return Status::Ok();
  }
  Status write(uint64_t offset, const void* bytes, size_t length) override {
    if (offset + length > kMostBytes) return Status::Error(Code::kNoSpace, "disk is full");
    if (content_->size() < offset + length) content_->resize(offset + length);
    if (length > 0) std::memcpy(content_->data() + offset, bytes, length);
    return Status::Ok();
  }
  Status sync() override { return Status::Ok(); }
  Status size(uint64_t* bytes) override {
    *bytes = content_->size();
    return Status::Ok();
  }
  Status reserve(uint64_t from, uint64_t to) override {
    (void)from;
    if (to > kMostBytes) return Status::Error(Code::kNoSpace, "disk is full");
    if (content_->size() < to) content_->resize(to);
    return Status::Ok();
  }
  Status truncate(uint64_t bytes) override {
    content_->resize(bytes);
    return Status::Ok();
  }
  void close() override { delete this; }

 private:
  Content content_;
};

class MemoryFiles final : public Files {
 public:
  Status open(const char* path, Mode mode, File** file) override {
    auto found = files.find(path);
    if (found == files.end()) {
      if (mode != Mode::kCreate) return Status::Error(Code::kNotFound, "file does not exist");
      found = files.emplace(path, std::make_shared<std::vector<std::byte>>()).first;
    }
    *file = new MemoryFile(found->second);
    return Status::Ok();
  }
  Status rename(const char* from, const char* to) override {
    files[to] = files.at(from);
    files.erase(from);
    return Status::Ok();
  }
  Status remove(const char* path) override {
    files.erase(path);
    return Status::Ok();
  }
  Status make_directory(const char*) override { return Status::Ok(); }
  Status sync_directory(const char*) override { return Status::Ok(); }
  Status list(const char* path, FileNames* names) override {
    const std::string prefix = std::string(path) + "/";
    std::vector<std::string> found;
    for (const auto& [name, content] : files) {
      if (name.starts_with(prefix)) found.push_back(name.substr(prefix.size()));
    }
    for (const std::string& name : found) TOASTSTORE_TRY(names->found(name.c_str()));
    return Status::Ok();
  }
  Status open_locked(const char* path, File** file) override {
    return open(path, Mode::kCreate, file);
  }

  std::map<std::string, Content> files;
};

}  // namespace toaststore::fuzz

#endif  // TOASTSTORE_TEST_FUZZ_SUPPORT_MEMORY_FILES_H_
