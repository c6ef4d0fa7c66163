-- What the benchmark needs of a fresh server. Variables: buffers_mb (shared buffers), log_mb (of the
-- write-ahead log that is kept for use again).

CREATE EXTENSION toaststore;
CREATE EXTENSION pg_prewarm;
CREATE SCHEMA bench;
SET search_path = bench, public;

-- As many pages as there are buffers: read into them, they leave nothing of anything else.
CREATE UNLOGGED TABLE junk AS
SELECT repeat(md5(n::text), 60) AS bytes FROM generate_series(1, :buffers_mb * 128 * 4) AS n;

-- Memory that is touched, and log segments that are written, for the first time cost several times
-- as much as ever after.
SELECT pg_prewarm('junk');
SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 1000000)))
FROM generate_series(1, :log_mb);
CHECKPOINT;
CHECKPOINT;
