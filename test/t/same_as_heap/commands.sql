-- Commands that rewrite, move or look after tables.
CREATE TABLE documents (id int PRIMARY KEY, grp int, body text, meta jsonb);
INSERT INTO documents SELECT n, n % 5, oracle.value(n, 100 * n * n, 'noise'), jsonb_build_object('n', n, 'w', oracle.value(n, 5000, 'mixed'))
  FROM generate_series(1, 40) n;
CREATE FUNCTION digest() RETURNS TABLE (count bigint, length bigint, bodies text, metas text) LANGUAGE sql AS $$
    SELECT count(*), sum(length(body)), md5(string_agg(body, ',' ORDER BY id)), md5(string_agg(meta::text, ',' ORDER BY id)) FROM documents
$$;
SELECT * FROM digest();
DELETE FROM documents WHERE id % 7 = 0;
UPDATE documents SET body = body || 'x' WHERE id % 4 = 0;
SELECT * FROM digest();
VACUUM documents;
VACUUM (FREEZE, ANALYZE) documents;
SELECT * FROM digest();
VACUUM FULL documents;
SELECT * FROM digest();
CREATE INDEX documents_grp ON documents (grp, id DESC);
CLUSTER documents USING documents_grp;
SELECT * FROM digest();
SELECT id FROM documents LIMIT 5;
REINDEX TABLE documents;
ALTER TABLE documents ALTER grp TYPE bigint;
ALTER TABLE documents ALTER id TYPE bigint USING id * 2;
SELECT * FROM digest();
ALTER TABLE documents SET UNLOGGED;
ALTER TABLE documents SET LOGGED;
SELECT * FROM digest();
ALTER TABLE documents SET ACCESS METHOD heap;
SELECT * FROM digest();
ALTER TABLE documents SET ACCESS METHOD :access_method;
SELECT * FROM digest();
BEGIN;
ALTER TABLE documents SET ACCESS METHOD heap;
DELETE FROM documents;
ROLLBACK;
SELECT * FROM digest();
-- Rewritten in the middle of a transaction that wrote; truncated and filled again.
BEGIN;
UPDATE documents SET body = body || 'y' WHERE id < 20;
ALTER TABLE documents ADD COLUMN note text DEFAULT clock_timestamp()::text || repeat('z', 9000);
SELECT * FROM digest();
ROLLBACK;
SELECT * FROM digest();
BEGIN;
TRUNCATE documents;
INSERT INTO documents SELECT n, n % 5, oracle.value(n, 50000, 'noise') FROM generate_series(1, 3) n;
SAVEPOINT a;
TRUNCATE documents;
SELECT * FROM digest();
ROLLBACK TO a;
SELECT * FROM digest();
ROLLBACK;
SELECT * FROM digest();
ANALYZE documents;
SELECT attname, null_frac, n_distinct > 0 OR n_distinct = -1 AS counted FROM pg_stats WHERE tablename = 'documents' ORDER BY 1;
SELECT reltuples, relpages > 0 AS has_pages FROM pg_class WHERE relname = 'documents';

-- Indexes on long values: expressions, predicates, unique ones; built beside and after the rows.
CREATE INDEX documents_hash ON documents (md5(body));
CREATE INDEX documents_part ON documents (id) WHERE length(body) > 50000;
CREATE UNIQUE INDEX documents_meta ON documents ((meta ->> 'n'));
CREATE INDEX CONCURRENTLY documents_left ON documents (left(body, 20), grp);
CREATE INDEX documents_gin ON documents USING gin (meta jsonb_path_ops);
CREATE INDEX documents_hashed ON documents USING hash (body);
CREATE INDEX documents_too_long ON documents (body);
CREATE INDEX documents_brin ON documents USING brin (id);
INSERT INTO documents SELECT id + 1000, grp, body, meta FROM documents WHERE id < 10;
INSERT INTO documents SELECT id + 1000, grp, body, meta || '{"n": -1}' FROM documents WHERE id = 6;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM documents WHERE md5(body) = 'x';
SELECT id FROM documents WHERE md5(body) = (SELECT md5(body) FROM documents WHERE id = 6) ORDER BY id;
SELECT id FROM documents WHERE length(body) > 50000 ORDER BY id;
SELECT id FROM documents WHERE meta @> '{"n": 8}' ORDER BY id;
SELECT id FROM documents WHERE body = (SELECT body FROM documents WHERE id = 1006) ORDER BY id;
SELECT id FROM documents WHERE left(body, 20) = (SELECT left(body, 20) FROM documents WHERE id = 6) ORDER BY id;
SELECT id FROM documents WHERE id BETWEEN 30 AND 40 ORDER BY id;
RESET enable_seqscan;
REINDEX TABLE CONCURRENTLY documents;
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'documents'::regclass ORDER BY 1::text COLLATE "C";
SELECT count(*) FROM documents TABLESAMPLE bernoulli (100);
SELECT count(*) > 0 AS some FROM documents TABLESAMPLE system (100);
SELECT id, md5(body) FROM documents WHERE ctid = (SELECT ctid FROM documents WHERE id = 6);
SELECT count(DISTINCT xmin::text) > 0 AS have_xmin, count(*) FILTER (WHERE tableoid = 'documents'::regclass) FROM documents;

-- Parallel plans read and build as others do.
CREATE TABLE many AS SELECT n AS id, oracle.value(n, 3000, 'noise') AS body FROM generate_series(1, 4000) n;
SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT count(*), sum(length(body)) FROM many WHERE md5(body) < '8';
SELECT count(*), sum(length(body)) FROM many WHERE md5(body) < '8';
SELECT md5(string_agg(h, '' ORDER BY h)) FROM (SELECT md5(substr(body, 100, 900)) AS h FROM many) AS hashes;
SET max_parallel_maintenance_workers = 2;
CREATE INDEX ON many (md5(body));
CREATE MATERIALIZED VIEW halves AS SELECT id, left(body, 2900) AS body FROM many WHERE id % 2 = 0;
RESET max_parallel_workers_per_gather; RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
SELECT count(*), sum(length(body)) FROM halves;
DELETE FROM many WHERE id < 3000;
REFRESH MATERIALIZED VIEW halves;
CREATE UNIQUE INDEX ON halves (id);
UPDATE many SET body = body || 'x' WHERE id > 3990;
REFRESH MATERIALIZED VIEW CONCURRENTLY halves;
SELECT count(*), sum(length(body)), md5(string_agg(body, '' ORDER BY id)) FROM halves;

-- Temporary and unlogged tables.
CREATE TEMPORARY TABLE own (id int, body text) ON COMMIT DELETE ROWS;
BEGIN;
INSERT INTO own SELECT n, oracle.value(n, 40000, 'mixed') FROM generate_series(1, 5) n;
UPDATE own SET body = body || 'x' WHERE id = 2;
SELECT id, md5(body) FROM own ORDER BY id;
COMMIT;
SELECT count(*) FROM own;
CREATE TEMPORARY TABLE kept AS SELECT n AS id, oracle.value(n, 40000, 'noise') AS body FROM generate_series(1, 5) n;
VACUUM FULL kept;
SELECT id, md5(body) FROM kept ORDER BY id;
CREATE UNLOGGED TABLE loose AS SELECT * FROM kept;
SELECT id, md5(body) FROM loose ORDER BY id;
DROP TABLE kept, loose, many CASCADE;
