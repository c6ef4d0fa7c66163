--
-- Ordinary SQL gives on a store what it gives on a table with the same rows: the same rows, counts
-- and SQLSTATEs, statement by statement, and the same contents after each.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA statements;
SET search_path = statements;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
SELECT toaststore.create_store('media');
CREATE TABLE plain (id bigint, value bytea NOT NULL);
INSERT INTO plain SELECT n, random_bytes(n * n * n, n) FROM generate_series(1, 40) n;
INSERT INTO plain VALUES (50, ''), (51, 'short'), (52, 'short'), (4294967295, random_bytes(5000, 1)),
                         (4294967296, random_bytes(100, 2)), (4294967297, random_bytes(70000, 3)), (99999999999, '');
INSERT INTO media SELECT * FROM plain;

-- What a statement does, in a few words: its rows, if it has any, or how many it touched, or its error.
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result record;
    rows text[] := '{}';
    touched bigint;
BEGIN
    IF statement ~* '^(select|values|table)|^with .*\) select|returning [^)]*$' THEN
        FOR result IN EXECUTE statement LOOP
            rows := rows || result::text;
        END LOOP;
        RETURN format('%s rows, %s', cardinality(rows), left(md5(rows::text), 8));
    END IF;
    EXECUTE statement;
    GET DIAGNOSTICS touched = ROW_COUNT;
    RETURN touched || ' touched';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
-- The statement on the store (for @) and on the table.
CREATE FUNCTION on_both(VARIADIC statements text[], OUT statement text, OUT on_store text, OUT on_table text, OUT same boolean)
RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        on_store := outcome(replace(statement, '@', 'media'));
        on_table := outcome(replace(statement, '@', 'plain'));
        same := on_store = on_table
            AND (SELECT array_agg((id, sha256(value)) ORDER BY id) FROM media)
                IS NOT DISTINCT FROM (SELECT array_agg((id, sha256(value)) ORDER BY id) FROM plain);
        RETURN NEXT;
    END LOOP;
END
$$;
SELECT statement, on_store, same FROM on_both('SELECT * FROM @', 'SELECT 1 FROM @ WHERE id = 1000', 'DELETE FROM @ WHERE id = 1000',
                                           'SELECT 1 / (id - 1) FROM @', 'SELECT nothing FROM @');

-- Reading. Values are compared, sorted, joined, hashed, aggregated and kept for later.
CREATE TABLE reading (n serial, statement text);
INSERT INTO reading (statement) VALUES
    ('SELECT count(*), count(id), count(value), min(id), max(id), sum(id), sum(length(value)) FROM @'),
    ('SELECT id, value FROM @ WHERE id > 30 AND length(value) > 40000'),
    ('SELECT * FROM @ WHERE value = ''short'''), ('SELECT * FROM @ WHERE value IN ('''', ''short'')'),
    ('SELECT * FROM @ WHERE value IS NULL'), ('SELECT * FROM @ WHERE value LIKE ''sh%'''),
    ('SELECT id FROM @ ORDER BY value, id'), ('SELECT value FROM @ ORDER BY id DESC LIMIT 3 OFFSET 2'),
    ('SELECT DISTINCT value FROM @ ORDER BY value'), ('SELECT DISTINCT ON (length(value)) id, value FROM @ ORDER BY length(value), id'),
    ('SELECT value, count(*) FROM @ GROUP BY value HAVING count(*) > 1 ORDER BY value'),
    ('SELECT length(value) % 3, string_agg(value, ''|'' ORDER BY id) FROM @ WHERE id < 20 GROUP BY 1 ORDER BY 1'),
    ('SELECT array_agg(value ORDER BY id) FROM @'), ('SELECT max(encode(value, ''hex'')) FROM @'),
    ('SELECT a.id, b.id FROM @ a JOIN @ b USING (value) ORDER BY 1, 2'),
    ('SELECT a.id, b.value FROM @ a LEFT JOIN @ b ON b.id = a.id + 1 ORDER BY 1'),
    ('SELECT id, lag(value) OVER (ORDER BY id), rank() OVER (ORDER BY length(value)) FROM @ ORDER BY id'),
    ('SELECT id, value FROM @ UNION SELECT id + 1, value FROM @ ORDER BY 1, 2'),
    ('SELECT value FROM @ EXCEPT SELECT value FROM @ WHERE id < 10 ORDER BY 1'),
    ('SELECT value FROM @ INTERSECT ALL SELECT value FROM @ WHERE id > 10 ORDER BY 1'),
    ('SELECT id, (SELECT value FROM @ i WHERE i.id = o.id + 1) FROM @ o ORDER BY id'),
    ('SELECT id FROM @ o WHERE EXISTS (SELECT FROM @ i WHERE i.value = o.value AND i.id <> o.id) ORDER BY id'),
    ('SELECT o.id, l.* FROM @ o, LATERAL (SELECT value FROM @ i WHERE i.id <= o.id ORDER BY i.id DESC LIMIT 2) l WHERE o.id < 5 ORDER BY 1, 2'),
    ('WITH RECURSIVE r AS (SELECT id, value FROM @ WHERE id = 1 UNION ALL SELECT m.id, m.value FROM r JOIN @ m ON m.id = r.id + 1) SELECT * FROM r'),
    ('WITH kept AS MATERIALIZED (SELECT * FROM @) SELECT a.id, b.value FROM kept a JOIN kept b USING (id) ORDER BY 1'),
    ('SELECT id, ROW(id, value), ROW(m.*)::text FROM @ m ORDER BY id'), ('SELECT to_jsonb(m) FROM @ m WHERE id < 20 ORDER BY id'),
    ('SELECT substr(value, 100, 50), substring(value FROM 5 FOR 3), get_byte(value, 0), octet_length(value), md5(value) FROM @ WHERE length(value) > 0'),
    ('SELECT value || value FROM @ WHERE id < 30'), ('SELECT overlay(value PLACING ''x'' FROM 10) FROM @ WHERE length(value) > 10'),
    ('SELECT set_byte(value, 0, 7) FROM @ WHERE length(value) > 0'), ('SELECT position(''o''::bytea IN value) FROM @'),
    ('SELECT coalesce(nullif(value, ''short''), ''none'') FROM @'), ('SELECT CASE WHEN id % 2 = 0 THEN value END FROM @'),
    ('SELECT GREATEST(value, ''m'') FROM @'), ('SELECT tableoid IS NOT NULL, m IS NULL, value IS NOT NULL FROM @ m'),
    ('SELECT tableoid = ''@''::regclass FROM @ WHERE ctid IS NOT NULL'), ('SELECT * FROM @ m WHERE m = (1, ''\x00'')'), ('TABLE @'), ('SELECT id FROM ONLY @'),
    ('SELECT count(*) FROM @ WHERE value < ''\x80'''), ('SELECT 1 / length(value) FROM @'),
    ('SELECT grouping(id), count(*), max(value) FROM @ GROUP BY ROLLUP (id) ORDER BY id');
SELECT reading.statement, on_store, on_table FROM reading, LATERAL on_both(reading.statement) WHERE NOT same;
-- Also where a plan has little memory, and hashes and sorts go to disk,
BEGIN;
SET LOCAL work_mem = '64kB';
SET LOCAL enable_hashjoin = off;
SELECT reading.statement, on_store, on_table FROM reading, LATERAL on_both(reading.statement) WHERE NOT same;
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_nestloop = off;
SELECT reading.statement, on_store, on_table FROM reading, LATERAL on_both(reading.statement) WHERE NOT same;
ROLLBACK;
-- and where workers share the reading.
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL force_parallel_mode = on;
SELECT reading.statement, on_store, on_table FROM reading, LATERAL on_both(reading.statement) WHERE NOT same;
ROLLBACK;

-- Who put a row and when is no column of it.
SELECT name, outcome(format('SELECT %I FROM media', name)) FROM unnest(ARRAY['xmin', 'xmax', 'cmin', 'cmax', 'ctid']) name;
SELECT xmin FROM media;

-- Writing.
SELECT * FROM on_both(
    'INSERT INTO @ VALUES (60, ''x'') RETURNING *', 'INSERT INTO @ SELECT id + 60, value FROM @ WHERE id BETWEEN 1 AND 5',
    'INSERT INTO @ (value, id) VALUES (''y'', 70), (''z'', 71) RETURNING id, value',
    'INSERT INTO @ VALUES (72, NULL)', 'INSERT INTO @ VALUES (72)', 'INSERT INTO @ VALUES (72, ''x'', 3)',
    'INSERT INTO @ VALUES (''x'', ''x'')', 'INSERT INTO @ VALUES (72, ''\xz'')', 'INSERT INTO @ OVERRIDING SYSTEM VALUE VALUES (72, ''o'')',
    'DELETE FROM @ WHERE id = 60', 'DELETE FROM @ WHERE id = 60', 'DELETE FROM @ WHERE value = ''y'' RETURNING *',
    'DELETE FROM @ WHERE id = 1 / 0', 'DELETE FROM @ USING (VALUES (61), (61), (62)) gone (id) WHERE @.id = gone.id',
    'DELETE FROM @ WHERE ctid = (SELECT ctid FROM @ WHERE id = 63)',
    'DELETE FROM @ WHERE id IN (SELECT id FROM @ ORDER BY length(value) DESC LIMIT 2)',
    'WITH gone AS (DELETE FROM @ WHERE id = 71 RETURNING *) SELECT id, value, (SELECT count(*) FROM @) FROM gone',
    'WITH gone AS (DELETE FROM @ WHERE id IN (64, 65) RETURNING *) INSERT INTO @ SELECT id + 20, value FROM gone RETURNING *',
    'WITH a AS (DELETE FROM @ WHERE id = 84), b AS (DELETE FROM @ WHERE id = 84) SELECT count(*) FROM @ WHERE id = 84',
    'WITH new AS (INSERT INTO @ VALUES (90, ''seen by nobody yet'') RETURNING id) DELETE FROM @ WHERE id IN (SELECT id FROM new)',
    'DELETE FROM @ WHERE id = 90 RETURNING value',
    'DELETE FROM @ a USING @ b WHERE a.value = b.value AND a.id > b.id RETURNING a.id, b.id, length(a.value)',
    'DELETE FROM ONLY @ WHERE id = 85',
    'MERGE INTO @ t USING (VALUES (1), (2)) s (id) ON t.id = s.id WHEN MATCHED THEN DELETE',
    'MERGE INTO @ t USING (VALUES (1, ''again''::bytea), (3, ''there'')) s (id, value) ON t.id = s.id
     WHEN NOT MATCHED THEN INSERT VALUES (s.id + 100, s.value)',
    'MERGE INTO @ t USING (VALUES (4), (104), (101)) s (id) ON t.id = s.id WHEN MATCHED AND length(t.value) = 5 THEN DELETE
     WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED AND s.id > 100 THEN INSERT (id, value) VALUES (s.id, '''')',
    'MERGE INTO @ t USING (VALUES (5), (5)) s (id) ON t.id = s.id WHEN MATCHED THEN DELETE',
    'MERGE INTO @ t USING @ s ON t.id = s.id + 1 WHEN NOT MATCHED AND s.id = 40 THEN INSERT VALUES (s.id + 1, s.value)',
    'TRUNCATE @', 'INSERT INTO @ SELECT n, random_bytes(n * 100, n) FROM generate_series(1, 300) n',
    'WITH gone AS (DELETE FROM @ WHERE id % 7 = 0 RETURNING *) SELECT id, md5(value) FROM gone ORDER BY id', 'DELETE FROM @', 'SELECT * FROM @');
SELECT * FROM toaststore.verify('media');

-- Whole transactions of them, with what a savepoint takes back.
CREATE PROCEDURE many_changes(relation text) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 200 LOOP
        BEGIN
            EXECUTE format('INSERT INTO %s VALUES (%s, random_bytes(%s, %s))', relation, 1000 + i, i * i, i);
            EXECUTE format('DELETE FROM %s WHERE id = %s', relation, 1000 + i * 7 % 200);
            IF i % 5 = 0 THEN RAISE division_by_zero; END IF;
        EXCEPTION WHEN division_by_zero THEN
        END;
    END LOOP;
END
$$;
SELECT * FROM on_both('CALL many_changes(''@'')', 'SELECT count(*), sum(id) FROM @');

-- Rows by their ctid: one row has one, and one ctid names one row.
TRUNCATE media;
INSERT INTO media SELECT n, convert_to(n::text, 'UTF8') FROM unnest(ARRAY[1, 2, 3, 32767, 32768, 32769, 39999, 65535, 65536, 140737488289792]) n;
SELECT id, ctid FROM media;
CREATE TEMP TABLE places AS SELECT ctid AS place, id FROM media;
SELECT count(*), bool_and(m.id = p.id) FROM places p JOIN media m ON m.ctid = p.place;
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT id FROM media WHERE ctid = '(0,2)';
SELECT ctid, id FROM media WHERE ctid = '(0,2)';
SELECT ctid, id FROM media WHERE ctid = ANY (ARRAY['(0,3)', '(0,2)', '(0,3)', '(1,1)', '(9,9)']::tid[]);
SELECT count(*), bool_and(m.id = p.id) FROM places p JOIN media m ON m.ctid = p.place;
-- No row has these, for an offset beyond 32768 would name an id of the next block.
SELECT place, (SELECT id FROM media WHERE ctid = place) AS id
  FROM unnest(ARRAY['(0,0)', '(0,1)', '(0,32769)', '(0,40000)', '(0,65535)', '(1,32769)', '(4294967294,1)', '(4294967295,1)',
                    '(4294967295,32768)', '(4294967295,65535)']::tid[]) place;
SELECT id FROM media WHERE ctid > '(0,3)' AND ctid < '(1,5)';
SELECT id FROM media WHERE ctid IN ('(0,2)', '(0,2)') OR ctid = '(1,1)';
SELECT id FROM media WHERE NOT ctid = '(0,2)' AND id < 4;
DELETE FROM media WHERE ctid = '(0,4)' RETURNING id;
DELETE FROM media WHERE ctid = '(0,4)' RETURNING id;
SELECT currtid2('media', '(0,3)');
ROLLBACK;

-- Cursors: to and fro, held beyond the transaction, over rows that go meanwhile, and to delete by.
TRUNCATE media, plain;
INSERT INTO plain SELECT n, random_bytes(n * 40, n) FROM generate_series(1, 300) n;
INSERT INTO plain SELECT 4294967296 + n, random_bytes(n * 40, n) FROM generate_series(1, 300) n;
INSERT INTO media SELECT * FROM plain;
-- (A table of short rows keeps them in the order that they came in.)
CREATE TABLE digests AS SELECT id, md5(value) AS digest FROM plain ORDER BY id;
CREATE FUNCTION walked(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    walk refcursor;
    step text;
    row_id bigint;
    digest text;
    path text := '';
BEGIN
    OPEN walk SCROLL FOR EXECUTE query;
    FOREACH step IN ARRAY ARRAY['NEXT', 'NEXT', 'PRIOR', 'PRIOR', 'PRIOR', 'NEXT', 'LAST', 'NEXT', 'PRIOR', 'PRIOR', 'FIRST', 'ABSOLUTE 127',
        'RELATIVE 2', 'RELATIVE -3', 'ABSOLUTE -127', 'RELATIVE 0', 'ABSOLUTE 0', 'NEXT', 'ABSOLUTE 300', 'NEXT', 'PRIOR', 'ABSOLUTE 601', 'PRIOR',
        'ABSOLUTE 255', 'RELATIVE -1', 'RELATIVE 1', 'ABSOLUTE 381', 'PRIOR', 'NEXT', 'NEXT'] LOOP
        IF step ~ 'ABS' THEN FETCH ABSOLUTE split_part(step, ' ', 2)::int FROM walk INTO row_id, digest;
        ELSIF step ~ 'REL' THEN FETCH RELATIVE split_part(step, ' ', 2)::int FROM walk INTO row_id, digest;
        ELSIF step = 'NEXT' THEN FETCH NEXT FROM walk INTO row_id, digest;
        ELSIF step = 'PRIOR' THEN FETCH PRIOR FROM walk INTO row_id, digest;
        ELSIF step = 'FIRST' THEN FETCH FIRST FROM walk INTO row_id, digest;
        ELSE FETCH LAST FROM walk INTO row_id, digest; END IF;
        path := path || coalesce(row_id::text || ':' || digest, '-') || ' ';
    END LOOP;
    RETURN path;
END
$$;
SELECT walked('SELECT id, md5(value) FROM media') = walked('SELECT id, digest FROM digests') AS same,
       left(regexp_replace(walked('SELECT id, md5(value) FROM media'), ':\S*', '', 'g'), 130) AS path;
BEGIN;
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT id, value FROM media WHERE id % 150 = 0 OR id > 4294967594;
FETCH 1 FROM held \g /dev/null
COMMIT;
DELETE FROM media WHERE id % 150 = 0;
SELECT count(*) FROM media;
CREATE FUNCTION held_digests() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    held refcursor := 'held';
    fetched record;
    digests text := '';
BEGIN
    MOVE ABSOLUTE 0 IN held;
    LOOP
        FETCH held INTO fetched;
        EXIT WHEN NOT FOUND;
        digests := digests || ' ' || fetched.id || ':' || (fetched.value = (SELECT value FROM plain WHERE id = fetched.id));
    END LOOP;
    RETURN digests;
END
$$;
SELECT held_digests();
CLOSE held;
DELETE FROM plain WHERE id % 150 = 0;
CREATE PROCEDURE delete_by_cursor(relation text, wanted text) LANGUAGE plpgsql AS $$
DECLARE
    going refcursor;
    row_id bigint;
    bytes bytea;
BEGIN
    OPEN going SCROLL FOR EXECUTE format('SELECT id, value FROM %s', relation);
    LOOP
        FETCH going INTO row_id, bytes;
        EXIT WHEN NOT FOUND;
        IF get_byte(bytes, 0) % 3 = 0 THEN
            IF relation = 'media' THEN DELETE FROM media WHERE CURRENT OF going;
            ELSE DELETE FROM plain WHERE CURRENT OF going; END IF;
            IF wanted = 'twice' THEN
                IF relation = 'media' THEN DELETE FROM media WHERE CURRENT OF going;
                ELSE DELETE FROM plain WHERE CURRENT OF going; END IF;
            END IF;
        END IF;
    END LOOP;
END
$$;
SELECT * FROM on_both('CALL delete_by_cursor(''@'', ''once'')', 'CALL delete_by_cursor(''@'', ''twice'')', 'SELECT count(*) FROM @');
-- A loop that commits as it goes reads on what it began to read, of every id.
DO $$
DECLARE
    row record;
    wrong int := 0;
    seen int := 0;
BEGIN
    FOR row IN SELECT m.id, m.value, p.value AS wanted FROM media m JOIN plain p USING (id) ORDER BY id LOOP
        PERFORM toaststore.delete('media', row.id);
        COMMIT;
        seen := seen + 1;
        IF row.value IS DISTINCT FROM row.wanted THEN wrong := wrong + 1; END IF;
    END LOOP;
    RAISE NOTICE '% wrong, all seen: %, left: %', wrong, seen = (SELECT count(*) FROM plain), (SELECT count(*) FROM media);
END
$$;
-- So does a variable that outlives the transaction of its value.
DO $$
DECLARE
    narrow bytea;
    whole media;
BEGIN
    INSERT INTO media VALUES (5000, random_bytes(30000, 1)), (4294968000, random_bytes(30000, 2));
    SELECT value INTO narrow FROM media WHERE id = 5000;
    SELECT * INTO whole FROM media WHERE id = 4294968000;
    COMMIT;
    DELETE FROM media;
    COMMIT;
    TRUNCATE media;
    COMMIT;
    RAISE NOTICE '% %', narrow = random_bytes(30000, 1), whole.value = random_bytes(30000, 2);
END
$$;

-- Prepared statements, with plans of their own and general ones, before and after the store changes.
INSERT INTO media VALUES (6000, 'first');
PREPARE by_id (bigint) AS SELECT convert_from(value, 'UTF8'), convert_from(toaststore.get('media', $1), 'UTF8') FROM media WHERE id = $1;
PREPARE putting (bytea) AS SELECT toaststore.put('media', $1) IS NOT NULL AS put;
PREPARE inserting (bigint, bytea) AS INSERT INTO media VALUES ($1, $2) RETURNING id;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_id (6000);
EXECUTE inserting (6010, 'second');
EXECUTE by_id (6010);
BEGIN;
TRUNCATE media;
EXECUTE by_id (6000);
EXECUTE putting ('third');
EXECUTE by_id (1);
ROLLBACK;
EXECUTE by_id (6010);
VACUUM FULL media;
EXECUTE by_id (6010);
ALTER TABLE media SET UNLOGGED;
EXECUTE by_id (6010);
ALTER TABLE media ADD CHECK (length(value) < 10);
EXECUTE putting ('fourth');
\echo :SQLSTATE
EXECUTE inserting (6020, 'much too long');
\echo :SQLSTATE
DROP TABLE media;
EXECUTE by_id (6010);
\echo :SQLSTATE
SELECT toaststore.create_store('media');
EXECUTE putting ('in another store');
EXECUTE by_id (1);
RESET plan_cache_mode;
DEALLOCATE ALL;
SELECT * FROM toaststore.verify('media');

\pset format aligned
SET client_min_messages = warning;
DROP SCHEMA statements CASCADE;
