-- The tables, as Markdown: medians over the rounds, least and most beside them.
-- Variables: machine (one line about it).

SET search_path = bench, public;
\pset tuples_only on
\pset format unaligned

\echo '## Settings'
\echo
SELECT format('- %s', split_part(version(), ',', 1));
SELECT format('- toaststore %s', extversion) FROM pg_extension WHERE extname = 'toaststore';
SELECT format('- %s', :'machine');
SELECT format('- data checksums %s; %s', current_setting('data_checksums'),
              string_agg(format('%s = %s', name, current_setting(name)), ', ' ORDER BY name))
FROM pg_settings
WHERE name IN ('shared_buffers', 'fsync', 'synchronous_commit', 'wal_level', 'full_page_writes',
               'wal_compression', 'autovacuum', 'max_wal_size', 'jit');
SELECT format('- %s MB of values in each cell, %s rounds after one to warm up, contenders '
              'interleaved, a checkpoint before each insert, all values compared by SHA-256',
              (SELECT round(max(n::bigint * bytes) / 1e6) FROM cell),
              (SELECT count(DISTINCT round) FROM measurement WHERE round > 0));

CREATE TEMP VIEW summary AS
SELECT operation, cell.data, cell.bytes, label, m.contender, c.nr,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY microseconds / values_touched) AS median,
       min(microseconds / values_touched) AS least, max(microseconds / values_touched) AS most,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY (wal_bytes / (values_touched * cell.bytes))::float8)
         AS wal,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY (disk_bytes / (values_touched * cell.bytes))::float8)
         AS disk
FROM measurement m JOIN cell USING (data, bytes)
     LEFT JOIN contender c ON c.name = m.contender AND c.data = m.data
WHERE round > 0
GROUP BY operation, cell.data, cell.bytes, label, m.contender, c.nr;

-- Each beside the first contender on its data.
CREATE TEMP VIEW line AS
SELECT s.*, CASE WHEN s.nr IS NOT NULL THEN
  first_value(s.median) OVER (PARTITION BY operation, data, bytes ORDER BY nr NULLS LAST) / s.median
  END AS gain
FROM summary s;

\echo
\echo '## Time for a value'
\echo
\echo '"x native" above 1 is faster than native. A slice is 1000 bytes anywhere in the value.'
\echo
\echo '| operation | data | size | contender | us, median | least - most | MB/s | x native |'
\echo '|---|---|---|---|---:|---:|---:|---:|'
SELECT format('| %s | %s | %s | %s | %s | %s - %s | %s | %s |', operation, data, label, contender,
              round(median::numeric, 1), round(least::numeric, 1), round(most::numeric, 1),
              CASE WHEN operation <> 'slice' THEN round((bytes / median)::numeric) END,
              round(gain::numeric, 2))
FROM line ORDER BY operation, data DESC, bytes, nr NULLS LAST;

\echo
\echo '## Bytes written for a byte of value by the insert'
\echo
\echo '| data | size | contender | write-ahead log | disk |'
\echo '|---|---|---|---:|---:|'
SELECT format('| %s | %s | %s | %s | %s |', data, label, contender,
              round(wal::numeric, 3), round(disk::numeric, 3))
FROM line WHERE operation = 'insert' AND nr IS NOT NULL ORDER BY data DESC, bytes, nr;
