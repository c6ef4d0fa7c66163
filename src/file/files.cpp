// POSIX files.

#include "file/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

namespace toaststore {

namespace {

constexpr size_t kStartAfter = size_t{1024} * 1024;
constexpr int kMaxParts = 64;  // a few of the system's limit

Status failed(const char* reason) {
  const int error = errno;
  const Code code = error == ENOSPC || error == EDQUOT ? Code::kNoSpace : Code::kIo;
  return Status::System(code, reason, error);
}

// Whatever the reason: what was written may be lost, which space does not bring back.
Status failed_sync(const char* reason) { return Status::System(Code::kIo, reason, errno); }

// Takes off the front of a list of parts what has been written of it.
void skip_parts(iovec** parts, int* count, size_t written) {
  while (*count > 0 && written >= (*parts)->iov_len) {
    written -= (*parts)->iov_len;
    ++*parts;
    --*count;
  }
  if (*count == 0) return;
  (*parts)->iov_base = static_cast<char*>((*parts)->iov_base) + written;
  (*parts)->iov_len -= written;
}

class PosixFile final : public File {
 public:
  explicit PosixFile(int descriptor) : descriptor_(descriptor) {}

  Status read(uint64_t offset, void* bytes, size_t length) override {
    auto* out = static_cast<char*>(bytes);
    while (length > 0) {
      const ssize_t n = pread(descriptor_, out, length, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("could not read file");
      if (n == 0) {
        std::memset(out, 0, length);
        break;
      }
      out += n;
      offset += static_cast<uint64_t>(n);
      length -= static_cast<size_t>(n);
    }
    return Status::Ok();
  }

  Status write(uint64_t offset, const void* bytes, size_t length) override {
    const size_t written = length;
    const auto* from = static_cast<const char*>(bytes);
    while (length > 0) {
      const ssize_t n = pwrite(descriptor_, from, length, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("could not write file");
      if (n == 0) {
        errno = ENOSPC;
        return failed("could not write file");
      }
      from += n;
      offset += static_cast<uint64_t>(n);
      length -= static_cast<size_t>(n);
    }
    start_writing(written);
    return Status::Ok();
  }

  Status write_parts(uint64_t offset, const Part* parts, int count) override {
    for (int done = 0; done < count; done += kMaxParts) {
      iovec vector[kMaxParts];
      iovec* left = vector;
      int some = std::min(count - done, kMaxParts);
      for (int i = 0; i < some; i++) {
        vector[i] = {const_cast<void*>(parts[done + i].bytes), parts[done + i].length};
      }
      while (some > 0) {
        const ssize_t n = pwritev(descriptor_, left, some, static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) return failed("could not write file");
        offset += static_cast<uint64_t>(n);
        skip_parts(&left, &some, static_cast<size_t>(n));
        start_writing(static_cast<size_t>(n));
      }
    }
    return Status::Ok();
  }

  // Not retried: after a failure the kernel may have dropped the pages that it could not write.
  Status sync() override {
    return fdatasync(descriptor_) == 0 ? Status::Ok() : failed_sync("could not sync file");
  }

  Status size(uint64_t* bytes) override {
    struct stat status;
    if (fstat(descriptor_, &status) != 0) return failed("could not get the size of a file");
    *bytes = static_cast<uint64_t>(status.st_size);
    return Status::Ok();
  }

  Status reserve(uint64_t from, uint64_t to) override {
    int result;
    do {
      result = fallocate(descriptor_, 0, static_cast<off_t>(from), static_cast<off_t>(to - from));
    } while (result != 0 && errno == EINTR);
    if (result == 0) return Status::Ok();
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
      return failed("could not extend file");
    }
    static const char zeros[64 * 1024] = {};
    while (from < to) {
      const size_t part = std::min<uint64_t>(sizeof(zeros), to - from);
      TOASTSTORE_TRY(write(from, zeros, part));
      from += part;
    }
    return Status::Ok();
  }

  Status truncate(uint64_t bytes) override {
    if (ftruncate(descriptor_, static_cast<off_t>(bytes)) == 0) return Status::Ok();
    return failed("could not truncate file");
  }

  void close() override {
    ::close(descriptor_);
    delete this;
  }

 private:
  // The disk may begin with what has been written, so that the next sync has less to wait for.
  // What fails here fails there.
  void start_writing(size_t bytes) {
    if (unstarted_.fetch_add(bytes, std::memory_order_relaxed) + bytes < kStartAfter) return;
    unstarted_.store(0, std::memory_order_relaxed);
    (void)sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);
  }

  int descriptor_;
  std::atomic<size_t> unstarted_{0};
};

Status wrap(int descriptor, File** file) {
  *file = new (std::nothrow) PosixFile(descriptor);
  if (*file != nullptr) return Status::Ok();
  ::close(descriptor);
  return Status::Error(Code::kNoMemory, "out of memory");
}

class PosixFiles final : public Files {
 public:
  Status open(const char* path, Mode mode, File** file) override {
    int flags = O_CLOEXEC | (mode == Mode::kRead ? O_RDONLY : O_RDWR);
    if (mode == Mode::kCreate) flags |= O_CREAT;
    const int descriptor = ::open(path, flags, 0600);
    if (descriptor >= 0) return wrap(descriptor, file);
    if (errno == ENOENT) return Status::Error(Code::kNotFound, "file does not exist");
    return failed("could not open file");
  }

  Status rename(const char* from, const char* to) override {
    return ::rename(from, to) == 0 ? Status::Ok() : failed("could not rename file");
  }

  Status remove(const char* path) override {
    return unlink(path) == 0 || errno == ENOENT ? Status::Ok() : failed("could not remove file");
  }

  Status make_directory(const char* path) override {
    if (mkdir(path, 0700) == 0) return Status::Ok();
    if (errno == EEXIST) return Status::Error(Code::kExists, "directory exists");
    return failed("could not make directory");
  }

  Status sync_directory(const char* path) override {
    const int descriptor = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return failed("could not open directory");
    const int result = fsync(descriptor);
    const Status status = result == 0 ? Status::Ok() : failed_sync("could not sync directory");
    ::close(descriptor);
    return status;
  }

  Status list(const char* path, FileNames* names) override {
    DIR* directory = opendir(path);
    if (directory == nullptr) {
      if (errno == ENOENT || errno == ENOTDIR) {
        return Status::Error(Code::kNotFound, "directory does not exist");
      }
      return failed("could not open directory");
    }
    Status status;
    errno = 0;
    while (dirent* entry = readdir(directory)) {
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
      status = names->found(entry->d_name);
      if (!status.ok()) break;
      errno = 0;
    }
    if (status.ok() && errno != 0) status = failed("could not read directory");
    closedir(directory);
    return status;
  }

  Status open_locked(const char* path, File** file) override {
    const int descriptor = ::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return failed("could not open file");
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return wrap(descriptor, file);
    const Status status = errno == EWOULDBLOCK
                              ? Status::Error(Code::kConflict, "store is open in another process")
                              : failed("could not lock file");
    ::close(descriptor);
    return status;
  }
};

}  // namespace

Status File::write_parts(uint64_t offset, const Part* parts, int count) {
  for (int i = 0; i < count; i++) {
    TOASTSTORE_TRY(write(offset, parts[i].bytes, parts[i].length));
    offset += parts[i].length;
  }
  return Status::Ok();
}

Files& posix_files() {
  static PosixFiles files;
  return files;
}

}  // namespace toaststore
