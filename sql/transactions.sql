--
-- Values come and go with the transaction, the savepoint and the command that put or deleted them.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA transactions;
SET search_path = transactions;
RESET client_min_messages;
\set SHOW_CONTEXT never

SELECT toaststore.create_store('media');

-- What a store holds, as text.
CREATE VIEW shown AS SELECT id, convert_from(substr(value, 1, 40), 'UTF8') AS value FROM media;

-- Commit and rollback.
BEGIN;
SELECT toaststore.put('media', 'committed');
SELECT * FROM shown;
COMMIT;
BEGIN;
SELECT toaststore.put('media', 'rolled back');
SELECT * FROM shown;
ROLLBACK;
SELECT * FROM shown;
SELECT toaststore.get('media', 2), toaststore.length('media', 2), toaststore.delete('media', 2);
-- Its id is gone for good.
SELECT toaststore.put('media', 'after a rollback');
BEGIN;
SELECT toaststore.delete('media', 1);
SELECT toaststore.get('media', 1);
SELECT * FROM shown;
ROLLBACK;
SELECT * FROM shown;
-- A deletion that was rolled back leaves the value to be deleted again.
SELECT toaststore.delete('media', 1);
SELECT toaststore.delete('media', 1);
SELECT * FROM shown;
-- Put and deleted in one transaction.
BEGIN;
SELECT toaststore.put('media', 'short-lived') AS id \gset
SELECT toaststore.delete('media', :id), toaststore.delete('media', :id);
SELECT * FROM shown;
COMMIT;
SELECT * FROM shown;

-- Savepoints, nested.
TRUNCATE media;
BEGIN;
SELECT toaststore.put('media', 'outside');
SAVEPOINT a;
SELECT toaststore.put('media', 'in a');
SAVEPOINT b;
SELECT toaststore.put('media', 'in b');
SELECT toaststore.delete('media', 1), toaststore.delete('media', 2);
SELECT * FROM shown;
ROLLBACK TO b;
SELECT * FROM shown;
SELECT toaststore.put('media', 'in b again');
RELEASE b;
SELECT * FROM shown;
ROLLBACK TO a;
SELECT * FROM shown;
SELECT toaststore.put('media', 'in a again');
RELEASE a;
SELECT toaststore.put('media', 'outside again');
COMMIT;
SELECT * FROM shown;
-- A subtransaction of a transaction that rolls back goes with it.
BEGIN;
SAVEPOINT a;
SELECT toaststore.put('media', 'released') IS NOT NULL AS put;
RELEASE a;
ROLLBACK;
SELECT * FROM shown;
-- A deletion in a savepoint that is rolled back, and then for good.
BEGIN;
SAVEPOINT a;
SELECT toaststore.delete('media', 1);
ROLLBACK TO a;
SELECT convert_from(toaststore.get('media', 1), 'UTF8');
SAVEPOINT b;
SELECT toaststore.delete('media', 1);
RELEASE b;
SELECT toaststore.delete('media', 1);
COMMIT;
SELECT toaststore.get('media', 1) IS NULL AS gone;

-- An error takes back what its statement did, and no more.
TRUNCATE media;
SELECT toaststore.put('media', 'before'), 1 / 0;
SELECT toaststore.put_many('media', ARRAY['a', 'b', NULL]::bytea[]);
SELECT count(*) FROM media;
DO $$
BEGIN
    PERFORM toaststore.put('media', 'kept');
    BEGIN
        PERFORM toaststore.put('media', convert_to(repeat('lost ', 100000), 'UTF8'));
        PERFORM toaststore.delete('media', (SELECT max(id) FROM media));
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        PERFORM toaststore.put('media', 'kept by the handler');
    END;
    FOR i IN 1 .. 100 LOOP
        BEGIN
            PERFORM toaststore.put('media', 'lost too');
            PERFORM 1 / (i - 50) / (i - 51) / (i % 2);
        EXCEPTION WHEN division_by_zero THEN
        END;
    END LOOP;
END
$$;
SELECT value, count(*) FROM shown GROUP BY value ORDER BY value;
SELECT * FROM toaststore.verify('media');

-- A statement does not see what it puts itself, nor deletes what it put.
TRUNCATE media;
SELECT toaststore.put('media', 'first'), (SELECT count(*) FROM media),
       toaststore.put('media', 'second'), (SELECT count(*) FROM media);
INSERT INTO media (value) SELECT value FROM media;
INSERT INTO media (value) SELECT value FROM media;
SELECT value, count(*) FROM shown GROUP BY value ORDER BY value;
INSERT INTO media (value)
SELECT convert_to(repeat('large ' || n || ' ', 2000), 'UTF8') FROM generate_series(1, 300) n;
SELECT count(*) FROM media;
INSERT INTO media (value) SELECT value FROM media;
SELECT count(*), sum(length(value)) FROM media;
SELECT count(toaststore.put('media', value)) FROM media;
SELECT count(*), sum(length(value)) FROM media;
WITH put AS (INSERT INTO media (value) VALUES ('in a CTE') RETURNING id)
SELECT count(*) AS seen, (SELECT count(*) FROM put) AS put FROM shown WHERE value = 'in a CTE';
SELECT count(*) AS seen FROM shown WHERE value = 'in a CTE';
DELETE FROM media WHERE id > 2;
SELECT * FROM shown;
-- The command that deletes a value still reads it to the end.
TRUNCATE media;
SELECT toaststore.put_many('media', ARRAY['a', 'b', 'c']::bytea[]);
SELECT id, toaststore.delete('media', 2), convert_from(value, 'UTF8') FROM media;
SELECT * FROM shown;
DELETE FROM media WHERE id = 1 AND toaststore.delete('media', 1);
SELECT * FROM shown;

-- A cursor shows what was there when it was opened.
TRUNCATE media;
SELECT toaststore.put('media', convert_to(repeat('value ' || n || ' ', 20000), 'UTF8'))
  FROM generate_series(1, 3) n;
BEGIN;
DECLARE opened CURSOR FOR
SELECT id, length(value), convert_from(substr(value, 1, 7), 'UTF8') FROM media;
SELECT toaststore.delete('media', 2);
SELECT toaststore.put('media', 'put after');
FETCH ALL FROM opened;
CLOSE opened;
SELECT id FROM media;
DECLARE again CURSOR FOR SELECT id, convert_from(substr(value, 1, 9), 'UTF8') FROM media;
FETCH 1 FROM again;
DELETE FROM media;
SELECT count(*) FROM media;
FETCH ALL FROM again;
ROLLBACK;
SELECT id FROM media;
-- Also one that is held beyond its transaction.
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT id, length(value) FROM media;
COMMIT;
DELETE FROM media WHERE id = 1;
FETCH ALL FROM held;
CLOSE held;

-- A snapshot of a whole transaction.
TRUNCATE media;
SELECT toaststore.put('media', 'one'), toaststore.put('media', 'two');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM shown;
SELECT toaststore.put('media', 'three'), toaststore.delete('media', 1);
SELECT * FROM shown;
SELECT toaststore.get('media', 1) IS NULL AS gone, convert_from(toaststore.get('media', 3), 'UTF8');
ROLLBACK;
SELECT * FROM shown;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT toaststore.put('media', 'serializable'), toaststore.delete('media', 2);
COMMIT;
SELECT * FROM shown;

-- An id of one's own: free again when the transaction that took it has rolled back.
TRUNCATE media;
BEGIN;
INSERT INTO media VALUES (7, 'aborted');
ROLLBACK;
INSERT INTO media VALUES (7, 'second');
SELECT * FROM shown;
BEGIN;
SAVEPOINT a;
INSERT INTO media VALUES (8, 'aborted in a savepoint');
ROLLBACK TO a;
INSERT INTO media VALUES (8, 'second');
SAVEPOINT b;
INSERT INTO media VALUES (8, 'third');
ROLLBACK TO b;
COMMIT;
SELECT * FROM shown;
-- Taken for the transaction that deleted it, free for the next one.
BEGIN;
DELETE FROM media WHERE id = 8;
INSERT INTO media VALUES (8, 'in the same transaction');
ROLLBACK;
DELETE FROM media WHERE id = 8;
INSERT INTO media VALUES (8, 'after it was deleted');
\echo :SQLSTATE
SELECT * FROM shown;

-- A store that is made and filled in one transaction, and one that is not.
BEGIN;
SELECT toaststore.create_store('made');
SELECT toaststore.put('made', 'here');
SAVEPOINT a;
SELECT toaststore.create_store('unmade');
SELECT toaststore.put('unmade', 'nowhere');
ROLLBACK TO a;
COMMIT;
SELECT convert_from(toaststore.get('made', 1), 'UTF8'), to_regclass('unmade');
BEGIN;
DROP TABLE made;
ROLLBACK;
SELECT convert_from(toaststore.get('made', 1), 'UTF8');
BEGIN;
TRUNCATE made;
SELECT toaststore.put('made', 'after the truncation');
SELECT id, convert_from(value, 'UTF8') FROM made;
ROLLBACK;
SELECT id, convert_from(value, 'UTF8') FROM made;
SELECT toaststore.put('made', 'second');

-- A store that is truncated in the transaction that made it starts anew in the same file.
BEGIN;
SELECT toaststore.create_store('emptied');
SELECT count(toaststore.put('emptied', convert_to(repeat(n || ' ', 5000), 'UTF8'))) FROM generate_series(1, 300) n;
TRUNCATE emptied;
SELECT count(*) FROM emptied;
SELECT toaststore.put('emptied', 'after the truncation');
SELECT id, convert_from(value, 'UTF8') FROM emptied;
COMMIT;
SELECT * FROM toaststore.verify('emptied');
-- A row that was read before does not vouch for the value that has its id now.
CREATE FUNCTION read_too_late(new bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    kept record;
BEGIN
    SELECT * INTO kept FROM emptied;
    TRUNCATE emptied;
    PERFORM toaststore.put('emptied', new);
    RETURN kept.value;
END
$$;
SELECT read_too_late('a longer value, which is not the one that was meant');
\echo :SQLSTATE
SELECT read_too_late('shorter');
\echo :SQLSTATE

-- VACUUM freezes; VACUUM FULL copies a store as it is.
SELECT relfrozenxid AS oldest FROM pg_class WHERE oid = 'made'::regclass \gset
VACUUM FULL made;
SELECT relfrozenxid = :'oldest'::xid AS kept FROM pg_class WHERE oid = 'made'::regclass;
VACUUM made;
SELECT age(relfrozenxid) < age(:'oldest'::xid) AS advanced FROM pg_class WHERE oid = 'made'::regclass;

-- Many subtransactions.
TRUNCATE media;
DO $$
BEGIN
    FOR i IN 1 .. 500 LOOP
        BEGIN
            PERFORM toaststore.put('media', convert_to(repeat(i || ' ', i), 'UTF8'));
            IF i % 3 = 0 THEN RAISE division_by_zero; END IF;
        EXCEPTION WHEN division_by_zero THEN
        END;
    END LOOP;
END
$$;
SELECT count(*), count(DISTINCT split_part(value, ' ', 1)),
       bool_and(split_part(value, ' ', 1)::int % 3 <> 0) AS none_rolled_back
  FROM shown;

SELECT relation, fault.*
  FROM unnest(ARRAY['media', 'made']::regclass[]) relation, LATERAL toaststore.verify(relation) fault;

SET client_min_messages = warning;
DROP SCHEMA transactions CASCADE;
