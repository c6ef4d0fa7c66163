--
-- Values by key: a map is a table, the functions are short for SQL on it.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA maps;
SET search_path = maps;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
\pset format unaligned
\pset null '(null)'

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;

SELECT toaststore.create_map('files');
SELECT amname FROM pg_class JOIN pg_am ON pg_am.oid = relam WHERE pg_class.oid = 'files'::regclass;
SELECT attname, format_type(atttypid, atttypmod), attnotnull, attcollation::regcollation
  FROM pg_attribute WHERE attrelid = 'files'::regclass AND attnum > 0;

-- New, replaced, gone, and new again.
SELECT toaststore.map_set('files', 'a/1', 'one');
SELECT toaststore.map_set('files', 'a/1', random_bytes(200000, 1));
SELECT sha256(toaststore.map_get('files', 'a/1')) = sha256(random_bytes(200000, 1)) AS same;
SELECT toaststore.map_delete('files', 'a/1'), toaststore.map_get('files', 'none');
SELECT toaststore.map_delete('files', 'a/1'), toaststore.map_get('files', 'a/1');
SELECT toaststore.map_set('files', 'a/1', '');
SELECT toaststore.map_get('files', 'a/1');
-- In one transaction, where the first version is the caller's own, and with somebody's lock on the row.
BEGIN;
SELECT toaststore.map_set('files', 'own', '1'), toaststore.map_set('files', 'own', '2'), toaststore.map_set('files', 'own', '3');
SAVEPOINT a;
SELECT key FROM files WHERE key = 'own' FOR KEY SHARE;
SELECT toaststore.map_set('files', 'own', '4');
SELECT toaststore.map_delete('files', 'own');
SELECT toaststore.map_set('files', 'own', '5');
ROLLBACK TO a;
SELECT toaststore.map_get('files', 'own');
ROLLBACK;
SELECT toaststore.map_get('files', 'own');

-- Many: in the order of keys, the last of two counts.
SELECT toaststore.map_set_many('files', ARRAY['b/2', 'a/1', 'b/1', 'b/2', 'Z', 'é'],
                               ARRAY['two', 'one', random_bytes(100000, 2), 'last', 'z', random_bytes(3000, 3)]::bytea[]);
SELECT toaststore.map_set_many('files', '{}', '{}');
SELECT key, length(value), md5(value), stored_at = now() AS now FROM toaststore.map_scan('files');
SELECT key FROM toaststore.map_scan('files', 'a/', 'b/');
SELECT key FROM toaststore.map_scan('files', from_key => 'b/1');
SELECT key FROM toaststore.map_scan('files', to_key => 'b/1');
SELECT key FROM toaststore.map_scan('files', 'c', 'b');
SELECT key FROM toaststore.map_scan(NULL, 'c', 'b');
SELECT count(*), max(key) FROM toaststore.map_scan('files') AS m
 WHERE EXISTS (SELECT FROM toaststore.map_scan('files', m.key, m.key || '/'));
SELECT (toaststore.map_scan('files', 'a', 'b')).key;
-- More rows than are taken at once.
SELECT toaststore.create_map('counted');
SELECT toaststore.map_set_many('counted', array_agg(to_char(n, 'FM00000')), array_agg(int4send(n))) FROM generate_series(1, 2500) n;
SELECT count(*), min(key), max(key), sum(get_byte(value, 3)) FROM toaststore.map_scan('counted');
SELECT count(*) FROM toaststore.map_scan('counted', '00100', '01100');
-- In a select list rows are fetched as they are asked for: of 2500 a few pages are read.
SELECT key, get_byte(value, 3) FROM (SELECT (toaststore.map_scan('counted', '00100')).* LIMIT 3) taken;
SELECT count(*), count(DISTINCT key), min(key), max(key) FROM (SELECT (toaststore.map_scan('counted', '00002', '02500')).key) taken;
CREATE FUNCTION buffers(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || query INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::int + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::int;
END $$;
VACUUM counted;
SELECT buffers('SELECT toaststore.map_scan(''counted'')') > 0 AS counts,
       buffers('SELECT toaststore.map_scan(''counted'') LIMIT 3') < buffers('SELECT toaststore.map_scan(''counted'')') / 4 AS lazy;
-- A cursor goes on where it was, also when it is held over the end of its transaction, and reads what was
-- there when it was opened.
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT (toaststore.map_scan('counted', '00010', '00500')).key;
FETCH 2 FROM held;
DELETE FROM counted WHERE key < '00400';
COMMIT;
FETCH ABSOLUTE 480 FROM held;
CLOSE held;
-- A table that looks like a map may have keys twice, or none.
CREATE TABLE looks_like (key text, value bytea, stored_at timestamptz) USING toaststore;
INSERT INTO looks_like SELECT CASE WHEN n % 3 > 0 THEN to_char(n / 100, 'FM00') END, 'x' FROM generate_series(1, 2000) n;
SELECT count(*), count(key), count(DISTINCT key) FROM toaststore.map_scan('looks_like');
SELECT count(*), count(key) FROM (SELECT (toaststore.map_scan('looks_like')).key) taken;
DROP TABLE looks_like;
-- What the table has: it is a table.
SELECT * FROM files WHERE key = 'Z' AND stored_at <= now() \gset row_
SELECT :'row_value' = '\x7a' AS same;
UPDATE files SET value = value || 'x' WHERE key = 'Z' RETURNING value;
INSERT INTO files VALUES ('Z', 'again');

-- A part of a long value is read as a part of it.
SELECT toaststore.map_set('files', 'long', random_bytes(1000000, 9));
SELECT substr(toaststore.map_get('files', 'long'), 500001, 16) = substr(random_bytes(1000000, 9), 500001, 16) AS same;

-- A statement reads what was there when it began, its own changes aside, if it is STABLE.
SELECT toaststore.map_set('files', 'later', 'x'), toaststore.map_get('files', 'later');
SELECT toaststore.map_get('files', 'later');
DO $$
BEGIN
    PERFORM toaststore.map_set('files', 'later', 'y');
    RAISE NOTICE '%', convert_from(toaststore.map_get('files', 'later'), 'UTF8');
END $$;
BEGIN READ ONLY;
SELECT toaststore.map_get('files', 'later'), (SELECT count(*) FROM toaststore.map_scan('files'));
SELECT toaststore.map_set('files', 'later', 'z');
ROLLBACK;

-- Names as CREATE TABLE and regclass read them.
SELECT toaststore.create_map('Folded');
SELECT toaststore.create_map('"Quoted map"');
SELECT toaststore.create_map('public.elsewhere');
SELECT toaststore.map_set('folded', 'k', 'v'), toaststore.map_set('"Quoted map"', 'k', 'v'), toaststore.map_set('public.elsewhere', 'k', 'v');
SELECT relnamespace::regnamespace, relname FROM pg_class WHERE relname IN ('folded', 'Quoted map', 'elsewhere') ORDER BY 2;
DROP TABLE public.elsewhere;
SELECT toaststore.create_map('files');
SELECT toaststore.create_map('nowhere.files');
SELECT toaststore.create_map('two words');
SELECT toaststore.create_map('other_database.maps.files');
SELECT toaststore.create_map(NULL), toaststore.map_set('files', NULL, 'x'), toaststore.map_set('files', 'x', NULL), toaststore.map_get('files', NULL);
-- A search path that leads astray: what the functions call is named in full.
CREATE FUNCTION equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'led astray'; END $$;
CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = equal);
CREATE OPERATOR < (LEFTARG = text, RIGHTARG = text, FUNCTION = equal);
CREATE FUNCTION now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'led astray'; END $$;
CREATE DOMAIN bytea AS pg_catalog.bytea CHECK (false);
CREATE DOMAIN text AS pg_catalog.text CHECK (false);
SET search_path = maps, pg_catalog;
SELECT toaststore.create_map('astray');
SELECT toaststore.map_set('astray', 'k', 'v'), toaststore.map_set('astray', 'k', 'w'), toaststore.map_set_many('astray', '{k,l}', '{v,w}'),
       toaststore.map_delete('astray', 'm');
SELECT toaststore.map_get('astray', 'k'), (SELECT count(*) FROM toaststore.map_scan('astray', 'k', 'm'));
SET search_path = maps;
DROP OPERATOR maps.= (pg_catalog.text, pg_catalog.text), maps.< (pg_catalog.text, pg_catalog.text);
DROP FUNCTION maps.now(), maps.equal;
DROP DOMAIN maps.bytea, maps.text;

-- What is no map.
CREATE TABLE plain (key text, value text);
CREATE VIEW shown AS SELECT * FROM plain;
SELECT toaststore.create_store('media');
SELECT toaststore.map_set('plain', 'k', 'v');
SELECT toaststore.map_get('media', 'k');
SELECT toaststore.map_delete('shown', 'k');
SELECT * FROM toaststore.map_scan('files_pkey');
SELECT toaststore.map_get(12345::oid::regclass, 'k');
SELECT toaststore.map_set_many('files', '{a,b}', '{x}');
SELECT toaststore.map_set_many('files', '{a,NULL}', '{x,y}');
SELECT toaststore.map_set_many('files', '{a,b}', '{x,NULL}');
SELECT toaststore.map_get('files', 'a');

-- Rights and row security are the table's.
CREATE ROLE map_reader;
GRANT USAGE ON SCHEMA maps TO map_reader;
SET ROLE map_reader;
SELECT toaststore.map_get('files', 'later');
SELECT toaststore.map_set('files', 'later', '');
SELECT toaststore.map_delete('files', 'later');
SELECT * FROM toaststore.map_scan('files');
SELECT toaststore.create_map('maps.refused');
RESET ROLE;
GRANT SELECT ON files TO map_reader;
ALTER TABLE files ENABLE ROW LEVEL SECURITY;
CREATE POLICY below_a ON files USING (key LIKE 'a/%');
SET ROLE map_reader;
SELECT toaststore.map_get('files', 'a/1'), toaststore.map_get('files', 'later'), (SELECT count(*) FROM toaststore.map_scan('files'));
SELECT toaststore.map_set('files', 'a/1', 'x');
RESET ROLE;
GRANT INSERT, UPDATE, DELETE ON files TO map_reader;
SET ROLE map_reader;
SELECT toaststore.map_set('files', 'a/1', 'x'), toaststore.map_set('files', 'a/2', 'x'), toaststore.map_delete('files', 'later');
SELECT toaststore.map_set('files', 'later', 'x');
SELECT toaststore.map_set('files', 'b/3', 'x');
RESET ROLE;
DROP OWNED BY map_reader;
DROP ROLE map_reader;

SELECT provolatile, proparallel, proisstrict, string_agg(proname, ' ' ORDER BY proname)
  FROM pg_proc WHERE pronamespace = 'toaststore'::regnamespace AND proname LIKE '%map%' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
DROP TABLE files, folded, "Quoted map", counted, astray, media, plain CASCADE;
