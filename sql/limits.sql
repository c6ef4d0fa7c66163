--
-- Sizes at every border of pages and pieces, the fewest and the most elements, the smallest and the
-- largest ids; and what asks for no bytes of a value reads none, however large the values are.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA limits;
SET search_path = limits;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
CREATE FUNCTION plan_of(query text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT json) ' || query INTO plan;
    RETURN plan->0->'Plan';
END
$$;
CREATE FUNCTION buffers_read(query text) RETURNS bigint LANGUAGE sql AS $$
    SELECT (plan->>'Shared Hit Blocks')::bigint + (plan->>'Shared Read Blocks')::bigint FROM plan_of(query) plan
$$;

-- One byte less and more than whole pieces, pages, chunks and thresholds, each at whatever place of a
-- page the one before it left: got whole, from the middle and at both ends.
CREATE TABLE source AS SELECT random_bytes(700000, 1) AS bytes;
ALTER TABLE source ALTER bytes SET STORAGE EXTERNAL;
UPDATE source SET bytes = bytes || '';
CREATE TABLE sizes AS
SELECT DISTINCT whole * times + more AS size
  FROM unnest(ARRAY[1, 64, 100, 2032, 4060, 4096, 8000, 8120, 8152, 8160, 8168, 8192, 16384, 65536]) whole,
       unnest(ARRAY[1, 2, 3, 4, 5, 8, 10]) times, generate_series(-2, 2) more
 WHERE whole * times + more >= 0;
SELECT toaststore.create_store('by_default');
SELECT toaststore.create_store('uncompressed', 8000, 262144, 262144, 'none');
SELECT toaststore.create_store('chunky', 0, 0, 8192, 'zstd:1');
CREATE TABLE kept AS
SELECT store, size, toaststore.put(store, substr(bytes, 1, size)) AS id
  FROM unnest(ARRAY['by_default', 'uncompressed', 'chunky']::regclass[]) store, sizes, source;
SELECT store, count(*), sum(size) = sum(toaststore.length(store, id)) AS lengths,
       bool_and(toaststore.get(store, id) = substr(bytes, 1, size)) AS whole,
       bool_and(toaststore.get_slice(store, id, size / 2, 300) = substr(substr(bytes, 1, size), size / 2 + 1, 300)) AS middle,
       bool_and(toaststore.get_slice(store, id, 0, 1) = substr(substr(bytes, 1, size), 1, 1)) AS first,
       bool_and(toaststore.get_slice(store, id, greatest(size - 1, 0), 9) = substr(substr(bytes, 1, size), greatest(size, 1))) AS last,
       bool_and(toaststore.get_slice(store, id, size, 9) = '') AS behind
  FROM kept, source GROUP BY store ORDER BY store;
SELECT store, layout, min(raw_bytes), max(raw_bytes), max(chunks) AS chunks
  FROM kept, toaststore.info(store, id) GROUP BY store, layout ORDER BY store, min(raw_bytes);

-- The empty value: no piece, no page; neither null nor absent.
SELECT toaststore.create_store('nothing');
SELECT toaststore.put('nothing', ''), toaststore.put_many('nothing', ARRAY['', '']::bytea[]);
INSERT INTO nothing VALUES (4294967296, '');
SELECT id, value, value = '' AS empty, value IS NULL AS is_null, length(value), toaststore.get('nothing', id) = '' AS got,
       toaststore.length('nothing', id), toaststore.get_slice('nothing', id, 0, 10) = '' AS slice,
       toaststore.get_slice('nothing', id, 5, 10) = '' AS behind
  FROM nothing;
SELECT DISTINCT info.* FROM nothing, toaststore.info('nothing', id) info;
SELECT pg_relation_size('nothing') AS before \gset
SELECT count(*) FROM unnest(toaststore.put_many('nothing', array_fill(''::bytea, ARRAY[50]))) id;
SELECT pg_relation_size('nothing') = :before AS no_larger;
SELECT toaststore.delete('nothing', 1), toaststore.get('nothing', 1) IS NULL AS gone;

-- Elements of put_many: none, one, ten thousand, of every size among each other.
SELECT toaststore.create_store('many');
SELECT toaststore.put_many('many', '{}'), pg_relation_size('many'), toaststore.put_many('many', '{x}');
SELECT toaststore.put_many('many', array_agg(convert_to(n::text, 'UTF8') ORDER BY n)) AS ids FROM generate_series(1, 10000) n \gset
SELECT count(*), min(id), max(id), bool_and(id = n + 1 AND toaststore.get('many', id) = convert_to(n::text, 'UTF8')) AS in_order
  FROM unnest(:'ids'::bigint[]) WITH ORDINALITY given (id, n);
SELECT toaststore.put_many('many', array_agg(substr(bytes, n, size) ORDER BY n)) AS ids
  FROM source, LATERAL (SELECT n, (ARRAY[0, 10, 100000, 3000, 70000, 1, 9000])[n % 7 + 1] AS size FROM generate_series(1, 100) n) of_all \gset
SELECT count(*), bool_and(toaststore.get('many', id) = substr(bytes, n::int, (ARRAY[0, 10, 100000, 3000, 70000, 1, 9000])[n % 7 + 1])) AS same
  FROM unnest(:'ids'::bigint[]) WITH ORDINALITY given (id, n), source;
-- As many as a tree of two levels holds (127 to a leaf, 508 leaves), and more.
SELECT toaststore.create_store('deep');
SELECT count(*) FROM generate_series(1, 7) n, unnest(toaststore.put_many('deep', array_fill(convert_to(n::text, 'UTF8'), ARRAY[10000]))) id;
SELECT count(*), count(DISTINCT id), min(id), max(id), sum(length(value)) FROM deep;
SELECT bool_and(convert_from(toaststore.get('deep', id), 'UTF8') = ((id - 1) / 10000 + 1)::text) AS same
  FROM generate_series(1, 70000, 999) id;
DELETE FROM deep WHERE id % 1000 <> 0;
SELECT count(*), min(id), max(id) FROM deep;

-- The smallest and the largest id, and those about 2^32 and 2^15, where ids meet other numbers.
SELECT toaststore.create_store('extreme');
INSERT INTO extreme SELECT id, substr(bytes, 1, 20000) FROM source,
    unnest(ARRAY[140737488289792, 140737488289791, 4294967297, 4294967296, 4294967295, 2147483648, 2147483647, 65536, 32768, 32767, 1]) id;
SELECT id, extreme.ctid, value = substr(bytes, 1, 20000) AS value, toaststore.get('extreme', id) = substr(bytes, 1, 20000) AS got,
       toaststore.get_slice('extreme', id, 9000, 10) = substr(bytes, 9001, 10) AS slice, substr(value, 9001, 10) = substr(bytes, 9001, 10) AS substring,
       toaststore.length('extreme', id), (SELECT layout FROM toaststore.info('extreme', id))
  FROM extreme, source;
SELECT id FROM extreme ORDER BY id DESC LIMIT 3;
DELETE FROM extreme WHERE id = 140737488289792 RETURNING id, length(value);
SELECT toaststore.delete('extreme', 140737488289791), toaststore.delete('extreme', 140737488289792), toaststore.delete('extreme', 1);
SELECT count(*), min(id), max(id) FROM extreme;

-- What looks at ids, or at how long values are, reads leaves only: as many whatever the values are.
SELECT toaststore.create_store('small');
SELECT toaststore.create_store('large');
SELECT count(toaststore.put('small', substr(bytes, n, 100))), count(toaststore.put('large', substr(bytes, n, 100000)))
  FROM generate_series(1, 200) n, source;
INSERT INTO small SELECT 4294967295 + n, substr(bytes, n, 100) FROM generate_series(1, 100) n, source;
INSERT INTO large SELECT 4294967295 + n, substr(bytes, n, 100000) FROM generate_series(1, 100) n, source;
SELECT pg_relation_size('large') / 8192 > 3600 AS large_is_large;
-- (Once before, for what planning reads of the catalog.)
SELECT count(buffers_read(format('SELECT count(*), max(id), toaststore.length(tableoid, id) FROM %s GROUP BY tableoid, id', store)))
  FROM unnest(ARRAY['small', 'large']) store;
SELECT what, buffers_read(format('SELECT %s FROM large', what)) = buffers_read(format('SELECT %s FROM small', what)) AS as_many,
       buffers_read(format('SELECT %s FROM large', what)) < 20 AS few
  FROM unnest(ARRAY['count(*)', 'id', 'max(id)', 'count(value)', 'length(value)', 'octet_length(value)', 'pg_column_size(value)',
                    'value IS NULL', 'ctid']) what;
SELECT buffers_read('SELECT toaststore.length(''large'', id) FROM large') = buffers_read('SELECT toaststore.length(''small'', id) FROM small') AS as_many;
SELECT buffers_read('SELECT count(*) FROM large') < 20 AS count, buffers_read('SELECT id FROM large ORDER BY id DESC') < 20 AS sorted,
       buffers_read('SELECT FROM large WHERE id = 7') < 20 AS one_id, buffers_read('SELECT sha256(value) FROM large WHERE id = 7') BETWEEN 13 AND 50 AS one_value,
       buffers_read('SELECT toaststore.length(''large'', 7)') < 10 AS length, buffers_read('SELECT * FROM toaststore.info(''large'', 7)') < 10 AS info,
       buffers_read('SELECT toaststore.get_slice(''large'', 7, 50000, 10)') < 20 AS slice,
       buffers_read('SELECT toaststore.get(''large'', 7)') BETWEEN 13 AND 30 AS whole;
SELECT buffers_read('SELECT sum(get_byte(value, 0)) FROM large WHERE id < 200') < 200 * 40 AS reading_reads,
       buffers_read('SELECT count(sha256(value)) FROM large') > 3600 AS reading_all_reads_all;
-- Neither does a plan that sorts, joins or keeps rows whose values nobody looks at read them.
SELECT buffers_read('SELECT * FROM large a JOIN small b USING (id) WHERE a.id < 1000 AND b.id < 1000 ORDER BY id DESC') < 40 AS joined,
       buffers_read('WITH kept AS MATERIALIZED (SELECT * FROM large WHERE id < 1000) SELECT count(*) FROM kept') < 40 AS kept,
       buffers_read('SELECT id, value FROM large WHERE id < 1000 LIMIT 100') < 40 AS not_sent;

SELECT relation, fault.* FROM unnest(ARRAY['by_default', 'uncompressed', 'chunky', 'nothing', 'many', 'deep', 'extreme', 'small', 'large']::regclass[]) relation,
       LATERAL toaststore.verify(relation) fault;

\pset format aligned
SET client_min_messages = warning;
DROP SCHEMA limits CASCADE;
