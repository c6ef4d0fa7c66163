// By id, by name, and one batch after the other.

#include "ctl/find.h"

#include "ctl/words.h"
#include "engine/format.h"

namespace toaststore::ctl {

namespace {

Status enough() { return Status::Error(Code::kLimit, "enough were found"); }

// A scan that had enough has not failed.  No scan has another reason to end with kLimit.
Status settle(const Status& status) { return status.is(Code::kLimit) ? Status::Ok() : status; }

class Collect final : public NameVisitor, public ValueVisitor {
 public:
  Collect(std::vector<Found>* found, std::string prefix)
      : found_(found), prefix_(std::move(prefix)) {}

  Status name(const void* key, size_t length, uint64_t id, uint64_t raw_bytes) override {
    std::string name(static_cast<const char*>(key), length);
    if (!name.starts_with(prefix_)) return enough();
    found_->push_back({id, raw_bytes, std::move(name)});
    return found_->size() == kFoundMax ? enough() : Status::Ok();
  }
  Status value(uint64_t id, uint64_t raw_bytes) override {
    found_->push_back({id, raw_bytes, {}});
    return found_->size() == kFoundMax ? enough() : Status::Ok();
  }

 private:
  std::vector<Found>* found_;
  const std::string prefix_;
};

}  // namespace

Wanted::Wanted(const Arguments& arguments) : arguments_(arguments) {
  if (arguments.has("name") == !arguments.rest().empty()) {
    throw Failure(kUsage, "give either an ID or --name");
  }
  if (!arguments.has("name")) id_ = parse_number(arguments.rest()[0], "an id");
}

uint64_t Wanted::id(Store* store) const {
  const std::string* name = arguments_.value("name");
  if (name == nullptr) return id_;
  uint64_t id;
  expect_found(store->find_name(name->data(), name->size(), &id), subject());
  return id;
}

std::string Wanted::subject() const {
  const std::string* name = arguments_.value("name");
  return arguments_.store() + ": " +
         (name != nullptr ? in_quotes(*name) : "value " + std::to_string(id_));
}

// The next string behind a name is the name with a zero byte.
Status find_names(Store* store, const std::string& prefix, const std::string& last,
                  std::vector<Found>* found) {
  found->clear();
  Collect collect(found, prefix);
  const std::string from = last.empty() ? prefix : last + '\0';
  return settle(store->scan_names(from.data(), from.size(), nullptr, 0, &collect));
}

Status find_values(Store* store, uint64_t from, std::vector<Found>* found) {
  found->clear();
  Collect collect(found, "");
  return settle(store->scan(from, kInfinity, &collect));
}

}  // namespace toaststore::ctl
