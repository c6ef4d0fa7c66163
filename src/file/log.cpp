// Gathering, writing and syncing groups.

#include "file/log.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <new>

#include "file/data_file.h"

namespace toaststore {

namespace {

constexpr char kPrefix[] = "log-";
constexpr size_t kDigits = 16;
constexpr size_t kGroupSpace = kGroupHeaderBytes + kGroupBytes + kMaxRecordBytes;

}  // namespace

void segment_path(const char* directory, uint64_t segment, char* path) {
  std::snprintf(path, kMaxPath, "%s/%s%016" PRIx64, directory, kPrefix, segment);
}

uint64_t segment_of(const char* name) {
  const size_t prefix = sizeof(kPrefix) - 1;
  if (std::strncmp(name, kPrefix, prefix) != 0 || std::strlen(name) != prefix + kDigits) return 0;
  uint64_t segment = 0;
  for (const char* digit = name + prefix; *digit != '\0'; digit++) {
    const char* found = std::strchr("0123456789abcdef", *digit);
    if (found == nullptr) return 0;
    segment = segment * 16 + static_cast<uint64_t>(found - "0123456789abcdef");
  }
  return segment;
}

Log::~Log() {
  if (file_ != nullptr) file_->close();
}

Status Log::start(uint64_t segment) {
  for (Group* group : {&group_, &spare_}) {
    group->bytes.reset(new (std::nothrow) std::byte[kGroupSpace]);
    if (group->bytes == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  }
  TOASTSTORE_TRY(make_segment(segment));
  made_ = oldest_ = needed_ = segment;
  group_.start = segment * segment_bytes_;
  group_.length = kGroupHeaderBytes;
  written_ = redo_ = image_up_to_ = group_.start;
  synced_ = group_.start;
  return Status::Ok();
}

Status Log::make_segment(uint64_t segment) {
  char path[kMaxPath];
  segment_path(directory_, segment, path);
  File* file;
  TOASTSTORE_TRY(files_.open(path, Files::Mode::kCreate, &file));
  Status status = file->reserve(0, segment_bytes_);
  if (status.ok()) status = file->sync();
  file->close();
  if (status.ok()) status = files_.sync_directory(directory_);
  // Not left half made: its name would be taken for a segment's.
  if (!status.ok()) (void)files_.remove(path);
  return status;
}

// All of its space is reserved and durable.  Until the directory is synced the segment may have
// either name after a crash, and no record of use under any.
Status Log::reuse_segment(uint64_t spare, uint64_t segment) {
  char from[kMaxPath];
  char to[kMaxPath];
  segment_path(directory_, spare, from);
  segment_path(directory_, segment, to);
  TOASTSTORE_TRY(files_.rename(from, to));
  return files_.sync_directory(directory_);
}

Status Log::prepare(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    TOASTSTORE_TRY(health_);
    const Lsn end = group_.start + group_.length;
    const bool full = group_.length >= group_bytes_ || left_in_segment(end) < kMaxRecordBytes;
    if (!full) break;
    TOASTSTORE_TRY(write_group(lock));
  }
  const uint64_t segment = group_.start / segment_bytes_;
  if (segment > made_) {
    const bool spare = oldest_ < needed_;
    const Status status = spare ? reuse_segment(oldest_++, segment) : make_segment(segment);
    // A disk that is full may have space again; one that does not sync has failed.
    if (status.is(Code::kIo)) health_ = status;
    TOASTSTORE_TRY(status);
    made_ = segment;
  }
  return Status::Ok();
}

// The end of the last record.
Lsn Log::place() const {
  return group_.length == kGroupHeaderBytes ? group_.start : group_.start + group_.length;
}

Lsn Log::append(const Record& record) {
  record.encode(group_.bytes.get() + group_.length);
  group_.length += record.header.length;
  return group_.start + group_.length;
}

// Writes what is gathered, or waits until whoever writes has done.  The lock is given up meanwhile.
Status Log::write_group(std::unique_lock<std::mutex>& lock) {
  if (busy_) {
    idle_.wait(lock);
    return health_;
  }
  if (group_.length == kGroupHeaderBytes) return Status::Ok();
  const Lsn end = group_.start + group_.length;
  // The next group must be able to take any record.
  const bool last = left_in_segment(end) < kGroupHeaderBytes + kMaxRecordBytes;
  GroupHeader header{group_.start, group_.length, 0, synced(), last ? kEndOfSegment : 0, 0};
  std::memcpy(group_.bytes.get(), &header, sizeof(header));
  header.crc = group_crc(store_number_, group_.bytes.get(), group_.length);
  std::memcpy(group_.bytes.get(), &header, sizeof(header));
  std::swap(group_, spare_);
  const Lsn next = last ? (end / segment_bytes_ + 1) * segment_bytes_ : end;
  group_.start = next;
  group_.length = kGroupHeaderBytes;

  busy_ = true;
  lock.unlock();
  Lsn synced_now = kNoLsn;
  const Status status = put_group(&spare_, &synced_now);
  lock.lock();
  busy_ = false;
  if (synced_now > synced()) synced_.store(synced_now, std::memory_order_release);
  if (status.ok()) {
    written_ = next;
  } else {
    health_ = status;
  }
  idle_.notify_all();
  return status;
}

Status Log::put_group(Group* group, Lsn* synced) {
  if (past_.exchange(false, std::memory_order_acquire)) TOASTSTORE_TRY(data_->sync());
  const uint64_t segment = group->start / segment_bytes_;
  if (file_ == nullptr || segment != file_segment_) {
    TOASTSTORE_TRY(open_segment(segment, group->start, synced));
  }
  const Status status =
      file_->write(group->start % segment_bytes_, group->bytes.get(), group->length);
  if (!status.is(Code::kNoSpace)) return status;
  return Status::System(Code::kIo, "could not write to the space reserved for the log",
                        status.error);
}

// Leaves a segment only when it is durable.
Status Log::open_segment(uint64_t segment, Lsn before, Lsn* synced) {
  if (file_ != nullptr) {
    TOASTSTORE_TRY(file_->sync());
    *synced = before;
    file_->close();
    file_ = nullptr;
  }
  char path[kMaxPath];
  segment_path(directory_, segment, path);
  TOASTSTORE_TRY(files_.open(path, Files::Mode::kWrite, &file_));
  file_segment_ = segment;
  return Status::Ok();
}

// Writes, and syncs if it is to be durable, until `lsn` is behind.
Status Log::advance(std::unique_lock<std::mutex>& lock, Lsn lsn, bool durable) {
  for (;;) {
    TOASTSTORE_TRY(health_);
    if (durable ? synced() >= lsn : written_ >= lsn) return Status::Ok();
    if (busy_) {
      idle_.wait(lock);
      continue;
    }
    if (written_ < lsn) {
      TOASTSTORE_TRY(write_group(lock));
      continue;
    }
    const Lsn target = written_;
    busy_ = true;
    lock.unlock();
    const Status status = file_->sync();
    lock.lock();
    busy_ = false;
    if (status.ok()) {
      synced_.store(target, std::memory_order_release);
    } else {
      health_ = status;
    }
    idle_.notify_all();
  }
}

Status Log::sync(Lsn lsn) {
  std::unique_lock<std::mutex> lock(mutex_);
  return advance(lock, lsn, true);
}

Status Log::write(Lsn lsn) {
  std::unique_lock<std::mutex> lock(mutex_);
  return advance(lock, lsn, false);
}

// The open group holds records from before the checkpoint, which are replayed once more: each finds
// its page as new as itself, or torn, and then an image follows.
Lsn Log::begin_checkpoint(Insertion*) {
  image_up_to_ = place();
  return group_.start;
}

void Log::end_checkpoint(Lsn redo) {
  const std::lock_guard<std::mutex> lock(mutex_);
  redo_ = redo;
}

Status Log::release_before(Lsn lsn) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    needed_ = lsn / segment_bytes_;
  }
  return remove_spares_beyond(spares_);
}

Status Log::remove_spares() { return remove_spares_beyond(0); }

// Others append meanwhile, and may take spare segments.
Status Log::remove_spares_beyond(uint64_t most) {
  for (;;) {
    char path[kMaxPath];
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (needed_ - oldest_ <= most) return Status::Ok();
      segment_path(directory_, oldest_++, path);
    }
    TOASTSTORE_TRY(files_.remove(path));
  }
}

Lsn Log::end() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return place();
}

uint64_t Log::since_checkpoint() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return place() - redo_;
}

Status Log::health() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return health_;
}

Status Log::fail(const Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (health_.ok()) health_ = status;
  idle_.notify_all();
  return health_;
}

}  // namespace toaststore
