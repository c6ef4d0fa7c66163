// A store's options in the catalog.
//
// A stock server refuses unknown WITH options on a table, so they are the arguments of a CHECK
// constraint that is always true and that pg_dump emits with CREATE TABLE:
//
//   CONSTRAINT toaststore_options CHECK (toaststore.options(direct_max => 4096, ...))
//
// A table with the access method toaststore has it for its store, which has no constraints itself.
// The meta page holds a copy of the thresholds, which are fixed when the store's file is begun.
//
// Anybody may write a constraint of that name on a table of their own: nothing of it is evaluated
// here.  It counts only if it is a call of our own function, and of its arguments only constants of
// the right types; one that is no call of ours, or looks at the row, is a constraint like any
// other.

#include <new>

#include "engine/codec.h"
#include "engine/words.h"
#include "postgres/host.h"

extern "C" {
#include "optimizer/optimizer.h"
#include "utils/partcache.h"

extern Datum toaststore_options(PG_FUNCTION_ARGS);
}

namespace toaststore {

namespace {

constexpr char kConstraintName[] = "toaststore_options";

// The constant of `type` that argument `position` of the constraint's call is, or null.
const Const* constant_argument(const FuncExpr* call, int position, Oid type) {
  const ListCell* cell;
  int index = 0;
  foreach (cell, call->args) {
    const auto* node = static_cast<const Node*>(lfirst(cell));
    int number = index++;
    if (IsA(node, NamedArgExpr)) {
      const auto* named = reinterpret_cast<const NamedArgExpr*>(node);
      number = named->argnumber;
      node = reinterpret_cast<const Node*>(named->arg);
    }
    if (number != position) continue;
    const auto* constant = reinterpret_cast<const Const*>(node);
    const bool sound = IsA(node, Const) && !constant->constisnull && constant->consttype == type;
    return sound ? constant : nullptr;
  }
  return nullptr;
}

bool calls_options(const Node* node) {
  if (!IsA(node, FuncExpr)) return false;
  FmgrInfo function;
  fmgr_info(reinterpret_cast<const FuncExpr*>(node)->funcid, &function);
  return function.fn_addr == toaststore_options;
}

void read_threshold(const FuncExpr* call, int position, uint32_t* value) {
  const Const* constant = constant_argument(call, position, INT4OID);
  if (constant != nullptr) *value = static_cast<uint32_t>(DatumGetInt32(constant->constvalue));
}

void read_call(const FuncExpr* call, Options* options) {
  read_threshold(call, 0, &options->direct_max);
  read_threshold(call, 1, &options->extent_max);
  read_threshold(call, 2, &options->chunk_bytes);
  const Const* compression = constant_argument(call, 3, TEXTOID);
  if (compression != nullptr) {
    options->compression = require_compression(TextDatumGetCString(compression->constvalue));
  }
  check_thresholds(*options);
}

// The call that the constraint consists of, if it is the one that holds the options.  One that
// looks at the row is somebody's condition on it.
const FuncExpr* options_call(const ConstrCheck& check, const Node* node) {
  const bool found = strcmp(check.ccname, kConstraintName) == 0 && calls_options(node) &&
                     !contain_var_clause(const_cast<Node*>(node));
  return found ? reinterpret_cast<const FuncExpr*>(node) : nullptr;
}

std::optional<Options> read_constraints(Relation rel) {
  const TupleConstr* constraints = RelationGetDescr(rel)->constr;
  for (int i = 0; constraints != nullptr && i < constraints->num_check; i++) {
    const ConstrCheck& check = constraints->check[i];
    if (strcmp(check.ccname, kConstraintName) != 0) continue;
    const auto* node = static_cast<const Node*>(stringToNode(check.ccbin));
    const FuncExpr* call = options_call(check, node);
    if (call == nullptr) continue;
    Options options;
    read_call(call, &options);
    return options;
  }
  return std::nullopt;
}

// The transient table of a rewrite has no constraints: the one it replaces has.
Relation constrained(Relation rel) {
  return OidIsValid(rel->rd_rel->relrewrite) ? table_open(rel->rd_rel->relrewrite, NoLock) : rel;
}

// Does the expression refer to the column id, or to the row as a whole?
bool refers_to_id(const Node* node) {
  Bitmapset* columns = nullptr;
  pull_varattnos(const_cast<Node*>(node), 1, &columns);
  return bms_is_member(1 - FirstLowInvalidHeapAttributeNumber, columns) ||
         bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, columns);
}

}  // namespace

std::optional<Options> stated_options(Relation rel) {
  Relation source = constrained(rel);
  const std::optional<Options> options = read_constraints(source);
  if (source != rel) table_close(source, NoLock);
  return options;
}

Options catalog_options(Relation rel) {
  Options options;
  if (kind_of(rel) == StoreKind::kById) options = stated_options(rel).value_or(options);
  options.kind = kind_of(rel);
  return options;
}

// Heap itself keeps nothing in rd_amcache.
Options table_options(Relation table) {
  if (table->rd_amcache == nullptr) {
    Options options = stated_options(table).value_or(Options());
    options.kind = StoreKind::kToast;
    void* kept = MemoryContextAlloc(CacheMemoryContext, sizeof(Options));
    table->rd_amcache = new (kept) Options(options);
  }
  return *static_cast<Options*>(table->rd_amcache);
}

Restrictions catalog_restrictions(Relation rel) {
  Restrictions found{};
  if (kind_of(rel) == StoreKind::kToast) return found;
  Relation source = constrained(rel);
  const TupleConstr* constraints = RelationGetDescr(source)->constr;
  for (int i = 0; constraints != nullptr && i < constraints->num_check; i++) {
    const ConstrCheck& check = constraints->check[i];
    const auto* node = static_cast<const Node*>(stringToNode(check.ccbin));
    if (options_call(check, node) != nullptr) continue;
    found.has_checks = true;
    found.binds_id = found.binds_id || refers_to_id(node);
  }
  if (source->rd_rel->relispartition) {
    const List* bounds = RelationGetPartitionQual(source);
    found.binds_id = found.binds_id || refers_to_id(reinterpret_cast<const Node*>(bounds));
  }
  if (source != rel) table_close(source, NoLock);
  return found;
}

void check_thresholds(const Options& options) {
  if (options.thresholds_valid()) return;
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid thresholds for a toaststore"),
           errhint("direct_max is from 0 to %u, extent_max from direct_max to %u, chunk_bytes "
                   "from %u to %u bytes.",
                   kDirectMaxLimit, kExtentMaxLimit, kChunkBytesMin, kChunkBytesLimit)));
}

Compression require_compression(const char* text) {
  Compression compression;
  if (parse_compression(text, &compression)) return compression;
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid compression \"%s\"", text),
           errhint("Use 'none', 'lz4', 'zstd' or 'zstd:LEVEL' with a level from %d to %d.",
                   kZstdLevelMin, kZstdLevelMax)));
  pg_unreachable();
}

}  // namespace toaststore
