// Short calls over the engine's, each checked to leave no latch, lane or memory behind.

#include "support/test_store.h"

#include <algorithm>
#include <memory>

#include "engine/meta.h"

namespace toaststore::test {

Bytes random_bytes(uint64_t seed, size_t length) {
  Random random(seed);
  Bytes bytes(length, '\0');
  for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(bytes.data() + i, &word, std::min(sizeof(word), length - i));
  }
  return bytes;
}

Bytes text_bytes(uint64_t seed, size_t length) {
  static constexpr const char* kWords[] = {"the ",    "store ", "keeps ",    "values ",
                                           "beside ", "rows ",  "{\"id\": ", "\"name\": "};
  Random random(seed);
  Bytes bytes;
  while (bytes.size() < length) {
    bytes += kWords[random.below(8)];
    if (random.below(4) == 0) bytes += std::to_string(random.below(100000));
  }
  bytes.resize(length);
  return bytes;
}

std::ostream& operator<<(std::ostream& out, const FoundFault& fault) {
  return out << "block " << fault.block << ", id " << fault.id << ": " << fault.reason;
}

Options TestStore::plain() {
  Options options;
  options.compression.codec = Codec::kNone;
  return options;
}

TestStore::TestStore(const Options& options)
    : pager(own_pager),
      world(own_world),
      session(own_world),
      context{own_pager, session, memory, hints, options},
      store(context) {}

TestStore::TestStore(TestStore& other, const Options& options)
    : pager(other.pager),
      world(other.world),
      session(other.world),
      context{other.pager, session, memory, hints, options},
      store(context) {}

void TestStore::expect_idle(const char* where) {
  pager.expect_idle(where);
  EXPECT_EQ(memory.live(), 0) << "memory leaks from " << where;
}

Status TestStore::try_put(const Bytes& bytes, uint64_t* id) {
  const Status status = store.put(data_of(bytes), bytes.size(), id);
  expect_idle("put");
  return status;
}

Status TestStore::try_put_at(uint64_t id, const Bytes& bytes) {
  Status status;
  {
    Batch batch(context);
    status = batch.add_at(id, data_of(bytes), bytes.size());
    if (status.ok()) status = batch.flush();
  }
  expect_idle("put_at");
  return status;
}

Status TestStore::try_slice(uint64_t id, uint64_t offset, uint64_t length, Bytes* bytes) {
  Entry entry;
  Status status = store.lookup(id, &entry);
  if (status.ok()) {
    if (offset > entry.raw_bytes) offset = entry.raw_bytes;
    bytes->assign(std::min(length, entry.raw_bytes - offset), '?');
    status =
        store.fetch(&entry, offset, bytes->size(), reinterpret_cast<std::byte*>(bytes->data()));
  }
  expect_idle("get");
  return status;
}

Status TestStore::try_get(uint64_t id, Bytes* bytes) { return try_slice(id, 0, UINT64_MAX, bytes); }

Status TestStore::try_erase(uint64_t id) {
  const Status status = store.erase(id);
  expect_idle("erase");
  return status;
}

Status TestStore::try_purge(uint64_t id) {
  const Status status = store.purge(id);
  expect_idle("purge");
  return status;
}

Status TestStore::try_scan(std::vector<uint64_t>* ids, bool backward) {
  ids->clear();
  const auto batch = std::make_unique<LeafBatch>();
  uint64_t key = backward ? kMaxId : kMinId;
  while (backward ? key >= kMinId : key <= kMaxId) {
    const Status status = backward ? read_backward(context, key, batch.get())
                                   : read_forward(context, key, batch.get());
    expect_idle("scan");
    TOASTSTORE_TRY(status);
    for (uint16_t i = 0; i < batch->count; i++) {
      const uint16_t index = backward ? static_cast<uint16_t>(batch->count - 1 - i) : i;
      ids->push_back(batch->entries[index].id);
    }
    EXPECT_TRUE(backward ? batch->next < key : batch->next > key) << "a scan does not advance";
    key = batch->next;
  }
  return Status::Ok();
}

namespace {

class Collector final : public FaultSink {
 public:
  explicit Collector(std::vector<FoundFault>* faults) : faults_(faults) {}
  Status report(const Fault& fault) override {
    faults_->push_back({fault.block, fault.id, fault.reason});
    return Status::Ok();
  }

 private:
  std::vector<FoundFault>* faults_;
};

}  // namespace

Status TestStore::try_verify(std::vector<FoundFault>* faults, VerifyBeside beside) {
  faults->clear();
  Collector collector(faults);
  const Status status = toaststore::verify(context, &collector, beside);
  expect_idle("verify");
  return status;
}

uint64_t TestStore::put(const Bytes& bytes) {
  uint64_t id = 0;
  EXPECT_OK(try_put(bytes, &id));
  return id;
}

void TestStore::put_at(uint64_t id, const Bytes& bytes) { EXPECT_OK(try_put_at(id, bytes)); }

Bytes TestStore::get(uint64_t id) {
  Bytes bytes;
  const Status status = try_get(id, &bytes);
  EXPECT_TRUE(status.ok()) << "get of " << id << ": " << status;
  return bytes;
}

Bytes TestStore::slice(uint64_t id, uint64_t offset, uint64_t length) {
  Bytes bytes;
  EXPECT_OK(try_slice(id, offset, length, &bytes));
  return bytes;
}

void TestStore::erase(uint64_t id) { EXPECT_OK(try_erase(id)); }

Entry TestStore::entry(uint64_t id) {
  Entry entry{};
  bool found = false;
  EXPECT_OK(find_entry(context, id, &entry, &found));
  EXPECT_TRUE(found) << "no entry of id " << id;
  return entry;
}

void TestStore::reopen() {
  pager.reopen();
  world.crash();
  hints = Hints();
  session.abort();
}

std::vector<uint64_t> TestStore::scan(bool backward) {
  std::vector<uint64_t> ids;
  EXPECT_OK(try_scan(&ids, backward));
  return ids;
}

std::vector<FoundFault> TestStore::verify(VerifyBeside beside) {
  std::vector<FoundFault> faults;
  EXPECT_OK(try_verify(&faults, beside));
  return faults;
}

void TestStore::expect_sound() {
  for (const FoundFault& fault : verify()) ADD_FAILURE() << fault;
}

void hand_out_all_ids(Context& context) {
  MetaGuard meta;
  EXPECT_OK(meta.open(context, Latch::kExclusive));
  meta.body.next_id = max_id(StoreKind::kById) + 1;
  Change change(context.pager, Step::kRaiseNextId);
  meta.stage(&change);
  EXPECT_OK(change.commit());
}

}  // namespace toaststore::test
