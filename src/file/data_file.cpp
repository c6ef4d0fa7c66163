// Segments, and growing the last of them.

#include "file/data_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "file/log.h"

namespace toaststore {

namespace {

// The file grows in steps of a share of its size, up to a steady extent, as in the server.
constexpr Block kStepShare = 32;
constexpr Block kMaxStep = 128;

}  // namespace

DataFile::~DataFile() {
  for (uint32_t i = 0; i < count_; i++) segments_[i].load()->close();
}

void DataFile::segment_name(uint32_t segment, char* path) const {
  if (segment == 0) {
    std::snprintf(path, kMaxPath, "%s", path_);
  } else {
    std::snprintf(path, kMaxPath, "%s.%u", path_, segment);
  }
}

Status DataFile::open_segment(uint32_t segment, Files::Mode mode) {
  if (segment == kMaxSegments) return Status::Error(Code::kLimit, "data file is too large");
  char path[kMaxPath];
  segment_name(segment, path);
  File* file;
  TOASTSTORE_TRY(files_.open(path, mode, &file));
  segments_[segment] = file;
  unsynced_[segment] = true;
  unsynced_names_ = true;
  count_ = segment + 1;
  return Status::Ok();
}

Status DataFile::open(const char* path, Files::Mode mode) {
  path_ = path;
  TOASTSTORE_TRY(open_segment(0, mode));
  const Files::Mode existing = mode == Files::Mode::kRead ? mode : Files::Mode::kWrite;
  for (uint32_t segment = 0;; segment++) {
    uint64_t size;
    TOASTSTORE_TRY(segments_[segment].load()->size(&size));
    const uint64_t here = std::min<uint64_t>(size / kPageBytes, kSegmentBlocks);
    blocks_ = segment * kSegmentBlocks + static_cast<Block>(here);
    if (here < kSegmentBlocks) return Status::Ok();
    const Status status = open_segment(segment + 1, existing);
    if (status.is(Code::kNotFound)) return Status::Ok();
    TOASTSTORE_TRY(status);
  }
}

Status DataFile::read(Block block, std::byte* page) {
  const bool whole = block < blocks();
  Status status =
      segment_of(block)->read(uint64_t{block % kSegmentBlocks} * kPageBytes, page, kPageBytes);
  if (!status.ok()) status.block = block;
  // Cut off meanwhile: what was read may be half of it.
  if (status.ok() && whole && block >= blocks()) std::memset(page, 0, kPageBytes);
  return status;
}

Status DataFile::write(Block block, const std::byte* page) { return write_run(block, &page, 1); }

Status DataFile::write_run(Block first, const std::byte* const* pages, int count) {
  File::Part parts[kMostPages];
  for (int i = 0; i < count; i++) parts[i] = {pages[i], kPageBytes};
  for (int done = 0; done < count;) {
    const Block block = first + static_cast<Block>(done);
    const Block here = block % kSegmentBlocks;
    const int some = std::min(count - done, static_cast<int>(kSegmentBlocks - here));
    Status status = segment_of(block)->write_parts(uint64_t{here} * kPageBytes, parts + done, some);
    note_written(block);
    if (!status.ok()) status.block = block;
    TOASTSTORE_TRY(status);
    done += some;
  }
  return Status::Ok();
}

void DataFile::note_new(Block from, Block to) {
  const std::lock_guard<std::mutex> lock(new_);
  if (new_count_ > 0 && new_ranges_[new_count_ - 1].to == from) {
    new_ranges_[new_count_ - 1].to = to;
  } else if (new_count_ < kMaxRanges) {
    new_ranges_[new_count_++] = {from, to};
  }
}

void DataFile::forget_new(Block end) {
  const std::lock_guard<std::mutex> lock(new_);
  while (new_count_ > 0 && new_ranges_[new_count_ - 1].from >= end) new_count_--;
  if (new_count_ == 0) return;
  Range& last = new_ranges_[new_count_ - 1];
  last.to = std::min(last.to, end);
}

// Lanes take blocks from the front of their runs, so there are few ranges.
bool DataFile::take_new(Block block) {
  const std::lock_guard<std::mutex> lock(new_);
  for (int i = new_count_ - 1; i >= 0; i--) {
    Range& range = new_ranges_[i];
    if (block >= range.to) return false;
    if (block < range.from) continue;
    const Range behind{block + 1, range.to};
    range.to = block;
    Range* place = &range + 1;
    if (range.from == range.to) {
      place = &range;
      std::copy(place + 1, new_ranges_ + new_count_, place);
      new_count_--;
    }
    if (behind.from < behind.to && new_count_ < kMaxRanges) {
      std::copy_backward(place, new_ranges_ + new_count_, new_ranges_ + new_count_ + 1);
      *place = behind;
      new_count_++;
    }
    return true;
  }
  return false;
}

Status DataFile::reserve(Block end, Block limit) {
  if (end <= blocks()) return Status::Ok();
  const std::lock_guard<std::mutex> lock(extension_);
  Block have = blocks();
  if (end <= have) return Status::Ok();
  const Block target = std::max(end, std::min(limit, end + std::min(have / kStepShare, kMaxStep)));
  while (have < target) {
    const uint32_t segment = have / kSegmentBlocks;
    if (segment == count_) TOASTSTORE_TRY(open_segment(segment, Files::Mode::kCreate));
    const Block first = segment * kSegmentBlocks;
    const Block part = std::min(target, first + kSegmentBlocks);
    TOASTSTORE_TRY(segment_of(have)->reserve(uint64_t{have - first} * kPageBytes,
                                             uint64_t{part - first} * kPageBytes));
    note_written(have);
    note_new(have, part);
    have = part;
    blocks_.store(have, std::memory_order_release);
  }
  return Status::Ok();
}

// Segments that lose all of their blocks stay as empty files: somebody may be about to read them.
Status DataFile::truncate(Block end) {
  const std::lock_guard<std::mutex> lock(extension_);
  blocks_.store(end, std::memory_order_release);
  forget_new(end);
  for (uint32_t segment = count_; segment-- > end / kSegmentBlocks;) {
    const Block first = segment * kSegmentBlocks;
    const Block kept = end > first ? end - first : 0;
    unsynced_[segment] = true;
    TOASTSTORE_TRY(segments_[segment].load()->truncate(uint64_t{kept} * kPageBytes));
  }
  return Status::Ok();
}

// Who comes while another one syncs waits for it: what it has taken upon itself is not durable yet.
Status DataFile::sync() {
  const std::lock_guard<std::mutex> lock(syncing_);
  TOASTSTORE_TRY(failed_);
  for (uint32_t i = 0; i < count_ && failed_.ok(); i++) {
    if (unsynced_[i].exchange(false)) failed_ = segments_[i].load()->sync();
  }
  // The names of new segments are durable before what is in them is relied upon.
  if (failed_.ok() && unsynced_names_.exchange(false)) failed_ = sync_names();
  return failed_;
}

Status DataFile::sync_names() {
  char directory[kMaxPath];
  std::snprintf(directory, sizeof(directory), "%s", path_);
  char* slash = std::strrchr(directory, '/');
  if (slash == nullptr) return files_.sync_directory(".");
  *slash = '\0';
  return files_.sync_directory(directory);
}

}  // namespace toaststore
