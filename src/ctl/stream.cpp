// Reading whole files, and writing without losing an error.

#include "ctl/stream.h"

#include <sys/stat.h>

#include <memory>

#include "ctl/command.h"

namespace toaststore::ctl {

namespace {

constexpr size_t kFirstRead = size_t{1} << 20;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

std::vector<std::byte> read_all(const std::string& path) {
  const bool standard = path == "-";
  const std::unique_ptr<std::FILE, CloseFile> opened(standard ? nullptr
                                                              : std::fopen(path.c_str(), "rbe"));
  std::FILE* file = standard ? stdin : opened.get();
  if (file == nullptr) fail_system(path);
  // One byte more than the file has, to find its end without growing.
  struct ::stat status;
  size_t space = kFirstRead;
  if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode)) {
    space = static_cast<size_t>(status.st_size) + 1;
  }
  std::vector<std::byte> bytes(space);
  size_t length = 0;
  for (size_t read;
       (read = std::fread(bytes.data() + length, 1, bytes.size() - length, file)) > 0;) {
    length += read;
    if (length == bytes.size()) bytes.resize(length * 2);
  }
  if (std::ferror(file) != 0) fail_system(standard ? "standard input" : path);
  bytes.resize(length);
  return bytes;
}

Output::~Output() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
}

void Output::open() {
  file_ = path_ == "-" ? stdout : std::fopen(path_.c_str(), "wbe");
  if (file_ == nullptr) fail_system(path_);
}

void Output::write(const void* bytes, size_t length) {
  if (std::fwrite(bytes, 1, length, file_) == length) return;
  fail_system(file_ == stdout ? "standard output" : path_);
}

void Output::finish() {
  std::FILE* file = file_;
  if (file == stdout) return finish_printing();
  file_ = nullptr;
  if (std::fclose(file) != 0) fail_system(path_);
}

void finish_printing() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) fail_system("standard output");
}

}  // namespace toaststore::ctl
