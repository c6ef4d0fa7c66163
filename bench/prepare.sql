-- The source data and what the benchmark is made of. Run once on a fresh server.
-- Variables: cell_bytes (bytes of values in each cell).

CREATE EXTENSION toaststore;
CREATE SCHEMA bench;
SET search_path = bench, public;
SET client_min_messages = warning;

-- A cell is one kind of bytes in one size. Sources are kept uncompressed and out of line, so that
-- every contender pays the same for reading them; what that costs is measured as well.
CREATE TABLE cell (
  data text, bytes int, source text, label text, n int,
  PRIMARY KEY (data, bytes));
INSERT INTO cell
SELECT data, bytes, format('source_%s_%s', data, bytes), label,
       greatest(:cell_bytes / bytes, 1)
FROM (VALUES ('random'), ('json')) AS kind (data),
     (VALUES (2500, '2.5 kB'), (65536, '64 kB'), (1048576, '1 MB')) AS size (bytes, label);

-- Who is compared on which data: the first of each is what the others are measured against.
-- setup makes the relation `subject`; put, get and slice say how a value goes in and comes out.
CREATE TABLE contender (
  nr int PRIMARY KEY, name text, data text, method name, setup text, put text, get text, slice text);
INSERT INTO contender
SELECT nr, name, data, 'heap',
       format('CREATE TABLE subject (id bigint PRIMARY KEY, value bytea COMPRESSION lz4);
               ALTER TABLE subject ALTER value SET STORAGE %s', storage),
       'INSERT INTO subject SELECT n, value FROM %1$I',
       '(SELECT s.value FROM subject s WHERE s.id = k.id)',
       '(SELECT substr(s.value, %1$s + 1, %2$s) FROM subject s WHERE s.id = k.id)'
FROM (VALUES (1, 'native EXTERNAL', 'random', 'EXTERNAL'),
             (4, 'native lz4', 'json', 'EXTENDED')) AS native (nr, name, data, storage)
UNION ALL
SELECT nr, name, data, 'toaststore_values',
       format('SELECT toaststore.create_store(%L, compression => %L)', 'subject', compression),
       'SELECT count(toaststore.put(''subject'', value)) FROM %1$I',
       'toaststore.get(''subject'', k.id)',
       'toaststore.get_slice(''subject'', k.id, %1$s, %2$s)'
FROM (VALUES (2, 'toaststore lz4', 'random', 'lz4'),
             (3, 'toaststore none', 'random', 'none'),
             (5, 'toaststore lz4', 'json', 'lz4')) AS store (nr, name, data, compression);

-- One row for each timed operation; round 0 is the warm-up and not reported.
CREATE TABLE measurement (
  round int, data text, bytes int, contender text, operation text, values_touched bigint,
  microseconds double precision, wal_bytes numeric, disk_bytes numeric);

-- Bytes that no codec can shorten, the same on every run.
CREATE FUNCTION random_bytes(seed int, bytes int) RETURNS bytea LANGUAGE sql AS $$
  SELECT substr(string_agg(sha256(int8send(seed::bigint << 32 | i)), NULL), 1, bytes)
  FROM generate_series(1, (bytes + 31) / 32) AS i
$$;

-- Documents as applications write them: repeated keys, some words, some noise. lz4 more than halves
-- them.
CREATE FUNCTION json_bytes(seed int, bytes int) RETURNS bytea LANGUAGE sql AS $$
  SELECT substr(convert_to(string_agg(format(
           '{"order": %s, "customer": "%s", "status": "%s", "lines": [{"article": "%s", '
           '"quantity": %s, "price": %s.%s}], "updated_at": "2026-%s-%sT08:%s:00Z"}',
           seed * 1000 + i, substr(md5((seed * 7 + i)::text), 1, 12),
           (ARRAY['open', 'paid', 'shipped', 'returned'])[1 + (i * 7 + seed) % 4],
           substr(md5((seed + i * 13)::text), 1, 8), 1 + i % 9, (seed + i * 31) % 900, i % 100,
           1 + (seed + i) % 12, 1 + (i * 3) % 28, i % 60), ', '), 'UTF8'), 1, bytes)
  FROM generate_series(1, bytes / 150 + 1) AS i
$$;

SELECT format('CREATE UNLOGGED TABLE %1$I (n int PRIMARY KEY, value bytea, sha bytea);
               ALTER TABLE %1$I ALTER value SET STORAGE EXTERNAL;
               INSERT INTO %1$I SELECT n, v, sha256(v)
               FROM (SELECT n, %2$s_bytes(n, %3$s) AS v FROM generate_series(1, %4$s) AS n
                     OFFSET 0) AS made', source, data, bytes, n)
FROM cell \gexec

-- The ids under which the subject of the moment keeps the source's values.
CREATE UNLOGGED TABLE key (n int PRIMARY KEY, id bigint);

-- Touches memory and writes log segments for the first time, which costs several times as much as
-- ever after.
CREATE TABLE junk AS SELECT repeat(md5(i::text), 60) AS bytes FROM generate_series(1, 500000) AS i;
DROP TABLE junk;
CHECKPOINT;
