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
  Status status =
      segment_of(block)->read(uint64_t{block % kSegmentBlocks} * kPageBytes, page, kPageBytes);
  if (!status.ok()) status.block = block;
  return status;
}

Status DataFile::write(Block block, const std::byte* page) {
  Status status =
      segment_of(block)->write(uint64_t{block % kSegmentBlocks} * kPageBytes, page, kPageBytes);
  if (!status.ok()) status.block = block;
  return status;
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
    have = part;
    blocks_.store(have, std::memory_order_release);
  }
  return Status::Ok();
}

// The names of new segments are durable before what is in them is relied upon.
Status DataFile::sync() {
  for (uint32_t i = 0; i < count_; i++) TOASTSTORE_TRY(segments_[i].load()->sync());
  char directory[kMaxPath];
  std::snprintf(directory, sizeof(directory), "%s", path_);
  char* slash = std::strrchr(directory, '/');
  if (slash == nullptr) return files_.sync_directory(".");
  *slash = '\0';
  return files_.sync_directory(directory);
}

}  // namespace toaststore
