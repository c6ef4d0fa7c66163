// Bytes in and out of files and pipes.

#ifndef TOASTSTORE_CTL_STREAM_H_
#define TOASTSTORE_CTL_STREAM_H_

#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

namespace toaststore::ctl {

// A value passes through memory in parts of this size.
inline constexpr size_t kSliceBytes = size_t{1} << 20;

// All of a file, or of the standard input ("-").
std::vector<std::byte> read_all(const std::string& path);

// A file being written, or the standard output ("-").
class Output {
 public:
  // Not opened before there is something to write: a command that fails first leaves the file that
  // was there.
  explicit Output(const std::string& path) : path_(path) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output();

  void open();
  void write(const void* bytes, size_t length);
  // Nothing is written for sure before this returns.
  void finish();

 private:
  const std::string path_;
  std::FILE* file_ = nullptr;
};

// Says so if what was printed did not get through.
void finish_printing();

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_STREAM_H_
