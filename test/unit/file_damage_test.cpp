// Damaged, torn and missing files.  A log may end in the middle of what was written last; anything
// else that is not as it was written is an error that says so, and an open that fails leaves
// everything that a repair needs.

#include <algorithm>

#include "file/control.h"
#include "file/log.h"
#include "file/log_reader.h"
#include "support/file_life.h"

namespace toaststore::test {
namespace {

constexpr char kData[] = "/sim/store/data";
constexpr char kControl[] = "/sim/store/control";

std::string log_path(uint64_t segment) {
  char path[kMaxPath];
  segment_path(kSimStore, segment, path);
  return path;
}

class FileDamage : public ::testing::Test {
 protected:
  // Some committed batches, perhaps a checkpoint after some of them, and the process dies.
  void live(Sync sync, int batches, size_t bytes, int checkpoint_after = 0) {
    SimFiles files;
    FileLife life(&files, sim_options(&files, sync), {}, 1);
    ASSERT_TRUE(life.open());
    for (int i = 0; i < batches; i++) {
      uint64_t id;
      const Bytes value = random_bytes(static_cast<uint64_t>(i), bytes);
      ASSERT_OK(life.store()->put(value.data(), value.size(), &id));
      values_[id] = value;
      order_.push_back(id);
      if (i + 1 == checkpoint_after) life.checkpoint();
    }
    life.die();
    disk_ = files.disk();
    SimFiles reader(disk_);
    ASSERT_OK(read_control(reader, kSimStore, &control_));
    groups_ = read_groups(disk_);
  }

  // Places of groups, and last of the end.
  std::vector<Lsn> read_groups(const SimDisk& disk) {
    std::vector<Lsn> places;
    Lsn at = control_.redo;
    for (;;) {
      const std::string path = log_path(at / control_.segment_bytes);
      GroupHeader header{};
      if (disk.has(path)) {
        disk.files.at(disk.names.at(path)).read(at % control_.segment_bytes, &header, 32);
      }
      places.push_back(at);
      if (header.lsn != at) return places;
      at += header.length;
      if ((header.flags & kEndOfSegment) != 0) {
        at = (at / control_.segment_bytes + 1) * control_.segment_bytes;
      }
    }
  }

  // Reads the log to its end, or to where it is damaged.
  Status read_log(const SimDisk& disk, Lsn* end) {
    SimFiles files(disk);
    LogReader reader(files, kSimStore, control_.store_number, control_.segment_bytes,
                     control_.synced, LogReader::Purpose::kLook);
    TOASTSTORE_TRY(reader.open(control_.redo));
    Record record;
    bool more = true;
    Lsn lsn;
    while (more) TOASTSTORE_TRY(reader.next(&record, &lsn, &more));
    *end = reader.end();
    return Status::Ok();
  }

  Status open(const SimDisk& disk) {
    store_.reset();
    files_ = std::make_unique<SimFiles>(disk);
    Store* store = nullptr;
    const Status status = Store::open(kSimStore, sim_options(files_.get(), Sync::kAlways), &store);
    store_.reset(store);
    return status;
  }

  void expect_damaged(const SimDisk& disk, const char* reason) {
    const Status status = open(disk);
    EXPECT_EQ(status.code, Code::kCorruption) << status;
    EXPECT_STREQ(status.reason, reason);
    for (const SimOp& op : files_->journal()) {
      EXPECT_TRUE(!op.of_names() || op.path == "/sim/store/lock") << "it touched " << op.path;
    }
  }

  // All but the last `lost` batches are there.
  void expect_whole(const SimDisk& disk, size_t lost) {
    ASSERT_OK(open(disk));
    expect_sound(store_.get());
    std::map<uint64_t, Bytes> expected = values_;
    for (size_t i = 0; i < lost; i++) expected.erase(order_[order_.size() - 1 - i]);
    EXPECT_TRUE(read_all(store_.get()) == expected);
  }

  SimDisk disk_;
  Control control_;
  std::vector<Lsn> groups_;
  std::map<uint64_t, Bytes> values_;
  std::vector<uint64_t> order_;
  std::unique_ptr<SimFiles> files_;
  std::unique_ptr<Store> store_;
};

constexpr char kLogDamaged[] = "log is damaged before its end";

TEST_F(FileDamage, AFlippedByteEndsTheLogInItsLastGroupOnly) {
  live(Sync::kAlways, 8, 300);
  const std::string path = log_path(1);
  const Lsn end = groups_.back();
  const Lsn last = groups_[groups_.size() - 2];
  ASSERT_GT(groups_.size(), 8u);
  ASSERT_LT(end, 2 * control_.segment_bytes);
  for (Lsn at = control_.redo; at < end + 100 && !HasFailure(); at++) {
    SCOPED_TRACE("byte " + std::to_string(at));
    SimDisk disk = disk_;
    disk.at(path).flip(at % control_.segment_bytes, static_cast<uint8_t>(1u << (at % 8)));
    Lsn found = 0;
    const Status status = read_log(disk, &found);
    if (at < last) {
      EXPECT_EQ(status.code, Code::kCorruption) << status;
      EXPECT_STREQ(status.reason, kLogDamaged);
    } else {
      EXPECT_OK(status);
      EXPECT_EQ(found, at < end ? last : end);
    }
    if (at % 61 != 0) continue;
    if (at < last) {
      expect_damaged(disk, kLogDamaged);
    } else {
      expect_whole(disk, at < end ? 1 : 0);
    }
  }
}

TEST_F(FileDamage, AFlippedByteInALongLogIsFoundInEverySegment) {
  live(Sync::kNever, 60, 20000);
  const Lsn end = groups_.back();
  const Lsn last_segment = end / control_.segment_bytes;
  ASSERT_GT(last_segment, 3u);
  Random random(2);
  for (size_t group = 0; group + 2 < groups_.size() && !HasFailure(); group++) {
    // Only what a sync has made durable must be there.
    if (groups_[group] / control_.segment_bytes == last_segment) continue;
    SCOPED_TRACE("group " + std::to_string(group));
    GroupHeader header;
    SimContent& content = disk_.at(log_path(groups_[group] / control_.segment_bytes));
    content.read(groups_[group] % control_.segment_bytes, &header, sizeof(header));
    SimDisk disk = disk_;
    const Lsn at = groups_[group] + random.below(header.length);
    disk.at(log_path(at / control_.segment_bytes)).flip(at % control_.segment_bytes, 0x40);
    Lsn found;
    const Status status = read_log(disk, &found);
    EXPECT_STREQ(status.reason, kLogDamaged);
    EXPECT_EQ(status.code, Code::kCorruption);
    if (group % 5 != 0) continue;
    expect_damaged(disk, kLogDamaged);
    // Pages may have been written, but nothing is lost: the byte put right, all is well.
    disk = files_->disk();
    disk.at(log_path(at / control_.segment_bytes)).flip(at % control_.segment_bytes, 0x40);
    expect_whole(disk, 0);
  }
}

TEST_F(FileDamage, GarbageBehindTheLastGroupIsNoLog) {
  live(Sync::kAlways, 8, 300);
  const Lsn end = groups_.back();
  const Lsn last = groups_[groups_.size() - 2];
  const uint64_t offset = end % control_.segment_bytes;
  Bytes group(end - last, '\0');
  disk_.at(log_path(1)).read(last % control_.segment_bytes, group.data(), group.size());

  // The last group once more, as if it were the next: its place is not right.
  Bytes again = group;
  // The same with its place put right, but not its CRC.
  Bytes moved = group;
  std::memcpy(moved.data(), &end, sizeof(end));
  // A whole group of another store.
  Bytes foreign = moved;
  GroupHeader header;
  std::memcpy(&header, foreign.data(), sizeof(header));
  header.crc = group_crc(control_.store_number + 1,
                         reinterpret_cast<const std::byte*>(foreign.data()), header.length);
  std::memcpy(foreign.data(), &header, sizeof(header));
  // A group that says that it is longer than the segment.
  Bytes endless = moved;
  header.length = UINT32_MAX;
  std::memcpy(endless.data(), &header, sizeof(header));

  for (const Bytes& tail : {random_bytes(1, 5000), Bytes(5000, '\xff'), again, moved, foreign,
                            endless, group.substr(0, 40)}) {
    SimDisk disk = disk_;
    disk.at(log_path(1)).write(offset, tail.data(), tail.size());
    expect_whole(disk, 0);
  }
}

// The segment was another one before the checkpoint: whole groups follow the last one.
TEST_F(FileDamage, WhatAReusedSegmentHeldBeforeIsNoLog) {
  live(Sync::kAlways, 90, 15000, 60);
  const Lsn end = groups_.back();
  const Lsn last = groups_[groups_.size() - 2];
  const std::string path = log_path(end / control_.segment_bytes);
  Bytes behind(1000, '\0');
  disk_.at(path).read(end % control_.segment_bytes, behind.data(), behind.size());
  ASSERT_NE(behind, Bytes(behind.size(), '\0'));
  expect_whole(disk_, 0);
  SimDisk disk = disk_;
  disk.at(path).flip(last % control_.segment_bytes + 100, 0x40);
  expect_whole(disk, 1);
  disk = disk_;
  const Lsn before = groups_[groups_.size() - 3];
  disk.at(log_path(before / control_.segment_bytes)).flip(before % control_.segment_bytes, 0x40);
  expect_damaged(disk, kLogDamaged);
}

TEST_F(FileDamage, ATornLastGroupIsNoLog) {
  live(Sync::kAlways, 8, 3000);
  const Lsn end = groups_.back();
  const Lsn last = groups_[groups_.size() - 2];
  ASSERT_GT(end - last, 3 * kSectorBytes);
  for (Lsn torn = last / kSectorBytes * kSectorBytes; torn < end; torn += kSectorBytes) {
    SCOPED_TRACE("from byte " + std::to_string(torn));
    const Lsn from = std::max(torn, last);
    const Bytes zeros(std::min<Lsn>(torn + kSectorBytes, end) - from, '\0');
    SimDisk disk = disk_;
    disk.at(log_path(1)).write(from % control_.segment_bytes, zeros.data(), zeros.size());
    expect_whole(disk, 1);
  }
}

TEST_F(FileDamage, ALostGroupInTheMiddleIsReported) {
  live(Sync::kAlways, 8, 3000);
  for (size_t group = 0; group + 2 < groups_.size(); group++) {
    SCOPED_TRACE("group " + std::to_string(group));
    SimDisk disk = disk_;
    const Bytes zeros(groups_[group + 1] - groups_[group], '\0');
    disk.at(log_path(1)).write(groups_[group] % control_.segment_bytes, zeros.data(), zeros.size());
    expect_damaged(disk, kLogDamaged);
  }
}

TEST_F(FileDamage, ALogCutOffEndsThereUnlessItIsKnownToGoOn) {
  live(Sync::kNever, 60, 20000);
  const Lsn last = groups_[groups_.size() - 2];
  const uint64_t segment = last / control_.segment_bytes;
  SimDisk disk = disk_;
  disk.at(log_path(segment)).resize(last % control_.segment_bytes + 100);
  Lsn end = 0;
  EXPECT_OK(read_log(disk, &end));
  EXPECT_EQ(end, last);
  disk = disk_;
  disk.at(log_path(segment - 1)).resize(1000);
  expect_damaged(disk, kLogDamaged);
}

TEST_F(FileDamage, AMissingLogSegmentIsReported) {
  live(Sync::kNever, 60, 20000);
  const uint64_t segments = groups_.back() / control_.segment_bytes;
  ASSERT_GT(segments, 3u);
  for (uint64_t segment = 1; segment < segments; segment++) {
    SimDisk disk = disk_;
    disk.names.erase(log_path(segment));
    expect_damaged(disk, segment == 1 ? "log segment is missing" : kLogDamaged);
  }
  SimDisk disk = disk_;
  for (uint64_t segment = 1; segment <= segments; segment++) disk.names.erase(log_path(segment));
  expect_damaged(disk, "log segment is missing");
}

class ControlDamage : public FileDamage {
 protected:
  // A control file that lists transactions, too.
  void SetUp() override {
    SimFiles files;
    FileLife life(&files, sim_options(&files, Sync::kAlways), {}, 1);
    ASSERT_TRUE(life.open());
    life.work(60);
    ASSERT_OK(life.store()->checkpoint());
    life.die();
    disk_ = files.disk();
    ASSERT_GT(disk_.at(kControl).size(), 64u);
    ASSERT_OK(open(disk_));
  }
  static constexpr char kDamaged[] = "control file is damaged";
};

TEST_F(ControlDamage, EveryFlippedByteIsReported) {
  for (uint64_t at = 0; at < disk_.at(kControl).size(); at++) {
    SCOPED_TRACE("byte " + std::to_string(at));
    SimDisk disk = disk_;
    disk.at(kControl).flip(at, static_cast<uint8_t>(1u << (at % 8)));
    // Bytes 8 to 11 are the version.
    if (at >= 8 && at < 12 && open(disk).is(Code::kNewerFormat)) continue;
    expect_damaged(disk, kDamaged);
  }
}

TEST_F(ControlDamage, EveryOtherLengthIsReported) {
  const uint64_t size = disk_.at(kControl).size();
  for (uint64_t length = 0; length <= size + 8; length++) {
    if (length == size) continue;
    SCOPED_TRACE("length " + std::to_string(length));
    SimDisk disk = disk_;
    disk.at(kControl).resize(length);
    expect_damaged(disk, kDamaged);
  }
}

TEST_F(ControlDamage, AMissingFileIsNotAnEmptyStore) {
  disk_.names.erase(kControl);
  expect_damaged(disk_, "there are pages, but no control file");
}

TEST_F(FileDamage, AMissingOrShorterDataFileIsReported) {
  live(Sync::kAlways, 30, 3000);
  ASSERT_OK(open(disk_));
  ASSERT_OK(store_->close());
  const SimDisk closed = files_->disk();
  SimDisk disk = closed;
  disk.names.erase(kData);
  expect_damaged(disk, "data file is shorter than it was");
  disk = closed;
  disk.at(kData).resize(disk.at(kData).size() - 1);
  expect_damaged(disk, "data file is shorter than it was");
  StoreOptions reader = sim_options(nullptr, Sync::kAlways);
  reader.read_only = true;
  SimFiles files(disk);
  reader.files = &files;
  Store* store;
  EXPECT_EQ(Store::open(kSimStore, reader, &store).code, Code::kCorruption);
}

// The CRC of a value is checked when its bytes come from the disk, each time they do.
TEST_F(FileDamage, AValueThatComesBackToTheCacheIsProvenAgain) {
  live(Sync::kAlways, 400, 9000);  // three times the cache
  ASSERT_FALSE(HasFailure());
  ASSERT_OK(open(disk_));
  const uint64_t id = order_[0];
  Buffer buffer;
  for (const uint64_t each : order_) ASSERT_OK(store_->get(each, &buffer));
  ASSERT_OK(store_->get(id, &buffer));
  ASSERT_OK(store_->get(id, &buffer));
  SimContent& data = files_->disk().at(kData);
  const std::string wanted(values_[id].data() + 4000, 64);
  std::string all(data.size(), '\0');
  data.read(0, all.data(), all.size());
  const size_t at = all.find(wanted);
  ASSERT_NE(at, std::string::npos);
  data.flip(at, 1);
  for (size_t i = 1; i < order_.size(); i++) ASSERT_OK(store_->get(order_[i], &buffer));
  EXPECT_TRUE(store_->get(id, &buffer).is(Code::kCorruption));
  EXPECT_TRUE(store_->get_slice(id, 0, 10, &buffer).is(Code::kCorruption));
}

TEST_F(FileDamage, AMissingDataSegmentIsReported) {
  live(Sync::kAlways, 3, 3000);
  disk_.at(kData).resize(uint64_t{1} << 30);
  disk_.names[std::string(kData) + ".1"] = 1000;
  disk_.files[1000].resize(kPageBytes);
  ASSERT_OK(open(disk_));
  Statistics statistics;
  ASSERT_OK(store_->statistics(&statistics));
  EXPECT_EQ(statistics.data_bytes, (uint64_t{1} << 30) + kPageBytes);
  ASSERT_OK(store_->close());
  const SimDisk closed = files_->disk();
  for (const char* name : {"", ".1"}) {
    SimDisk disk = closed;
    disk.names.erase(std::string(kData) + name);
    expect_damaged(disk, "data file is shorter than it was");
  }
}

}  // namespace
}  // namespace toaststore::test
