// The values of a table that VACUUM FULL or CLUSTER copies.
//
// The table keeps its TOAST table's oid, so its values keep their ids: a pointer in a copied row is
// the one that it was before.  They are copied as they are stored, whatever the compression of new
// values is by now; only where the thresholds of the store have changed are they stored anew.
//
// Invariants:
//   * A value that several versions of a row share is copied once.
//   * A value whose last row is deleted, but may be seen by old snapshots, is copied with the
//     deletion: it is cleaned away when it would have been.
//   * Ids of values that have none in the old store are none that is still to be copied.

#ifndef TOASTSTORE_POSTGRES_REWRITE_WRITER_H_
#define TOASTSTORE_POSTGRES_REWRITE_WRITER_H_

#include "postgres/toast_writer.h"

namespace toaststore {

class RewriteWriter final : public ToastWriter {
 public:
  explicit RewriteWriter(Relation target);

  // The rows that are toasted from now on are this one.
  void begin_row(RewrittenRow* row) { row_ = row; }

  bool copies(const varlena* pointer, const WantedForm& wanted) const override;
  void keep(PromisedValue* value) override;

 protected:
  void open() override;

 private:
  bool of_original(const varatt_external& pointer) const;
  bool share(uint64_t id, TransactionId deleter);
  uint64_t free_id();

  uint64_t search_from_ = 0;  // for a free id, once those of the old store have wrapped; 0: not yet
};

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_REWRITE_WRITER_H_
