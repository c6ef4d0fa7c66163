// An embedded store in a directory of its own, and calls by name as short as a map's: what the
// tests of names are written in.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_NAMED_STORE_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_NAMED_STORE_H_

#include <map>
#include <memory>
#include <optional>

#include "support/test_store.h"
#include "toaststore/store.h"

namespace toaststore::test {

struct FoundName {
  Bytes key;
  uint64_t id;
  uint64_t raw_bytes;
};

class NamedStore : public ::testing::Test {
 protected:
  NamedStore();
  ~NamedStore() override;

  std::string path() const { return directory_ + "/store"; }
  Status try_open(const StoreOptions& options);
  void open() { ASSERT_OK(try_open(options_)); }
  // The process is gone: the files as they are now are all that is left.  Nothing may be going on.
  void crash();
  // The same in two steps: what happens between them has not happened.
  void freeze();
  void leave_frozen();

  void set(const Bytes& key, const Bytes& value);
  void erase(const Bytes& key);
  // Nothing where there is no such name; any other error fails the test.
  std::optional<Bytes> get(const Bytes& key);
  uint64_t id_of(const Bytes& key);
  std::vector<FoundName> scan(const Bytes& from = "", const Bytes& to = "");
  std::vector<Bytes> keys(const Bytes& from = "", const Bytes& to = "");
  std::vector<Bytes> keys_with(const Bytes& prefix);
  std::vector<FoundFault> faults();
  void expect_sound();
  // Every name of the model is there with its value, and no other.
  void expect_holds(const std::map<Bytes, Bytes>& model);

  std::string directory_;
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_NAMED_STORE_H_
