--
-- What is done to tables is done to stores: each command on a relation works, or says that it does
-- not and leaves the store as it was.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA relation_commands;
SET search_path = relation_commands;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
CREATE FUNCTION failure(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    message := 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END
$$;
-- Values of every layout, one empty, ids beyond 32 bits, and the last id of all already deleted.
CREATE FUNCTION filled(store regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM toaststore.put(store, random_bytes(length, length))
       FROM unnest(ARRAY[0, 1, 100, 4097, 40000, 65537, 200000]) length;
    EXECUTE format('INSERT INTO %s VALUES (4294967296, random_bytes(1, 1)), (4294967297, random_bytes(9000, 2))', store);
    PERFORM toaststore.delete(store, 3);
    EXECUTE format('INSERT INTO %s (value) VALUES (''deleted'')', store);
    EXECUTE format('DELETE FROM %s WHERE value = ''deleted''', store);
END
$$;
-- Is the store as filled() left it, and whole?
CREATE FUNCTION sound(store regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows text;
    others bigint;
    faults bigint;
BEGIN
    EXECUTE format($query$
        SELECT string_agg(id || ':' || length(value), ' ' ORDER BY id) FILTER (WHERE same), count(*) FILTER (WHERE NOT same)
          FROM (SELECT id, value, toaststore.get(kept.tableoid, id) = value AND value = CASE
                       WHEN id < 8 THEN random_bytes(lengths[id], lengths[id])
                       WHEN id = 4294967296 THEN random_bytes(1, 1) ELSE random_bytes(9000, 2) END AS same
                  FROM %s kept, (SELECT ARRAY[0, 1, 100, 4097, 40000, 65537, 200000] AS lengths) filled) compared
        $query$, store) INTO rows, others;
    SELECT count(*) FROM toaststore.verify(store) INTO faults;
    RETURN CASE WHEN rows = '1:0 2:1 4:4097 5:40000 6:65537 7:200000 4294967296:1 4294967297:9000' AND others + faults = 0
                THEN 'sound' ELSE format('%s (%s others, %s faults)', rows, others, faults) END;
END
$$;
SELECT toaststore.create_store('media', 200, 50000, 8192, 'zstd:3');
SELECT filled('media');
SELECT sound('media');

-- Unlogged and logged again. An id that was deleted is not given to another value afterwards.
ALTER TABLE media SET UNLOGGED;
SELECT relpersistence, (pg_stat_file(pg_relation_filepath('media') || '_init', true)).size AS init_fork, sound('media') FROM pg_class WHERE oid = 'media'::regclass;
SELECT toaststore.put('media', 'next') > 4294967298 AS next_id;
DELETE FROM media WHERE value = 'next';
ALTER TABLE media SET LOGGED;
SELECT relpersistence, sound('media') FROM pg_class WHERE oid = 'media'::regclass;
BEGIN;
ALTER TABLE media SET UNLOGGED;
SELECT toaststore.put('media', 'x') IS NOT NULL AS put;
ROLLBACK;
SELECT relpersistence, sound('media') FROM pg_class WHERE oid = 'media'::regclass;
SELECT layout, compression, chunks FROM media, toaststore.info('media', id) WHERE id = 7;
SELECT toaststore.put('media', convert_to(repeat('compresses ', 1000), 'UTF8')) AS id \gset
SELECT layout, compression FROM toaststore.info('media', :id);
SELECT toaststore.delete('media', :id);
-- Also where all is deleted.
SELECT toaststore.create_store('emptied');
SELECT toaststore.put('emptied', 'x');
SELECT toaststore.delete('emptied', 1);
ALTER TABLE emptied SET UNLOGGED;
SELECT toaststore.put('emptied', 'x') > 1 AS next_id;
CREATE UNLOGGED TABLE unlogged (id bigint, value bytea) USING toaststore_values;
SELECT filled('unlogged');
SELECT sound('unlogged');
TRUNCATE unlogged;
SELECT toaststore.put('unlogged', 'first'), (pg_stat_file(pg_relation_filepath('unlogged') || '_init', true)).size AS init_fork;

-- Temporary, with each of its ends of a transaction.
CREATE TEMP TABLE preserved (id bigint, value bytea) USING toaststore_values;
CREATE TEMP TABLE emptying (id bigint, value bytea) USING toaststore_values ON COMMIT DELETE ROWS;
BEGIN;
CREATE TEMP TABLE dropping (id bigint, value bytea) USING toaststore_values ON COMMIT DROP;
SELECT filled('preserved'), filled('emptying'), filled('dropping');
SELECT sound('preserved'), sound('emptying'), sound('dropping');
COMMIT;
SELECT sound('preserved'), to_regclass('dropping'), (SELECT count(*) FROM emptying), pg_relation_size('emptying');
BEGIN;
SELECT filled('emptying');
SAVEPOINT a;
SELECT toaststore.put('emptying', random_bytes(100000, 1)) IS NOT NULL AS put;
ROLLBACK TO a;
SELECT sound('emptying');
COMMIT;
SELECT toaststore.put('emptying', 'x'), (SELECT count(*) FROM emptying);
VACUUM FULL preserved;
VACUUM ANALYZE preserved;
BEGIN;
DROP TABLE preserved;
ROLLBACK;
BEGIN READ ONLY;
SELECT toaststore.put('preserved', 'in a temporary store') IS NOT NULL AS put, toaststore.delete('preserved', 7);
ROLLBACK;
SELECT sound('preserved');
SELECT state, message FROM failure('ALTER TABLE preserved SET LOGGED');
DISCARD TEMP;
SELECT to_regclass('preserved');
SELECT toaststore.create_store('pg_temp.again');
SELECT filled('again');
SELECT sound('again'), relpersistence FROM pg_class WHERE oid = 'again'::regclass;
DROP TABLE again;

-- TRUNCATE begins anew, and its rollback is as if nothing had been.
SELECT toaststore.create_store('truncated');
SELECT filled('truncated');
BEGIN;
TRUNCATE truncated;
SELECT count(*), toaststore.put('truncated', 'first') FROM truncated;
SAVEPOINT a;
TRUNCATE truncated RESTART IDENTITY;
SELECT toaststore.put('truncated', random_bytes(100000, 1)), toaststore.length('truncated', 1);
ROLLBACK TO a;
SELECT id, convert_from(value, 'UTF8'), toaststore.put('truncated', 'second') FROM truncated;
ROLLBACK;
SELECT sound('truncated');
TRUNCATE truncated, unlogged CASCADE;
SELECT pg_total_relation_size('truncated'), (SELECT count(*) FROM truncated), toaststore.put('truncated', 'first');
-- Twice in the transaction that made it, where the file is emptied in place.
BEGIN;
SELECT toaststore.create_store('in_place');
SELECT filled('in_place');
TRUNCATE in_place;
SELECT filled('in_place');
TRUNCATE in_place;
SELECT filled('in_place');
COMMIT;
SELECT sound('in_place');
-- Not while a cursor reads, nor is the store altered or dropped then.
BEGIN;
DECLARE reading CURSOR FOR SELECT id, length(value) FROM media;
FETCH 1 FROM reading;
SELECT statement, state FROM unnest(ARRAY['TRUNCATE media', 'DROP TABLE media', 'ALTER TABLE media SET UNLOGGED',
       'SELECT toaststore.alter_store(''media'', ''none'')']) statement, LATERAL failure(statement);
FETCH 2 FROM reading;
COMMIT;

-- DROP: undone by a rollback, held up by what depends on the store.
BEGIN;
DROP TABLE media;
SELECT to_regclass('media');
SELECT toaststore.create_store('media');
SELECT toaststore.put('media', 'another');
ROLLBACK;
SELECT sound('media');
CREATE VIEW of_media AS SELECT id FROM media;
SELECT state, message FROM failure('DROP TABLE media');
BEGIN;
SET LOCAL client_min_messages = warning;
DROP TABLE media CASCADE;
SELECT to_regclass('of_media');
ROLLBACK;
DROP VIEW of_media;
DROP TABLE IF EXISTS in_place, no_such_store;

-- Names: of the store, its columns, its schema; a plan looks for the name that it was made with.
PREPARE sizes AS SELECT sum(toaststore.length('media', id)), sum(length(value)) FROM media;
EXECUTE sizes;
ALTER TABLE media RENAME TO renamed;
ALTER TABLE renamed RENAME id TO number;
ALTER TABLE renamed RENAME value TO bytes;
CREATE SCHEMA elsewhere;
ALTER TABLE renamed SET SCHEMA elsewhere;
EXECUTE sizes;
SELECT number, length(bytes) FROM elsewhere.renamed WHERE number < 3;
SELECT toaststore.length('elsewhere.renamed', 7), toaststore.put('elsewhere.renamed', 'x') IS NOT NULL AS put;
INSERT INTO elsewhere.renamed (bytes) VALUES ('y') RETURNING bytes;
DELETE FROM elsewhere.renamed WHERE bytes IN ('x', 'y') RETURNING bytes;
SELECT toaststore.alter_store('elsewhere.renamed', 'lz4');
ALTER SCHEMA elsewhere RENAME TO "Else Where";
SELECT toaststore.alter_store('"Else Where".renamed', 'zstd:3');
ALTER TABLE "Else Where".renamed SET SCHEMA relation_commands;
ALTER TABLE renamed RENAME bytes TO value;
ALTER TABLE renamed RENAME number TO id;
ALTER TABLE renamed RENAME TO media;
DROP SCHEMA "Else Where";
EXECUTE sizes;
DEALLOCATE sizes;
SELECT sound('media');
-- The constraint that holds the options counts by its name.
SELECT toaststore.put('media', convert_to(repeat('a ', 3000), 'UTF8')) AS id \gset
ALTER TABLE media RENAME CONSTRAINT toaststore_options TO something;
SELECT state FROM failure($$SELECT toaststore.put('media', 'x')$$);
ALTER TABLE media RENAME CONSTRAINT something TO toaststore_options;
SELECT toaststore.put('media', convert_to(repeat('a ', 3000), 'UTF8')) AS again \gset
SELECT compression FROM toaststore.info('media', :id) UNION ALL SELECT compression FROM toaststore.info('media', :again);
DELETE FROM media WHERE id IN (:id, :again);

-- Tablespaces.
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_toaststore_space LOCATION '';
BEGIN;
ALTER TABLE media SET TABLESPACE regress_toaststore_space;
SELECT toaststore.put('media', 'there') IS NOT NULL AS put;
ROLLBACK;
SELECT sound('media'), reltablespace FROM pg_class WHERE oid = 'media'::regclass;
ALTER TABLE media SET TABLESPACE regress_toaststore_space;
SELECT sound('media'), spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = reltablespace WHERE c.oid = 'media'::regclass;
ALTER TABLE unlogged SET TABLESPACE regress_toaststore_space;
SELECT toaststore.put('unlogged', 'there') IS NOT NULL AS put, (pg_stat_file(pg_relation_filepath('unlogged') || '_init', true)).size AS init_fork;
INSERT INTO media VALUES (8, random_bytes(500000, 8));
SELECT toaststore.delete('media', 8);
VACUUM FULL media;
ALTER TABLE ALL IN TABLESPACE regress_toaststore_space SET TABLESPACE pg_default;
SELECT sound('media'), reltablespace FROM pg_class WHERE oid = 'media'::regclass;
SET default_tablespace = regress_toaststore_space;
SELECT toaststore.create_store('by_setting');
RESET default_tablespace;
SELECT filled('by_setting');
SELECT sound('by_setting'), spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = reltablespace WHERE c.oid = 'by_setting'::regclass;
ALTER TABLE by_setting SET TABLESPACE pg_default, SET UNLOGGED;
SELECT sound('by_setting');
DROP TABLE by_setting;
DROP TABLESPACE regress_toaststore_space;

-- Maintenance, with each of its options.
VACUUM media;
VACUUM (FREEZE, DISABLE_PAGE_SKIPPING, INDEX_CLEANUP on, TRUNCATE off, PROCESS_TOAST off, SKIP_LOCKED, PARALLEL 2) media;
VACUUM (FULL, FREEZE, ANALYZE) media;
ANALYZE media (id);
ANALYZE media (id, value);
REINDEX TABLE media;
REINDEX TABLE CONCURRENTLY media;
SELECT state, message FROM failure('CLUSTER media');
SELECT state, message FROM failure('CLUSTER media USING media_pkey');
ALTER TABLE media SET WITHOUT CLUSTER;
CHECKPOINT;
SELECT sound('media');
SELECT toaststore.put('media', 'next') > 4294967298 AS next_id;
DELETE FROM media WHERE value = 'next';
-- What VACUUM FULL and the rewrites of ALTER TABLE leave behind keeps its size.
SELECT toaststore.create_store('sized');
SELECT count(toaststore.put('sized', random_bytes(20000, n))) FROM generate_series(1, 100) n;
SELECT pg_relation_size('sized') AS before \gset
VACUUM FULL sized;
SELECT pg_relation_size('sized') <= :before AS not_larger;
ALTER TABLE sized SET UNLOGGED;
SELECT pg_relation_size('sized') <= 1.2 * :before AS little_larger;

-- Tables made of stores, and stores made of tables.
CREATE TABLE by_query USING toaststore_values AS SELECT * FROM media;
CREATE TABLE without_rows USING toaststore_values AS SELECT * FROM media WITH NO DATA;
CREATE TABLE heap_of_it AS TABLE media;
SELECT id, value INTO heap_by_into FROM media;
SET default_table_access_method = toaststore_values;
SELECT id, value INTO by_into FROM media;
CREATE TABLE by_default (id bigint, value bytea);
SELECT state FROM failure('CREATE TABLE unmade (name text)');
RESET default_table_access_method;
SELECT sound('by_query'), sound('by_into'), (SELECT count(*) FROM without_rows), (SELECT count(*) FROM by_default);
SELECT count(*), sum(length(h.value)) FROM heap_of_it h JOIN heap_by_into i USING (id, value) JOIN media m USING (id, value);
CREATE TABLE like_all (LIKE media INCLUDING ALL) USING toaststore_values;
CREATE TABLE like_plain (LIKE media) USING toaststore_values;
CREATE TABLE heap_like (LIKE media INCLUDING ALL);
INSERT INTO like_all SELECT * FROM media;
INSERT INTO like_plain SELECT * FROM media;
INSERT INTO heap_like SELECT * FROM media;
SELECT sound('like_all'), sound('like_plain'), (SELECT count(*) FROM heap_like JOIN media USING (id, value));
SELECT relation, layout, i.compression, chunks FROM unnest(ARRAY['media', 'like_all', 'like_plain']::regclass[]) relation,
       LATERAL toaststore.info(relation, 7) i;
-- A table becomes a store, whole or not at all; a store becomes a table as far as it has no TOAST.
ALTER TABLE heap_of_it SET ACCESS METHOD toaststore_values;
SELECT sound('heap_of_it'), reltoastrelid FROM pg_class WHERE oid = 'heap_of_it'::regclass;
SELECT statement, state, hint FROM (VALUES
    ('INSERT INTO heap_by_into VALUES (1, ''twice'')'), ('INSERT INTO heap_by_into VALUES (0, ''zero'')'),
    ('INSERT INTO heap_by_into VALUES (100, NULL)'), ('ALTER TABLE heap_by_into ADD COLUMN note text'),
    ('ALTER TABLE heap_by_into ALTER id TYPE int USING length(value)'), ('CREATE INDEX ON heap_by_into (id)'),
    ('INSERT INTO heap_by_into VALUES (NULL, ''next'')')) obstacles (statement),
    LATERAL failure(statement || '; ALTER TABLE heap_by_into SET ACCESS METHOD toaststore_values');
SELECT count(*), max(id) = min(id) FILTER (WHERE value = 'next') AS next_id FROM heap_by_into;
ALTER TABLE heap_like ADD COLUMN note text;
ALTER TABLE heap_like DROP COLUMN note;
ALTER TABLE heap_like SET ACCESS METHOD toaststore_values;
SELECT sound('heap_like');
SELECT state, message FROM failure('ALTER TABLE heap_of_it SET ACCESS METHOD heap');
SELECT sound('heap_of_it');
DELETE FROM heap_of_it WHERE length(value) > 8000;
ALTER TABLE heap_of_it SET ACCESS METHOD heap;
UPDATE heap_of_it SET value = value || 'more' WHERE id = 4 RETURNING id, length(value);

-- Materialized views.
CREATE MATERIALIZED VIEW viewed USING toaststore_values AS SELECT * FROM media;
SELECT sound('viewed');
REFRESH MATERIALIZED VIEW viewed;
SELECT sound('viewed');
SELECT state FROM failure('REFRESH MATERIALIZED VIEW CONCURRENTLY viewed');
SELECT state, detail FROM failure($$SELECT toaststore.put('viewed', 'x')$$);
SELECT state FROM failure($$SELECT toaststore.alter_store('viewed', 'none')$$);
REFRESH MATERIALIZED VIEW viewed WITH NO DATA;
SELECT state FROM failure('SELECT * FROM viewed');
DROP MATERIALIZED VIEW viewed;

-- Settings of a table; those for heaps are without effect.
ALTER TABLE media SET (fillfactor = 50, autovacuum_enabled = off, toast_tuple_target = 200, parallel_workers = 2);
ALTER TABLE media ALTER value SET STORAGE PLAIN, ALTER value SET COMPRESSION pglz, ALTER value SET STATISTICS 10,
                  ALTER id SET (n_distinct = -1), ALTER id SET NOT NULL, ALTER id DROP NOT NULL,
                  ALTER id SET DEFAULT 7, ALTER id DROP DEFAULT, ALTER value DROP NOT NULL, ALTER value SET NOT NULL;
ALTER TABLE media RESET (fillfactor, autovacuum_enabled, toast_tuple_target, parallel_workers);
SELECT state FROM failure('ALTER TABLE media SET (compression = ''none'')');
COMMENT ON TABLE media IS 'what is shown';
COMMENT ON COLUMN media.value IS 'bytes';
COMMENT ON CONSTRAINT toaststore_options ON media IS 'chosen';
SELECT obj_description('media'::regclass), col_description('media'::regclass, 2);
-- alter_store() replaces the constraint, and with it the comment.
SELECT toaststore.alter_store('media', 'zstd:3');
SELECT count(*) FROM pg_description WHERE classoid = 'pg_constraint'::regclass AND description = 'chosen';
SELECT sound('media');
-- An id that is NOT NULL, or has a default: put() takes the next one all the same.
SELECT toaststore.create_store('strict');
ALTER TABLE strict ALTER id SET NOT NULL;
SELECT state FROM failure($$INSERT INTO strict (value) VALUES ('x')$$);
SELECT toaststore.put('strict', 'x');
ALTER TABLE strict ALTER id ADD GENERATED BY DEFAULT AS IDENTITY (START 100);
INSERT INTO strict (value) VALUES ('x') RETURNING id;
SELECT toaststore.put('strict', 'x') > 100 AS behind;

-- Replication: a store is published like a table, and asks for a replica identity like one.
SET client_min_messages = error;
CREATE PUBLICATION regress_toaststore FOR TABLE media, strict (id);
RESET client_min_messages;
SELECT tablename, attnames FROM pg_publication_tables WHERE pubname = 'regress_toaststore' ORDER BY 1;
SELECT identity, state, message FROM (VALUES
    (101, 'DEFAULT'), (102, 'FULL'), (103, 'NOTHING'), (104, 'USING INDEX media_pkey')) identities (id, identity),
    LATERAL failure(format('ALTER TABLE media REPLICA IDENTITY %s; INSERT INTO media VALUES (%s, ''x'');
                            DELETE FROM media WHERE id = %s', identity, id, id));
DROP PUBLICATION regress_toaststore;
ALTER TABLE media REPLICA IDENTITY DEFAULT;
SELECT sound('media');

\pset format aligned
SET client_min_messages = warning;
DROP SCHEMA relation_commands CASCADE;
