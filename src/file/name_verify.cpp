// Verification of the tree of names: walked from its root, every page of the file accounted for.

#include "engine/meta.h"
#include "file/names.h"

namespace toaststore {

namespace {

class Verifier {
 public:
  Verifier(Context& values, XidTable& xids, Pager& pager, FaultSink* sink)
      : values_(values),
        pager_(pager),
        sink_(sink),
        reader_(xids),
        reached_(values.memory),
        pages_(values.memory) {}

  Status run() {
    PageGuard page;
    const Status status = read_name_meta(pager_, Latch::kShare, &page, &meta_);
    if (!status.ok()) return report(status);
    page.release();
    if (meta_.pages > pager_.blocks()) {
      TOASTSTORE_TRY(fault(kNameMetaBlock, "file of names is shorter than its meta page says"));
      meta_.pages = pager_.blocks();
    }
    TOASTSTORE_TRY(reached_.allocate(meta_.pages / 8 + 1));
    std::memset(reached_.as(), 0, meta_.pages / 8 + 1);
    TOASTSTORE_TRY(pages_.allocate((meta_.root_level + size_t{1}) * kPageBytes));
    if (meta_.root >= meta_.pages) return Status::Ok();
    MetaBody body;
    const Status found = read_meta(values_, &body);
    if (!found.ok() && !found.is(Code::kNotFound)) return Status::Ok();  // reported elsewhere
    next_id_ = found.ok() ? body.next_id : kMinId;
    TOASTSTORE_TRY(walk(meta_.root, meta_.root_level, {"", kAllVersions}, nullptr));
    for (uint8_t level = 0; level <= meta_.root_level; level++) {
      if (next_[level] != kNoBlock && !broken_[level]) {
        TOASTSTORE_TRY(fault(next_[level], "page of names is linked but has no parent"));
      }
    }
    for (Block block = kFirstNameBlock; block < meta_.pages && !broken_[0]; block++) {
      if (!was_reached(block)) {
        TOASTSTORE_TRY(fault(block, "page of names is in use but nothing leads to it"));
      }
    }
    return Status::Ok();
  }

 private:
  Status report(const Status& status, uint64_t id = 0) {
    switch (status.code) {
      case Code::kRetry:
      case Code::kCorruption:
      case Code::kNewerFormat:
        return sink_->report({status.block, id, status.reason});
      default:
        return status;
    }
  }
  Status fault(Block block, const char* reason, uint64_t id = 0) {
    return sink_->report({block, id, reason});
  }

  bool was_reached(Block block) const {
    return (reached_.as<uint8_t>()[block / 8] >> (block % 8) & 1) != 0;
  }
  Status reach(Block block) {
    if (was_reached(block)) return Status::Corruption(block, "page of names is reached twice");
    reached_.as<uint8_t>()[block / 8] |= static_cast<uint8_t>(1u << (block % 8));
    return Status::Ok();
  }

  // Pages from this level down are out of reach: neither links to them nor their use can be judged.
  void cut_off(int level) {
    for (; level >= 0; level--) broken_[level] = true;
  }

  Status copy_page(Block block, uint8_t level, std::byte* copy) {
    TOASTSTORE_TRY(reach(block));
    PageGuard page;
    TOASTSTORE_TRY(read_name_page(pager_, block, level, Latch::kShare, &page));
    std::memcpy(copy, page.data(), kPageBytes);
    return Status::Ok();
  }

  // The page at `block`, which must hold the names from `low` to before `high`, if there is one.
  Status walk(Block block, uint8_t level, const Name& low, const Name* high) {
    std::byte* page = pages_.as() + size_t{level} * kPageBytes;
    const Status status = copy_page(block, level, page);
    if (!status.ok()) {
      cut_off(level);
      return report(status);
    }
    if (begun_[level] && !broken_[level] && next_[level] != block) {
      TOASTSTORE_TRY(fault(block, "right link of the page of names before leads elsewhere"));
    }
    begun_[level] = true;
    next_[level] = name_right(page);
    TOASTSTORE_TRY(check_high(block, page, high));
    return check_records(block, level, page, low, high);
  }

  Status check_high(Block block, const std::byte* page, const Name* high) {
    NameRecord record;
    const bool has = name_right(page) != kNoBlock;
    if (has) {
      const Status status = read_name(page, block, name_count(page), &record);
      if (!status.ok()) return report(status);
    }
    if (has != (high != nullptr) || (has && compare(record.name, *high) != 0)) {
      return fault(block, "page of names ends elsewhere than its parent says");
    }
    return Status::Ok();
  }

  Status check_records(Block block, uint8_t level, const std::byte* page, const Name& low,
                       const Name* high) {
    uint32_t bytes = 0;
    bool all = true;
    NameRecord record;
    Name least = low;
    for (uint16_t index = 0; index < name_count(page); index++) {
      const Status status = read_name(page, block, index, &record);
      if (!status.ok()) {
        TOASTSTORE_TRY(report(status));
        cut_off(level - 1);
        all = false;
        continue;
      }
      bytes += record.bytes();
      const int order = compare(record.name, least);
      const bool first = index == 0;
      if (order < 0 || (order == 0 && !first) || (first && level > 0 && order != 0) ||
          (high != nullptr && compare(record.name, *high) >= 0)) {
        TOASTSTORE_TRY(fault(block, "names are out of order"));
      }
      least = record.name;
      TOASTSTORE_TRY(level > 0 ? check_child(block, level, page, index, record, high)
                               : check_version(block, record));
    }
    if (name_right(page) != kNoBlock) {
      all = all && read_name(page, block, name_count(page), &record).ok();
      bytes += record.bytes();
    }
    const auto upper = load<uint16_t>(page, offsetof(PageHeader, upper));
    if (all && upper + bytes != kTailOffset) {
      return fault(block, "records of names do not fill their space");
    }
    return Status::Ok();
  }

  // The child's page is walked in the memory of the level below.
  Status check_child(Block block, uint8_t level, const std::byte* page, uint16_t index,
                     const NameRecord& record, const Name* high) {
    NameRecord next;
    const Name* end = high;
    if (index + 1 < name_count(page)) {
      const Status status = read_name(page, block, static_cast<uint16_t>(index + 1), &next);
      if (!status.ok()) {
        cut_off(level - 1);
        return Status::Ok();  // reported when its turn comes
      }
      end = &next.name;
    }
    if (record.id < kFirstNameBlock || record.id >= meta_.pages) {
      cut_off(level - 1);
      return fault(block, "page of names leads to none in use");
    }
    return walk(static_cast<Block>(record.id), static_cast<uint8_t>(level - 1), record.name, end);
  }

  // Faults of the tree of ids are reported by its own verification.
  Status check_version(Block block, const NameRecord& record) {
    if (record.name.key.empty() || record.name.version == 0 ||
        record.name.version == kAllVersions || record.xid == kNoXid || record.id < kMinId ||
        record.id > kMaxId) {
      return fault(block, "name holds impossible values", record.id);
    }
    Entry entry;
    bool found;
    const Status status = find_entry(values_, record.id, &entry, &found);
    if (status.is(Code::kCorruption) || status.is(Code::kNewerFormat)) return Status::Ok();
    TOASTSTORE_TRY(status);
    if (!found) {
      // Compaction removes the values of dead versions before the versions go.
      if (record.id < next_id_) return Status::Ok();
      return fault(block, "name leads to a value that never was", record.id);
    }
    if (entry.xmin != record.xid || !reader_.visible(entry.stamps())) return Status::Ok();
    const std::string_view seen(seen_, seen_bytes_);
    if (record.name.key == seen) return fault(block, "name has two values", record.id);
    seen_bytes_ = record.name.key.size();
    std::memcpy(seen_, record.name.key.data(), seen_bytes_);
    return Status::Ok();
  }

  Context& values_;
  Pager& pager_;
  FaultSink* sink_;
  FileTransactions reader_;
  NameMeta meta_{};
  uint64_t next_id_ = kMinId;  // of the tree of ids: no value has it, nor one behind it
  Scratch reached_;            // a bit per block
  Scratch pages_;              // the page being looked at on each level
  Block next_[kMaxNameLevels] = {};
  bool begun_[kMaxNameLevels] = {};
  bool broken_[kMaxNameLevels] = {};  // not every page of the level is reached
  char seen_[kMaxKeyBytes];           // the last key that had a value
  size_t seen_bytes_ = 0;
};

}  // namespace

Status Names::verify(FaultSink* sink) { return Verifier(values_, xids_, pager_, sink).run(); }

}  // namespace toaststore
