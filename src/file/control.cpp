// Reading, checking and replacing the control file.

#include "file/control.h"

#include <cstdio>
#include <cstring>
#include <new>

#include "file/log.h"

namespace toaststore {

namespace {

constexpr char kMagic[8] = {'t', 'o', 'a', 's', 't', 'c', 't', 'l'};

struct ControlHeader {
  char magic[8];
  uint32_t version;
  uint32_t crc;
  uint64_t store_number;
  uint64_t segment_bytes;
  uint64_t redo;
  uint64_t synced;
  uint32_t next_xid;
  uint32_t unfinished;
  uint32_t blocks;
  uint32_t name_blocks;
};
static_assert(sizeof(ControlHeader) == 64);

uint32_t control_crc(ControlHeader header, const Xid* xids) {
  header.crc = 0;
  return crc32c_extend(crc32c(&header, sizeof(header)), xids, header.unfinished * sizeof(Xid));
}

Status damaged() { return Status::Error(Code::kCorruption, "control file is damaged"); }

Status read_file(File* file, Control* control) {
  ControlHeader header;
  uint64_t size;
  TOASTSTORE_TRY(file->size(&size));
  TOASTSTORE_TRY(file->read(0, &header, sizeof(header)));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) return damaged();
  if (header.version > kControlVersion) {
    return Status::Error(Code::kNewerFormat, "store was written by a newer version");
  }
  if (size != sizeof(header) + uint64_t{header.unfinished} * sizeof(Xid)) return damaged();
  control->xids.reset(new (std::nothrow) Xid[header.unfinished + 1]);
  if (control->xids == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  TOASTSTORE_TRY(file->read(sizeof(header), control->xids.get(), header.unfinished * sizeof(Xid)));
  if (control_crc(header, control->xids.get()) != header.crc) return damaged();
  control->store_number = header.store_number;
  control->segment_bytes = header.segment_bytes;
  control->redo = header.redo;
  control->synced = header.synced;
  control->next_xid = header.next_xid;
  control->unfinished = header.unfinished;
  control->blocks = header.blocks;
  control->name_blocks = header.name_blocks;
  if (control->segment_bytes < kMinSegmentBytes || control->redo < control->segment_bytes) {
    return damaged();
  }
  return Status::Ok();
}

Status write_file(File* file, const Control& control) {
  ControlHeader header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kControlVersion;
  header.store_number = control.store_number;
  header.segment_bytes = control.segment_bytes;
  header.redo = control.redo;
  header.synced = control.synced;
  header.next_xid = control.next_xid;
  header.unfinished = control.unfinished;
  header.blocks = control.blocks;
  header.name_blocks = control.name_blocks;
  header.crc = control_crc(header, control.xids.get());
  TOASTSTORE_TRY(file->truncate(0));
  TOASTSTORE_TRY(file->write(0, &header, sizeof(header)));
  TOASTSTORE_TRY(file->write(sizeof(header), control.xids.get(), header.unfinished * sizeof(Xid)));
  return file->sync();
}

}  // namespace

Status read_control(Files& files, const char* directory, Control* control) {
  char path[kMaxPath];
  std::snprintf(path, sizeof(path), "%s/control", directory);
  File* file;
  TOASTSTORE_TRY(files.open(path, Files::Mode::kRead, &file));
  const Status status = read_file(file, control);
  file->close();
  return status;
}

Status write_control(Files& files, const char* directory, const Control& control) {
  char path[kMaxPath];
  char fresh[kMaxPath];
  std::snprintf(path, sizeof(path), "%s/control", directory);
  std::snprintf(fresh, sizeof(fresh), "%s/control.new", directory);
  File* file;
  TOASTSTORE_TRY(files.open(fresh, Files::Mode::kCreate, &file));
  const Status status = write_file(file, control);
  file->close();
  TOASTSTORE_TRY(status);
  TOASTSTORE_TRY(files.rename(fresh, path));
  return files.sync_directory(directory);
}

}  // namespace toaststore
