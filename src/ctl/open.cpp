// Opening as carefully as the command allows: a reader writes nothing, and shares the store with
// other readers.

#include "ctl/open.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "ctl/command.h"

namespace toaststore::ctl {

namespace fs = std::filesystem;

OpenStore::OpenStore(const std::string& path, For purpose, const Options& options) : path_(path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  const bool file = fs::exists(status) && !fs::is_directory(status);
  if (file && purpose != For::kReading) {
    throw Failure(kFailed, path + ": a server's store can only be read");
  }
  if (file) {
    open_relation();
  } else if (purpose == For::kReading) {
    open_to_read();
  } else {
    open_to_write(purpose, options);
  }
}

OpenStore::~OpenStore() { unlock(); }

void OpenStore::open_relation() {
  Store* store = nullptr;
  expect(Store::open_relation(path_.c_str(), {}, &store), path_);
  store_.reset(store);
}

void OpenStore::open_to_read() {
  lock_out_writers();
  StoreOptions options;
  options.read_only = true;
  Store* store = nullptr;
  const Status status = Store::open(path_.c_str(), options, &store);
  store_.reset(store);
  if (status.ok()) return;
  if (status.is(Code::kNotFound)) throw Failure(kFailed, path_ + ": there is no store");
  if (!status.is(Code::kInvalid)) expect(status, path_);
  // There is something in its log that is not in its pages.
  std::fprintf(stderr, "toaststorectl: %s: was not closed properly, recovering it\n",
               path_.c_str());
  unlock();
  open_to_write(For::kWriting, {});
}

// A store is made in a directory that is new or empty: a mistyped name is not filled with files.
void OpenStore::open_to_write(For purpose, const Options& values) {
  const bool create = purpose == For::kCreating || purpose == For::kFilling;
  std::error_code error;
  if (create && fs::is_directory(path_, error) && !fs::exists(fs::path(path_) / "lock", error) &&
      !fs::is_empty(path_, error)) {
    throw Failure(kFailed, path_ + ": is a directory of something else");
  }
  StoreOptions options;
  options.create = create;
  options.values = values;
  if (purpose == For::kFilling) options.sync = Sync::kNever;
  Store* store = nullptr;
  const Status status = Store::open(path_.c_str(), options, &store);
  if (status.is(Code::kNotFound)) throw Failure(kFailed, path_ + ": there is no store");
  expect(status, path_);
  store_.reset(store);
}

// A writer holds this lock exclusively.  Where it can't be taken for other reasons, as on a medium
// that is read-only, nobody writes.
void OpenStore::lock_out_writers() {
  lock_ = open((path_ + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (lock_ >= 0 && flock(lock_, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    unlock();
    throw Failure(kFailed, path_ + ": store is open in another process");
  }
}

void OpenStore::unlock() {
  if (lock_ >= 0) ::close(lock_);
  lock_ = -1;
}

void OpenStore::close() {
  const Status status = store_->close();
  store_.reset();
  unlock();
  expect(status, path_);
}

}  // namespace toaststore::ctl
