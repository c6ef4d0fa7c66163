// A segment is read whole, then walked in memory.

#include "file/log_reader.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "file/log.h"

namespace toaststore {

Status LogReader::open(Lsn from) {
  segment_.reset(new (std::nothrow) std::byte[segment_bytes_]);
  if (segment_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  place_ = from;
  bool there;
  TOASTSTORE_TRY(load_segment(from / segment_bytes_, &there));
  return there ? Status::Ok() : Status::Error(Code::kCorruption, "log segment is missing");
}

Status LogReader::load_segment(uint64_t segment, bool* there) {
  *there = false;
  number_ = segment;
  std::memset(segment_.get(), 0, segment_bytes_);
  char path[kMaxPath];
  segment_path(directory_, segment, path);
  File* file;
  const bool recovers = purpose_ == Purpose::kRecover;
  const auto mode = recovers ? Files::Mode::kWrite : Files::Mode::kRead;
  const Status opened = files_.open(path, mode, &file);
  if (opened.is(Code::kNotFound)) return Status::Ok();
  TOASTSTORE_TRY(opened);
  uint64_t size = 0;
  Status status = file->size(&size);
  if (status.ok()) status = file->read(0, segment_.get(), std::min(size, segment_bytes_));
  if (status.ok() && recovers) status = make_durable(file);
  file->close();
  *there = status.ok();
  return status;
}

// Of the groups that are about to be read from the loaded segment.
Status LogReader::make_durable(File* file) {
  if (place_ / segment_bytes_ != number_) return Status::Ok();
  const uint64_t start = place_ % segment_bytes_;
  uint64_t end = start;
  Lsn known = known_;
  while (const std::byte* group = group_at(end)) {
    GroupHeader header;
    std::memcpy(&header, group, sizeof(header));
    known = std::max(known, header.synced);
    end += header.length;
    if ((header.flags & kEndOfSegment) != 0) break;
  }
  const Lsn first = number_ * segment_bytes_;
  const uint64_t from = std::max(start, known > first ? known - first : 0);
  if (from >= end) return Status::Ok();
  TOASTSTORE_TRY(file->write(from, segment_.get() + from, end - from));
  return file->sync();
}

const std::byte* LogReader::group_at(uint64_t offset) const {
  if (offset >= segment_bytes_ || segment_bytes_ - offset < kGroupHeaderBytes) return nullptr;
  const std::byte* group = segment_.get() + offset;
  GroupHeader header;
  std::memcpy(&header, group, sizeof(header));
  const Lsn place = number_ * segment_bytes_ + offset;
  if (header.lsn != place || header.length < kGroupHeaderBytes ||
      header.length > segment_bytes_ - offset || header.synced > place ||
      header.crc != group_crc(store_number_, group, header.length)) {
    return nullptr;
  }
  return group;
}

Status LogReader::next_group(bool* more) {
  *more = false;
  group_ = nullptr;
  if (place_ / segment_bytes_ != number_) {
    bool there;
    TOASTSTORE_TRY(load_segment(place_ / segment_bytes_, &there));
    if (!there) return check_end();
  }
  group_ = group_at(place_ % segment_bytes_);
  if (group_ == nullptr) return check_end();
  GroupHeader header;
  std::memcpy(&header, group_, sizeof(header));
  known_ = std::max(known_, header.synced);
  length_ = header.length;
  offset_ = kGroupHeaderBytes;
  place_ += length_;
  if ((header.flags & kEndOfSegment) != 0) place_ = (number_ + 1) * segment_bytes_;
  *more = true;
  return Status::Ok();
}

Status LogReader::next(Record* record, Lsn* lsn, bool* more) {
  *more = true;
  while (group_ == nullptr || offset_ == length_) {
    TOASTSTORE_TRY(next_group(more));
    if (!*more) return Status::Ok();
  }
  TOASTSTORE_TRY(record->decode(group_ + offset_, length_ - offset_));
  offset_ += record->header.length;
  const auto in_segment = static_cast<uint64_t>(group_ - segment_.get());
  *lsn = number_ * segment_bytes_ + in_segment + offset_;
  return Status::Ok();
}

// Bytes of the loaded segment up to the last that is not zero, or a little more.
uint64_t LogReader::written_bytes() const {
  uint64_t end = segment_bytes_ & ~uint64_t{7};
  uint64_t word = 0;
  while (end > 0 && word == 0) {
    end -= sizeof(word);
    std::memcpy(&word, segment_.get() + end, sizeof(word));
  }
  return end + sizeof(word) <= segment_bytes_ - sizeof(word) ? end + sizeof(word) : end;
}

// No group is at place_.  That is damage if the log is known to go on.
Status LogReader::check_end() {
  const Status damaged = Status::Error(Code::kCorruption, "log is damaged before its end");
  if (known_ > place_) return damaged;
  uint64_t offset = place_ % segment_bytes_ + 1;
  bool there = place_ / segment_bytes_ == number_;
  for (uint64_t segment = place_ / segment_bytes_; there; segment++, offset = 0) {
    if (segment != number_) {
      TOASTSTORE_TRY(load_segment(segment, &there));
      if (!there) break;
    }
    const uint64_t written = written_bytes();
    for (; offset < written; offset++) {
      Lsn lsn;
      std::memcpy(&lsn, segment_.get() + offset, sizeof(lsn));
      if (lsn != segment * segment_bytes_ + offset) continue;
      const std::byte* group = group_at(offset);
      if (group == nullptr) continue;
      GroupHeader header;
      std::memcpy(&header, group, sizeof(header));
      if (header.synced > place_) return damaged;
    }
  }
  return Status::Ok();
}

}  // namespace toaststore
