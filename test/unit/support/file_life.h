// A store on simulated files at work: random transactions of every kind, and the ledger of what it
// promised meanwhile.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_FILE_LIFE_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_FILE_LIFE_H_

#include "support/ledger.h"
#include "support/sim_files.h"

namespace toaststore::test {

// Where the store of a life is.
inline constexpr char kSimStore[] = "/sim/store";

// Small segments, a small cache, and no thread that does things in its own time.
StoreOptions sim_options(Files* files, Sync sync);

class FileLife {
 public:
  // `options` name the files, which hold a store with these contents, or none.
  FileLife(SimFiles* files, const StoreOptions& options, Contents contents, uint64_t seed)
      : files_(files), options_(options), ledger_(std::move(contents)), random_(seed) {}

  // What fails is in failures(); it is not the test that fails.
  bool open();
  // Values that fill the cache `bytes` full.
  void fill(uint64_t bytes);
  // Some random transactions, checkpoints and syncs.
  void work(int transactions);
  void checkpoint();
  // The data file becomes longer, and shorter again.
  void grow_and_shrink();
  void close();
  // The process is gone.
  void die();

  Store* store() { return store_.get(); }
  const Ledger& ledger() const { return ledger_; }
  const std::vector<Status>& failures() const { return failures_; }

 private:
  using Transaction = std::function<Status(WriteBatch*, Contents*)>;

  void one();
  void run(const Transaction& transaction);
  void note(const Status& status, bool makes_durable);
  Bytes some_bytes();
  uint64_t some_id();
  uint64_t free_id();
  Status put(WriteBatch* batch, const Bytes& bytes, Contents* contents);
  Status put_at(WriteBatch* batch, uint64_t id, const Bytes& bytes, Contents* contents);
  Status mix(WriteBatch* batch, Contents* contents);
  void roll_back();
  void read_some();

  SimFiles* files_;
  StoreOptions options_;
  Ledger ledger_;
  Random random_;
  std::unique_ptr<Store> store_;
  std::vector<Status> failures_;
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_FILE_LIFE_H_
