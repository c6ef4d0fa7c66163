// A store's options in the catalog.
//
// A stock server refuses unknown WITH options on a table, so they are the arguments of a CHECK
// constraint that is always true and that pg_dump emits with CREATE TABLE:
//
//   CONSTRAINT toaststore_options CHECK (toaststore.options(direct_max => 4096, ...))
//
// The meta page holds a copy of the thresholds, which are fixed at creation.

#include "engine/codec.h"
#include "postgres/host.h"

extern "C" {
#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
}

namespace toaststore {

namespace {

constexpr char kConstraintName[] = "toaststore_options";
constexpr int kArguments = 4;

struct CodecName {
  const char* name;
  Codec codec;
};
constexpr CodecName kCodecs[] = {
    {"none", Codec::kNone}, {"lz4", Codec::kLz4}, {"zstd", Codec::kZstd}};

// The constant that argument `position` of the constraint's call is, or null.
Const* constant_argument(FuncExpr* call, int position) {
  ListCell* cell;
  int index = 0;
  foreach (cell, call->args) {
    auto* node = static_cast<Node*>(lfirst(cell));
    int number = index++;
    if (IsA(node, NamedArgExpr)) {
      number = reinterpret_cast<NamedArgExpr*>(node)->argnumber;
      node = reinterpret_cast<Node*>(reinterpret_cast<NamedArgExpr*>(node)->arg);
    }
    if (number != position) continue;
    node = eval_const_expressions(nullptr, node);
    if (!IsA(node, Const) || reinterpret_cast<Const*>(node)->constisnull) return nullptr;
    return reinterpret_cast<Const*>(node);
  }
  return nullptr;
}

void read_threshold(FuncExpr* call, int position, uint32_t* value) {
  const Const* constant = constant_argument(call, position);
  if (constant != nullptr) *value = static_cast<uint32_t>(DatumGetInt32(constant->constvalue));
}

void read_call(FuncExpr* call, Options* options) {
  read_threshold(call, 0, &options->direct_max);
  read_threshold(call, 1, &options->extent_max);
  read_threshold(call, 2, &options->chunk_bytes);
  const Const* compression = constant_argument(call, 3);
  if (compression != nullptr) {
    options->compression = parse_compression(TextDatumGetCString(compression->constvalue));
  }
}

}  // namespace

Options catalog_options(Relation rel) {
  Options options;
  if (rel->rd_rel->relkind == RELKIND_TOASTVALUE) options.kind = StoreKind::kToast;
  const TupleConstr* constraints = RelationGetDescr(rel)->constr;
  for (int i = 0; constraints != nullptr && i < constraints->num_check; i++) {
    const ConstrCheck& check = constraints->check[i];
    if (strcmp(check.ccname, kConstraintName) != 0) continue;
    auto* node = static_cast<Node*>(stringToNode(check.ccbin));
    if (IsA(node, FuncExpr) && list_length(reinterpret_cast<FuncExpr*>(node)->args) == kArguments) {
      read_call(reinterpret_cast<FuncExpr*>(node), &options);
    }
  }
  return options;
}

Compression parse_compression(const char* text) {
  const char* colon = strchr(text, ':');
  const size_t length = colon != nullptr ? static_cast<size_t>(colon - text) : strlen(text);
  for (const CodecName& known : kCodecs) {
    if (strlen(known.name) != length || strncmp(known.name, text, length) != 0) continue;
    if (colon == nullptr) return {known.codec, 0};
    char* end;
    errno = 0;
    const long level = strtol(colon + 1, &end, 10);
    const bool number = end != colon + 1 && *end == '\0' && errno == 0;
    if (known.codec == Codec::kZstd && number && level >= kZstdLevelMin && level <= kZstdLevelMax) {
      return {known.codec, static_cast<int>(level)};
    }
  }
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid compression \"%s\"", text),
           errhint("Use 'none', 'lz4', 'zstd' or 'zstd:LEVEL' with a level from %d to %d.",
                   kZstdLevelMin, kZstdLevelMax)));
  pg_unreachable();
}

const char* codec_name(Codec codec) {
  for (const CodecName& known : kCodecs) {
    if (known.codec == codec) return known.name;
  }
  return "unknown";
}

const char* layout_name(Layout layout) {
  switch (layout) {
    case Layout::kDirect:
      return "direct";
    case Layout::kExtent:
      return "extent";
    case Layout::kChunked:
      return "chunked";
  }
  return "unknown";
}

}  // namespace toaststore
