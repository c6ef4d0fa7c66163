// Any bytes as the pages of a store: opened, verified, searched, scanned and read whole and in
// part. Whatever they are, the answer is a status.

#include <vector>

#include "engine/meta.h"
#include "engine/store.h"
#include "engine/verify.h"
#include "support/ports.h"

namespace toaststore::fuzz {
namespace {

constexpr uint64_t kMostRead = 1 << 20;
constexpr int kMostValues = 64;
// Damaged right links may lead a scan in a circle of pages that all look sound.
constexpr int kMostLeaves = 1000;

class Count final : public FaultSink {
 public:
  Status report(const Fault&) override {
    // Who prints all faults of a large store gives up some time.
    return ++faults_ < 1000 ? Status::Ok() : Status::Error(Code::kLimit, "enough");
  }

 private:
  int faults_ = 0;
};

void read_entry(IdStore* store, Entry entry) {
  (void)store->chunks(entry);
  std::vector<std::byte> out(std::min<uint64_t>(entry.raw_bytes, kMostRead));
  Entry copy = entry;
  if (entry.raw_bytes <= kMostRead) (void)store->fetch(&copy, 0, entry.raw_bytes, out.data());
  const uint64_t middle = entry.raw_bytes / 2;
  const uint64_t part = std::min<uint64_t>(entry.raw_bytes - middle, 1000);
  if (part <= out.size()) (void)store->fetch(&entry, middle, part, out.data());
}

void run(const uint8_t* input, size_t length) {
  InputPager pager(input, length);
  LimitedMemory memory;
  AllCommitted transactions;
  Hints hints;
  Context context{pager, transactions, memory, hints, Options{}, Proof::kAlways};
  IdStore store(context);
  MetaBody meta;
  (void)read_meta(context, &meta);
  Count count;
  (void)verify(context, &count);

  LeafBatch batch;
  int values = 0;
  uint64_t next = 0;
  for (int leaf = 0; leaf < kMostLeaves && next != kInfinity; leaf++) {
    if (!read_forward(context, next, &batch).ok()) break;
    for (uint16_t i = 0; i < batch.count && values < kMostValues; i++, values++) {
      Entry entry;
      if (store.lookup(batch.entries[i].id, &entry).ok()) read_entry(&store, entry);
    }
    next = batch.next;
  }
  next = kInfinity - 1;
  for (int leaf = 0; leaf < kMostLeaves && next != 0; leaf++) {
    if (!read_backward(context, next, &batch).ok()) break;
    next = batch.next;
  }
}

}  // namespace
}  // namespace toaststore::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t length) {
  toaststore::fuzz::run(input, length);
  return 0;
}
