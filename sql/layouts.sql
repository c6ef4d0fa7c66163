--
-- How a value is laid out follows from its size and the store's thresholds, and no size wastes
-- space.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA layouts;
SET search_path = layouts;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
-- Puts a value and tells how it is stored.
CREATE FUNCTION laid_out(store regclass, value bytea, OUT layout text, OUT raw_bytes bigint,
                         OUT stored_bytes bigint, OUT compression text, OUT chunks bigint,
                         OUT pages bigint, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
    stored bigint := toaststore.put(store, value);
BEGIN
    SELECT * FROM toaststore.info(store, stored)
      INTO layout, raw_bytes, stored_bytes, compression, chunks, pages;
    same := toaststore.get(store, stored) = value;
END
$$;

-- At every border, with the thresholds that a store has by default.
SELECT toaststore.create_store('media');
SELECT laid_out.* FROM unnest(ARRAY[0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 131073]) length,
       LATERAL laid_out('media', random_bytes(length, length));
-- With others. Both bounds are inclusive.
SELECT toaststore.create_store('tuned', direct_max => 1000, extent_max => 20000, chunk_bytes => 8192);
SELECT laid_out.* FROM unnest(ARRAY[0, 1, 999, 1000, 1001, 19999, 20000, 20001, 24576, 24577]) length,
       LATERAL laid_out('tuned', random_bytes(length, length));
-- All that is not chunked is direct; nothing is direct; nothing but one byte is in one piece.
SELECT toaststore.create_store('no_extents', 8000, 8000, 262144);
SELECT laid_out.* FROM unnest(ARRAY[7999, 8000, 8001, 262144, 262145]) length,
       LATERAL laid_out('no_extents', random_bytes(length, length));
SELECT toaststore.create_store('no_direct', 0, 262144, 8192);
SELECT laid_out.* FROM unnest(ARRAY[0, 1, 262143, 262144, 262145]) length,
       LATERAL laid_out('no_direct', random_bytes(length, length));
SELECT toaststore.create_store('all_chunked', 0, 0, 8192);
SELECT laid_out.* FROM unnest(ARRAY[0, 1, 8191, 8192, 8193, 16384, 16385]) length,
       LATERAL laid_out('all_chunked', random_bytes(length, length));

-- Chunked is decided by the raw size, direct or extent by the stored size.
SELECT layout, raw_bytes, stored_bytes < raw_bytes AS compressed, stored_bytes <= 4096 AS small, same
  FROM unnest(ARRAY[4096, 4097, 65536, 65537]) length,
       LATERAL laid_out('media', convert_to(repeat('a', length), 'UTF8'));
SELECT layout, raw_bytes, stored_bytes, compression
  FROM unnest(ARRAY[4097, 65536]) length,
       LATERAL laid_out('media', random_bytes(length, 3));

-- Thresholds out of their range.
SELECT toaststore.create_store('bad', direct_max => -1);
\echo :SQLSTATE
SELECT toaststore.create_store('bad', direct_max => 8001, extent_max => 8001);
\echo :SQLSTATE
SELECT toaststore.create_store('bad', direct_max => 4096, extent_max => 4095);
\echo :SQLSTATE
SELECT toaststore.create_store('bad', extent_max => 262145);
\echo :SQLSTATE
SELECT toaststore.create_store('bad', extent_max => -2147483648);
\echo :SQLSTATE
SELECT toaststore.create_store('bad', chunk_bytes => 8191);
\echo :SQLSTATE
SELECT toaststore.create_store('bad', chunk_bytes => 262145);
\echo :SQLSTATE
SELECT toaststore.create_store('bad', chunk_bytes => -1);
\echo :SQLSTATE
SELECT to_regclass('bad');
-- They hold for a constraint written by hand, too.
CREATE TABLE bad (id bigint, value bytea,
                  CONSTRAINT toaststore_options CHECK (toaststore.options(5, 4, 8192, 'none')))
       USING toaststore_values;
INSERT INTO bad (value) VALUES ('x');
\echo :SQLSTATE
SELECT toaststore.put('bad', 'x');
\echo :SQLSTATE
CREATE TABLE by_hand (id bigint, value bytea,
                      CONSTRAINT toaststore_options CHECK (toaststore.options(10, 20, 8192, 'none')))
       USING toaststore_values;
SELECT laid_out.* FROM unnest(ARRAY[10, 11, 20, 21]) length,
       LATERAL laid_out('by_hand', convert_to(repeat('a', length), 'UTF8'));

-- A table of chunk tables: more than 2048 chunks of 8192 bytes.
CREATE TABLE original (value bytea);
ALTER TABLE original ALTER value SET STORAGE EXTERNAL;
INSERT INTO original VALUES (random_bytes(2049 * 8192 + 1, 1));
SELECT laid_out.*
  FROM original, unnest(ARRAY[2048 * 8192, 2048 * 8192 + 1, 2049 * 8192 + 1]) length,
       LATERAL laid_out('tuned', substr(value, 1, length));
SELECT id, bool_and(toaststore.get_slice('tuned', id, place, 100) = substr(value, place + 1, 100)) AS same
  FROM (SELECT max(id) AS id FROM tuned) last, original,
       unnest(ARRAY[0, 8191, 2047 * 8192, 2048 * 8192 - 50, 2048 * 8192, 2049 * 8192 - 10,
                    2049 * 8192]) place
 GROUP BY id;

-- Space: an empty store takes nothing, one small value little.
SELECT toaststore.create_store('sizes');
SELECT pg_total_relation_size('sizes');
SELECT layout FROM laid_out('sizes', random_bytes(3000, 1));
SELECT pg_total_relation_size('sizes') <= 64 * 1024 AS at_most_64_kb;
TRUNCATE sizes;
SELECT pg_total_relation_size('sizes');
-- A mix of values of 2 to 8 kB: at most 1.08 bytes of file per stored byte.
CREATE TABLE mixed AS
SELECT toaststore.put_many('sizes', array_agg(random_bytes(2000 + n * 7919 % 6000, n))) AS ids
  FROM generate_series(1, 8000) n GROUP BY n % 80;
SELECT count(*), min(raw_bytes) AS smallest, max(raw_bytes) AS largest,
       bool_and(stored_bytes = raw_bytes) AS raw,
       pg_total_relation_size('sizes') / sum(stored_bytes) <= 1.08 AS at_most_1_08
  FROM sizes, LATERAL toaststore.info('sizes', id);
-- Larger ones one by one, and tiny ones.
SELECT toaststore.create_store('large');
SELECT count(toaststore.put('large', random_bytes(5000 + n * 997, n))) FROM generate_series(1, 150) n;
SELECT pg_total_relation_size('large') < 1.1 * sum(toaststore.length('large', id)) AS little_more
  FROM large;
SELECT toaststore.create_store('tiny');
SELECT count(toaststore.put('tiny', convert_to(n::text, 'UTF8'))) FROM generate_series(1, 10000) n;
SELECT pg_total_relation_size('tiny') / 10000 < 150 AS below_150_bytes_each;

SELECT relation, fault.*
  FROM unnest(ARRAY['media', 'tuned', 'no_extents', 'no_direct', 'all_chunked', 'by_hand', 'sizes',
                    'large', 'tiny']::regclass[]) relation,
       LATERAL toaststore.verify(relation) fault;

SET client_min_messages = warning;
DROP SCHEMA layouts CASCADE;
