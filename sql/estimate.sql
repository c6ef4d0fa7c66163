--
-- What moving a table would save: estimated from a sample, and then the table is moved.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA estimate;
SET search_path = estimate;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
\pset format unaligned
\pset null '(null)'

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;

-- Small values inside of their rows, values that do and don't compress, and some that may not.
CREATE TABLE documents (id int PRIMARY KEY, body text, data bytea, kept bytea);
ALTER TABLE documents ALTER kept SET STORAGE EXTERNAL;
INSERT INTO documents
SELECT n, (SELECT string_agg(md5((n * 1000 + i)::text) || repeat('words', 20), '') FROM generate_series(1, 500) i),
       random_bytes(9000, n), CASE WHEN n % 10 = 0 THEN convert_to(repeat('kept', 20000), 'UTF8') END
  FROM generate_series(1, 300) n;
SELECT rows_sampled, long_values, raw_bytes, bytes_now = pg_total_relation_size(reltoastrelid) AS counted, bytes_saved = bytes_now - bytes_then AS right
  FROM toaststore.estimate('documents'), pg_class WHERE pg_class.oid = 'documents'::regclass;
-- A part of the rows gives about the same.
VACUUM ANALYZE documents;
SELECT part.rows_sampled BETWEEN 60 AND 240 AS some, part.long_values BETWEEN 400 AND 900 AS values, part.bytes_now = whole.bytes_now AS same,
       abs(part.bytes_then - whole.bytes_then) < whole.bytes_then / 3 AS near
  FROM toaststore.estimate('documents', 150) AS part, toaststore.estimate('documents') AS whole;
-- Other compressions.
SELECT raw.bytes_then BETWEEN raw.raw_bytes AND 1.1 * raw.raw_bytes AS raw, lz4.bytes_then < raw.bytes_then AS lz4_smaller,
       zstd.bytes_then < lz4.bytes_then AS zstd_smaller
  FROM toaststore.estimate('documents', compression => 'none') AS raw, toaststore.estimate('documents') AS lz4,
       toaststore.estimate('documents', compression => 'zstd:9') AS zstd;
-- It comes out as was told.
SELECT bytes_now, bytes_then FROM toaststore.estimate('documents') \gset
ALTER TABLE documents SET ACCESS METHOD toaststore;
SELECT pg_total_relation_size(reltoastrelid) < :bytes_now AS less,
       abs(pg_total_relation_size(reltoastrelid) - :bytes_then) < :bytes_then / 10 + 262144 AS as_told
  FROM pg_class WHERE oid = 'documents'::regclass;
SELECT long_values, bytes_now = pg_total_relation_size(reltoastrelid) AS counted
  FROM toaststore.estimate('documents'), pg_class WHERE pg_class.oid = 'documents'::regclass;
ALTER TABLE documents SET ACCESS METHOD heap;
SELECT long_values FROM toaststore.estimate('documents');

-- Tables without long values, without rows, and what has no rows of its own.
CREATE TABLE short (id int, words text);
CREATE TABLE numbers (id int);
INSERT INTO short SELECT n, 'short' FROM generate_series(1, 5) n;
SELECT rows_sampled, long_values, raw_bytes, bytes_then FROM toaststore.estimate('short');
SELECT * FROM toaststore.estimate('numbers');
SELECT * FROM toaststore.estimate(NULL);
CREATE MATERIALIZED VIEW kept AS SELECT id, body FROM documents;
SELECT rows_sampled, long_values FROM toaststore.estimate('kept');
CREATE TABLE parted (id int, words text) PARTITION BY LIST (id);
CREATE VIEW shown AS SELECT * FROM short;
SELECT * FROM toaststore.estimate('parted');
SELECT * FROM toaststore.estimate('shown');
SELECT * FROM toaststore.estimate('documents_pkey');
SELECT * FROM toaststore.estimate('documents', 0);
SELECT * FROM toaststore.estimate('documents', compression => 'gzip');
CREATE ROLE estimate_reader;
GRANT USAGE ON SCHEMA estimate TO estimate_reader;
SET ROLE estimate_reader;
SELECT * FROM toaststore.estimate('documents');
RESET ROLE;
GRANT SELECT ON documents TO estimate_reader;
SET ROLE estimate_reader;
SELECT rows_sampled FROM toaststore.estimate('documents');
RESET ROLE;
DROP OWNED BY estimate_reader;
DROP ROLE estimate_reader;
