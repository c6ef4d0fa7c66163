// Reading runs of pages past shared buffers: one read of the file instead of a buffer, an eviction
// and a read for each page.  Large values come from the system's cache in this way and leave shared
// buffers to what is used more often.  What one backend reads again goes through them.
//
// Why the bytes are those that shared buffers would have given:
//   * A page that is not in shared buffers has been written: a buffer leaves the mapping table only
//     when its page is in the file (or, where the file is cut or dropped, under a lock that
//     excludes us).  A page being written or read in is in the table, and goes the usual way.
//   * From the look at the table to the read, others may read the page in, change it and write it
//     again.  They can only append pieces: those that were there stay where and what they are, in
//     what was written before, after, and in any mixture of the two.
//   * That holds as long as the pieces are not freed, because then the page may start anew.  They
//     are freed only when no entry leads to them any more, so that the engine looks at the entry
//     again when it has read, unless it checks the bytes' CRC (Context::unlatched).  Replay on a
//     standby does both in the same order.
//   * What is damaged on disk is found as ever: by the checksum of each page, or where there is
//   none
//     by the CRC of the value, which the engine checks then on every read.
// Whatever is unusual is left to shared buffers, which say what is wrong: a short file, a page that
// fails its checksum, a segment that is not there, a temporary relation, whose pages are in buffers
// of the backend's own.
//
// The file is open as long as the store's handle, which lives shorter than the lock on the
// relation, so that it is always the relation's own.  It belongs to the resource owner: abort
// closes it.

#include <algorithm>

#include "postgres/host.h"

namespace toaststore {

namespace {

// More than a chunk of the default size takes.
constexpr uint32_t kMaxPages = 16;
PGAlignedBlock space[kMaxPages];

// Values that this backend has asked for lately, by a hash of where they begin.
constexpr uint32_t kLately = 1024;
uint32 lately[kLately];

BufferTag tag_of(const RelFileNode& file, Block block) {
  BufferTag tag;
  INIT_BUFFERTAG(tag, file, MAIN_FORKNUM, block);
  return tag;
}

bool in_buffers(const RelFileNode& file, Block block) {
  BufferTag tag = tag_of(file, block);
  const uint32 hash = BufTableHashCode(&tag);
  LWLock* partition = BufMappingPartitionLock(hash);
  LWLockAcquire(partition, LW_SHARED);
  const bool found = BufTableLookup(&tag, hash) >= 0;
  LWLockRelease(partition);
  return found;
}

// Reads whole pages into `space`; how many there are.
uint32_t read_pages(File file, Block first_in_segment, uint32_t count) {
  const off_t offset = static_cast<off_t>(first_in_segment) * BLCKSZ;
  instr_time start;
  if (track_io_timing) INSTR_TIME_SET_CURRENT(start);
  const int bytes = FileRead(file, space[0].data, static_cast<int>(count) * BLCKSZ, offset,
                             WAIT_EVENT_DATA_FILE_READ);
  if (track_io_timing) {
    instr_time time;
    INSTR_TIME_SET_CURRENT(time);
    INSTR_TIME_SUBTRACT(time, start);
    pgstat_count_buffer_read_time(INSTR_TIME_GET_MICROSEC(time));
    INSTR_TIME_ADD(pgBufferUsage.blk_read_time, time);
  }
  return bytes <= 0 ? 0 : static_cast<uint32_t>(bytes) / BLCKSZ;
}

// How many pages from the first on are as they were written.  Whether they are value pages is for
// the engine to see.
uint32_t sound_pages(Block first, uint32_t count) {
  if (!DataChecksumsEnabled()) return count;
  uint32_t sound = 0;
  while (sound < count) {
    char* page = space[sound].data;
    if (page_checksum(page, first + sound) != stored_checksum(page)) break;
    sound++;
  }
  return sound;
}

// For the server they are blocks read, as those are that were not found in shared buffers.
void count_read(Relation rel, uint32_t pages) {
  for (uint32_t i = 0; i < pages; i++) pgstat_count_buffer_read(rel);
  pgBufferUsage.shared_blks_read += pages;
  VacuumPageMiss += pages;
  if (VacuumCostActive) VacuumCostBalance += VacuumCostPageMiss * static_cast<int>(pages);
}

}  // namespace

bool ServerPager::open_file(Block segment) {
  if (file_ > 0 && segment_ == segment) return true;
  close_file();
  char* path = segment_path(rel_, segment);
  // Despite its name it opens any file; it is to be closed by the end of the transaction.
  file_ = PathNameOpenTemporaryFile(path, O_RDONLY);
  pfree(path);
  segment_ = segment;
  return file_ > 0;
}

void ServerPager::close_file() {
  if (file_ > 0) FileClose(file_);
  file_ = -1;
}

// What is asked for again is worth a place in shared buffers, from which it is read faster.
bool ServerPager::read_often(Block first) {
  BufferTag tag = tag_of(rel_->rd_node, first);
  const uint32 hash = BufTableHashCode(&tag);
  uint32* place = &lately[hash % kLately];
  const bool again = *place == hash;
  *place = hash;
  return again;
}

Status ServerPager::read_past_cache(Block first, uint32_t count, const std::byte** pages,
                                    uint32_t* got) {
  *got = 0;
  if (RelationUsesLocalBuffers(rel_)) return Status::Ok();
  const Block in_segment = first % RELSEG_SIZE;
  const uint32_t most = std::min({count, kMaxPages, RELSEG_SIZE - in_segment});
  uint32_t absent = 0;
  while (absent < most && !in_buffers(rel_->rd_node, first + absent)) absent++;
  if (absent == 0 || !open_file(first / RELSEG_SIZE)) return Status::Ok();
  *got = sound_pages(first, read_pages(file_, in_segment, absent));
  count_read(rel_, *got);
  *pages = reinterpret_cast<const std::byte*>(space[0].data);
  return Status::Ok();
}

}  // namespace toaststore
