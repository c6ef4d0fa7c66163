// Opening with recovery, checkpoints, closing.

#include "file/store_state.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <new>

#include "engine/meta.h"
#include "engine/value_page.h"
#include "file/log_reader.h"
#include "file/recovery.h"

namespace toaststore {

namespace {

// Beyond this many times the wanted bytes of log, writers wait for a checkpoint.
constexpr uint64_t kMostLog = 4;

// Segments are numbered from 1, so that no lsn is 0.
constexpr uint64_t kFirstSegment = 1;

class NewestSegment final : public FileNames {
 public:
  Status found(const char* name) override {
    newest = std::max(newest, segment_of(name));
    return Status::Ok();
  }
  uint64_t newest = 0;
};

class RemoveSegments final : public FileNames {
 public:
  RemoveSegments(Files& files, const char* directory, uint64_t before)
      : files_(files), directory_(directory), before_(before) {}
  Status found(const char* name) override {
    const uint64_t segment = segment_of(name);
    if (segment == 0 || segment >= before_) return Status::Ok();
    char path[kMaxPath];
    segment_path(directory_, segment, path);
    return files_.remove(path);
  }

 private:
  Files& files_;
  const char* directory_;
  uint64_t before_;
};

Status check_options(const StoreOptions& options) {
  const char* reason = nullptr;
  if (!options.values.thresholds_valid()) reason = "thresholds are out of range";
  if (options.cache_bytes < 1024 * 1024) reason = "the page cache must have 1 MB at least";
  if (options.log_segment_bytes < kMinSegmentBytes || options.log_segment_bytes > UINT32_MAX) {
    reason = "log segments must have 256 kB to 4 GB";
  }
  return reason == nullptr ? Status::Ok() : Status::Error(Code::kInvalid, reason);
}

// A directory's name is durable when the one above it is synced.
void parent_of(const char* directory, char* parent) {
  std::snprintf(parent, kMaxPath, "%s", directory);
  size_t length = std::strlen(parent);
  while (length > 1 && parent[length - 1] == '/') parent[--length] = '\0';
  char* slash = std::strrchr(parent, '/');
  if (slash == nullptr) {
    std::snprintf(parent, kMaxPath, ".");
  } else {
    slash[slash == parent ? 1 : 0] = '\0';
  }
}

}  // namespace

StoreState::HintSlot& StoreState::hint_slot() {
  static std::atomic<uint32_t> threads{0};
  thread_local const uint32_t mine = threads.fetch_add(1);
  return hint_slots_[mine % kHintSlots];
}

StoreState::~StoreState() {
  (void)close();
  if (lock_ != nullptr) lock_->close();
}

// What every way to open has in common.
Status StoreState::prepare(const char* path) {
  TOASTSTORE_TRY(check_options(options_));
  if (std::strlen(path) + 64 > kMaxPath) return Status::Error(Code::kInvalid, "path is too long");
  for (int i = 0; i < kHintSlots; i++) {
    hint_slots_[i].hints.lane = static_cast<uint8_t>(i);
    hint_slots_[i].options = options_.values;
  }
  return pool_.make(options_.cache_bytes);
}

Status StoreState::open(const char* directory) {
  TOASTSTORE_TRY(prepare(directory));
  std::snprintf(directory_, sizeof(directory_), "%s", directory);
  std::snprintf(data_path_, sizeof(data_path_), "%s/data", directory);
  std::snprintf(names_path_, sizeof(names_path_), "%s/names", directory);
  if (options_.read_only) return open_to_read();
  TOASTSTORE_TRY(open_directory(directory_));
  Status status = read_control(files_, directory_, &control_);
  if (status.ok() && options_.must_be_new) return Status::Error(Code::kExists, "store exists");
  if (status.is(Code::kNotFound)) {
    if (!options_.create) return Status::Error(Code::kNotFound, "store does not exist");
    status = create();
  } else if (status.ok()) {
    status = recover();
  }
  TOASTSTORE_TRY(status);
  return start_threads();
}

Status StoreState::open_directory(const char* directory) {
  if (options_.create) {
    const Status status = files_.make_directory(directory);
    if (!status.ok() && !status.is(Code::kExists)) return status;
  }
  char path[kMaxPath + 8];
  std::snprintf(path, sizeof(path), "%s/lock", directory);
  Status status = files_.open_locked(path, &lock_);
  if (status.error != 0 && !options_.create) {
    status = Status::System(Code::kNotFound, "store does not exist", status.error);
  }
  return status;
}

Status StoreState::sync_files() {
  TOASTSTORE_TRY(data_.sync());
  return names_.sync();
}

// The control file comes last: without it there is no store.
Status StoreState::create() {
  TOASTSTORE_TRY(data_.open(data_path_, Files::Mode::kCreate));
  TOASTSTORE_TRY(names_.open(names_path_, Files::Mode::kCreate));
  if (data_.blocks() != 0 || names_.blocks() > kEmptyNameBlocks) {
    return Status::Error(Code::kCorruption, "there are pages, but no control file");
  }
  TOASTSTORE_TRY(make_name_file(names_));
  if (getrandom(&control_.store_number, sizeof(control_.store_number), 0) < 0) {
    return Status::System(Code::kIo, "could not get random bytes", errno);
  }
  control_.segment_bytes = options_.log_segment_bytes;
  control_.xids.reset(new (std::nothrow) Xid[1]);
  if (control_.xids == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  // Also where the directory was there: whoever made it may have got no further.
  char parent[kMaxPath];
  parent_of(directory_, parent);
  TOASTSTORE_TRY(files_.sync_directory(parent));
  TOASTSTORE_TRY(sync_files());
  control_.name_blocks = names_.blocks();
  return begin_log(kFirstSegment, &control_);
}

// The log is the store's only once the control file leads to it: closing checkpoints a store that
// has one.
Status StoreState::begin_log(uint64_t segment, Control* control) {
  std::unique_ptr<Log> log(new (std::nothrow)
                               Log(files_, directory_, control->store_number,
                                   control->segment_bytes, options_.checkpoint_bytes));
  if (log == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  TOASTSTORE_TRY(log->start(segment));
  TOASTSTORE_TRY(xids_.load(control->next_xid, control->xids.get(), control->unfinished));
  control->redo = control->synced = segment * control->segment_bytes;
  TOASTSTORE_TRY(write_control(files_, directory_, *control));
  // Where commits don't wait for the disk, syncing pages would be all that does.
  if (options_.sync == Sync::kAlways) log->let_past(&data_, options_.past_log_bytes);
  log_ = std::move(log);
  pool_.set_log(log_.get());
  return Status::Ok();
}

// Pages that were durable at the last checkpoint and are not in the file are lost: the log does not
// bring them back.
Status StoreState::reopen_files(Files::Mode mode) {
  const Status no_data = Status::Error(Code::kCorruption, "data file is shorter than it was");
  const Status no_names = Status::Error(Code::kCorruption, "names file is shorter than it was");
  Status status = data_.open(data_path_, mode);
  if (status.is(Code::kNotFound)) return no_data;
  TOASTSTORE_TRY(status);
  status = names_.open(names_path_, mode);
  if (status.is(Code::kNotFound)) return no_names;
  TOASTSTORE_TRY(status);
  if (data_.blocks() < control_.blocks) return no_data;
  return names_.blocks() < control_.name_blocks ? no_names : Status::Ok();
}

// Replays the log, makes the pages durable, and goes on in a segment of a new number.
Status StoreState::recover() {
  TOASTSTORE_TRY(reopen_files(Files::Mode::kWrite));
  Lsn end;
  TOASTSTORE_TRY(replay_log(files_, directory_, data_, names_, pool_, &control_, &end));
  TOASTSTORE_TRY(pool_.write_all());
  TOASTSTORE_TRY(sync_files());
  NewestSegment segments;
  TOASTSTORE_TRY(files_.list(directory_, &segments));
  const uint64_t next = std::max(segments.newest, end / control_.segment_bytes) + 1;
  TOASTSTORE_TRY(begin_log(next, &control_));
  RemoveSegments old(files_, directory_, next);
  return files_.list(directory_, &old);
}

Status StoreState::open_to_read() {
  TOASTSTORE_TRY(read_control(files_, directory_, &control_));
  TOASTSTORE_TRY(reopen_files(Files::Mode::kRead));
  LogReader reader(files_, directory_, control_.store_number, control_.segment_bytes,
                   control_.synced, LogReader::Purpose::kLook);
  TOASTSTORE_TRY(reader.open(control_.redo));
  Record record;
  Lsn lsn;
  bool more;
  TOASTSTORE_TRY(reader.next(&record, &lsn, &more));
  if (more) {
    return Status::Error(Code::kInvalid,
                         "store was not closed properly: open it for writing first");
  }
  return xids_.load(control_.next_xid, control_.xids.get(), control_.unfinished);
}

Status StoreState::open_relation(const char* file) {
  TOASTSTORE_TRY(prepare(file));
  relation_ = true;
  std::snprintf(data_path_, sizeof(data_path_), "%s", file);
  TOASTSTORE_TRY(data_.open(data_path_, Files::Mode::kRead));
  xids_.trust_all();
  return check_relation();
}

// Any file may be named.  One with a meta page is a store, and so is one that starts as stores do:
// what is wrong with it is verify()'s to say.
Status StoreState::check_relation() {
  Operation operation(this);
  MetaBody meta;
  const Status status = read_meta(operation.context(), &meta);
  if (status.ok() || status.is(Code::kNewerFormat)) return status;
  std::byte start[kPageBytes];
  TOASTSTORE_TRY(data_.read(0, start));  // zeros beyond the end
  PageFill fill;
  if (is_zero_page(start) || (read_fill(start, 0, &fill).ok() && fill.items == 0)) {
    return Status::Ok();
  }
  return Status::Error(Code::kInvalid, "file is not a store");
}

Status StoreState::checkpoint() {
  const std::lock_guard<std::mutex> one(checkpoint_);
  return checkpoint_alone();
}

// Writers that waited for the same checkpoint go on after it.
Status StoreState::bound_log() {
  const uint64_t most = kMostLog * options_.checkpoint_bytes;
  if (log_->since_checkpoint() <= most) return Status::Ok();
  const std::lock_guard<std::mutex> one(checkpoint_);
  return log_->since_checkpoint() <= most ? Status::Ok() : checkpoint_alone();
}

// Afterwards the data file may be cut off behind `data_blocks`.
Status StoreState::checkpoint_alone(Block data_blocks) {
  Control control;
  control.store_number = control_.store_number;
  control.segment_bytes = control_.segment_bytes;
  Lsn end;
  {
    Log::Insertion insertion(*log_);
    // So that the segment recovery begins with exists.
    TOASTSTORE_TRY(insertion.prepare());
    control.redo = log_->begin_checkpoint(&insertion);
    end = insertion.image_up_to();
    TOASTSTORE_TRY(xids_.unfinished(&control.next_xid, &control.xids, &control.unfinished));
  }
  TOASTSTORE_TRY(log_->sync(end));
  TOASTSTORE_TRY(pool_.write_all());
  control.blocks = std::min(data_.blocks(), data_blocks);
  control.name_blocks = names_.blocks();
  // Who asks once more after a failed sync hears that all is well, though what was written is lost.
  const Status synced = sync_files();
  if (!synced.ok()) return log_->fail(synced);
  control.synced = end;
  const Status written = write_control(files_, directory_, control);
  if (written.is(Code::kIo)) return log_->fail(written);
  TOASTSTORE_TRY(written);
  control_ = std::move(control);
  log_->end_checkpoint(control_.redo);
  checkpoints_++;
  return log_->release_before(control_.redo);
}

Status StoreState::acknowledge(Lsn lsn) {
  // A crash of the process alone must lose nothing.
  return options_.sync == Sync::kAlways ? log_->sync(lsn) : log_->write(lsn);
}

Status StoreState::close() {
  closing_ = true;
  syncer_.stop();
  keeper_.stop();
  // Compaction in another thread ends, too.
  const std::lock_guard<std::mutex> none(cleaning_);
  if (log_ == nullptr) return Status::Ok();
  // The checkpoint's place is the end of the log then: nothing is left to replay.
  TOASTSTORE_TRY(log_->sync(log_->end()));
  // If this fails the cache keeps pages that must not overtake the log.
  TOASTSTORE_TRY(checkpoint());
  TOASTSTORE_TRY(log_->remove_spares());
  pool_.set_log(nullptr);
  log_.reset();
  return Status::Ok();
}

// Two, for checkpoints and compaction may take longer than the interval.
Status StoreState::start_threads() {
  std::chrono::milliseconds pause(200);
  if (options_.sync == Sync::kInterval) {
    const std::chrono::milliseconds interval(std::max(options_.sync_interval_ms, 1u));
    TOASTSTORE_TRY(syncer_.start(interval, [this] { return log_->sync(log_->end()); }));
    pause = std::min(pause, interval);
  }
  return keeper_.start(pause, [this] { return look_after(); });
}

// A failure stays told until what failed succeeds: without need there is no other try.
Status StoreState::look_after() {
  if (log_->since_checkpoint() <= options_.checkpoint_bytes) return keeper_.last();
  TOASTSTORE_TRY(checkpoint());
  Compaction ignored;
  return options_.compact_by_itself ? compact(&ignored) : Status::Ok();
}

}  // namespace toaststore
