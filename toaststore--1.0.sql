/* toaststore--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION toaststore" to load this file. \quit

-- Made here, not named in the control file: a schema of that name that somebody else made before is
-- an error, and the schema goes with the extension.
CREATE SCHEMA toaststore;
COMMENT ON SCHEMA toaststore IS 'functions of the extension toaststore';
GRANT USAGE ON SCHEMA toaststore TO PUBLIC;

CREATE FUNCTION toaststore.toaststore_values_handler(internal) RETURNS table_am_handler
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
COMMENT ON FUNCTION toaststore.toaststore_values_handler(internal) IS
    'handler of the table access method toaststore_values';

CREATE ACCESS METHOD toaststore_values TYPE TABLE HANDLER toaststore.toaststore_values_handler;
COMMENT ON ACCESS METHOD toaststore_values IS 'value store of toaststore: (id bigint, value bytea)';

CREATE FUNCTION toaststore.toaststore_handler(internal) RETURNS table_am_handler
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
COMMENT ON FUNCTION toaststore.toaststore_handler(internal) IS
    'handler of the table access method toaststore';

CREATE ACCESS METHOD toaststore TYPE TABLE HANDLER toaststore.toaststore_handler;
COMMENT ON ACCESS METHOD toaststore IS 'heap tables whose large values are in a store';

CREATE FUNCTION toaststore.version() RETURNS text
    AS 'MODULE_PATHNAME', 'toaststore_version'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION toaststore.version() IS 'version of the toaststore library';

-- Stores --------------------------------------------------------------------------------------

CREATE FUNCTION toaststore.options(direct_max int, extent_max int, chunk_bytes int,
                                   compression text)
    RETURNS boolean
    AS 'MODULE_PATHNAME', 'toaststore_options'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION toaststore.options(int, int, int, text) IS
    'options of a store, as kept in its CHECK constraint; true, or an error';

CREATE FUNCTION toaststore.create_store(name text, direct_max int DEFAULT 4096,
                                        extent_max int DEFAULT 65536,
                                        chunk_bytes int DEFAULT 65536,
                                        compression text DEFAULT 'lz4')
    RETURNS regclass
    AS 'MODULE_PATHNAME', 'toaststore_create_store'
    LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION toaststore.create_store(text, int, int, int, text) IS
    'create a store of values by id';

CREATE FUNCTION toaststore.alter_store(store regclass, compression text DEFAULT NULL,
                                       direct_max int DEFAULT NULL, extent_max int DEFAULT NULL,
                                       chunk_bytes int DEFAULT NULL)
    RETURNS void
    AS 'MODULE_PATHNAME', 'toaststore_alter_store'
    LANGUAGE C VOLATILE;
COMMENT ON FUNCTION toaststore.alter_store(regclass, text, int, int, int) IS
    'change how values put from now on are stored, in a store or in that of a table';

-- Values --------------------------------------------------------------------------------------

CREATE FUNCTION toaststore.put(store regclass, value bytea) RETURNS bigint
    AS 'MODULE_PATHNAME', 'toaststore_put'
    LANGUAGE C VOLATILE STRICT COST 100;
COMMENT ON FUNCTION toaststore.put(regclass, bytea) IS 'store a value, return its id';

CREATE FUNCTION toaststore.put_many(store regclass, "values" bytea[]) RETURNS bigint[]
    AS 'MODULE_PATHNAME', 'toaststore_put_many'
    LANGUAGE C VOLATILE STRICT COST 1000;
COMMENT ON FUNCTION toaststore.put_many(regclass, bytea[]) IS 'store several values, return their ids';

CREATE FUNCTION toaststore.get(store regclass, id bigint) RETURNS bytea
    AS 'MODULE_PATHNAME', 'toaststore_get'
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 50;
COMMENT ON FUNCTION toaststore.get(regclass, bigint) IS 'value of an id, or null';

CREATE FUNCTION toaststore.get_slice(store regclass, id bigint, slice_offset bigint,
                                     slice_length int)
    RETURNS bytea
    AS 'MODULE_PATHNAME', 'toaststore_get_slice'
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 50;
COMMENT ON FUNCTION toaststore.get_slice(regclass, bigint, bigint, int) IS
    'part of a value, from a 0-based offset, or null';

CREATE FUNCTION toaststore.length(store regclass, id bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'toaststore_length'
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10;
COMMENT ON FUNCTION toaststore.length(regclass, bigint) IS 'bytes of a value, or null';

CREATE FUNCTION toaststore.delete(store regclass, id bigint) RETURNS boolean
    AS 'MODULE_PATHNAME', 'toaststore_delete'
    LANGUAGE C VOLATILE STRICT COST 50;
COMMENT ON FUNCTION toaststore.delete(regclass, bigint) IS 'delete a value; was it there?';

-- Maps ----------------------------------------------------------------------------------------

CREATE FUNCTION toaststore.create_map(name text) RETURNS regclass
    AS 'MODULE_PATHNAME', 'toaststore_create_map'
    LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION toaststore.create_map(text) IS 'create a map: a table of values by key';

CREATE FUNCTION toaststore.map_set(map regclass, key text, value bytea) RETURNS boolean
    AS 'MODULE_PATHNAME', 'toaststore_map_set'
    LANGUAGE C VOLATILE STRICT COST 100;
COMMENT ON FUNCTION toaststore.map_set(regclass, text, bytea) IS
    'insert or replace the value of a key; was it new?';

CREATE FUNCTION toaststore.map_set_many(map regclass, keys text[], "values" bytea[])
    RETURNS bigint
    AS 'MODULE_PATHNAME', 'toaststore_map_set_many'
    LANGUAGE C VOLATILE STRICT COST 1000;
COMMENT ON FUNCTION toaststore.map_set_many(regclass, text[], bytea[]) IS
    'insert or replace the values of keys; how many were new?';

CREATE FUNCTION toaststore.map_get(map regclass, key text) RETURNS bytea
    AS 'MODULE_PATHNAME', 'toaststore_map_get'
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100;
COMMENT ON FUNCTION toaststore.map_get(regclass, text) IS 'value of a key, or null';

CREATE FUNCTION toaststore.map_delete(map regclass, key text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'toaststore_map_delete'
    LANGUAGE C VOLATILE STRICT COST 100;
COMMENT ON FUNCTION toaststore.map_delete(regclass, text) IS 'delete a key; was it there?';

CREATE FUNCTION toaststore.map_scan(map regclass, from_key text DEFAULT NULL,
                                    to_key text DEFAULT NULL, OUT key text, OUT value bytea,
                                    OUT stored_at timestamptz)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'toaststore_map_scan'
    LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION toaststore.map_scan(regclass, text, text) IS
    'rows with keys from one to before another, in the order of keys';

-- Looking inside ------------------------------------------------------------------------------

CREATE FUNCTION toaststore.info(store regclass, id bigint, OUT layout text, OUT raw_bytes bigint,
                                OUT stored_bytes bigint, OUT compression text, OUT chunks bigint,
                                OUT pages bigint)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'toaststore_info'
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION toaststore.info(regclass, bigint) IS 'how a value is stored; no row where there is none';

CREATE FUNCTION toaststore.removable(store regclass, OUT id bigint, OUT reason text,
                                     OUT raw_bytes bigint, OUT stored_bytes bigint)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'toaststore_removable'
    LANGUAGE C VOLATILE STRICT COST 1000;
COMMENT ON FUNCTION toaststore.removable(regclass) IS
    'values that cleaning would remove now, and why';

CREATE FUNCTION toaststore.verify(store regclass, exact boolean DEFAULT false, OUT block bigint,
                                  OUT id bigint, OUT fault text)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'toaststore_verify'
    LANGUAGE C VOLATILE STRICT ROWS 1 COST 1000000;
COMMENT ON FUNCTION toaststore.verify(regclass, boolean) IS 'faults of a store; no row when it is healthy';

-- Moving in and out ---------------------------------------------------------------------------

CREATE FUNCTION toaststore.estimate("table" regclass, sample_rows int DEFAULT 1000,
                                    compression text DEFAULT 'lz4', OUT rows_sampled bigint,
                                    OUT long_values bigint, OUT raw_bytes bigint,
                                    OUT bytes_now bigint, OUT bytes_then bigint,
                                    OUT bytes_saved bigint)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'toaststore_estimate'
    LANGUAGE C VOLATILE STRICT ROWS 1 COST 100000;
COMMENT ON FUNCTION toaststore.estimate(regclass, int, text) IS
    'what the long values of any table would take as those of a toaststore table, by a sample';

CREATE FUNCTION toaststore.before_drop_extension() RETURNS event_trigger
    AS 'MODULE_PATHNAME', 'toaststore_before_drop_extension'
    LANGUAGE C;
COMMENT ON FUNCTION toaststore.before_drop_extension() IS
    'names the tables that depend on the extension, and what keeps their rows';

CREATE EVENT TRIGGER toaststore_before_drop_extension ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION') EXECUTE FUNCTION toaststore.before_drop_extension();
COMMENT ON EVENT TRIGGER toaststore_before_drop_extension IS
    'names the tables that depend on extension toaststore when it is to be dropped';

-- Looking after -------------------------------------------------------------------------------

CREATE PROCEDURE toaststore.compact(store regclass)
    AS 'MODULE_PATHNAME', 'toaststore_compact'
    LANGUAGE C;
COMMENT ON PROCEDURE toaststore.compact(regclass) IS 'make room of what was deleted or rolled back';

CREATE PROCEDURE toaststore.checkpoint(store regclass)
    AS 'MODULE_PATHNAME', 'toaststore_checkpoint'
    LANGUAGE C;
COMMENT ON PROCEDURE toaststore.checkpoint(regclass) IS
    'bring the accounts of a store up to date, without moving values';

-- Statistics ----------------------------------------------------------------------------------

CREATE FUNCTION toaststore.store_statistics(store oid, OUT size_bytes bigint,
                                            OUT direct_values bigint, OUT extent_values bigint,
                                            OUT chunked_values bigint, OUT raw_bytes bigint,
                                            OUT stored_bytes bigint,
                                            OUT compression_ratio double precision,
                                            OUT live_bytes bigint, OUT dead_bytes bigint,
                                            OUT open_bytes bigint, OUT page_bytes bigint,
                                            OUT free_bytes bigint,
                                            OUT space_amplification double precision,
                                            OUT unprocessed_changes bigint, OUT oldest_xid xid,
                                            OUT last_compaction timestamptz,
                                            OUT last_checkpoint timestamptz,
                                            OUT fault text, OUT worker_due timestamptz,
                                            OUT worker_failures integer, OUT last_error text,
                                            OUT last_error_sqlstate text,
                                            OUT last_error_at timestamptz)
    RETURNS record
    AS 'MODULE_PATHNAME', 'toaststore_store_statistics'
    LANGUAGE C VOLATILE STRICT COST 1000;
COMMENT ON FUNCTION toaststore.store_statistics(oid) IS
    'what the view stat_stores shows of a store';
REVOKE ALL ON FUNCTION toaststore.store_statistics(oid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION toaststore.store_statistics(oid) TO pg_monitor;

-- The store of a transparent table is shown under the table's name.
CREATE VIEW toaststore.stat_stores AS
    SELECT coalesce(owner.oid, store.oid)::regclass AS store, statistics.*
      FROM pg_catalog.pg_class store
      JOIN pg_catalog.pg_am method ON method.oid = store.relam
      LEFT JOIN pg_catalog.pg_class owner ON owner.reltoastrelid = store.oid
     CROSS JOIN LATERAL toaststore.store_statistics(store.oid) statistics
     WHERE method.amname = 'toaststore_values' AND store.relkind IN ('r', 'm', 't');
COMMENT ON VIEW toaststore.stat_stores IS 'space, pending work and worker of each store';
GRANT SELECT ON toaststore.stat_stores TO pg_monitor;

-- Upkeep shows in pg_stat_progress_vacuum, too; its own parameters are named in upkeep.h.
CREATE VIEW toaststore.progress_compact AS
    SELECT progress.pid,
           coalesce(owner.oid, store.oid)::regclass AS store,
           CASE progress.param10
               WHEN 0 THEN 'cleaning journals'
               WHEN 1 THEN 'charging dead ranges'
               WHEN 2 THEN 'counting extents'
               WHEN 3 THEN 'moving values'
           END AS phase,
           progress.param11 AS extents_to_do,
           progress.param12 AS extents_done,
           progress.param13 AS bytes_moved
      FROM pg_catalog.pg_stat_get_progress_info('VACUUM') progress
      JOIN pg_catalog.pg_database database ON database.oid = progress.datid
      JOIN pg_catalog.pg_class store ON store.oid = progress.relid
      JOIN pg_catalog.pg_am method ON method.oid = store.relam
      LEFT JOIN pg_catalog.pg_class owner ON owner.reltoastrelid = store.oid
     WHERE database.datname = pg_catalog.current_database()
       AND method.amname = 'toaststore_values';
COMMENT ON VIEW toaststore.progress_compact IS
    'how far compaction is, of each store in which it is under way';
GRANT SELECT ON toaststore.progress_compact TO pg_monitor;
