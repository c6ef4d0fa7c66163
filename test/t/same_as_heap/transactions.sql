-- Values that a transaction wrote, read by its workers, kept in variables and cursors that outlive it, prepared
-- with its savepoints, loaded frozen.
CREATE TABLE documents (id int PRIMARY KEY, body text, meta jsonb);
INSERT INTO documents SELECT n, oracle.value(n, 7000 * n, (ARRAY['noise', 'prose', 'mixed'])[1 + n % 3]), jsonb_build_object('n', n) FROM generate_series(1, 12) n;
CREATE FUNCTION digest() RETURNS TABLE (count bigint, length bigint, bodies text, metas text) LANGUAGE sql AS $$
    SELECT count(*), sum(length(body)), md5(string_agg(body, ',' ORDER BY id)), md5(string_agg(meta::text, ',' ORDER BY id)) FROM documents
$$;

-- Workers read what their leader has not committed, also where a savepoint took some of it back.
SET force_parallel_mode = on; SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
BEGIN;
INSERT INTO documents VALUES (20, repeat('own', 100000), jsonb_build_object('key', (SELECT body FROM documents WHERE id = 7)));
SAVEPOINT a;
UPDATE documents SET body = body || 'a', meta['more'] = to_jsonb(body) WHERE id > 5;
SELECT count(*), sum(length(body)), max(md5(body)), max(md5(meta::text)) FROM documents;
ROLLBACK TO a;
DELETE FROM documents WHERE id = 2;
SELECT count(*), sum(length(body)), max(md5(body)), max(md5(meta::text)) FROM documents;
SELECT id, md5(substr(body, 3000, 2000)) FROM documents WHERE md5(body) < 'a' ORDER BY id;
COMMIT;
SELECT count(*), sum(length(body)), max(md5(body)), max(md5(meta::text)) FROM documents;
RESET force_parallel_mode; RESET min_parallel_table_scan_size; RESET parallel_setup_cost; RESET parallel_tuple_cost;

-- Subscripts of jsonb.
UPDATE documents SET meta['a'] = to_jsonb(left(body, 30000)), meta['b']['c'][2] = to_jsonb(id) WHERE id % 2 = 1 RETURNING id, md5(meta::text);
UPDATE documents SET meta['b']['c'][0] = meta['a'], meta['a'] = 'null' WHERE id % 3 = 0;
UPDATE documents SET meta['b']['d'] = '1' WHERE id = 1;
UPDATE documents SET meta['n']['d'] = '1' WHERE id = 1;
SELECT id, md5(meta::text), md5(meta['b']['c'][0]::text) FROM documents ORDER BY id;

-- Prepared with savepoints of which some were taken back; refused while somebody waits for it.
BEGIN;
UPDATE documents SET body = oracle.value(50, 90000, 'noise') WHERE id = 3;
SAVEPOINT a;
UPDATE documents SET body = oracle.value(51, 90000, 'noise') WHERE id IN (3, 4);
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO documents VALUES (30, oracle.value(52, 90000, 'mixed'));
DELETE FROM documents WHERE id = 6;
RELEASE b;
PREPARE TRANSACTION 'third';
SELECT * FROM digest();
SET lock_timeout = '1ms';
UPDATE documents SET body = 'waits' WHERE id = 3;
SELECT id FROM documents WHERE id = 6 FOR UPDATE;
SELECT id, md5(body) FROM documents WHERE id IN (3, 4, 6) ORDER BY id FOR UPDATE SKIP LOCKED;
VACUUM documents;
RESET lock_timeout;
COMMIT PREPARED 'third';
SELECT * FROM digest();

-- Loaded frozen, and kept.
COPY documents TO :'file';
CREATE TABLE loaded (LIKE documents INCLUDING ALL);
COPY loaded FROM :'file' (FREEZE);
BEGIN;
TRUNCATE loaded;
COPY loaded FROM :'file' (FREEZE);
COMMIT;
BEGIN;
TRUNCATE loaded;
SAVEPOINT a;
COPY loaded FROM :'file' (FREEZE);
ROLLBACK TO a;
COPY loaded FROM :'file';
COPY loaded FROM :'file';
ROLLBACK;
UPDATE loaded SET body = body || 'x' WHERE id < 4;
VACUUM (FREEZE) loaded;
SELECT count(*), md5(string_agg(body, '' ORDER BY id)) FROM loaded;

-- Cursors that outlive their transaction, one of them with a value as large as it gets here.
INSERT INTO documents VALUES (40, oracle.value(40, 20000000, 'mixed'));
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT id, body, md5(substr(body, 10000000, 1000)) FROM documents WHERE id IN (3, 30) ORDER BY id;
DECLARE large SCROLL CURSOR WITH HOLD FOR SELECT id, length(body), md5(body), md5(substr(body, 15000000, 100)) FROM documents WHERE id >= 30 ORDER BY id;
UPDATE documents SET body = 'replaced' WHERE id IN (3, 40);
COMMIT;
DELETE FROM documents WHERE id = 30;
VACUUM documents;
CREATE TABLE fetched (body text);
DO $$
DECLARE
    held refcursor := 'held';
    number int;
    words text;
    hash text;
BEGIN
    LOOP
        FETCH held INTO number, words, hash;
        EXIT WHEN NOT FOUND;
        INSERT INTO fetched VALUES (words || number);
    END LOOP;
END $$;
SELECT md5(string_agg(body, '' ORDER BY body)) FROM fetched;
FETCH ALL FROM large;
FETCH FIRST FROM large;
CLOSE ALL;

-- Variables across COMMIT, ROLLBACK and caught errors: expanded arrays and records with values in them.
CREATE TYPE part AS (number int, words text);
CREATE PROCEDURE carry() LANGUAGE plpgsql AS $$
DECLARE
    list text[];
    whole documents;
    piece part;
    object jsonb;
    reading refcursor;
BEGIN
    SELECT array_agg(body ORDER BY id) INTO list FROM documents WHERE id < 6;
    SELECT * INTO whole FROM documents WHERE id = 9;
    piece := ROW(1, whole.body);
    object := whole.meta;
    UPDATE documents SET body = 'gone', meta = NULL WHERE id <= 9;
    COMMIT;
    list[2] := list[1] || list[3];
    piece.words := piece.words || '!';
    object['kept'] := to_jsonb(list[2]);
    BEGIN
        UPDATE documents SET body = list[4] WHERE id = 4;
        whole.body := list[3];
        INSERT INTO documents SELECT whole.*;
    EXCEPTION WHEN unique_violation THEN
        whole.id := 90;
        INSERT INTO documents SELECT whole.*;
    END;
    COMMIT;
    OPEN reading FOR SELECT * FROM documents WHERE id > 9 ORDER BY id;
    LOOP
        FETCH reading INTO whole;
        EXIT WHEN NOT FOUND;
        list := list || whole.body;
    END LOOP;
    ROLLBACK;
    INSERT INTO documents VALUES (91, piece.words, object), (92, list[2], NULL), (93, array_to_string(list, ','), to_jsonb(list));
END $$;
CALL carry();
SELECT * FROM digest();
SELECT id, md5(body), md5(meta::text) FROM documents WHERE id > 80 OR id = 4 ORDER BY id;

-- Into partitions, and from one into another; built and rebuilt beside the rows, a unique index in vain.
CREATE TABLE parted (id int, part int, body text, UNIQUE (id, part)) PARTITION BY RANGE (part);
CREATE TABLE parted0 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (10) TO (20);
MERGE INTO parted USING documents AS d ON parted.id = d.id WHEN NOT MATCHED THEN INSERT VALUES (d.id, d.id % 20, d.body || d.meta::text);
MERGE INTO parted USING documents AS d ON parted.id = d.id
 WHEN MATCHED AND d.id % 4 = 0 THEN DELETE
 WHEN MATCHED AND d.id % 4 = 1 THEN UPDATE SET part = (part + 10) % 20, body = parted.body || d.body
 WHEN MATCHED AND d.id % 4 = 2 THEN UPDATE SET part = (part + 10) % 20
 WHEN NOT MATCHED THEN INSERT VALUES (d.id, d.id % 20, d.body);
MERGE INTO parted USING (VALUES (1), (1)) AS v (id) ON parted.id = v.id WHEN MATCHED THEN UPDATE SET body = oracle.value(1, 50000, 'noise');
SELECT tableoid::regclass, id, part, md5(body) FROM parted ORDER BY id;
CREATE UNIQUE INDEX CONCURRENTLY documents_left ON documents (left(body, 4));
SELECT indexrelid::regclass, indisvalid, indisready FROM pg_index WHERE indrelid = 'documents'::regclass ORDER BY 1::text COLLATE "C";
UPDATE documents SET body = id || body;
REINDEX INDEX CONCURRENTLY documents_left;
SELECT indexrelid::regclass, indisvalid, indisready FROM pg_index WHERE indrelid = 'documents'::regclass ORDER BY 1::text COLLATE "C";
DROP INDEX documents_left;
ALTER TABLE documents ADD UNIQUE (meta);
ALTER TABLE documents ADD CONSTRAINT own EXCLUDE USING hash (md5(body) WITH =) DEFERRABLE;
BEGIN;
SET CONSTRAINTS own DEFERRED;
UPDATE documents SET body = (SELECT body FROM documents WHERE id = 91) WHERE id IN (7, 8);
UPDATE documents SET body = body || id WHERE id IN (7, 8);
COMMIT;
BEGIN;
SET CONSTRAINTS own DEFERRED;
UPDATE documents SET body = (SELECT body FROM documents WHERE id = 91) WHERE id = 8;
COMMIT;
SELECT * FROM digest();
