// Comparing what is there with what may be there.

#include "support/ledger.h"

#include <algorithm>
#include <cstring>

namespace toaststore::test {

namespace {

class Lengths final : public ValueVisitor {
 public:
  Status value(uint64_t id, uint64_t raw_bytes) override {
    lengths.emplace_back(id, raw_bytes);
    return Status::Ok();
  }
  std::vector<std::pair<uint64_t, uint64_t>> lengths;
};

bool same_lengths(const Contents& contents, const Lengths& found) {
  return contents.size() == found.lengths.size() &&
         std::equal(contents.begin(), contents.end(), found.lengths.begin(),
                    [](const auto& value, const auto& length) {
                      return value.first == length.first && value.second->size() == length.second;
                    });
}

std::string differences(const Contents& contents, const Lengths& found) {
  std::map<uint64_t, uint64_t> there(found.lengths.begin(), found.lengths.end());
  std::string text;
  for (const auto& [id, bytes] : contents) {
    const auto at = there.find(id);
    if (at == there.end()) {
      text += " lost " + std::to_string(id);
    } else if (at->second != bytes->size()) {
      text += " length of " + std::to_string(id);
    }
    if (at != there.end()) there.erase(at);
  }
  for (const auto& [id, length] : there) text += " unexpected " + std::to_string(id);
  return text;
}

}  // namespace

const Contents& Ledger::now() const {
  const size_t count = moments_.size() - (doubtful_ ? 1 : 0);
  return count == 0 ? start_ : moments_[count - 1].contents;
}

void Ledger::commit(Contents after, size_t begun) {
  if (doubtful_) {
    ADD_FAILURE() << "a store that failed in a commit works again";
    return;
  }
  moments_.push_back({std::move(after), begun, SIZE_MAX});
}

void Ledger::doubt(Contents after, size_t begun) {
  commit(std::move(after), begun);
  doubtful_ = true;
}

void Ledger::durable(size_t operations) {
  const size_t end = moments_.size() - (doubtful_ ? 1 : 0);
  for (; settled_ < end; settled_++) moments_[settled_].durable = operations;
}

Contents Ledger::check(Store* store, size_t operations) const {
  Lengths found;
  EXPECT_OK(store->scan(0, UINT64_MAX, &found));
  size_t least = 0;
  size_t most = 0;
  for (const Moment& moment : moments_) {
    if (moment.durable <= operations) least++;
    if (moment.begun < operations) most++;
  }
  for (size_t count = most;; count--) {
    const Contents& contents = count == 0 ? start_ : moments_[count - 1].contents;
    if (same_lengths(contents, found)) {
      Buffer buffer;
      for (const auto& [id, bytes] : contents) {
        EXPECT_OK(store->get(id, &buffer));
        if (buffer.size() != bytes->size() ||
            std::memcmp(buffer.data(), bytes->data(), bytes->size()) != 0) {
          ADD_FAILURE() << "value " << id << " has wrong bytes";
        }
      }
      return contents;
    }
    if (count == least) {
      ADD_FAILURE() << "neither of transactions " << least << " to " << most
                    << "; against the first:" << differences(contents, found);
      return contents;
    }
  }
}

void expect_sound(Store* store) {
  class Faults final : public FaultVisitor {
   public:
    Status fault(Block block, uint64_t id, const char* reason) override {
      ADD_FAILURE() << "block " << block << ", value " << id << ": " << reason;
      return Status::Ok();
    }
  } faults;
  EXPECT_OK(store->verify(&faults));
}

std::map<uint64_t, Bytes> read_all(Store* store) {
  Lengths found;
  EXPECT_OK(store->scan(0, UINT64_MAX, &found));
  std::map<uint64_t, Bytes> values;
  Buffer buffer;
  for (const auto& [id, length] : found.lengths) {
    EXPECT_OK(store->get(id, &buffer));
    values[id] = Bytes(reinterpret_cast<const char*>(buffer.data()), buffer.size());
  }
  return values;
}

}  // namespace toaststore::test
