// The operating system's files, as a port: POSIX in files.cpp; in the tests a disk in memory that
// crashes, tears and fails.
//
// Every call may fail with kIo or, but for syncs, kNoSpace, and the system's error number.  What a
// write wrote is durable once sync() has returned; what create, rename and remove did to a
// directory once sync_directory() has.

#ifndef TOASTSTORE_FILE_FILES_H_
#define TOASTSTORE_FILE_FILES_H_

#include <cstddef>
#include <cstdint>

#include "toaststore/status.h"

namespace toaststore {

class File {
 public:
  // Reads exactly `length` bytes; what lies beyond the end of the file reads as zeros.
  virtual Status read(uint64_t offset, void* bytes, size_t length) = 0;
  virtual Status write(uint64_t offset, const void* bytes, size_t length) = 0;
  // Writes several pieces, one behind the other.
  struct Part {
    const void* bytes;
    size_t length;
  };
  virtual Status write_parts(uint64_t offset, const Part* parts, int count);
  virtual Status sync() = 0;
  virtual Status size(uint64_t* bytes) = 0;
  // Makes bytes [from, to) exist with their space reserved.  REQUIRES: from is not behind the end.
  virtual Status reserve(uint64_t from, uint64_t to) = 0;
  virtual Status truncate(uint64_t bytes) = 0;
  virtual void close() = 0;  // and deletes the object

 protected:
  ~File() = default;
};

class FileNames {
 public:
  virtual Status found(const char* name) = 0;

 protected:
  ~FileNames() = default;
};

class Files {
 public:
  enum class Mode : uint8_t { kRead, kWrite, kCreate };

  // kNotFound where there is no such file and the mode does not create it.
  virtual Status open(const char* path, Mode mode, File** file) = 0;
  virtual Status rename(const char* from, const char* to) = 0;
  virtual Status remove(const char* path) = 0;
  // kExists where it is there already.
  virtual Status make_directory(const char* path) = 0;
  virtual Status sync_directory(const char* path) = 0;
  // Names in a directory, in no order.
  virtual Status list(const char* path, FileNames* names) = 0;
  // Keeps other processes out of a file until it is closed.  kConflict where one is in.
  virtual Status open_locked(const char* path, File** file) = 0;

 protected:
  ~Files() = default;
};

Files& posix_files();

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_FILES_H_
