// What a simulated disk holds: files and the names of files, cheap to copy, and every state that a
// crash may leave of it.
//
// What a crash leaves:
//   * What a file was made of when it was last synced is there.  Of each sector written since, any
//     version written since may be; of its size, any that it had since.
//   * Names are there as they were when their directory was last synced; of what happened to them
//     since, any part may be.  A rename is one step.
//   * Bytes written before a sync that failed are lost, though they are read until the crash, and
//   no
//     later sync brings them back; it does bring back the file's size.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_SIM_DISK_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_SIM_DISK_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/test_store.h"

namespace toaststore::test {

inline constexpr uint32_t kSectorBytes = 512;

// A file's bytes.  Copies share what neither has written since.
class SimContent {
 public:
  uint64_t size() const { return size_; }
  // Zeros behind the end.
  void read(uint64_t offset, void* bytes, size_t length) const;
  void write(uint64_t offset, const void* bytes, size_t length);
  // Cuts off, or appends zeros.
  void resize(uint64_t bytes);
  // Changes one byte into another.
  void flip(uint64_t offset, uint8_t bits);

 private:
  static constexpr size_t kBlockBytes = 8192;
  using BlockBytes = std::array<char, kBlockBytes>;

  char* writable(uint64_t block);

  uint64_t size_ = 0;
  std::vector<std::shared_ptr<BlockBytes>> blocks_;  // null: zeros
};

struct SimDisk {
  std::map<std::string, int> names;  // paths of files
  std::set<std::string> directories{"/sim"};
  std::map<int, SimContent> files;

  // REQUIRES: there is such a file.
  SimContent& at(const std::string& path) { return files.at(names.at(path)); }
  bool has(const std::string& path) const { return names.contains(path); }
  // Paths that begin with `prefix`, in order.
  std::vector<std::string> paths(const std::string& prefix) const;
};

std::string parent_path(const std::string& path);

// One thing that was done to a disk.
struct SimOp {
  enum class Kind : uint8_t {
    kWrite,
    kReserve,
    kTruncate,
    kSync,
    kCreate,
    kRename,
    kRemove,
    kMakeDirectory,
    kSyncDirectory,
  };
  Kind kind;
  int file = 0;
  bool failed = false;  // kSync only: other operations that failed are not there
  uint64_t offset = 0;  // kReserve, kTruncate: the size
  std::shared_ptr<const std::string> bytes;
  std::string path;
  std::string to;  // of a rename

  bool of_names() const { return kind >= Kind::kCreate && kind <= Kind::kMakeDirectory; }
  void apply_to(SimDisk* disk) const;
};

using SimJournal = std::vector<SimOp>;

// The states that a crash may leave after each operation of a journal.
class CrashedDisks {
 public:
  // Both outlive the object.
  CrashedDisks(const SimDisk& start, const SimJournal& journal);

  // Operations that have happened.
  size_t done() const { return done_; }
  // One operation more happens.  False where there is none.
  bool advance();

  // Only what was synced.
  SimDisk nothing_else() const { return sweep(durable_); }
  // Everything: the process crashed, the machine did not.
  SimDisk everything() const { return sweep(all_); }
  // Something between.
  SimDisk something(Random* random) const;
  // Is there anything between?
  bool anything_unsynced() const { return !contents_.empty() || !names_.empty(); }

 private:
  static SimDisk sweep(SimDisk disk);
  void end_of_sync(const SimOp& sync);
  void apply(size_t op, SimDisk* disk) const;
  void some_of(int file, const std::vector<size_t>& ops, Random* random, SimDisk* disk) const;

  const SimJournal& journal_;
  size_t done_ = 0;
  SimDisk durable_;
  SimDisk all_;
  // Operations that are not durable: by file, and by directory.
  std::map<int, std::vector<size_t>> contents_;
  std::map<std::string, std::vector<size_t>> names_;
  std::set<size_t> lost_;  // writes before a failed sync
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_SIM_DISK_H_
