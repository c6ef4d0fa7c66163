// What happens to a store as a relation: creation, truncation, copying, size estimates.

#include "engine/cleaner.h"
#include "engine/meta.h"
#include "postgres/give_back.h"
#include "postgres/store_am.h"

namespace toaststore {

namespace {

// The least that toaststore.compaction_threshold can be.
constexpr double kFullThreshold = 0.1;

// REQUIRES: AccessExclusiveLock on the store.
void make_compact(Relation rel) {
  StoreHandle handle(rel, nullptr);
  CleanReport report;
  check(compact(handle.context(), kFullThreshold, &report), rel);
  uint64_t given_blocks = 0;
  give_back(&handle, &given_blocks);
}

}  // namespace

// As heap's.  The store's first pages are made by its first put, so that an empty store is an empty
// file, and the init fork of an unlogged one too.
void relation_set_new_filenode(Relation rel, const RelFileNode* file, char persistence,
                               TransactionId* freeze_xid, MultiXactId* min_multi) {
  // pg_upgrade makes dropped columns first and drops them again.
  if (!IsBinaryUpgrade) check_columns(rel);
  *freeze_xid = RecentXmin;
  *min_multi = GetOldestMultiXactId();
  SMgrRelation storage = RelationCreateStorage(*file, persistence, true);
  if (persistence == RELPERSISTENCE_UNLOGGED) {
    smgrcreate(storage, INIT_FORKNUM, false);
    log_smgrcreate(file, INIT_FORKNUM);
    smgrimmedsync(storage, INIT_FORKNUM);
  }
  smgrclose(storage);
}

// The file stays the same one, so what was remembered of it must go.
void relation_nontransactional_truncate(Relation rel) {
  RelationTruncate(rel, 0);
  forget_store(rel);
}

// A rewrite (ALTER TABLE .. SET LOGGED and the like) inserts the rows that are left into a new
// file. The counter goes on where it was: an id that was deleted must not come to name another
// value.
void finish_bulk_insert(Relation rel, int options) {
  (void)options;
  if (!OidIsValid(rel->rd_rel->relrewrite)) return;
  Relation original = table_open(rel->rd_rel->relrewrite, NoLock);
  uint64_t next_id = 0;
  if (is_store(original)) {
    StoreHandle handle(original, nullptr);
    MetaBody meta;
    const Status status = read_meta(handle.context(), &meta);
    if (!status.is(Code::kNotFound)) {
      check(status, original);
      next_id = meta.next_id;
    }
  }
  table_close(original, NoLock);
  if (next_id <= kMinId) return;
  StoreHandle handle(rel, nullptr);
  Batch batch(handle.context());
  check(batch.expect_ids(next_id - 1), rel);
}

// As heap's: every fork, flushed first, logged where the relation is.
void relation_copy_data(Relation rel, const RelFileNode* file) {
  const char persistence = rel->rd_rel->relpersistence;
  SMgrRelation target = smgropen(*file, rel->rd_backend);
  FlushRelationBuffers(rel);
  RelationCreateStorage(*file, persistence, true);
  RelationCopyStorage(RelationGetSmgr(rel), target, MAIN_FORKNUM, persistence);
  for (int fork = MAIN_FORKNUM + 1; fork <= MAX_FORKNUM; fork++) {
    const auto number = static_cast<ForkNumber>(fork);
    if (!smgrexists(RelationGetSmgr(rel), number)) continue;
    smgrcreate(target, number, false);
    if (RelationIsPermanent(rel) ||
        (persistence == RELPERSISTENCE_UNLOGGED && number == INIT_FORKNUM)) {
      log_smgrcreate(file, number);
    }
    RelationCopyStorage(RelationGetSmgr(rel), target, number, persistence);
  }
  stop_after(Step::kCopyStore);
  RelationDropStorage(rel);
  smgrclose(target);
}

// VACUUM FULL: the store is made as small as it can be and copied.  Pages know nothing of the file
// they are in, so the copy is the same store, its transaction ids and journals included.
void relation_copy_for_cluster(Relation rel, Relation target, Relation index, bool use_sort,
                               TransactionId oldest_xmin, TransactionId* xid_cutoff,
                               MultiXactId* multi_cutoff, double* tuples, double* vacuumed,
                               double* recently_dead) {
  (void)index, (void)use_sort, (void)oldest_xmin;
  make_compact(rel);
  FlushRelationBuffers(rel);
  RelationCopyStorage(RelationGetSmgr(rel), RelationGetSmgr(target), MAIN_FORKNUM,
                      rel->rd_rel->relpersistence);
  stop_after(Step::kCopyStore);
  *xid_cutoff = rel->rd_rel->relfrozenxid;
  *multi_cutoff = rel->rd_rel->relminmxid;
  *tuples = rel->rd_rel->reltuples;
  *vacuumed = *recently_dead = 0;
}

// A scan reads leaves only.  Where ANALYZE knows nothing, or missed the few leaves of a store of
// large values, as many ids as were ever handed out is the guess of the rows.
void relation_estimate_size(Relation rel, int32* widths, BlockNumber* pages, double* tuples,
                            double* all_visible) {
  (void)widths;
  const BlockNumber blocks = RelationGetNumberOfBlocks(rel);
  *tuples = 0;
  if (rel->rd_rel->reltuples > 0 && rel->rd_rel->relpages > 0) {
    *tuples = rel->rd_rel->reltuples / rel->rd_rel->relpages * blocks;
  } else if (blocks > 0) {
    StoreHandle handle(rel, nullptr);
    MetaBody meta;
    const Status status = read_meta(handle.context(), &meta);
    if (!status.is(Code::kNotFound)) {
      check(status, rel);
      *tuples = static_cast<double>(Min(meta.next_id - 1, uint64_t{blocks} * kLeafCapacity));
    }
  }
  *pages = static_cast<BlockNumber>(*tuples / kLeafCapacity) + 1;
  *all_visible = 0;
}

uint64 relation_size(Relation rel, ForkNumber fork) { return table_block_relation_size(rel, fork); }

}  // namespace toaststore
