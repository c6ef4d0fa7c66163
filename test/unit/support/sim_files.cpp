// Files on a simulated disk.

#include "support/sim_files.h"

#include <algorithm>
#include <cerrno>

namespace toaststore::test {

namespace {

bool syncs(SimCall call) { return call == SimCall::kSync || call == SimCall::kSyncDirectory; }

Status no_space() { return Status::System(Code::kNoSpace, "simulated disk is full", ENOSPC); }

}  // namespace

class SimFile final : public File {
 public:
  SimFile(SimFiles& files, int file, std::string path, bool writes, bool locks)
      : files_(files), file_(file), path_(std::move(path)), writes_(writes), locks_(locks) {}

  Status read(uint64_t offset, void* bytes, size_t length) override {
    TOASTSTORE_TRY(begin(SimCall::kRead));
    const std::lock_guard<std::mutex> lock(files_.mutex_);
    files_.bytes_read_ += length;
    files_.live_.files[file_].read(offset, bytes, length);
    return Status::Ok();
  }

  Status write(uint64_t offset, const void* bytes, size_t length) override {
    const Status status = begin(SimCall::kWrite, offset + length);
    const std::lock_guard<std::mutex> lock(files_.mutex_);
    if (files_.dead_) return status;
    return files_.write(file_, offset, bytes, length, status);
  }

  Status sync() override {
    const Status status = begin(SimCall::kSync);
    const std::lock_guard<std::mutex> lock(files_.mutex_);
    if (files_.dead_) return status;
    files_.add({.kind = SimOp::Kind::kSync, .file = file_, .failed = !status.ok()});
    return status;
  }

  Status size(uint64_t* bytes) override {
    TOASTSTORE_TRY(begin(SimCall::kSize));
    const std::lock_guard<std::mutex> lock(files_.mutex_);
    *bytes = files_.live_.files[file_].size();
    return Status::Ok();
  }

  Status reserve(uint64_t from, uint64_t to) override {
    TOASTSTORE_TRY(begin(SimCall::kReserve, to));
    const std::lock_guard<std::mutex> lock(files_.mutex_);
    const uint64_t size = files_.live_.files[file_].size();
    EXPECT_LE(from, size) << "a hole in " << path_;
    if (to <= size) return Status::Ok();
    TOASTSTORE_TRY(files_.need(to - size));
    files_.add({.kind = SimOp::Kind::kReserve, .file = file_, .offset = to});
    return Status::Ok();
  }

  Status truncate(uint64_t bytes) override {
    TOASTSTORE_TRY(begin(SimCall::kTruncate));
    const std::lock_guard<std::mutex> lock(files_.mutex_);
    files_.add({.kind = SimOp::Kind::kTruncate, .file = file_, .offset = bytes});
    return Status::Ok();
  }

  void close() override {
    {
      const std::lock_guard<std::mutex> lock(files_.mutex_);
      if (locks_) files_.locked_.erase(file_);
    }
    delete this;
  }

 private:
  // `end` is how large the file is to be.
  Status begin(SimCall call, uint64_t end = 0) {
    EXPECT_TRUE(writes_ || call == SimCall::kRead || call == SimCall::kSize ||
                call == SimCall::kSync)
        << path_ << " was opened to be read";
    return files_.begin(call, path_, end > live_size());
  }

  uint64_t live_size() {
    const std::lock_guard<std::mutex> lock(files_.mutex_);
    return files_.live_.files[file_].size();
  }

  SimFiles& files_;
  const int file_;
  const std::string path_;
  const bool writes_;
  const bool locks_;
};

// Counts a call, and says whether it shall fail.
Status SimFiles::begin(SimCall call, const std::string& path, bool takes_space) {
  if (before) before(call, path);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (dead_) return Status::System(Code::kIo, "process is dead", EIO);
  counts_[static_cast<int>(call)]++;
  const SimFailure::Of of = failure_.of;
  if (failure_.call == 0 || (of == SimFailure::Of::kSpace && !takes_space) ||
      (of == SimFailure::Of::kSyncs && !syncs(call))) {
    return Status::Ok();
  }
  calls_++;
  if (failure_.persistent ? calls_ < failure_.call : calls_ != failure_.call) return Status::Ok();
  failures_++;
  if (failure_.of == SimFailure::Of::kSpace) return no_space();
  return Status::System(Code::kIo, "simulated failure", EIO);
}

void SimFiles::add(SimOp op) {
  op.apply_to(&live_);
  journal_.push_back(std::move(op));
}

Status SimFiles::need(uint64_t bytes) const {
  uint64_t used = bytes;
  for (const auto& [path, file] : live_.names) used += live_.files.at(file).size();
  return used > capacity ? no_space() : Status::Ok();
}

// REQUIRES: the mutex is held.
Status SimFiles::write(int file, uint64_t offset, const void* bytes, size_t length,
                       const Status& status) {
  if (!status.ok()) length = failure_.half ? length / 2 : 0;
  const uint64_t size = live_.files[file].size();
  if (status.ok() && offset + length > size) TOASTSTORE_TRY(need(offset + length - size));
  if (length == 0) return status;
  auto copy = std::make_shared<std::string>(static_cast<const char*>(bytes), length);
  add({.kind = SimOp::Kind::kWrite, .file = file, .offset = offset, .bytes = std::move(copy)});
  return status;
}

Status SimFiles::open_any(const char* path, Mode mode, bool lock, File** file) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (!live_.directories.contains(parent_path(path))) {
    return Status::System(Code::kNotFound, "directory does not exist", ENOENT);
  }
  if (!live_.has(path)) {
    if (mode != Mode::kCreate) return Status::Error(Code::kNotFound, "file does not exist");
    for (const auto& [number, content] : start_.files)
      next_file_ = std::max(next_file_, number + 1);
    add({.kind = SimOp::Kind::kCreate, .file = next_file_++, .path = path});
  }
  const int number = live_.names.at(path);
  if (lock && !locked_.insert(number).second) {
    return Status::Error(Code::kConflict, "store is open in another process");
  }
  *file = new SimFile(*this, number, path, mode != Mode::kRead, lock);
  return Status::Ok();
}

Status SimFiles::open(const char* path, Mode mode, File** file) {
  const bool creates = mode == Mode::kCreate;
  TOASTSTORE_TRY(begin(creates ? SimCall::kCreate : SimCall::kOpen, path, creates));
  return open_any(path, mode, false, file);
}

Status SimFiles::open_locked(const char* path, File** file) {
  TOASTSTORE_TRY(begin(SimCall::kLock, path, true));
  return open_any(path, Mode::kCreate, true, file);
}

Status SimFiles::rename(const char* from, const char* to) {
  TOASTSTORE_TRY(begin(SimCall::kRename, from, true));
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!live_.has(from)) return Status::System(Code::kIo, "could not rename file", ENOENT);
  add({.kind = SimOp::Kind::kRename, .file = live_.names.at(from), .path = from, .to = to});
  return Status::Ok();
}

Status SimFiles::remove(const char* path) {
  TOASTSTORE_TRY(begin(SimCall::kRemove, path, false));
  const std::lock_guard<std::mutex> lock(mutex_);
  if (live_.has(path)) {
    add({.kind = SimOp::Kind::kRemove, .file = live_.names.at(path), .path = path});
  }
  return Status::Ok();
}

Status SimFiles::make_directory(const char* path) {
  TOASTSTORE_TRY(begin(SimCall::kMakeDirectory, path, true));
  const std::lock_guard<std::mutex> lock(mutex_);
  if (live_.directories.contains(path)) return Status::Error(Code::kExists, "directory exists");
  add({.kind = SimOp::Kind::kMakeDirectory, .path = path});
  return Status::Ok();
}

Status SimFiles::sync_directory(const char* path) {
  const Status status = begin(SimCall::kSyncDirectory, path, false);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (dead_) return status;
  add({.kind = SimOp::Kind::kSyncDirectory, .failed = !status.ok(), .path = path});
  return status;
}

Status SimFiles::list(const char* path, FileNames* names) {
  TOASTSTORE_TRY(begin(SimCall::kList, path, false));
  std::vector<std::string> found;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!live_.directories.contains(path)) {
      return Status::Error(Code::kNotFound, "directory does not exist");
    }
    found = live_.paths(std::string(path) + "/");
  }
  for (const std::string& name : found) {
    TOASTSTORE_TRY(names->found(name.substr(name.rfind('/') + 1).c_str()));
  }
  return Status::Ok();
}

void SimFiles::crash_process() {
  const std::lock_guard<std::mutex> lock(mutex_);
  dead_ = true;
}

void SimFiles::start_process() {
  const std::lock_guard<std::mutex> lock(mutex_);
  dead_ = false;
  locked_.clear();
}

void SimFiles::fail(const SimFailure& failure) {
  const std::lock_guard<std::mutex> lock(mutex_);
  failure_ = failure;
  calls_ = failures_ = 0;
}

}  // namespace toaststore::test
