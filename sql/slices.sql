--
-- A slice is what substr of the whole value is, wherever it begins and ends.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA slices;
SET search_path = slices;
RESET client_min_messages;

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
-- Compresses well, and no two places are the same.
CREATE FUNCTION counted_bytes(length int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(convert_to(string_agg(lpad(i::text, 16, ' counts up '), ''  ORDER BY i),
                                      'UTF8'), 1, length), ''::bytea)
      FROM generate_series(1, (length + 15) / 16) i
$$;

SELECT toaststore.create_store('media');
SELECT toaststore.create_store('plain', compression => 'none');
SELECT toaststore.create_store('zstandard', compression => 'zstd');
SELECT toaststore.create_store('small_chunks', 100, 8000, 8192, 'lz4');

CREATE TABLE original (store regclass, kind text, length int, value bytea, id bigint);
ALTER TABLE original ALTER value SET STORAGE EXTERNAL;
INSERT INTO original
SELECT store, kind, length, value, toaststore.put(store, value)
  FROM unnest(ARRAY['media', 'plain', 'zstandard', 'small_chunks']::regclass[]) store,
       unnest(ARRAY[0, 1, 100, 4000, 20000, 65536, 65537, 300000]) length,
       LATERAL (VALUES ('random', random_bytes(length, 1)),
                       ('counted', counted_bytes(length))) kinds (kind, value);
SELECT store, kind, string_agg(length || ' ' || layout || ' ' || compression, ', ' ORDER BY length)
  FROM original, LATERAL toaststore.info(store, id) GROUP BY store, kind ORDER BY store, kind;

-- Offsets at the start, at borders of pages, chunks and pieces, at the end and beyond it.
CREATE VIEW offsets AS
SELECT DISTINCT place + nearby AS slice_offset
  FROM unnest(ARRAY[0, 1000, 4000, 8120, 8160, 8192, 16240, 16384, 20000, 24576, 65536, 131072,
                    196608, 262144, 300000, 1000000]) place,
       unnest(ARRAY[-1, 0, 1]) nearby
 WHERE place + nearby >= 0;
CREATE VIEW lengths AS
SELECT unnest(ARRAY[0, 1, 2, 100, 8119, 8120, 8121, 8192, 65535, 65536, 65537, 200000,
                    2147483647]) AS slice_length;

CREATE FUNCTION wrong_slices(OUT store regclass, OUT kind text, OUT length int, OUT slice_offset int,
                             OUT slice_length int, OUT got int, OUT wanted int) RETURNS SETOF record
LANGUAGE sql AS $$
    SELECT o.store, o.kind, o.length, slice_offset, slice_length, length(got), length(wanted)
      FROM original o, offsets, lengths,
           LATERAL (SELECT toaststore.get_slice(o.store, o.id, slice_offset, slice_length) AS got,
                           substr(o.value, slice_offset + 1,
                                  least(slice_length, 1000000)) AS wanted) both_ways
     WHERE got IS DISTINCT FROM wanted
$$;
SELECT count(*) AS slices FROM original, offsets, lengths;
SELECT * FROM wrong_slices();

-- The same by SQL's own substr, which asks the store for the slice only.
CREATE FUNCTION wrong_substrings(store regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint;
BEGIN
    EXECUTE format($query$
        SELECT count(*)
          FROM original o JOIN %s s USING (id), offsets, lengths
         WHERE o.store = %L::regclass
           AND substr(s.value, slice_offset + 1, least(slice_length, 1000000))
               IS DISTINCT FROM substr(o.value, slice_offset + 1, least(slice_length, 1000000))
        $query$, store, store) INTO wrong;
    RETURN wrong;
END
$$;
SELECT store, wrong_substrings(store)
  FROM unnest(ARRAY['media', 'plain', 'zstandard', 'small_chunks']::regclass[]) store;
SELECT store, bool_and(substr(value, 1, 10) = substr(value, 0, 11)) AS before_the_start,
       bool_and(substr(value, length + 1) = '') AS beyond_the_end,
       bool_and(length(substr(value, -5, 10)) = least(4, length)) AS across_the_start
  FROM original GROUP BY store ORDER BY store;

-- Every byte of a value by itself, and every two in a row.
SELECT bool_and(toaststore.get_slice('small_chunks', id, n, 1) = substr(value, n + 1, 1)) AS bytes,
       bool_and(toaststore.get_slice('small_chunks', id, n, 2) = substr(value, n + 1, 2)) AS pairs
  FROM original, generate_series(0, 20000) n
 WHERE store = 'small_chunks'::regclass AND kind = 'counted' AND length = 20000;
-- In slices, as a reader of a large value goes through it.
SELECT part, bool_and(toaststore.get_slice('media', id, n::bigint * part, part)
                      = substr(value, n * part + 1, part)) AS same
  FROM original, unnest(ARRAY[1000, 4096, 30000, 65536, 100000]) part,
       LATERAL generate_series(0, length / part) n
 WHERE store = 'media'::regclass AND length = 300000 GROUP BY part ORDER BY part;

-- Nothing of nothing, and nothing beyond the end.
SELECT toaststore.get_slice('media', id, 0, 0) = '' AS empty,
       toaststore.get_slice('media', id, 100, 1) = '' AS at_the_end,
       toaststore.get_slice('media', id, 9223372036854775807, 2147483647) = '' AS far_beyond,
       length(toaststore.get_slice('media', id, 99, 2147483647)) AS last_byte
  FROM original WHERE store = 'media'::regclass AND kind = 'random' AND length = 100;
SELECT toaststore.get_slice('media', 123456789, 0, 10);
-- What is negative is a mistake, also where there is no value.
SELECT toaststore.get_slice('media', 1, -1, 10);
\echo :SQLSTATE
SELECT toaststore.get_slice('media', 1, 0, -1);
\echo :SQLSTATE
SELECT toaststore.get_slice('media', 123456789, -9223372036854775808, -2147483648);
\echo :SQLSTATE

-- A slice of a large value reads the chunks that it touches.
SELECT toaststore.put('plain', random_bytes(8000000, 2)) AS large \gset
SELECT toaststore.put('media', counted_bytes(8000000)) AS counted \gset
CREATE FUNCTION buffers_read(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT json) ' || query
       INTO plan;
    RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint
         + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
END
$$;
SELECT buffers_read(format('SELECT toaststore.get(%L, %s)', 'plain', :large)) > 900 AS whole,
       buffers_read(format('SELECT toaststore.get_slice(%L, %s, 5000000, 100)', 'plain', :large)) < 20
       AS slice,
       buffers_read(format('SELECT toaststore.get_slice(%L, %s, 5000000, 100)', 'media', :counted)) < 20
       AS compressed_slice,
       buffers_read(format('SELECT substr(value, 5000000, 100) FROM plain WHERE id = %s', :large)) < 30
       AS substring;

SET client_min_messages = warning;
DROP SCHEMA slices CASCADE;
