-- What VACUUM, compact() and checkpoint() do for a store: what nobody needs goes, the file becomes
-- smaller, transaction ids are not kept for ever, and what remains is as it was.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
RESET client_min_messages;
\set VERBOSITY terse
CREATE FUNCTION random_bytes(seed bigint, length int) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT substr(string_agg(sha256((seed || ':' || i)::bytea), '' ORDER BY i), 1, length)
      FROM generate_series(1, (length + 31) / 32) i
$$;
SELECT toaststore.create_store('kept', compression => 'none') \gset
SELECT count(toaststore.put('kept', random_bytes(n, 500 + n * 7 % 9000))) FROM generate_series(1, 1500) n;
SELECT count(toaststore.put('kept', random_bytes(n, 300000))) FROM generate_series(1, 20) n;
CREATE TABLE expected AS SELECT id, sha256(value) AS hash FROM kept;

CREATE FUNCTION same() RETURNS TABLE (missing bigint, other bigint, faults bigint) LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE s.id IS NULL),
           count(*) FILTER (WHERE e.id IS NULL OR e.hash <> sha256(s.value)),
           (SELECT count(*) FROM toaststore.verify('kept'))
      FROM expected e FULL JOIN kept s USING (id)
$$;
-- What the file may take: 4 MB, and what the values do with as many dead bytes as are let be.
CREATE FUNCTION within_bound() RETURNS boolean LANGUAGE sql AS $$
    SELECT pg_relation_size('kept') < 4000000 +
           1.1 * sum(length(value)) / (1 - current_setting('toaststore.compaction_threshold')::numeric)
      FROM kept
$$;

-- VACUUM
SELECT relfrozenxid AS oldest FROM pg_class WHERE oid = 'kept'::regclass \gset
VACUUM kept;
SELECT reltuples, age(relfrozenxid) < age(:'oldest'::xid) AS advanced, relminmxid::text <> '0' AS multi
  FROM pg_class WHERE oid = 'kept'::regclass;
SELECT * FROM same();
-- What was rolled back takes no room, and no id of the tree.
BEGIN;
SELECT count(toaststore.put('kept', random_bytes(n, 9000))) FROM generate_series(1, 300) n;
SAVEPOINT a;
SELECT count(toaststore.delete('kept', id)) FROM kept WHERE id % 2 = 0;
ROLLBACK;
VACUUM kept;
SELECT * FROM same();
-- Deleted values are given back.
DELETE FROM kept WHERE id % 4 <> 0;
DELETE FROM expected WHERE id % 4 <> 0;
SELECT within_bound();
VACUUM kept;
SELECT * FROM same();
SELECT within_bound(), reltuples FROM pg_class WHERE oid = 'kept'::regclass;
-- What a transaction still may bring back, or a snapshot still may see, stays.
BEGIN;
DELETE FROM kept WHERE id % 8 = 0;
PREPARE TRANSACTION 'undecided';
VACUUM kept;
ROLLBACK PREPARED 'undecided';
SELECT pg_stat_force_next_flush() AS flushed;
VACUUM kept;
SELECT * FROM same();
-- Statistics bring autovacuum.
SELECT pg_stat_force_next_flush() AS flushed;
SELECT n_live_tup, n_dead_tup FROM pg_stat_all_tables WHERE relid = 'kept'::regclass;
DELETE FROM kept WHERE id % 8 = 0;
DELETE FROM expected WHERE id % 8 = 0;
SELECT pg_stat_force_next_flush() AS flushed;
SELECT n_live_tup, n_dead_tup FROM pg_stat_all_tables WHERE relid = 'kept'::regclass;

-- checkpoint() cleans and moves nothing, compact() does.
CALL toaststore.checkpoint('kept');
SELECT * FROM same();
SET toaststore.compaction_threshold = 0.2;
CALL toaststore.compact('kept');
SELECT * FROM same();
SELECT within_bound();
SELECT pg_relation_size('kept') AS bytes \gset
CALL toaststore.compact('kept');
SELECT pg_relation_size('kept') = :bytes AS settled;
RESET toaststore.compaction_threshold;
-- They commit, so they have a transaction to themselves, and no open scan.
BEGIN;
CALL toaststore.compact('kept');
ROLLBACK;
DO $$ BEGIN CALL toaststore.checkpoint('kept'); END $$;
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT id FROM kept LOOP
        CALL toaststore.compact('kept');
    END LOOP;
END $$;
CREATE TABLE plain (id bigint, value bytea);
CALL toaststore.compact('plain');
CALL toaststore.checkpoint(0::oid::regclass);
CREATE ROLE stranger;
SET ROLE stranger;
CALL toaststore.compact('kept');
RESET ROLE;
DROP ROLE stranger;
SET toaststore.compaction_threshold = 1;
SET toaststore.compaction_rate = -1;
SELECT name, setting, unit, min_val, max_val, context FROM pg_settings WHERE name LIKE 'toaststore.compaction%';

-- VACUUM FULL leaves no more than a tenth of dead bytes, where VACUUM leaves a half.
SELECT toaststore.create_store('full_one', compression => 'none') \gset
INSERT INTO full_one (value) SELECT random_bytes(n, 5000) FROM generate_series(1, 3000) n;
DELETE FROM full_one WHERE id % 5 < 2;
CREATE TABLE remaining AS SELECT id, sha256(value) AS hash FROM full_one;
VACUUM full_one;
SELECT dead_bytes > 0.6 * live_bytes AS many_dead FROM toaststore.stat_stores WHERE store = 'full_one'::regclass;
SELECT pg_relation_filenode('full_one') AS file \gset
VACUUM FULL full_one;
SELECT pg_relation_filenode('full_one') <> :file AS other_file,
       pg_relation_size('full_one') < 3000000 + 1.1 / 0.9 * (SELECT sum(length(value)) FROM full_one) AS small,
       unprocessed_changes, dead_bytes < 0.12 * live_bytes AS few_dead
  FROM toaststore.stat_stores WHERE store = 'full_one'::regclass;
SELECT count(*) FILTER (WHERE hash = sha256(value)) AS same, count(*) AS of FROM remaining FULL JOIN full_one USING (id);
SELECT * FROM toaststore.verify('full_one', exact => true);
-- An empty store, one without a page, and temporary ones.
DELETE FROM kept;
DELETE FROM expected;
VACUUM kept;
SELECT * FROM same();
SELECT pg_relation_size('kept') < 4000000 AS small;
INSERT INTO kept (value) SELECT random_bytes(n, 3000) FROM generate_series(1, 100) n;
INSERT INTO expected SELECT id, sha256(value) FROM kept;
SELECT * FROM same();
SELECT toaststore.create_store('untouched');
VACUUM untouched;
CALL toaststore.compact('untouched');
SELECT pg_relation_size('untouched');
CREATE TEMP TABLE scratch (id bigint, value bytea) USING toaststore_values;
INSERT INTO scratch (value) SELECT random_bytes(n, 3000) FROM generate_series(1, 1000) n;
DELETE FROM scratch WHERE id > 10;
VACUUM scratch;
SELECT count(*), pg_relation_size('scratch') < 2000000 AS small FROM scratch;
SELECT count(*) FROM toaststore.verify('scratch');
DROP TABLE kept, expected, plain, full_one, remaining, untouched, scratch;
DROP FUNCTION same, within_bound, random_bytes;
