// Growing the relation's file by runs of blocks with their space really reserved.
//
// Extending block by block writes a zero page for each; extending sparsely defers "disk full" to
// write-back, when it can no longer be answered.  fallocate does neither.  A reservation is not
// logged: after a crash or a promotion the file may be shorter than the map says, so the size is
// looked at again, under the extension lock, before a block is used.
//
// Each segment is filled to its full size before the next one begins, as md.c requires.  No other
// heavyweight lock is taken while the extension lock is held.

#include <fcntl.h>

#include <algorithm>

#include "postgres/host.h"

namespace toaststore {

namespace {

// The file grows in steps of a share of its size, up to a steady extent.
constexpr Block kStepShare = 32;
constexpr Block kMaxStep = 128;

void zero_blocks(Relation rel, Block from, Block to) {
  PGAlignedBlock zero;
  MemSet(zero.data, 0, BLCKSZ);
  for (Block block = from; block < to; block++) {
    smgrextend(RelationGetSmgr(rel), MAIN_FORKNUM, block, zero.data, false);
  }
}

// Reserves blocks [from, to) of one segment.  False where the file system cannot.
bool allocate_in_segment(Relation rel, Block from, Block to) {
  const Block segment = from / RELSEG_SIZE;
  char* file = segment_path(rel, segment);
  const int fd = OpenTransientFile(file, O_RDWR | PG_BINARY | (segment == 0 ? 0 : O_CREAT));
  if (fd < 0) {
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", file)));
  }
  const off_t offset = static_cast<off_t>(from % RELSEG_SIZE) * BLCKSZ;
  const off_t length = static_cast<off_t>(to - from) * BLCKSZ;
  int result;
  do {
    result = fallocate(fd, 0, offset, length);
  } while (result != 0 && errno == EINTR);
  const int saved = errno;
  CloseTransientFile(fd);
  const bool unsupported = saved == EOPNOTSUPP || saved == ENOSYS || saved == EINVAL;
  if (result == 0 || unsupported) {
    // A large value comes here once a megabyte.
    pfree(file);
    return result == 0;
  }
  errno = saved;
  ereport(ERROR, (errcode_for_file_access(),
                  errmsg("could not extend file \"%s\" by %u blocks: %m", file, to - from),
                  saved == ENOSPC ? errhint("Check free disk space.") : 0));
}

void extend_file(Relation rel, Block from, Block to) {
  while (from < to) {
    const Block segment_end = (from / RELSEG_SIZE + 1) * RELSEG_SIZE;
    const Block part = std::min(to, segment_end);
    if (!allocate_in_segment(rel, from, part)) zero_blocks(rel, from, part);
    from = part;
  }
}

}  // namespace

Status ServerPager::reserve(Block end, Block limit) {
  if (end <= known_blocks_) return Status::Ok();
  const bool shared = !RELATION_IS_LOCAL(rel_);
  if (shared) LockRelationForExtension(rel_, ExclusiveLock);
  const Block have = blocks();
  if (end > have) {
    const Block step = std::min(have / kStepShare, kMaxStep);
    const Block target = std::max(end, std::min(limit, end + step));
    extend_file(rel_, have, target);
    known_blocks_ = target;
  }
  if (shared) UnlockRelationForExtension(rel_, ExclusiveLock);
  stop_after(Step::kReserve);
  return Status::Ok();
}

}  // namespace toaststore
