// SQL from within: see sql.h.

#include "postgres/sql.h"

extern "C" {
#include "catalog/namespace.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "utils/regproc.h"
#include "utils/varlena.h"
}

namespace toaststore {

NewRelation::NewRelation(text* name) {
  List* parts = textToQualifiedNameList(name);
  RangeVar* range = makeRangeVarFromNameList(parts);
  if (range->catalogname != nullptr &&
      strcmp(range->catalogname, get_database_name(MyDatabaseId)) != 0) {
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("cross-database references are not implemented: %s", NameListToString(parts))));
  }
  // Settled first, for a table of that name in a schema searched earlier is not the one made here.
  schema_ = RangeVarGetCreationNamespace(range);
  name_ = range->relname;
}

const char* NewRelation::quoted() const {
  return quote_qualified_identifier(get_namespace_name(schema_), name_);
}

Oid NewRelation::oid() const { return get_relname_relid(name_, schema_); }

const char* quoted_name(Relation rel) {
  return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
                                    RelationGetRelationName(rel));
}

void execute(const char* sql) {
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  const int result = SPI_execute(sql, false, 0);
  if (result < 0) elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
  SPI_finish();
}

}  // namespace toaststore
