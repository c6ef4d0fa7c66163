// What DROP EXTENSION says while there are tables of the extension's access methods.  The server
// refuses by itself, for the tables depend on them, but its hint is CASCADE, which drops the rows;
// here it is the commands that keep them.
//
// An event trigger, so that it is there in every session, whether the library was loaded or not.

#include "postgres/pg.h"

extern "C" {
#include "commands/event_trigger.h"
#include "executor/spi.h"
}

namespace {

constexpr char kExtension[] = "toaststore";
constexpr int kListedTables = 100;  // as many as the server itself lists

bool drops_extension(const Node* command) {
  if (!IsA(command, DropStmt)) return false;
  const auto* drop = reinterpret_cast<const DropStmt*>(command);
  if (drop->removeType != OBJECT_EXTENSION || drop->behavior != DROP_RESTRICT) return false;
  ListCell* cell;
  foreach (cell, drop->objects) {
    if (strcmp(strVal(lfirst(cell)), kExtension) == 0) return true;
  }
  return false;
}

// A statement a table; the number of tables may be larger.  A table that was converted before may
// still have the constraint that holds the options of its store.
constexpr char kCommands[] =
    "SELECT CASE WHEN amname OPERATOR(pg_catalog.=) 'toaststore_values'"
    "       THEN pg_catalog.format('CREATE TABLE .. AS SELECT * FROM %1$s; DROP TABLE %1$s;', name)"
    "       ELSE pg_catalog.format('ALTER %s %s %s;',"
    "                              CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,"
    "                              name, pg_catalog.concat_ws(', ',"
    "                                  CASE WHEN amname OPERATOR(pg_catalog.=) 'toaststore'"
    "                                       THEN 'SET ACCESS METHOD heap' END,"
    "                                  CASE WHEN has_options"
    "                                       THEN 'DROP CONSTRAINT toaststore_options' END)) END"
    "  FROM (SELECT c.oid, c.oid::pg_catalog.regclass AS name, relkind, amname,"
    "               EXISTS (SELECT FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_depend d"
    "                       ON d.objid OPERATOR(pg_catalog.=) o.oid"
    "                       WHERE d.classid OPERATOR(pg_catalog.=)"
    "                             'pg_catalog.pg_constraint'::pg_catalog.regclass"
    "                         AND d.refclassid OPERATOR(pg_catalog.=)"
    "                             'pg_catalog.pg_proc'::pg_catalog.regclass"
    "                         AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.to_regprocedure("
    "                             'toaststore.options(pg_catalog.int4, pg_catalog.int4,"
    " pg_catalog.int4, pg_catalog.text)')"
    "                         AND o.conrelid OPERATOR(pg_catalog.=) c.oid AND o.conislocal"
    "                         AND o.conname OPERATOR(pg_catalog.=) 'toaststore_options')"
    "               AS has_options"
    "          FROM pg_catalog.pg_class c"
    "          LEFT JOIN pg_catalog.pg_am a ON a.oid OPERATOR(pg_catalog.=) c.relam"
    "         WHERE relkind OPERATOR(pg_catalog.<>) 't') AS tables"
    " WHERE amname IN ('toaststore', 'toaststore_values') OR has_options"
    " ORDER BY relkind, oid";

// The commands, a line each, or null where there is no table.
char* commands_of_tables() {
  StringInfoData lines;
  initStringInfo(&lines);
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  const int result = SPI_execute(kCommands, true, 0);
  if (result != SPI_OK_SELECT)
    elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
  for (uint64 i = 0; i < Min(SPI_processed, uint64{kListedTables}); i++) {
    appendStringInfo(&lines, "%s%s", i == 0 ? "" : "\n",
                     SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
  }
  if (SPI_processed > kListedTables) {
    appendStringInfo(&lines, "\nand %llu more",
                     static_cast<unsigned long long>(SPI_processed - kListedTables));
  }
  SPI_finish();
  return lines.len == 0 ? nullptr : lines.data;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(toaststore_before_drop_extension);

Datum toaststore_before_drop_extension(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("this function is called by an event trigger only")));
  }
  const auto* event = reinterpret_cast<EventTriggerData*>(fcinfo->context);
  if (!drops_extension(event->parsetree)) PG_RETURN_NULL();
  const char* commands = commands_of_tables();
  if (commands != nullptr) {
    ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                    errmsg("cannot drop extension %s because tables depend on it", kExtension),
                    errdetail("These commands keep their rows:\n%s", commands),
                    errhint("DROP EXTENSION .. CASCADE drops the tables with all their rows.")));
  }
  PG_RETURN_NULL();
}
}
