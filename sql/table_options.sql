--
-- How the values of a table are stored: STORAGE and COMPRESSION of the column, the options of the
-- store; and that values which are copied by the server stay as they are stored.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA table_options;
SET search_path = table_options;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i), 1, length)
      FROM generate_series(1, (length + 31) / 32) i
$$;
-- Compresses to about a third.
CREATE FUNCTION lines(length int, seed int) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT left(string_agg(md5(seed || ':' || i) || ' of a report that says little new' || chr(10), '' ORDER BY i), length)
      FROM generate_series(1, length / 60 + 1) i
$$;
-- What the store of a table holds, in the order of ids.
CREATE FUNCTION stored(tab regclass) RETURNS TABLE (id bigint, layout text, raw_bytes bigint, stored_bytes bigint, compression text, chunks bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT chunk_id::bigint, i.layout, i.raw_bytes, i.stored_bytes, i.compression, i.chunks
           FROM %s, toaststore.info(%L, chunk_id::bigint) i ORDER BY 1',
        (SELECT reltoastrelid::regclass FROM pg_class WHERE oid = tab), tab);
END $$;

-- The column's word first, then the store's. pglz is what a heap table takes where nobody chooses.
CREATE TABLE columns (by_default text, pglz text COMPRESSION pglz, lz4 text COMPRESSION lz4, external text, main text, random bytea COMPRESSION lz4)
    USING toaststore;
ALTER TABLE columns ALTER external SET STORAGE EXTERNAL, ALTER main SET STORAGE MAIN;
CREATE PROCEDURE add_row() LANGUAGE sql AS $$
    INSERT INTO columns SELECT line, line, line, line, line, random_bytes(100000, 1) FROM lines(100000, 1) line
$$;
CREATE FUNCTION codecs(skip int) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(compression, ' ' ORDER BY id) FROM (SELECT * FROM stored('columns') OFFSET skip) s $$;
CALL add_row();
SELECT codecs(0);
SELECT toaststore.alter_store('columns', 'zstd');
CALL add_row();
SELECT codecs(6);
SELECT toaststore.alter_store('columns', 'none');
CALL add_row();
SELECT codecs(12);
SELECT toaststore.alter_store('columns', compression => 'lz4');
CALL add_row();
SELECT codecs(18);
-- UPDATE goes the same way; what is replaced is not seen any more.
SELECT toaststore.alter_store('columns', 'zstd:3');
UPDATE columns SET by_default = by_default || 'x', lz4 = lz4 || 'x' WHERE ctid = '(0,1)';
SELECT codecs(22);
-- The row's pointer says nothing of it. Values that stay in the row are compressed by lz4, unless the column says pglz,
-- or nobody wants them compressed: then as on heap.
SELECT pg_column_compression(by_default) IS NULL AND pg_column_compression(lz4) IS NULL AS nothing, count(*) FROM columns GROUP BY 1;
CREATE TABLE in_rows (by_default text, pglz text COMPRESSION pglz, lz4 text COMPRESSION lz4) USING toaststore;
CREATE PROCEDURE add_in_rows(codec text) LANGUAGE sql AS $$
    SELECT toaststore.alter_store('in_rows', codec);
    INSERT INTO in_rows SELECT repeat(line, 20), repeat(line, 20), repeat(line, 20) FROM lines(200, 2) line;
$$;
CALL add_in_rows('lz4');
CALL add_in_rows('zstd');
CALL add_in_rows('none');
SELECT pg_column_compression(by_default) AS by_default, pg_column_compression(pglz) AS pglz, pg_column_compression(lz4) AS lz4 FROM in_rows;
SELECT count(*) FROM stored('in_rows');
SELECT bool_and(by_default = lines(100000, 1) || CASE WHEN length(by_default) > 100000 THEN 'x' ELSE '' END), bool_and(main = lines(100000, 1)),
       bool_and(external = main), bool_and(random = random_bytes(100000, 1)) FROM columns WHERE main IS NOT NULL;
SELECT * FROM toaststore.verify('columns', exact => true);
\d columns

-- VACUUM FULL and CLUSTER copy what is stored as it is: ids, codecs, every byte.
CREATE TEMPORARY TABLE before AS SELECT * FROM stored('columns');
CREATE TEMPORARY TABLE contents AS SELECT md5(columns::text) AS row FROM columns;
VACUUM FULL columns;
(TABLE before EXCEPT ALL SELECT * FROM stored('columns')) UNION ALL (SELECT * FROM stored('columns') EXCEPT ALL TABLE before);
SELECT count(*) FROM (SELECT md5(columns::text) FROM columns EXCEPT ALL TABLE contents) other;
CREATE INDEX columns_lz4 ON columns (md5(lz4));
CLUSTER columns USING columns_lz4;
(TABLE before EXCEPT ALL SELECT * FROM stored('columns')) UNION ALL (SELECT * FROM stored('columns') EXCEPT ALL TABLE before);
SELECT count(*) FROM (SELECT md5(columns::text) FROM columns EXCEPT ALL TABLE contents) other;
SELECT * FROM toaststore.verify('columns', exact => true);

-- Where ALTER TABLE writes the table anew, and where rows come from another such table, values are copied
-- if they are there as they would be stored: told by the level, which is another now.
CREATE TABLE source (id int, body text, raw bytea) USING toaststore;
ALTER TABLE source ALTER raw SET STORAGE EXTERNAL;
SELECT toaststore.alter_store('source', 'zstd:19');
INSERT INTO source SELECT n, lines(n, n), random_bytes(n, n) FROM unnest(ARRAY[100, 3000, 9000, 70000, 300000]) n;
CREATE TEMPORARY TABLE level_19 AS SELECT raw_bytes, stored_bytes, compression FROM stored('source');
SELECT toaststore.alter_store('source', 'zstd:1');
ALTER TABLE source ALTER id TYPE bigint;
SELECT count(*) AS stored, count(*) FILTER (WHERE (raw_bytes, stored_bytes, compression) IN (TABLE level_19)) AS copied FROM stored('source');
CREATE TABLE target (id int, body text, raw bytea) USING toaststore;
ALTER TABLE target ALTER raw SET STORAGE EXTERNAL;
SELECT toaststore.alter_store('target', 'zstd');
INSERT INTO target SELECT * FROM source;
SELECT count(*) AS stored, count(*) FILTER (WHERE (raw_bytes, stored_bytes, compression) IN (TABLE level_19)) AS copied FROM stored('target');
INSERT INTO target SELECT id + 1, body, raw FROM target;
SELECT count(*), count(*) FILTER (WHERE target.body = source.body AND target.raw = source.raw) AS same FROM target LEFT JOIN source ON target.id - target.id % 2 = source.id;
SELECT * FROM toaststore.verify('target', exact => true);
-- They are copies.
DROP TABLE source;
SELECT bool_and(body = lines(id / 2 * 2, id / 2 * 2)), bool_and(raw = random_bytes(id / 2 * 2, id / 2 * 2)) FROM target;
-- Another codec, or a column that wants none: they are stored as they would be.
CREATE TABLE other (body text COMPRESSION lz4, plain text, raw bytea COMPRESSION lz4) USING toaststore;
ALTER TABLE other ALTER plain SET STORAGE EXTERNAL;
INSERT INTO other SELECT body, body, raw FROM target WHERE id = 70000;
SELECT compression, stored_bytes = raw_bytes AS as_it_is, raw_bytes FROM stored('other');
-- What would fit the row when it is compressed goes into the row, as on heap.
CREATE TABLE fits (pad text, body text) USING toaststore;
ALTER TABLE fits ALTER pad SET STORAGE PLAIN;
INSERT INTO fits SELECT repeat('x', 1900), repeat(lines(1000, 3), 3) || lines(300, 1);
SELECT layout, raw_bytes, compression FROM stored('fits');
CREATE TABLE fitting (body text) USING toaststore;
CREATE TABLE fitting_heap (body text COMPRESSION lz4) USING heap;
INSERT INTO fitting SELECT body FROM fits;
INSERT INTO fitting_heap SELECT body FROM fits;
SELECT (SELECT count(*) FROM stored('fitting')) AS stored, pg_column_size(fitting.body) = pg_column_size(fitting_heap.body) AS same_size FROM fitting, fitting_heap;
-- From a store of values by id.
SELECT toaststore.create_store('media');
SELECT toaststore.put('media', convert_to(lines(200000, 4), 'UTF8'));
CREATE TABLE from_store (value bytea) USING toaststore;
INSERT INTO from_store SELECT value FROM media;
SELECT media.value = from_store.value AS same, info.stored_bytes = stored.stored_bytes AS copied
  FROM media, from_store, toaststore.info('media', id) info, stored('from_store');
DROP TABLE media;
SELECT value = convert_to(lines(200000, 4), 'UTF8') AS same FROM from_store;

-- Thresholds count from when the store's file is begun: by the first value, or by a rewrite or TRUNCATE.
CREATE TABLE thresholds (body text) USING toaststore;
SELECT toaststore.alter_store('thresholds', chunk_bytes => 8192);
INSERT INTO thresholds SELECT lines(100000, 1);
SELECT layout, chunks, compression FROM stored('thresholds');
SELECT toaststore.alter_store('thresholds', 'zstd', direct_max => 100, extent_max => 262144, chunk_bytes => 262144);
INSERT INTO thresholds SELECT lines(100000, 2);
SELECT layout, chunks, compression FROM stored('thresholds');
VACUUM FULL thresholds;
SELECT layout, chunks, compression FROM stored('thresholds');
SELECT * FROM toaststore.verify('thresholds', exact => true);
SELECT toaststore.alter_store('thresholds', extent_max => 65536);
TRUNCATE thresholds;
INSERT INTO thresholds SELECT lines(100000, 2);
SELECT layout, chunks, compression FROM stored('thresholds');
-- A change that is rolled back is none.
BEGIN;
SELECT toaststore.alter_store('thresholds', 'none');
INSERT INTO thresholds SELECT lines(100000, 3);
SELECT layout, chunks, compression FROM stored('thresholds');
ROLLBACK;
INSERT INTO thresholds SELECT lines(100000, 3);
SELECT compression, count(*) FROM stored('thresholds') GROUP BY 1;
-- They stay with the table: another access method and back, and copies of its definition.
ALTER TABLE thresholds SET ACCESS METHOD heap;
ALTER TABLE thresholds SET ACCESS METHOD toaststore;
SELECT compression, count(*) FROM stored('thresholds') GROUP BY 1;
CREATE TABLE alike (LIKE thresholds INCLUDING CONSTRAINTS) USING toaststore;
INSERT INTO alike SELECT lines(100000, 1);
SELECT compression FROM stored('alike');
-- Each table of a family has its own.
CREATE TABLE child () INHERITS (thresholds) USING toaststore;
INSERT INTO child SELECT lines(100000, 1);
SELECT compression FROM stored('child');
SELECT toaststore.alter_store('thresholds', 'lz4');
SELECT toaststore.alter_store('child', 'none');
CREATE TABLE parted (id int, body text) PARTITION BY LIST (id);
CREATE TABLE part1 PARTITION OF parted FOR VALUES IN (1) USING toaststore;
CREATE TABLE part2 PARTITION OF parted FOR VALUES IN (2) USING toaststore;
SELECT toaststore.alter_store('part2', 'zstd');
INSERT INTO parted SELECT n, lines(100000, n) FROM generate_series(1, 2) n;
UPDATE parted SET id = 3 - id;
SELECT part, compression FROM unnest('{part1, part2}'::regclass[]) part, stored(part);
-- A partitioned table has no store. Its constraint is that of partitions to come.
CREATE TABLE grouped (id int, body text, CONSTRAINT toaststore_options CHECK (toaststore.options(4096, 65536, 65536, 'zstd'))) PARTITION BY LIST (id);
CREATE TABLE group1 PARTITION OF grouped FOR VALUES IN (1) USING toaststore;
INSERT INTO grouped SELECT 1, lines(100000, 4);
SELECT compression FROM stored('group1');
SELECT toaststore.alter_store('group1', 'none');

-- What has no store, no such options, or another owner.
CREATE TABLE plain (body text) USING heap;
CREATE TABLE narrow (id int) USING toaststore;
CREATE MATERIALIZED VIEW shown USING toaststore AS SELECT body FROM plain;
SELECT toaststore.alter_store('plain', 'zstd');
SELECT toaststore.alter_store('narrow', 'zstd');
SELECT toaststore.alter_store('shown', 'zstd');
SELECT toaststore.alter_store('parted', 'zstd');
SELECT toaststore.alter_store('part1', 'pglz');
SELECT toaststore.alter_store('part2', chunk_bytes => 100);
SELECT toaststore.alter_store('part2', extent_max => -1);
CREATE ROLE stranger;
GRANT USAGE ON SCHEMA table_options TO stranger;
GRANT ALL ON columns TO stranger;
SET ROLE stranger;
SELECT toaststore.alter_store('columns', 'none');
RESET ROLE;
DROP OWNED BY stranger;
DROP ROLE stranger;
SET client_min_messages = warning;
DROP SCHEMA table_options CASCADE;
