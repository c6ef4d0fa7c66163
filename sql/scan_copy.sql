--
-- A store is a table to SQL: it is scanned in the order of ids, filled by INSERT and COPY, and says
-- so clearly where it is not one.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA scan_copy;
SET search_path = scan_copy;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
-- Values that tell their own numbers.
CREATE FUNCTION numbered(n bigint) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT convert_to(repeat(n || ' ', (n % 5000)::int), 'UTF8') $$;

SELECT toaststore.create_store('media');

-- INSERT: the next id, an id of one's own, or none.
INSERT INTO media (value) VALUES ('first') RETURNING id, convert_from(value, 'UTF8');
INSERT INTO media VALUES (NULL, 'second') RETURNING id;
INSERT INTO media VALUES (1000, 'thousandth'), (NULL, 'the next'), (5, 'fifth') RETURNING id;
INSERT INTO media (value) VALUES ('one more') RETURNING id;
SELECT toaststore.put('media', 'and another');
SELECT id, convert_from(value, 'UTF8') FROM media;
-- Also past one that another value might have been about to get.
INSERT INTO media VALUES (1010, 'ahead');
INSERT INTO media (value) VALUES ('behind') RETURNING id > 1010 AS larger;
DELETE FROM media WHERE id >= 1010;
-- Taken.
INSERT INTO media VALUES (1000, 'again');
\echo :SQLSTATE
INSERT INTO media VALUES (20, 'once'), (20, 'twice');
\echo :SQLSTATE
INSERT INTO media VALUES (21, 'not alone'), (1, 'taken');
\echo :SQLSTATE
-- Null, and out of range.
INSERT INTO media VALUES (30, NULL);
\echo :SQLSTATE
INSERT INTO media VALUES (0, 'zero');
\echo :SQLSTATE
INSERT INTO media VALUES (-1, 'negative');
\echo :SQLSTATE
INSERT INTO media VALUES (9223372036854775807, 'too large');
\echo :SQLSTATE
SELECT id FROM media;
INSERT INTO media DEFAULT VALUES;
\echo :SQLSTATE

-- Scans: in the order of ids, whatever the order of puts.
SELECT id FROM media;
SELECT count(*), min(id), max(id) FROM media;
SELECT id, convert_from(value, 'UTF8') FROM media WHERE id = 1000;
SELECT id FROM media WHERE id BETWEEN 2 AND 1001;
SELECT id FROM media WHERE value = 'one more';
SELECT id FROM media ORDER BY id DESC LIMIT 2;
SELECT a.id, b.id FROM media a JOIN media b ON a.value = b.value WHERE a.id < 6 ORDER BY 1;
SELECT id, length(value) FROM media m WHERE EXISTS (SELECT FROM media WHERE id = m.id + 1);
SELECT count(*) FROM media a, media b;
SELECT tableoid::regclass, ctid IS NOT NULL AS has_ctid FROM media WHERE id = 1;
SELECT id FROM media WHERE ctid = (SELECT ctid FROM media WHERE id = 1000);
BEGIN;
DECLARE rows_of_it CURSOR FOR SELECT id FROM media;
FETCH 2 FROM rows_of_it;
DELETE FROM media WHERE CURRENT OF rows_of_it RETURNING id, convert_from(value, 'UTF8');
ROLLBACK;
SELECT media FROM media WHERE id = 1;
SELECT row_number() OVER (ORDER BY length(value), id), id FROM media LIMIT 3;

-- DELETE.
DELETE FROM media WHERE id = 5 RETURNING id, convert_from(value, 'UTF8');
DELETE FROM media WHERE id = 5 RETURNING id;
DELETE FROM media WHERE value IN ('one more', 'and another') RETURNING id;
DELETE FROM media USING (VALUES (1), (2)) gone (id) WHERE media.id = gone.id RETURNING media.id;
SELECT id FROM media;
SELECT toaststore.put('media', 'next') > 1011 AS put;
DELETE FROM media WHERE value = 'next';

-- The counter follows ids of one's own.
INSERT INTO media VALUES (1000000, 'a million');
SELECT toaststore.put('media', 'after it');
INSERT INTO media VALUES (500000, 'half a million');
SELECT toaststore.put('media', 'not after that');

-- Many, in leaves that split on the right, on the left and in the middle.
SELECT toaststore.create_store('many');
INSERT INTO many SELECT n * 10, numbered(n * 10) FROM generate_series(1001, 3000) n;
INSERT INTO many SELECT n * 10, numbered(n * 10) FROM generate_series(1000, 1, -1) n;
INSERT INTO many SELECT n * 10 + n % 9 + 1, numbered(n * 10 + n % 9 + 1) FROM generate_series(1, 2999) n;
SELECT count(*), min(id), max(id), bool_and(value = numbered(id)) AS same FROM many;
SELECT count(*) FILTER (WHERE id <= before) AS out_of_order
  FROM (SELECT id, lag(id) OVER () AS before FROM many) scanned;
SELECT count(*) FROM many WHERE toaststore.get('many', id) IS DISTINCT FROM numbered(id);

-- Cursors, backwards too.
BEGIN;
DECLARE both_ways SCROLL CURSOR FOR SELECT id FROM many;
FETCH 3 FROM both_ways;
FETCH BACKWARD 2 FROM both_ways;
FETCH BACKWARD 5 FROM both_ways;
FETCH 2 FROM both_ways;
MOVE FORWARD 2000 IN both_ways;
FETCH 1 FROM both_ways;
FETCH BACKWARD 1 FROM both_ways;
MOVE BACKWARD 1000 IN both_ways;
FETCH 1 FROM both_ways;
FETCH LAST FROM both_ways;
FETCH NEXT FROM both_ways;
FETCH PRIOR FROM both_ways;
FETCH PRIOR FROM both_ways;
FETCH FIRST FROM both_ways;
FETCH ABSOLUTE 128 FROM both_ways;
FETCH RELATIVE -1 FROM both_ways;
COMMIT;
CREATE FUNCTION backwards(store regclass) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    rows SCROLL CURSOR FOR SELECT id FROM many;
    next bigint;
    ids bigint[] := '{}';
BEGIN
    OPEN rows;
    MOVE LAST IN rows;
    MOVE NEXT IN rows;
    LOOP
        FETCH PRIOR FROM rows INTO next;
        EXIT WHEN NOT FOUND;
        ids := ids || next;
    END LOOP;
    RETURN ids;
END
$$;
SELECT backwards('many') = array_agg(id ORDER BY id DESC) AS all_of_them FROM many;

-- COPY out and in, ids kept.
SELECT toaststore.create_store('copied');
COPY media TO STDOUT;
COPY (SELECT id, encode(value, 'escape') FROM media) TO STDOUT WITH (FORMAT csv, HEADER);
COPY copied FROM STDIN;
3	\\x0001ff
7	seven
\N	eighth
4	four
\.
SELECT * FROM copied;
COPY copied (value) FROM STDIN;
ninth
tenth
\.
COPY copied (value, id) FROM STDIN WITH (FORMAT csv);
hundredth,100
\.
SELECT id, encode(value, 'escape') FROM copied;
COPY copied FROM STDIN;
101	fine
100	taken
\.
COPY copied FROM STDIN;
102	\N
\.
SELECT max(id) FROM copied;
COPY copied FROM STDIN WHERE id % 2 = 0;
200	even
201	odd
\.
SELECT max(id) FROM copied;
-- Through a file, as text and as binary, thousands of values of every layout.
INSERT INTO many SELECT n + 100000, random_bytes(n * 1000, n) FROM generate_series(1, 150) n;
SELECT current_setting('data_directory') || '/scan_copy' AS file \gset
COPY many TO :'file';
SELECT toaststore.create_store('by_text');
COPY by_text FROM :'file';
COPY many TO :'file' (FORMAT binary);
SELECT toaststore.create_store('by_binary', 100, 8000, 8192, 'none');
COPY by_binary FROM :'file' (FORMAT binary);
SELECT store, (SELECT count(*) FROM many) AS original,
       CASE store WHEN 'by_text' THEN (SELECT count(*) FROM many JOIN by_text USING (id, value))
                                 ELSE (SELECT count(*) FROM many JOIN by_binary USING (id, value))
       END AS same
  FROM unnest(ARRAY['by_text', 'by_binary']) store;
SELECT toaststore.put('by_text', 'next') = max(id) + 1 AS next_id FROM many;
COPY (SELECT 1 WHERE false) TO :'file';

-- Into a table and back.
CREATE TABLE in_heap AS SELECT * FROM many;
SELECT count(*) FROM in_heap JOIN many USING (id, value);
CREATE TABLE by_select USING toaststore_values AS SELECT * FROM in_heap;
SELECT count(*) FROM in_heap JOIN by_select USING (id, value);
CREATE MATERIALIZED VIEW few AS SELECT * FROM many WHERE id < 100;
REFRESH MATERIALIZED VIEW few;
SELECT count(*) FROM few;
CREATE TABLE rows_kept AS SELECT many AS whole FROM many WHERE id > 100100;
SELECT bool_and((whole).value = random_bytes(((whole).id - 100000)::int * 1000,
                                             ((whole).id - 100000)::int)) AS same FROM rows_kept;

-- Ids beyond 32 bits, which no TOAST pointer holds.
SELECT toaststore.create_store('wide');
INSERT INTO wide VALUES (4294967295, random_bytes(100, 1)), (4294967296, random_bytes(100, 2)),
                        (1099511627776, random_bytes(300000, 3)), (1099511627777, ''),
                        (140737488289792, random_bytes(10, 4));
SELECT id, length(value), toaststore.length('wide', id), toaststore.get('wide', id) = value AS same,
       substr(value, 50, 20) = toaststore.get_slice('wide', id, 49, 20) AS slice
  FROM wide;
SELECT id, value = random_bytes(300000, 3) AS same, length(substr(value, 299990)) AS rest
  FROM wide WHERE id = 1099511627776;
SELECT id, length(value) FROM wide ORDER BY value;
CREATE TABLE wide_copy AS SELECT * FROM wide;
SELECT count(*) FROM wide JOIN wide_copy USING (id, value);
DELETE FROM wide WHERE id = 140737488289792 RETURNING id, value = random_bytes(10, 4) AS same;
DELETE FROM wide WHERE id > 4294967295 RETURNING id, length(value);
INSERT INTO wide VALUES (140737488289793, 'too large');
\echo :SQLSTATE
ANALYZE wide;

-- Parallel workers return what one process does.
ANALYZE many;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL enable_sort = off;
EXPLAIN (COSTS OFF) SELECT count(*), sum(id), sum(length(value)) FROM many;
SELECT count(*), sum(id), sum(length(value)) FROM many;
SELECT count(*), count(DISTINCT id) FROM (SELECT id, value FROM many WHERE length(value) > 100) long;
-- Done again, from the beginning.
SET LOCAL enable_material = off;
SELECT n, rows, ids FROM (VALUES (1), (2), (3)) again (n) LEFT JOIN
       (SELECT count(*) AS rows, sum(id) AS ids FROM many WHERE id > 10) counted ON true;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT count(*), sum(id), sum(length(value)) FROM many;
SELECT count(*), count(DISTINCT id) FROM (SELECT id, value FROM many WHERE length(value) > 100) long;
COMMIT;
-- Compiled queries, too.
BEGIN;
SET LOCAL jit = on;
SET LOCAL jit_above_cost = 0;
SET LOCAL jit_inline_above_cost = 0;
SET LOCAL jit_optimize_above_cost = 0;
SELECT count(*) FROM copied WHERE toaststore.get('copied', id) = value
                              AND toaststore.length('copied', id) = length(value);
SELECT count(toaststore.put('copied', value)) FROM copied WHERE id < 10;
COMMIT;

-- Statistics, for the planner and for people.
SELECT attname, n_distinct FROM pg_stats
 WHERE schemaname = 'scan_copy' AND tablename = 'many' AND attname = 'id';
SELECT reltuples > 0.8 * (SELECT count(*) FROM many) AS reltuples FROM pg_class WHERE oid = 'many'::regclass;
SELECT toaststore.create_store('counted');
SELECT toaststore.put('counted', 'a') IS NOT NULL AS put;
SELECT count(*) FROM unnest(toaststore.put_many('counted', ARRAY['b', 'c', 'd']::bytea[]));
INSERT INTO counted (value) VALUES ('e'), ('f');
SELECT toaststore.delete('counted', 1);
DELETE FROM counted WHERE id = 2;
SELECT pg_stat_force_next_flush();
SELECT n_tup_ins, n_tup_del FROM pg_stat_user_tables WHERE relid = 'counted'::regclass;

-- VACUUM and ANALYZE succeed, TRUNCATE starts anew.
VACUUM many;
VACUUM (ANALYZE, VERBOSE off) many;
VACUUM FREEZE many;
DELETE FROM many WHERE id % 50 = 0;
VACUUM FULL many;
SELECT count(*), bool_and(value = toaststore.get('many', id)) AS same, bool_or(id % 50 = 0) AS deleted
  FROM many;
SELECT toaststore.put('many', 'after it') > max(id) AS next_id FROM many;
ANALYZE many, media;
SELECT count(*) FROM many;
SELECT relation, fault.*
  FROM unnest(ARRAY['media', 'many', 'copied', 'by_text', 'by_binary', 'by_select', 'wide',
                    'counted']::regclass[]) relation,
       LATERAL toaststore.verify(relation) fault;
TRUNCATE many;
SELECT count(*) FROM many;
SELECT toaststore.put('many', 'from one again');
SELECT * FROM toaststore.verify('many');
TRUNCATE many RESTART IDENTITY;

-- What a store does not do, and what to do instead.
SELECT id FROM media;
UPDATE media SET value = 'changed';
\echo :SQLSTATE
UPDATE media SET id = id + 1 WHERE id = 1000;
\echo :SQLSTATE
SELECT * FROM media WHERE id = 1000 FOR UPDATE;
\echo :SQLSTATE
SELECT * FROM media TABLESAMPLE BERNOULLI (50);
\echo :SQLSTATE
SELECT * FROM media TABLESAMPLE SYSTEM (50);
\echo :SQLSTATE
CREATE INDEX ON media (id);
\echo :SQLSTATE
ALTER TABLE media ADD PRIMARY KEY (id);
\echo :SQLSTATE
CREATE INDEX CONCURRENTLY media_id ON media (id);
\echo :SQLSTATE
CLUSTER media;
\echo :SQLSTATE
MERGE INTO media USING (VALUES (1000)) new (id) ON media.id = new.id
 WHEN MATCHED THEN UPDATE SET value = 'merged';
\echo :SQLSTATE
-- ON CONFLICT looks at indexes, so it knows of no conflict.
INSERT INTO media VALUES (1000, 'x') ON CONFLICT DO NOTHING;
\echo :SQLSTATE
INSERT INTO media VALUES (1000, 'x') ON CONFLICT (id) DO UPDATE SET value = 'x';
\echo :SQLSTATE
-- All of which changed nothing.
SELECT id, convert_from(value, 'UTF8') FROM media WHERE id < 2000;

-- Columns of one's own belong elsewhere.
SELECT toaststore.create_store('changed');
SELECT toaststore.put('changed', 'x');
ALTER TABLE changed ADD COLUMN note text;
\echo :SQLSTATE
ALTER TABLE changed DROP COLUMN value;
\echo :SQLSTATE
SELECT * FROM changed;
DROP TABLE changed;
-- A table that had some becomes a store, but not the rows with them.
CREATE TABLE changed (id bigint, value bytea, note text);
INSERT INTO changed VALUES (1, 'x', 'noted');
ALTER TABLE changed DROP COLUMN note;
ALTER TABLE changed SET ACCESS METHOD toaststore_values;
SELECT toaststore.get('changed', 1);
SELECT toaststore.put('changed', 'y');
INSERT INTO changed VALUES (NULL, 'z');
SELECT *, changed AS whole FROM changed;
DELETE FROM changed WHERE id = 2 RETURNING *;
COPY changed TO STDOUT;
SELECT * FROM toaststore.verify('changed');
DROP TABLE changed;
-- Other changes of a table are fine.
ALTER TABLE copied RENAME TO renamed;
ALTER TABLE renamed SET SCHEMA public;
SELECT convert_from(toaststore.get('public.renamed', 7), 'UTF8');
-- Triggers run.
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% % %: % %', TG_WHEN, TG_OP, TG_LEVEL, NEW, OLD;
    RETURN CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END;
END
$$;
CREATE TRIGGER before_insert BEFORE INSERT ON public.renamed FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER after_change AFTER INSERT OR DELETE ON public.renamed FOR EACH ROW EXECUTE FUNCTION tell();
INSERT INTO public.renamed VALUES (1000, 'told');
DELETE FROM public.renamed WHERE id = 1000;
CREATE TRIGGER before_delete BEFORE DELETE ON public.renamed FOR EACH ROW EXECUTE FUNCTION tell();
DELETE FROM public.renamed WHERE id = 3;
DROP TABLE public.renamed;
SELECT toaststore.put('public.renamed', 'x');
\echo :SQLSTATE

SET client_min_messages = warning;
DROP SCHEMA scan_copy CASCADE;
