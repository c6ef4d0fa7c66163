--
-- Values that compress take less, values that do not cost nothing, and every one is read whatever
-- the store's compression is by then.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA compression;
SET search_path = compression;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
-- Text in which every line differs from the others.
CREATE FUNCTION lines(length int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT substr(convert_to(string_agg('line ' || i || ' of a report that says little new' || chr(10), ''
                                        ORDER BY i), 'UTF8'), 1, length)
      FROM generate_series(1, length / 20 + 1) i
$$;

CREATE TABLE stores (compression text, store regclass);
INSERT INTO stores
SELECT compression, toaststore.create_store('store_' || n, compression => compression)
  FROM unnest(ARRAY['none', 'lz4', 'zstd', 'zstd:1', 'zstd:19'])
       WITH ORDINALITY AS chosen(compression, n);
SELECT toaststore.create_store('by_default');
INSERT INTO stores VALUES ('default', 'by_default');

CREATE TABLE original (kind text, value bytea);
ALTER TABLE original ALTER value SET STORAGE EXTERNAL;
INSERT INTO original
SELECT kind, value FROM unnest(ARRAY[0, 10, 63, 64, 1000, 3000, 40000, 65536, 65537, 500000]) length,
       LATERAL (VALUES ('random', random_bytes(length, 1)), ('lines', lines(length)),
                       ('zeros', decode(repeat('00', length), 'hex'))) kinds (kind, value);
CREATE TABLE stored AS
SELECT compression, store, kind, value, toaststore.put(store, value) AS id FROM stores, original;

-- All are read as they were.
SELECT compression, count(*), bool_and(toaststore.get(store, id) = value) AS same,
       bool_and(toaststore.get_slice(store, id, 30000, 1000) = substr(value, 30001, 1000)) AS slice
  FROM stored GROUP BY compression ORDER BY compression;
-- Random bytes are stored raw, and so is what is too short; others take less.
SELECT stored.compression, kind,
       string_agg(DISTINCT info.compression, ' ') AS kept_as,
       bool_and(stored_bytes = raw_bytes) AS raw,
       bool_and(stored_bytes <= raw_bytes) AS never_more,
       round(sum(stored_bytes)::numeric / sum(raw_bytes), 1) < 0.5 AS less_than_half
  FROM stored, LATERAL toaststore.info(store, id)
 WHERE raw_bytes >= 1000 GROUP BY stored.compression, kind ORDER BY stored.compression, kind;
SELECT DISTINCT info.compression, stored_bytes = raw_bytes AS raw
  FROM stored, LATERAL toaststore.info(store, id) WHERE raw_bytes < 64;
-- What takes more time takes less space.
SELECT sum(stored_bytes) FILTER (WHERE s.compression = 'none')
     > sum(stored_bytes) FILTER (WHERE s.compression = 'lz4') AS lz4,
       sum(stored_bytes) FILTER (WHERE s.compression = 'lz4')
     > sum(stored_bytes) FILTER (WHERE s.compression = 'zstd') AS zstd,
       sum(stored_bytes) FILTER (WHERE s.compression = 'default')
     = sum(stored_bytes) FILTER (WHERE s.compression = 'lz4') AS default
  FROM stored s, LATERAL toaststore.info(store, id) WHERE kind = 'lines';

CREATE FUNCTION repeated_digests(length int) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT substr(convert_to(string_agg(md5((i * i % 797)::text), ' ' ORDER BY i), 'UTF8'), 1, length)
      FROM generate_series(1, length / 32 + 1) i
$$;
CREATE TABLE leveled AS
SELECT compression, store, toaststore.put(store, repeated_digests(200000)) AS id
  FROM stores WHERE compression LIKE 'zstd:%';
SELECT min(stored_bytes) FILTER (WHERE s.compression = 'zstd:1')
     > min(stored_bytes) FILTER (WHERE s.compression = 'zstd:19') AS level
  FROM leveled s, LATERAL toaststore.info(store, id);

-- Chunks are compressed each by itself: those that do not compress are kept raw.
CREATE TABLE mixed AS
SELECT random_bytes(65536, 1) || lines(65536) || random_bytes(65536, 2) || lines(1000) AS value;
SELECT toaststore.put('store_2', value) AS id FROM mixed \gset
SELECT layout, compression, chunks, stored_bytes > 2 * 65536 AS random_chunks_raw,
       stored_bytes < raw_bytes - 40000 AS others_compressed
  FROM toaststore.info('store_2', :id);
SELECT toaststore.get('store_2', :id) = value AS same,
       bool_and(toaststore.get_slice('store_2', :id, place, 20) = substr(value, place + 1, 20)) AS across
  FROM mixed, unnest(ARRAY[0, 65526, 65536, 131062, 196600]) place GROUP BY value;

-- What compresses by its frequencies only, zstd compresses and lz4 does not.
CREATE FUNCTION digits(length int) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT substr(convert_to(encode(random_bytes(length / 2 + 1, 3), 'hex'), 'UTF8'), 1, length)
$$;
SELECT toaststore.put('store_2', digits(20000)) AS lz4_id,
       toaststore.put('store_3', digits(20000)) AS zstd_id \gset
SELECT compression, stored_bytes < 0.6 * raw_bytes AS less FROM toaststore.info('store_2', :lz4_id);
SELECT compression, stored_bytes < 0.6 * raw_bytes AS less FROM toaststore.info('store_3', :zstd_id);

-- A change of compression is for values put from then on.
SELECT toaststore.create_store('media', compression => 'none');
CREATE TABLE changes (compression text, id bigint);
INSERT INTO changes SELECT 'none', toaststore.put('media', lines(50000));
SELECT toaststore.alter_store('media', compression => 'zstd:9');
INSERT INTO changes SELECT 'zstd', toaststore.put('media', lines(50000));
SELECT toaststore.alter_store('media', 'lz4');
INSERT INTO changes SELECT 'lz4', toaststore.put('media', lines(50000));
INSERT INTO media (value) VALUES (lines(50000));
SELECT toaststore.alter_store('media', 'none');
INSERT INTO changes SELECT 'none', toaststore.put('media', lines(50000));
SELECT id, c.compression = i.compression AS as_chosen, i.compression,
       toaststore.get('media', id) = lines(50000) AS same
  FROM changes c, LATERAL toaststore.info('media', id) i ORDER BY id;
BEGIN;
SELECT toaststore.alter_store('media', 'lz4');
SELECT toaststore.put('media', lines(50000)) AS id \gset
SELECT compression FROM toaststore.info('media', :id);
ROLLBACK;
SELECT toaststore.put('media', lines(50000)) AS id \gset
SELECT compression FROM toaststore.info('media', :id);

-- Options are kept where pg_dump finds them, and outlive the values.
SELECT toaststore.create_store('tuned', 1000, 20000, 8192, 'zstd:7');
SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid = 'tuned'::regclass;
SELECT toaststore.put('tuned', lines(20000)), toaststore.put('tuned', lines(20001));
SELECT toaststore.alter_store('tuned', 'lz4');
SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid = 'tuned'::regclass;
TRUNCATE tuned;
SELECT toaststore.put('tuned', lines(20000)), toaststore.put('tuned', lines(20001)),
       toaststore.put('tuned', random_bytes(1001, 1));
SELECT id, layout, compression, chunks FROM tuned, LATERAL toaststore.info('tuned', id);
CREATE TABLE like_it (LIKE tuned INCLUDING CONSTRAINTS) USING toaststore_values;
SELECT toaststore.put('like_it', lines(20001));
SELECT layout, compression, chunks FROM toaststore.info('like_it', 1);
CREATE TABLE child () INHERITS (tuned) USING toaststore_values;
SELECT toaststore.put('child', lines(20001));
SELECT layout, compression, chunks FROM toaststore.info('child', 1);
SELECT tableoid::regclass, count(*) FROM tuned GROUP BY 1 ORDER BY 1;
DROP TABLE child;
-- So they do when the values are written anew.
SELECT encode(sha256(string_agg(value, '' ORDER BY id)), 'hex') AS digest FROM tuned \gset
ALTER TABLE tuned SET UNLOGGED;
SELECT id, layout, compression, chunks FROM tuned, LATERAL toaststore.info('tuned', id);
ALTER TABLE tuned SET LOGGED;
VACUUM FULL tuned;
SELECT toaststore.put('tuned', lines(20001));
SELECT id, layout, compression, chunks FROM tuned, LATERAL toaststore.info('tuned', id);
SELECT encode(sha256(string_agg(value, '' ORDER BY id)), 'hex') = :'digest' AS same FROM tuned WHERE id < 4;
-- A store without the constraint has the defaults, one that gets it back has that.
ALTER TABLE like_it DROP CONSTRAINT toaststore_options;
SELECT toaststore.alter_store('like_it', 'none');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'like_it'::regclass;

-- Only constants given to our own function are options: nothing of a constraint is evaluated.
CREATE FUNCTION tell(chosen text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE WARNING 'evaluated';
    RETURN chosen;
END
$$;
CREATE FUNCTION options(int, int, int, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE TABLE computed (id bigint, value bytea,
    CONSTRAINT toaststore_options CHECK (toaststore.options(0, 0, 8192, tell('zstd'))))
    USING toaststore_values;
CREATE TABLE of_another (id bigint, value bytea,
    CONSTRAINT toaststore_options CHECK (options(0, 0, 8192, 'zstd'))) USING toaststore_values;
SELECT toaststore.put('computed', lines(3000));
INSERT INTO of_another (value) VALUES (lines(3000));
SELECT layout, compression FROM toaststore.info('computed', 1);
SELECT layout, compression FROM toaststore.info('of_another', 1);

-- A call that compresses for long is cancelled between two chunks.
SELECT toaststore.create_store('slow', compression => 'zstd:19');
CREATE TABLE long AS SELECT string_agg(md5(n::text), '') AS text FROM generate_series(1, 32000) n;
UPDATE long SET text = repeat(text, 64);
SET statement_timeout = '200ms';
DO $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    PERFORM toaststore.put('slow', convert_to(text, 'UTF8')) FROM long;
    RAISE WARNING 'was not cancelled';
EXCEPTION WHEN query_canceled THEN
    IF clock_timestamp() - began > interval '1.5 s' THEN
        RAISE WARNING 'was cancelled after %', clock_timestamp() - began;
    END IF;
END
$$;
RESET statement_timeout;
SELECT count(*) FROM slow;
SELECT * FROM toaststore.verify('slow');

-- Invalid names and levels.
SELECT toaststore.create_store('bad', compression => compression)
  FROM unnest(ARRAY['gzip']) compression;
\echo :SQLSTATE
DO $$
DECLARE
    chosen text;
BEGIN
    FOREACH chosen IN ARRAY ARRAY['', 'LZ4', 'lz4 ', ' lz4', 'lz4:1', 'none:0', 'pglz', 'zstd:', 'zstd:0x3',
                                  'zstd:3 ', 'zstd:three', 'zstd:0', 'zstd:-1', 'zstd:20', 'zstd:99999999999999999999',
                                  'zstd:3:3', 'zstdx', ':', 'on']
    LOOP
        BEGIN
            PERFORM toaststore.create_store('bad', compression => chosen);
            RAISE WARNING '"%" was accepted', chosen;
        EXCEPTION WHEN invalid_parameter_value THEN
        END;
        BEGIN
            PERFORM toaststore.alter_store('media', chosen);
            RAISE WARNING '"%" was accepted', chosen;
        EXCEPTION WHEN invalid_parameter_value THEN
        END;
    END LOOP;
END
$$;
SELECT to_regclass('bad');
SELECT toaststore.put('media', lines(50000)) AS id \gset
SELECT compression FROM toaststore.info('media', :id);

SELECT relation, fault.*
  FROM unnest((SELECT array_agg(store) FROM stores) || ARRAY['media', 'tuned', 'like_it']::regclass[]) relation,
       LATERAL toaststore.verify(relation) fault;

SET client_min_messages = warning;
DROP SCHEMA compression CASCADE;
