// toaststore: values by id, through the public header.

#include "toaststore/store.h"

#include "engine/contender.h"

namespace bench {

namespace {

void check(const toaststore::Status& status, const char* what) {
  if (status.ok()) return;
  char text[256];
  die(std::string("toaststore: ") + what + ": " + toaststore::describe(status, text, sizeof(text)));
}

class Toaststore final : public Contender {
 public:
  explicit Toaststore(const Settings& settings) {
    toaststore::StoreOptions options;
    options.cache_bytes = settings.cache_bytes;
    options.checkpoint_bytes = settings.log_bytes;
    options.values.compression.codec =
        settings.compressible ? toaststore::Codec::kLz4 : toaststore::Codec::kNone;
    toaststore::Store* store;
    check(toaststore::Store::open(settings.directory.c_str(), options, &store), "open");
    store_.reset(store);
  }

  uint64_t put(std::string_view bytes) override {
    uint64_t id;
    check(batch().put(bytes.data(), bytes.size(), &id), "put");
    return id;
  }

  void erase(uint64_t id) override { check(batch().erase(id), "erase"); }

  void commit() override {
    if (batch_ == nullptr) return;
    check(batch_->commit(), "commit");
    batch_.reset();
  }

  std::string_view get(uint64_t id) override {
    check(store_->get(id, &value_), "get");
    return view();
  }

  std::string_view slice(uint64_t id, size_t offset, size_t length) override {
    check(store_->get_slice(id, offset, length, &value_), "slice");
    return view();
  }

  void scan(const Visit& visit) override {
    class Visitor final : public toaststore::ValueVisitor {
     public:
      Visitor(Toaststore* store, const Visit& visit) : store_(store), visit_(visit) {}
      toaststore::Status value(uint64_t id, uint64_t) override {
        visit_(id, store_->get(id));
        return toaststore::Status::Ok();
      }

     private:
      Toaststore* store_;
      const Visit& visit_;
    };
    Visitor visitor(this, visit);
    check(store_->scan(0, UINT64_MAX, &visitor), "scan");
  }

  void settle() override {
    check(store_->compact(), "compaction");
    check(store_->checkpoint(), "checkpoint");
  }

 private:
  toaststore::WriteBatch& batch() {
    if (batch_ == nullptr) batch_ = std::make_unique<toaststore::WriteBatch>(store_.get());
    return *batch_;
  }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(value_.data()), value_.size()};
  }

  std::unique_ptr<toaststore::Store> store_;
  std::unique_ptr<toaststore::WriteBatch> batch_;
  toaststore::Buffer value_;
};

}  // namespace

std::unique_ptr<Contender> open_toaststore(const Settings& settings) {
  return std::make_unique<Toaststore>(settings);
}

}  // namespace bench
