--
-- The views show each store, to those who may monitor.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA statistics;
SET search_path = statistics;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned

SELECT toaststore.create_store('media', compression => 'none');
SELECT count(toaststore.put('media', decode(repeat(md5(n::text), 1000), 'hex')))
  FROM generate_series(1, 50) n;
DELETE FROM media WHERE id <= 10;
SELECT direct_values, extent_values, chunked_values, raw_bytes, stored_bytes, compression_ratio, last_compaction,
       last_checkpoint FROM toaststore.stat_stores WHERE store = 'media'::regclass;
SELECT store, size_bytes = pg_relation_size('media') AS size, live_bytes, dead_bytes,
       open_bytes > 50 * 16000 AS open, page_bytes > 0 AS pages, space_amplification BETWEEN 1 AND 3 AS amplification,
       unprocessed_changes, oldest_xid IS NOT NULL AS oldest, fault, worker_due, last_error
  FROM toaststore.stat_stores WHERE store = 'media'::regclass;

-- When VACUUM has been there. (Whether it can remove what was deleted is up to other sessions.)
VACUUM media;
SELECT direct_values, extent_values BETWEEN 40 AND 50 AS extents, chunked_values, compression_ratio,
       raw_bytes / 16000 BETWEEN 40 AND 50 AS raw, stored_bytes = raw_bytes AS stored,
       last_compaction <= now() AS compacted, last_checkpoint <= now() AS checkpointed
  FROM toaststore.stat_stores WHERE store = 'media'::regclass;

-- A store that is empty, and a temporary one.
SELECT toaststore.create_store('empty');
CREATE TEMPORARY TABLE short_lived (id bigint, value bytea) USING toaststore_values;
INSERT INTO short_lived (value) VALUES ('\x01');
SELECT store, size_bytes > 0 AS size, space_amplification, unprocessed_changes, fault
  FROM toaststore.stat_stores WHERE store::oid IN ('empty'::regclass, 'short_lived'::regclass) ORDER BY store::oid;
DROP TABLE empty, short_lived;

-- Nobody works here.
SELECT * FROM toaststore.progress_compact;

CREATE ROLE regress_store_monitor;
CREATE ROLE regress_store_stranger;
GRANT pg_monitor TO regress_store_monitor;
GRANT USAGE ON SCHEMA statistics TO regress_store_monitor, regress_store_stranger;
SET ROLE regress_store_monitor;
SELECT count(*) FROM toaststore.stat_stores WHERE store = 'media'::regclass;
SELECT count(*) FROM toaststore.progress_compact;
SET ROLE regress_store_stranger;
SELECT count(*) FROM toaststore.stat_stores;
SELECT toaststore.store_statistics('media'::regclass);
SELECT count(*) FROM toaststore.progress_compact;
RESET ROLE;

-- A plain table has no such statistics.
CREATE TABLE plain (id bigint, value bytea);
SELECT size_bytes, fault FROM toaststore.store_statistics('plain'::regclass);

-- What each setting is.
SELECT name, setting, unit, min_val, max_val, context, short_desc IS NOT NULL AS described
  FROM pg_settings WHERE name ~ '^toaststore\.(worker|naptime|checkpoint_interval|max_workers)' ORDER BY name;
SET toaststore.worker = off;
ALTER SYSTEM SET toaststore.naptime = 0;
ALTER SYSTEM SET toaststore.max_workers = 17;

SET client_min_messages = warning;
DROP SCHEMA statistics CASCADE;
DROP ROLE regress_store_monitor, regress_store_stranger;
