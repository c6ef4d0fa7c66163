// Any byte of the file of names goes bad: every call gives the right answer, or an error that names
// a block and a reason.  Never a wrong answer, never an endless loop.  And verify() finds it.

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>

#include "file/names.h"
#include "file/store_state.h"
#include "support/named_store.h"

namespace toaststore::test {
namespace {

constexpr size_t kMostPages = 64;

// A file of names in memory, without a cache or a log.
class BytesPager final : public Pager {
 public:
  explicit BytesPager(const Bytes& bytes) { reset(bytes); }

  // Pages stay where they are: memory is taken once.
  void reset(const Bytes& bytes) {
    bytes_.reserve(kMostPages * kPageBytes);
    bytes_.assign(data_of(bytes), data_of(bytes) + bytes.size());
  }
  std::byte* page(Block block) { return bytes_.data() + size_t{block} * kPageBytes; }
  std::byte& byte(size_t offset) { return bytes_[offset]; }
  size_t size() const { return bytes_.size(); }

  Status read(Block block, Latch latch, PageRef* page) override {
    if (block >= blocks()) return Status::Error(Code::kRetry, "beyond the end", block);
    *page = {this->page(block), block, 0, false, latch == Latch::kExclusive};
    return Status::Ok();
  }
  Status try_read(Block block, PageRef* page) override {
    return read(block, Latch::kExclusive, page);
  }
  Status create(Block block, PageRef* page) override {
    *page = {this->page(block), block, 0, true, true};
    return Status::Ok();
  }
  void release(const PageRef&) override {}
  Status reserve(Block end, Block) override {
    if (end > kMostPages) return Status::Error(Code::kNoSpace, "the test's file is full");
    if (end > blocks()) bytes_.resize(size_t{end} * kPageBytes);
    return Status::Ok();
  }
  Block blocks() override { return static_cast<Block>(bytes_.size() / kPageBytes); }
  Status apply(const Change& change) override {
    for (int i = 0; i < change.pages(); i++) {
      if (change.page(i).fresh) std::memset(page(change.page(i).block), 0, kPageBytes);
    }
    for (int i = 0; i < change.patches(); i++) {
      const Change::Patch& patch = change.patch(i);
      std::memcpy(page(change.page(patch.page).block) + patch.offset, patch.bytes, patch.length);
    }
    return Status::Ok();
  }
  Status write_piece(const PieceWrite&, uint16_t*) override { return no_values(); }
  Status lock_lane(uint8_t, bool, bool*) override { return no_values(); }
  void unlock_lane(uint8_t) override {}
  Status lock_creation() override { return no_values(); }
  void unlock_creation() override {}
  Status pause(Step) override { return Status::Ok(); }

 private:
  static Status no_values() { return Status::Error(Code::kInvalid, "no values here"); }
  std::vector<std::byte> bytes_;
};

bool is_damage(const Status& status) {
  return (status.is(Code::kCorruption) || status.is(Code::kNewerFormat)) &&
         status.block != kNoBlock && status.reason[0] != '\0';
}

class NamesDamage : public NamedStore {
 protected:
  // A root, some leaves; names with one version and with two, and some that were erased.
  void SetUp() override {
    options_.checkpoint_bytes = 1ull << 40;
    open();
    set(Bytes(kMaxKeyBytes, 'm'), "longest");
    for (uint64_t i = 0; i < 70; i++) set(key(i), std::to_string(i));
    for (uint64_t i = 0; i < 70; i += 5) set(key(i), "again");
    for (uint64_t i = 3; i < 70; i += 10) erase(key(i));
    {
      WriteBatch batch(store_.get());
      ASSERT_OK(batch.set("dropped", 7, "", 0));
    }
    for (const FoundName& name : scan()) ids_[name.key] = name.id;
    expect_sound();
    EXPECT_OK(store_->close());
    store_.reset();
    std::ifstream file(path() + "/names", std::ios::binary);
    whole_.assign(std::istreambuf_iterator<char>(file), {});
    pager_.reset(whole_);
    state_ = std::make_unique<StoreState>(posix_files(), options_);
    ASSERT_OK(state_->open(path().c_str()));
    meta_ = load<NameMeta>(pager_.page(kNameMetaBlock), kPageHeaderBytes);
    ASSERT_GE(meta_.pages, 6u);
    ASSERT_EQ(meta_.root_level, 1);
    ASSERT_LE(meta_.pages, kMostPages / 4);
  }

  static Bytes key(uint64_t i) { return random_bytes(i, 100 + i % 300 * 3); }

  // Calls on the file in memory, as if it was opened anew.
  template <typename Call>
  auto with_names(Call call) {
    NameTree tree;
    Operation operation(state_.get());
    Names names(operation.context(), state_->xids(), tree, pager_);
    return call(names, operation);
  }

  // Finds and scans.  Returns whether all was there.
  bool read_all() {
    return with_names([&](Names& names, Operation&) {
      bool all = true;
      Entry entry;
      for (const auto& [key, id] : ids_) {
        const Status status = names.find(key, &entry);
        EXPECT_TRUE(status.ok() || is_damage(status)) << status;
        if (status.ok()) {
          EXPECT_EQ(entry.id, id);
        }
        all = all && status.ok();
      }
      for (const Bytes& missing : {key(3), Bytes("dropped"), Bytes("m"), key(1000)}) {
        const Status status = names.find(missing, &entry);
        EXPECT_TRUE(status.is(Code::kNotFound) || is_damage(status)) << status;
        all = all && status.is(Code::kNotFound);
      }
      class Follower final : public NameVisitor {
       public:
        explicit Follower(const std::map<Bytes, uint64_t>& ids) : ids_(ids), next_(ids.begin()) {}
        Status name(const void* key, size_t length, uint64_t id, uint64_t) override {
          EXPECT_NE(next_, ids_.end());
          if (next_ == ids_.end()) return Status::Error(Code::kLimit, "too many");
          EXPECT_EQ(Bytes(static_cast<const char*>(key), length), next_->first);
          EXPECT_EQ(id, next_->second);
          ++next_;
          return Status::Ok();
        }
        bool done() const { return next_ == ids_.end(); }

       private:
        const std::map<Bytes, uint64_t>& ids_;
        std::map<Bytes, uint64_t>::const_iterator next_;
      } follower(ids_);
      const Status status = names.scan("", "", &follower);
      EXPECT_TRUE(status.ok() ? follower.done() : is_damage(status)) << status;
      return all && status.ok();
    });
  }

  std::vector<FoundFault> verify_names() {
    class Sink final : public FaultSink {
     public:
      Status report(const Fault& fault) override {
        found.push_back({fault.block, fault.id, fault.reason});
        return Status::Ok();
      }
      std::vector<FoundFault> found;
    } sink;
    EXPECT_OK(with_names([&](Names& names, Operation&) { return names.verify(&sink); }));
    for (const FoundFault& fault : sink.found) EXPECT_NE(fault.block, kNoBlock) << fault;
    return std::move(sink.found);
  }
  bool found(const std::string& reason) {
    const std::vector<FoundFault> faults = verify_names();
    return std::any_of(faults.begin(), faults.end(),
                       [&](const FoundFault& fault) { return fault.reason == reason; });
  }

  void write_some(uint64_t seed) {
    Xid xid;
    ASSERT_OK(state_->xids().begin(&xid));
    with_names([&](Names& names, Operation& operation) {
      operation.join(xid);
      bool replaced;
      for (uint64_t i = 0; i < 4; i++) {
        const Status status = names.set(key(seed * 4 + i), nullptr, 0, &replaced);
        EXPECT_TRUE(status.ok() || is_damage(status)) << status;
      }
      const Status status = names.erase(key(seed % 70));
      EXPECT_TRUE(status.ok() || status.is(Code::kNotFound) || is_damage(status)) << status;
      return true;
    });
    state_->xids().abort(xid);
  }

  // Nothing depends on these: block 0, lsn and checksum, flags, prune_xid, free space.
  bool matters(size_t offset) {
    const auto block = static_cast<Block>(offset / kPageBytes);
    const size_t at = offset % kPageBytes;
    if (block == 0 || block >= meta_.pages) return false;
    const auto* page = reinterpret_cast<const std::byte*>(whole_.data()) + offset - at;
    if (at < kPageHeaderBytes) return at >= 12 && at < 20;
    const auto header = load<PageHeader>(page, 0);
    return at < header.lower || at >= header.upper;
  }

  NameTail tail(Block block) { return tail_of<NameTail>(pager_.page(block)); }
  // Makes a changed page one that matches its checks.
  void seal(Block block, NameTail tail) {
    std::byte* page = pager_.page(block);
    const auto lower = load<uint16_t>(page, offsetof(PageHeader, lower));
    tail.front_check = crc32c(page + kPageHeaderBytes, lower - size_t{kPageHeaderBytes});
    seal_tail(&tail);
    std::memcpy(page + kTailOffset, &tail, sizeof(tail));
  }
  std::byte* record(Block block, uint16_t slot) {
    std::byte* page = pager_.page(block);
    return page + load<uint16_t>(page, kPageHeaderBytes + slot * size_t{kNameSlotBytes});
  }
  void change_record(Block block, uint16_t slot,
                     const std::function<void(NameRecordHeader*)>& how) {
    std::byte* at = record(block, slot);
    auto header = load<NameRecordHeader>(at, 0);
    how(&header);
    std::memcpy(at, &header, sizeof(header));
    header.check = crc32c(at + sizeof(header.check),
                          sizeof(header) - sizeof(header.check) + header.key_length);
    std::memcpy(at, &header.check, sizeof(header.check));
  }
  Block child(uint16_t index) {
    return static_cast<Block>(load<NameRecordHeader>(record(meta_.root, index), 0).id);
  }

  std::map<Bytes, uint64_t> ids_;
  Bytes whole_;
  BytesPager pager_{""};
  std::unique_ptr<StoreState> state_;
  NameMeta meta_{};
};

TEST_F(NamesDamage, AnyFlippedByteIsNoticedOrDoesNotMatter) {
  ASSERT_TRUE(read_all());
  ASSERT_TRUE(verify_names().empty());
  Random random(11);
  size_t mattered = 0;
  for (size_t offset = 0; offset < whole_.size() && !HasFailure(); offset++) {
    if (!matters(offset) && offset % 101 != 0) continue;
    SCOPED_TRACE("byte " + std::to_string(offset % kPageBytes) + " of block " +
                 std::to_string(offset / kPageBytes));
    pager_.byte(offset) ^= static_cast<std::byte>(1u << random.below(8));
    const bool all = read_all();
    const bool noticed = !verify_names().empty();
    EXPECT_TRUE(noticed || all) << "verify() does not see what a reader does";
    EXPECT_EQ(noticed, matters(offset));
    mattered += matters(offset) ? 1 : 0;
    pager_.byte(offset) = static_cast<std::byte>(whole_[offset]);
  }
  EXPECT_GT(mattered, 15000u);
}

TEST_F(NamesDamage, WritersDoNotBuildOnDamage) {
  Random random(12);
  for (uint64_t round = 0; round < 2000 && !HasFailure(); round++) {
    const size_t offset = random.between(kPageBytes, whole_.size() - 1);
    SCOPED_TRACE("byte " + std::to_string(offset % kPageBytes) + " of block " +
                 std::to_string(offset / kPageBytes));
    pager_.byte(offset) ^= static_cast<std::byte>(1u << random.below(8));
    write_some(round);
    read_all();
    pager_.reset(whole_);
  }
}

// The last write of the meta page was lost: a page that it does not count is not built over.
TEST_F(NamesDamage, WritersDoNotTakePagesInUseForFreeOnes) {
  NameMeta before = meta_;
  before.pages--;
  make_name_meta(before, pager_.page(kNameMetaBlock));
  Xid xid;
  ASSERT_OK(state_->xids().begin(&xid));
  const Status status = with_names([&](Names& names, Operation& operation) {
    operation.join(xid);
    Status status;
    bool replaced;
    for (uint64_t i = 1000; status.ok() && i < 2000; i++) {
      status = names.set(key(i), nullptr, 0, &replaced);
    }
    return status;
  });
  state_->xids().abort(xid);
  EXPECT_TRUE(is_damage(status)) << status;
  EXPECT_EQ(status.block, before.pages);
  EXPECT_TRUE(read_all());
}

// A whole sector is gone, or another page's, or an old one's.
TEST_F(NamesDamage, GarbageInPlaceOfPagesIsNoticed) {
  Random random(13);
  for (int round = 0; round < 3000 && !HasFailure(); round++) {
    const size_t length = random.below(2) == 0 ? kPageBytes : 512;
    const size_t places = whole_.size() / length;
    const size_t to = random.below(places) * length;
    const size_t from = random.below(places) * length;
    SCOPED_TRACE("round " + std::to_string(round));
    const uint64_t how = random.below(4);
    const Bytes noise = random_bytes(random.next(), length);
    for (size_t i = 0; i < length; i++) {
      const char fill[] = {'\0', '\xff', noise[i], whole_[from + i]};
      pager_.byte(to + i) = static_cast<std::byte>(fill[how]);
    }
    const bool all = read_all();
    EXPECT_TRUE(all || !verify_names().empty());
    pager_.reset(whole_);
  }
}

// Pages that match their checks and are wrong all the same: wrong answers there may be, but no call
// leaves its page or goes on for ever.
TEST_F(NamesDamage, PagesThatOnlySeemSoundLeadNobodyAstray) {
  Random random(14);
  for (int round = 0; round < 5000; round++) {
    const auto block = static_cast<Block>(random.between(kNameMetaBlock, meta_.pages - 1));
    std::byte* page = pager_.page(block);
    NameTail changed = tail(block);
    const auto lower = load<uint16_t>(page, offsetof(PageHeader, lower));
    const auto noise = static_cast<std::byte>(random.next());
    switch (random.below(4)) {
      case 0:
        page[random.between(kPageHeaderBytes, lower - 1u)] = noise;
        break;
      case 1:
        changed.right = static_cast<Block>(random.below(meta_.pages + 2));
        break;
      case 2:
        reinterpret_cast<std::byte*>(&changed)[random.below(sizeof(changed))] = noise;
        break;
      default:
        if (block != kNameMetaBlock && changed.count > 0) {
          change_record(block, static_cast<uint16_t>(random.below(changed.count)),
                        [&](NameRecordHeader* header) {
                          header->id = random.below(2) == 0 ? random.next() : random.below(8);
                          header->version = static_cast<uint32_t>(random.below(3));
                        });
        }
        break;
    }
    seal(block, changed);
    with_names([&](Names& names, Operation&) {
      Entry entry;
      for (const auto& [key, id] : ids_) (void)names.find(key, &entry);
      class Nobody final : public NameVisitor {
       public:
        Status name(const void*, size_t, uint64_t, uint64_t) override { return Status::Ok(); }
      } visitor;
      (void)names.scan("", "", &visitor);
      return true;
    });
    (void)verify_names();
    pager_.reset(whole_);
  }
}

TEST_F(NamesDamage, VerifyFindsPagesThatAreLost) {
  NameMeta meta = meta_;
  meta.pages++;
  ASSERT_OK(pager_.reserve(meta.pages, meta.pages));
  std::memcpy(pager_.page(kNameMetaBlock) + kPageHeaderBytes, &meta, sizeof(meta));
  seal(kNameMetaBlock, tail(kNameMetaBlock));
  EXPECT_TRUE(found("page of names is in use but nothing leads to it"));
}

TEST_F(NamesDamage, VerifyFindsAFileThatIsTooShort) {
  pager_.reset(whole_.substr(0, (meta_.pages - size_t{1}) * kPageBytes));
  EXPECT_TRUE(found("file of names is shorter than its meta page says"));
  EXPECT_TRUE(found("page of names leads to none in use"));
  EXPECT_FALSE(read_all());
}

TEST_F(NamesDamage, VerifyFindsAPageWithTwoParents) {
  const Block first = child(0);
  change_record(meta_.root, 1, [&](NameRecordHeader* header) { header->id = first; });
  EXPECT_TRUE(found("page of names is reached twice"));
}

TEST_F(NamesDamage, VerifyFindsABentRightLink) {
  NameTail changed = tail(child(0));
  changed.right = child(2);
  seal(child(0), changed);
  EXPECT_TRUE(found("right link of the page of names before leads elsewhere"));
}

TEST_F(NamesDamage, VerifyFindsALinkToAPageWithoutAParent) {
  const auto last = static_cast<uint16_t>(tail(meta_.root).count - 1);
  const Block behind = child(last);
  // The last child is nobody's, but the one before it leads to it.
  NameDraft draft(meta_.root, 1);
  for (uint16_t i = 0; i < last; i++) {
    NameRecord record;
    ASSERT_OK(read_name(pager_.page(meta_.root), meta_.root, i, &record));
    ASSERT_TRUE(draft.add(record));
  }
  std::memcpy(pager_.page(meta_.root), draft.finish(), kPageBytes);
  EXPECT_TRUE(found("page of names is linked but has no parent")) << behind;
  EXPECT_TRUE(found("page of names is in use but nothing leads to it"));
  EXPECT_TRUE(found("page of names ends elsewhere than its parent says"));
}

TEST_F(NamesDamage, VerifyFindsNamesOutOfOrder) {
  std::byte* slots = pager_.page(child(1)) + kPageHeaderBytes;
  std::swap_ranges(slots + kNameSlotBytes, slots + 2 * kNameSlotBytes, slots + 3 * kNameSlotBytes);
  seal(child(1), tail(child(1)));
  EXPECT_TRUE(found("names are out of order"));
}

TEST_F(NamesDamage, VerifyFindsAHighKeyThatIsNotItsParents) {
  std::byte* at = record(child(0), tail(child(0)).count);
  at[sizeof(NameRecordHeader)] = std::byte{0xff};
  change_record(child(0), tail(child(0)).count, [](NameRecordHeader*) {});
  EXPECT_TRUE(found("page of names ends elsewhere than its parent says"));
}

TEST_F(NamesDamage, VerifyFindsANameWithoutItsValue) {
  const uint64_t id = 1ull << 40;
  change_record(child(0), 0, [](NameRecordHeader* header) { header->id = id; });
  const std::vector<FoundFault> faults = verify_names();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].reason, "name leads to a value that never was");
  EXPECT_EQ(faults[0].block, child(0));
  EXPECT_EQ(faults[0].id, id);
}

TEST_F(NamesDamage, VerifyFindsANameWithTwoValues) {
  // A second version with the same value, which everybody sees.
  PageGuard leaf;
  ASSERT_OK(leaf.read(pager_, child(0), Latch::kExclusive));
  for (uint16_t i = 0; i < name_count(leaf.data()); i++) {
    NameRecord record;
    ASSERT_OK(read_name(leaf.data(), leaf.block(), i, &record));
    const auto live = ids_.find(Bytes(record.name.key));
    if (live == ids_.end() || live->second != record.id) continue;
    record.name.version++;
    ASSERT_GE(name_room(leaf.data()), name_room_for(record));
    NameScratch scratch;
    Change change(pager_, Step::kInsertEntries);
    stage_name(leaf, i, record, &scratch, &change);
    ASSERT_OK(change.commit());
    EXPECT_TRUE(found("name has two values"));
    return;
  }
  FAIL() << "no live name in the leaf";
}

TEST_F(NamesDamage, VerifyFindsImpossibleNames) {
  change_record(child(1), 1, [](NameRecordHeader* header) { header->version = 0; });
  EXPECT_TRUE(found("name holds impossible values"));
}

TEST_F(NamesDamage, VerifyFindsSpaceThatIsLost) {
  std::byte* page = pager_.page(child(1));
  NameTail changed = tail(child(1));
  changed.upper = static_cast<uint16_t>(changed.upper - 8);
  std::memcpy(page + offsetof(PageHeader, upper), &changed.upper, sizeof(changed.upper));
  seal(child(1), changed);
  EXPECT_TRUE(found("records of names do not fill their space"));
}

}  // namespace
}  // namespace toaststore::test
