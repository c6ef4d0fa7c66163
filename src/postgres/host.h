// The server host: the engine's three ports over PostgreSQL's buffers, log, transactions and
// memory, and an open store.
//
// Invariants:
//   * Two error regimes meet in raise(): below it statuses, above it ereport.  A backend call made
//     by a port may itself raise; the engine's frames above it are skippable.
//   * Nothing here is alive across a call that may raise except what transaction abort releases.
//   * A lane's lock is a heavyweight tuple lock on a block that no value has; the store's SQL face
//   never
//     locks tuples: it may be held while waiting and doing I/O, and abort releases it.

#ifndef TOASTSTORE_POSTGRES_HOST_H_
#define TOASTSTORE_POSTGRES_HOST_H_

#include <optional>

#include "engine/context.h"
#include "engine/store.h"
#include "postgres/pg.h"

namespace toaststore {

// ---- errors.cpp: the seam --------------------------------------------------------------------

// Raises the error that a status stands for, with the SQLSTATE a client can act upon.
[[noreturn]] void raise(const Status& status, Relation rel, uint64_t id = 0);

inline void check(const Status& status, Relation rel, uint64_t id = 0) {
  if (!status.ok()) raise(status, rel, id);
}

// ---- pager.cpp, past_buffers.cpp, change_log.cpp, value_log.cpp, reserve.cpp, write_behind.cpp

// What a long piece of work does where it may be interrupted.
class Pace {
 public:
  virtual Status pause(Step step) = 0;

 protected:
  ~Pace() = default;
};

class ServerPager final : public Pager {
 public:
  ServerPager(Relation rel, Block known_blocks) : rel_(rel), known_blocks_(known_blocks) {}
  ServerPager(const ServerPager&) = delete;
  ServerPager& operator=(const ServerPager&) = delete;
  ~ServerPager() { close_file(); }

  Status read(Block block, Latch latch, PageRef* page) override;
  Status try_read(Block block, PageRef* page) override;
  Status create(Block block, PageRef* page) override;
  void release(const PageRef& page) override;
  Status read_past_cache(Block first, uint32_t count, const std::byte** pages,
                         uint32_t* got) override;
  bool read_often(Block first) override;
  Status reserve(Block end, Block limit) override;
  Block blocks() override;
  Status apply(const Change& change) override;
  Status write_piece(const PieceWrite& piece, uint16_t* item) override;
  Status lock_lane(uint8_t lane, bool wait, bool* locked) override;
  void unlock_lane(uint8_t lane) override;
  Status lock_creation() override;
  void unlock_creation() override;
  Status pause(Step step) override;

  Block known_blocks() const { return known_blocks_; }
  // Changes that were applied.
  uint64_t changes() const { return changes_; }
  // Pieces of values are logged so that logical decoding finds them.
  void set_logical(bool logical) { logical_ = logical; }
  // The file may have become shorter.
  void forget_blocks() { known_blocks_ = 0; }
  // REQUIRES: it outlives the pager's use.
  void set_pace(Pace* pace) { pace_ = pace; }

 private:
  bool open_file(Block segment);
  void close_file();

  Relation rel_;
  Block known_blocks_;  // the file has at least as many
  // A segment that was read past shared buffers; abort closes it.
  File file_ = -1;
  Block segment_ = 0;
  bool logical_ = false;
  Pace* pace_ = nullptr;
  uint64_t changes_ = 0;
};

// The name of a segment's file, in the current memory context.
char* segment_path(Relation rel, Block segment);

// page_checksum.cpp: what data checksums say the page at `block` must have in its header.
uint16 page_checksum(char* page, BlockNumber block);

// Logs a value once more, for logical decoding only.  REQUIRES: the store has pages.
void log_copy(Relation store, Oid id, const char* bytes, Size length);

// write_behind.cpp: has what large writers log written and synced while they go on.  Called after
// each record of a value's bytes, with their number and the record's end.
void write_behind(Size logged, XLogRecPtr end);

// ---- stop_points.cpp -------------------------------------------------------------------------

// The step at which toaststore.stop_at asks the backend to stop; null: none.
struct StopPoint;
extern const StopPoint* armed_stop_point;
void reach_stop_point(Step step);

// A step has been done: stops there if a test asked for it.
inline void stop_after(Step step) {
  if (unlikely(armed_stop_point != nullptr)) reach_stop_point(step);
}

void define_stop_at();

// ---- transactions.cpp ------------------------------------------------------------------------

class ServerTransactions final : public Transactions {
 public:
  explicit ServerTransactions(Relation rel, Snapshot snapshot) : rel_(rel), snapshot_(snapshot) {}

  Xid current() override;
  FullXid current_full() override;
  uint32_t command() override {
    return command_ != InvalidCommandId ? command_ : GetCurrentCommandId(true);
  }
  bool visible(const Stamps& stamps) override;
  // Notes for SERIALIZABLE that the caller reads, or writes, the store; a deletion also for the
  // launcher.
  void note_read();
  void note_write();
  void note_delete();
  Fate fate(const Stamps& stamps, Xid* holder) override;
  Status wait(Xid holder) override;
  bool removable(Xid deleter) override;
  Xid horizon() override { return GetOldestNonRemovableTransactionId(rel_); }
  bool committed(Xid xid) override { return TransactionIdDidCommit(xid); }
  Xid frozen(Xid) override { return FrozenTransactionId; }
  FullXid oldest_running() override;
  void log_removal(Xid deleter, Block block) override;
  Status lost_race() override;

  // Table access methods are told the command by the executor.
  void set_command(CommandId command) { command_ = command; }

 private:
  bool sees(const Stamps& stamps) const;
  void note_conflict(const Stamps& stamps, bool seen);

  Relation rel_;
  Snapshot snapshot_;  // null: no visibility is asked for
  CommandId command_ = InvalidCommandId;
};

// ---- memory ----------------------------------------------------------------------------------

// The current memory context.
class ServerMemory final : public Memory {
 public:
  void* allocate(size_t bytes) override {
    return palloc_extended(bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
  }
  void release(void* memory) override { pfree(memory); }
};

// ---- relation.cpp ----------------------------------------------------------------------------

// A store's relation with everything the engine needs to work on it.  It lives where its owner
// puts it, and holds nothing that transaction abort would not release; keep() gives what was
// learned (hints, size of the file) back to the relation cache for the next call.
class StoreHandle {
 public:
  // REQUIRES: is_store(rel).  Raises where the relation's columns are not a store's.
  StoreHandle(Relation rel, Snapshot snapshot);
  StoreHandle(const StoreHandle&) = delete;
  StoreHandle& operator=(const StoreHandle&) = delete;

  void keep();

  Relation rel() const { return rel_; }
  Context& context() { return context_; }
  ServerPager& pager() { return pager_; }
  IdStore& store() { return store_; }
  ServerTransactions& transactions() { return transactions_; }
  // Does the store have CHECK constraints besides that of the options?
  bool has_checks() const { return has_checks_; }
  // Does a CHECK constraint or a partition bound depend on the id?
  bool binds_id() const { return binds_id_; }

 private:
  StoreHandle(Relation rel, Snapshot snapshot, const struct StoreCache& cache);

  Relation rel_;
  Hints hints_;
  ServerPager pager_;
  ServerTransactions transactions_;
  ServerMemory memory_;
  Context context_;
  IdStore store_;
  bool has_checks_;
  bool binds_id_;
};

// Drops what the backend remembers of a store whose file starts anew.
void forget_store(Relation rel);

// Makes every backend forget it, whether or not the transaction commits.
void forget_store_everywhere(Relation rel);

constexpr char kAccessMethod[] = "toaststore_values";
constexpr char kTableAccessMethod[] = "toaststore";

// Does the relation have the access method toaststore_values?
bool is_store(Relation rel);

// Does the relation have the access method toaststore?  Its TOAST table is a store then.
bool is_table(Relation rel);

// Does a store's relation have the columns of a pg_toast relation?  Never told by relkind: VACUUM
// FULL of a pg_toast relation fills an ordinary table.
StoreKind kind_of(Relation rel);

// Opens a store named by a caller: 42P01 where nothing is, 42809 where it is no store, 42501
// without the right, 0A000 where row security would apply.  Rights are checked before the lock is
// waited for, and again when it is had.
enum class Right : uint8_t { kGet, kPut, kDelete, kOwn };
Relation open_store(Oid relid, LOCKMODE lock_mode, Right right);

// The same where the caller may also name a table with the access method toaststore, by which its
// store is meant: *table is that table, open, or null.  It is locked alike, but no more than
// writers lock it where the store's lock lets them through.  Rights are those on what was named.
Relation open_store_of(Oid relid, LOCKMODE lock_mode, Right right, Relation* table);

// Raises unless the columns are (id bigint, value bytea), dropped ones aside, or those of a
// pg_toast relation where such relations are.
void check_columns(Relation rel);

// What a change of the store by a function needs: not on a standby, not read-only, not in a
// parallel worker; and nothing on the table that SQL would obey and the function cannot (0A000).
void check_writable(const StoreHandle& handle, const char* function);

// ---- options.cpp -----------------------------------------------------------------------------

// The options that the CHECK constraint of a store, or of a table for its store, names; none where
// there is no such constraint.
std::optional<Options> stated_options(Relation rel);

// Those of a by-id store, the defaults where it names none.
Options catalog_options(Relation rel);

// Those of the store of a table with the access method toaststore: kept with the table's entry in
// the relation cache.
Options table_options(Relation table);

// What of the catalog INSERT obeys; see StoreHandle.
struct Restrictions {
  bool has_checks;
  bool binds_id;
};
Restrictions catalog_restrictions(Relation rel);

// Raises 22023 where a threshold is out of its range.
void check_thresholds(const Options& options);

// 'none', 'lz4', 'zstd' or 'zstd:LEVEL'.  Raises 22023.
Compression require_compression(const char* text);

// ---- table_am.cpp ----------------------------------------------------------------------------

extern const TableAmRoutine store_routine;

// Tuple identifiers of by-id stores: 15 bits of the id in the offset, from 1, the rest in the
// block.
constexpr OffsetNumber kTidOffsets = 1 << 15;
inline ItemPointerData tid_of(uint64_t id) {
  ItemPointerData tid;
  ItemPointerSet(&tid, static_cast<BlockNumber>(id >> 15),
                 static_cast<OffsetNumber>((id & 0x7fff) + 1));
  return tid;
}
inline uint64_t id_of(const ItemPointerData& tid) {
  return static_cast<uint64_t>(ItemPointerGetBlockNumberNoCheck(&tid)) << 15 |
         (ItemPointerGetOffsetNumberNoCheck(&tid) - 1);
}

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_HOST_H_
