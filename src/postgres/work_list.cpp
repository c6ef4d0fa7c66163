// The list of stores with something to do.

#include "postgres/work_list.h"

#include "postgres/settings.h"

extern "C" {
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"
}

namespace toaststore {

namespace {

constexpr char kTranche[] = "toaststore";
// The last of the list is kept for searches, which find what there was no room for.
constexpr int kMaxStores = kMaxWork * 3 / 4;
// Stores changed by one transaction that are noted one by one.
constexpr int kMaxChanged = 16;

struct Shared {
  LWLock* lock;
  Latch* launcher;
  bool search;
  WorkerSlot slots[kMaxWorkers];
};

Shared* shared = nullptr;
HTAB* list = nullptr;
shmem_request_hook_type next_request_hook = nullptr;
shmem_startup_hook_type next_startup_hook = nullptr;

// What the transaction under way has changed.
struct Changed {
  WorkKey key;
  bool makes_room;  // something of it is to be removed when it commits
};
Changed changed[kMaxChanged];
int changed_count = 0;
bool changed_more = false;

class Locked {
 public:
  // Errors are not raised while it is held.
  explicit Locked(LWLockMode mode) { LWLockAcquire(shared->lock, mode); }
  ~Locked() { LWLockRelease(shared->lock); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
};

// The earlier of two times, of which 0 is none.
TimestampTz earlier(TimestampTz a, TimestampTz b) {
  if (a == 0 || b == 0) return a + b;
  return Min(a, b);
}

Work* find(const WorkKey& key) {
  return static_cast<Work*>(hash_search(list, &key, HASH_FIND, nullptr));
}

void remove(const WorkKey& key) { hash_search(list, &key, HASH_REMOVE, nullptr); }

void wake() {
  if (shared->launcher != nullptr) SetLatch(shared->launcher);
}

// Makes room where only an old error is remembered.
bool drop_idle_entry() {
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, list);
  while (auto* work = static_cast<Work*>(hash_seq_search(&scan))) {
    if (work->due != 0 || work->taken) continue;
    const WorkKey key = work->key;
    hash_seq_term(&scan);
    remove(key);
    return true;
  }
  return false;
}

// Null where the list is full.
Work* find_or_add(const WorkKey& key) {
  Work* work = find(key);
  if (work != nullptr) return work;
  const int room = OidIsValid(key.store) ? kMaxStores : kMaxWork;
  if (hash_get_num_entries(list) >= room && !drop_idle_entry()) return nullptr;
  work = static_cast<Work*>(hash_search(list, &key, HASH_ENTER_NULL, nullptr));
  if (work == nullptr) return nullptr;
  *work = Work{};
  work->key = key;
  return work;
}

bool add(const WorkKey& key, TimestampTz due) {
  Work* work = find_or_add(key);
  if (work == nullptr) return false;
  work->due = earlier(work->due, Max(due, work->not_before));
  return true;
}

// A store that is in the list already costs a commit one look.
void note(const WorkKey& key, TimestampTz due) {
  {
    const Locked locked(LW_SHARED);
    const Work* work = find(key);
    if (work != nullptr && work->due != 0 && work->due <= Max(due, work->not_before)) return;
  }
  const Locked locked(LW_EXCLUSIVE);
  if (!add(key, due)) shared->search = true;
  wake();
}

void on_transaction_end(XactEvent event, void*) {
  if (changed_count == 0 && !changed_more) return;
  switch (event) {
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
      break;
    default:
      return;
  }
  const TimestampTz now = GetCurrentTimestamp();
  const TimestampTz soon = now + naptime_s * USECS_PER_SEC;
  const TimestampTz checkpoint = now + checkpoint_interval_s * USECS_PER_SEC;
  const bool aborted = event == XACT_EVENT_ABORT;
  for (int i = 0; i < changed_count; i++) {
    note(changed[i].key, aborted || changed[i].makes_room ? soon : checkpoint);
  }
  if (changed_more) note({MyDatabaseId, InvalidOid}, soon);
  changed_count = 0;
  changed_more = false;
}

// What a savepoint's rollback leaves is not told apart from what stays.
void on_subtransaction_end(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
  if (event != SUBXACT_EVENT_ABORT_SUB) return;
  for (int i = 0; i < changed_count; i++) changed[i].makes_room = true;
}

void remember(const WorkKey& key, bool makes_room) {
  for (int i = 0; i < changed_count; i++) {
    if (changed[i].key.database != key.database || changed[i].key.store != key.store) continue;
    changed[i].makes_room = changed[i].makes_room || makes_room;
    return;
  }
  if (changed_count == kMaxChanged) {
    changed_more = true;
  } else {
    changed[changed_count++] = {key, makes_room};
  }
}

void request() {
  if (next_request_hook != nullptr) next_request_hook();
  RequestAddinShmemSpace(
      add_size(MAXALIGN(sizeof(Shared)), hash_estimate_size(kMaxWork, sizeof(Work))));
  RequestNamedLWLockTranche(kTranche, 1);
}

void start() {
  if (next_startup_hook != nullptr) next_startup_hook();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  shared = static_cast<Shared*>(ShmemInitStruct("toaststore", sizeof(Shared), &found));
  if (!found) {
    *shared = Shared{};
    shared->lock = &GetNamedLWLockTranche(kTranche)->lock;
    shared->search = true;
  }
  HASHCTL control{};
  control.keysize = sizeof(WorkKey);
  control.entrysize = sizeof(Work);
  list = ShmemInitHash("toaststore work", kMaxWork, kMaxWork, &control, HASH_ELEM | HASH_BLOBS);
  LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void install_work_list() {
  if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
  next_request_hook = shmem_request_hook;
  shmem_request_hook = request;
  next_startup_hook = shmem_startup_hook;
  shmem_startup_hook = start;
  RegisterXactCallback(on_transaction_end, nullptr);
  RegisterSubXactCallback(on_subtransaction_end, nullptr);
}

bool have_work_list() { return shared != nullptr; }

void note_change(Relation rel, ChangeKind kind) {
  if (shared == nullptr || rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP) return;
  // A rewrite fills a relation that gives its file to another.
  const Oid original = rel->rd_rel->relrewrite;
  remember({MyDatabaseId, OidIsValid(original) ? original : RelationGetRelid(rel)},
           kind == ChangeKind::kDelete);
}

void note_new_database(Oid database) {
  if (shared != nullptr) remember({database, InvalidOid}, true);
}

void set_launcher(Latch* latch) {
  const Locked locked(LW_EXCLUSIVE);
  shared->launcher = latch;
}

bool take_search_request() {
  const Locked locked(LW_EXCLUSIVE);
  const bool asked = shared->search;
  shared->search = false;
  return asked;
}

void request_search() {
  const Locked locked(LW_EXCLUSIVE);
  shared->search = true;
}

TimestampTz next_visit(const Oid* busy, int busy_count, Oid* database) {
  const Locked locked(LW_SHARED);
  TimestampTz next = 0;
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, list);
  while (const auto* work = static_cast<Work*>(hash_seq_search(&scan))) {
    bool is_busy = false;
    for (int i = 0; i < busy_count; i++) is_busy = is_busy || busy[i] == work->key.database;
    if (is_busy || work->due == 0 || (next != 0 && next <= work->due)) continue;
    next = work->due;
    *database = work->key.database;
  }
  return next;
}

void postpone(Oid database, TimestampTz until) {
  const Locked locked(LW_EXCLUSIVE);
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, list);
  while (auto* work = static_cast<Work*>(hash_seq_search(&scan))) {
    if (work->key.database != database) continue;
    if (work->due != 0) work->due = Max(work->due, until);
  }
}

void forget_database(Oid database) {
  const Locked locked(LW_EXCLUSIVE);
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, list);
  // An entry may be removed when the scan has just returned it.
  while (auto* work = static_cast<Work*>(hash_seq_search(&scan))) {
    if (work->key.database == database) remove(WorkKey{work->key});
  }
}

WorkerSlot read_slot(int slot) {
  const Locked locked(LW_SHARED);
  return shared->slots[slot];
}

void write_slot(int slot, const WorkerSlot& value) {
  const Locked locked(LW_EXCLUSIVE);
  shared->slots[slot] = value;
}

void wake_launcher() {
  const Locked locked(LW_SHARED);
  wake();
}

bool take_work(Oid database, Work* work) {
  const TimestampTz now = GetCurrentTimestamp();
  const Locked locked(LW_EXCLUSIVE);
  Work* oldest = nullptr;
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, list);
  while (auto* entry = static_cast<Work*>(hash_seq_search(&scan))) {
    if (entry->key.database != database || entry->due == 0 || entry->due > now) continue;
    if (oldest == nullptr || entry->visited < oldest->visited) oldest = entry;
  }
  if (oldest == nullptr) return false;
  oldest->visited = now;
  oldest->due = 0;
  oldest->taken = true;
  *work = *oldest;
  return true;
}

bool add_work(const WorkKey& key, TimestampTz due) {
  const Locked locked(LW_EXCLUSIVE);
  return add(key, due);
}

void finish_work(const Work& work) {
  const Locked locked(LW_EXCLUSIVE);
  Work* entry = find_or_add(work.key);
  if (entry == nullptr) {
    shared->search = true;
    return;
  }
  const TimestampTz changed_due = entry->due;
  *entry = work;
  entry->taken = false;
  if (changed_due != 0) entry->due = earlier(work.due, Max(changed_due, work.not_before));
  if (entry->due == 0 && entry->failed_at == 0) remove(work.key);
}

bool find_work(Oid store, Work* work) {
  if (shared == nullptr) return false;
  const WorkKey key{MyDatabaseId, store};
  const Locked locked(LW_SHARED);
  const Work* entry = find(key);
  if (entry != nullptr) *work = *entry;
  return entry != nullptr;
}

}  // namespace toaststore
