--
-- What is put under an id is what is got by it: whole, by length, and until it is deleted.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA put_get;
SET search_path = put_get;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- Bytes that do not compress, the same on every run.
CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;

SELECT toaststore.create_store('media');
\d media
SELECT amname, relkind, relpersistence, reltoastrelid
  FROM pg_class JOIN pg_am ON pg_am.oid = relam WHERE pg_class.oid = 'media'::regclass;

-- Ids count from 1.
SELECT toaststore.put('media', 'one');
SELECT toaststore.put('media', 'two'), toaststore.put('media', 'three');
SELECT convert_from(toaststore.get('media', id), 'UTF8') FROM generate_series(1, 3) id;

-- Also for another connection.
\c
SET search_path = put_get;
SELECT toaststore.put('media', 'four');
\c
SET search_path = put_get;
SELECT toaststore.put('media', 'five');
SELECT id, convert_from(value, 'UTF8') FROM media;

-- Several at once: the ids are in the order of the values.
SELECT toaststore.put_many('media', ARRAY['six', 'seven', 'eight']::bytea[]);
SELECT convert_from(toaststore.get('media', id), 'UTF8') FROM generate_series(6, 8) id;
SELECT toaststore.put_many('media', '{}');
SELECT toaststore.put_many('media', ARRAY[['nine', 'ten'], ['eleven', 'twelve']]::bytea[]);
SELECT convert_from(toaststore.get('media', 12), 'UTF8');
SELECT toaststore.put_many('media', array_agg(random_bytes(n * 10, n) ORDER BY n)) AS ids
  FROM generate_series(1, 1000) n \gset
SELECT count(*), min(id), max(id), bool_and(id = n + 12) AS in_order,
       bool_and(toaststore.get('media', id) = random_bytes(n::int * 10, n::int)) AS same
  FROM unnest(:'ids'::bigint[]) WITH ORDINALITY AS stored(id, n);
SELECT toaststore.put('media', 'after a thousand') = 1013 AS next_id;

-- Of any length.
CREATE TABLE original AS
SELECT n, random_bytes(n, n) AS value,
       toaststore.put('media', random_bytes(n, n)) AS id
  FROM unnest(ARRAY[0, 1, 2, 63, 64, 100, 2000, 2032, 4095, 4096, 4097, 8119, 8120, 8121, 8160,
                    8192, 16240, 65535, 65536, 65537, 131072, 131073, 1000000, 1048576]) n;
SELECT n FROM original
 WHERE toaststore.get('media', id) IS DISTINCT FROM value
    OR toaststore.length('media', id) IS DISTINCT FROM n
    OR length(toaststore.get('media', id)) <> n;
SELECT n, toaststore.length('media', id), toaststore.get('media', id)
  FROM original WHERE n <= 2 ORDER BY n;
SELECT toaststore.put('media', '') AS empty_id \gset
SELECT toaststore.get('media', :empty_id) = '' AS empty, toaststore.length('media', :empty_id);

-- Every byte, zero too.
SELECT string_agg(decode(lpad(to_hex(i % 256), 2, '0'), 'hex'), '' ORDER BY i) AS bytes
  FROM generate_series(0, 30000) i \gset
SELECT toaststore.put('media', :'bytes') AS bytes_id \gset
SELECT toaststore.get('media', :bytes_id) = :'bytes' AS same;

-- From a table that keeps it in TOAST, compressed and not, or short in its row.
CREATE TABLE papers (n int, body bytea, plain bytea);
ALTER TABLE papers ALTER plain SET STORAGE EXTERNAL;
INSERT INTO papers VALUES (1, random_bytes(300000, 1), random_bytes(300000, 2)),
                          (2, repeat('compressible ', 20000)::bytea, repeat('as is ', 5000)::bytea),
                          (3, 'short', 'shorter');
CREATE TEMP TABLE stored AS
SELECT n, toaststore.put('media', body) AS body_id, toaststore.put('media', plain) AS plain_id
  FROM papers;
SELECT n, toaststore.get('media', body_id) = body AS body,
       toaststore.get('media', plain_id) = plain AS plain
  FROM papers JOIN stored USING (n) ORDER BY n;
SELECT toaststore.put_many('media', array_agg(body ORDER BY n)) AS ids FROM papers \gset
SELECT bool_and(toaststore.get('media', id) = body)
  FROM unnest(:'ids'::bigint[]) WITH ORDINALITY AS stored(id, n) JOIN papers USING (n);

-- Into a table, which may keep it as it likes.
CREATE TABLE copies AS SELECT n, toaststore.get('media', body_id) AS body FROM stored;
SELECT n, copies.body = papers.body AS same FROM copies JOIN papers USING (n) ORDER BY n;

-- Where nothing is, nothing is got.
SELECT toaststore.get('media', 1000000), toaststore.length('media', 1000000),
       toaststore.get_slice('media', 1000000, 0, 1), toaststore.delete('media', 1000000);
SELECT * FROM toaststore.info('media', 1000000);
SELECT toaststore.get('media', 0), toaststore.get('media', -1),
       toaststore.get('media', 9223372036854775807), toaststore.get('media', -9223372036854775808);
SELECT toaststore.delete('media', 0), toaststore.delete('media', -1);

-- Deleted once.
SELECT toaststore.delete('media', 2);
SELECT toaststore.delete('media', 2);
SELECT toaststore.get('media', 2), toaststore.length('media', 2),
       toaststore.get_slice('media', 2, 0, 1);
SELECT * FROM toaststore.info('media', 2);
SELECT toaststore.delete('media', id) FROM original WHERE n IN (0, 1, 8192, 1048576) ORDER BY n;
SELECT count(*) FROM original WHERE toaststore.get('media', id) IS NULL;
-- Its id is not given to another.
SELECT toaststore.put('media', 'another') > max(id) FROM original;

SELECT * FROM toaststore.info('media', 1);

-- An argument that is null makes a null.
SELECT toaststore.put(NULL, 'value') IS NULL AS put, toaststore.put('media', NULL) IS NULL AS put,
       toaststore.put_many('media', NULL) IS NULL AS put_many,
       toaststore.get('media', NULL) IS NULL AS get,
       toaststore.get_slice('media', 1, NULL, 1) IS NULL AS get_slice,
       toaststore.length('media', NULL) IS NULL AS length,
       toaststore.delete('media', NULL) IS NULL AS delete;
SELECT * FROM toaststore.info('media', NULL);
SELECT toaststore.create_store(NULL);
-- One among several is a mistake, and nothing is stored.
SELECT count(*) AS values_before FROM media \gset
SELECT toaststore.put_many('media', ARRAY['first', NULL, 'third']::bytea[]);
\echo :SQLSTATE
SELECT count(*) - :values_before AS stored FROM media;

-- Stores know nothing of each other.
SELECT toaststore.create_store('other');
SELECT toaststore.put('other', 'first here');
SELECT convert_from(toaststore.get('other', 1), 'UTF8'), convert_from(toaststore.get('media', 1), 'UTF8');
SELECT toaststore.delete('other', 1);
SELECT toaststore.get('other', 1), convert_from(toaststore.get('media', 1), 'UTF8');

-- Names are read as CREATE TABLE and regclass read them.
CREATE SCHEMA "Put Get";
SELECT toaststore.create_store('put_get.qualified');
SELECT toaststore.create_store('FoldedName');
SELECT toaststore.create_store('"My Store"');
SELECT toaststore.create_store('"Put Get"."a ""quoted"" name"');
SELECT toaststore.put('put_get.qualified', 'q'), toaststore.put('foldedname', 'f'),
       toaststore.put('FOLDEDNAME', 'g'), toaststore.put('"My Store"', 'm'),
       toaststore.put('"Put Get"."a ""quoted"" name"', 'n');
SELECT * FROM "My Store";
SELECT toaststore.put('My Store', 'no quotes');
\echo :SQLSTATE
SELECT toaststore.create_store('');
\echo :SQLSTATE
SELECT toaststore.create_store('no_such_schema.store');
\echo :SQLSTATE
SELECT toaststore.create_store('a.b.c');
\echo :SQLSTATE
-- In the caller's schema, also by a path that begins elsewhere.
SET search_path = "Put Get", put_get;
SELECT toaststore.create_store('here');
SELECT toaststore.put('media', 'by the path') IS NOT NULL AS found;
SET search_path = put_get;
SELECT to_regclass('here'), to_regclass('"Put Get".here');
-- A function's own search path is not ours to follow: everything is found without one.
SET search_path = '';
SELECT toaststore.put('put_get.other', 'no path');
SELECT toaststore.create_store('put_get.no_path');
SET search_path = put_get;

-- Taken names, and what is no store.
SELECT toaststore.create_store('media');
\echo :SQLSTATE
SELECT toaststore.create_store('papers');
\echo :SQLSTATE
SELECT toaststore.put('papers', 'no store');
\echo :SQLSTATE
SELECT toaststore.put_many('papers', '{}');
\echo :SQLSTATE
SELECT toaststore.get('papers', 1);
\echo :SQLSTATE
SELECT toaststore.get_slice('papers', 1, 0, 1);
\echo :SQLSTATE
SELECT toaststore.length('papers', 1);
\echo :SQLSTATE
SELECT toaststore.delete('papers', 1);
\echo :SQLSTATE
SELECT * FROM toaststore.info('papers', 1);
\echo :SQLSTATE
SELECT * FROM toaststore.verify('papers');
\echo :SQLSTATE
SELECT toaststore.alter_store('papers', 'none');
\echo :SQLSTATE
SELECT toaststore.put('no_such_store', 'x');
\echo :SQLSTATE
SELECT toaststore.get(1::oid, 1);
\echo :SQLSTATE
CREATE VIEW a_view AS SELECT * FROM media;
SELECT toaststore.get('a_view', 1);
\echo :SQLSTATE

-- A store made by hand is a store; one of other columns is none.
CREATE TABLE by_hand (id bigint, value bytea) USING toaststore_values;
-- (A function that only reads sees what was there when its statement began.)
SELECT toaststore.put('by_hand', 'x'), toaststore.get('by_hand', 1);
SELECT toaststore.get('by_hand', 1), toaststore.length('by_hand', 1);
SELECT layout, compression FROM toaststore.info('by_hand', 1);
CREATE TABLE not_so (id bigint, value bytea, note text) USING toaststore_values;
\echo :SQLSTATE
CREATE TABLE not_so (id int, value bytea) USING toaststore_values;
\echo :SQLSTATE
CREATE TABLE not_so (id bigint, value text) USING toaststore_values;
\echo :SQLSTATE
CREATE TABLE not_so () USING toaststore_values;
\echo :SQLSTATE

-- Whoever may, may.
CREATE ROLE regress_put_get_reader;
GRANT USAGE ON SCHEMA put_get TO regress_put_get_reader;
SET ROLE regress_put_get_reader;
SELECT toaststore.get('media', 1);
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT ON media TO regress_put_get_reader;
SET ROLE regress_put_get_reader;
SELECT convert_from(toaststore.get('media', 1), 'UTF8'), toaststore.length('media', 1);
SELECT layout FROM toaststore.info('media', 1);
SELECT toaststore.put('media', 'x');
\echo :SQLSTATE
SELECT toaststore.put_many('media', ARRAY['x']::bytea[]);
\echo :SQLSTATE
SELECT toaststore.delete('media', 1);
\echo :SQLSTATE
SELECT * FROM toaststore.verify('media');
\echo :SQLSTATE
SELECT toaststore.alter_store('media', 'none');
\echo :SQLSTATE
RESET ROLE;
GRANT INSERT, DELETE ON media TO regress_put_get_reader;
SET ROLE regress_put_get_reader;
SELECT toaststore.put('media', 'allowed') AS allowed_id \gset
SELECT toaststore.delete('media', :allowed_id);
RESET ROLE;
-- The functions by id cannot apply a policy, so they refuse.
ALTER TABLE media ENABLE ROW LEVEL SECURITY;
CREATE POLICY small_ids ON media USING (id < 3);
SET ROLE regress_put_get_reader;
SELECT toaststore.get('media', 1);
\echo :SQLSTATE
SELECT id FROM media;
RESET ROLE;
SELECT convert_from(toaststore.get('media', 1), 'UTF8') AS owner_reads;
DROP OWNED BY regress_put_get_reader;
DROP ROLE regress_put_get_reader;

-- What INSERT and DELETE would obey and the functions by id cannot, they refuse to pass by.
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT toaststore.create_store('guarded');
SELECT toaststore.put('guarded', 'first');
CREATE TRIGGER nothing BEFORE INSERT OR DELETE ON guarded FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT toaststore.put('guarded', 'x');
\echo :SQLSTATE
SELECT toaststore.put_many('guarded', ARRAY['x']::bytea[]);
\echo :SQLSTATE
SELECT toaststore.delete('guarded', 1);
\echo :SQLSTATE
INSERT INTO guarded (value) VALUES ('x') RETURNING id;
DELETE FROM guarded RETURNING id;
DROP TRIGGER nothing ON guarded;
ALTER TABLE guarded ADD CONSTRAINT short CHECK (length(value) < 10);
SELECT toaststore.put('guarded', 'much too long');
\echo :SQLSTATE
INSERT INTO guarded (value) VALUES ('much too long');
\echo :SQLSTATE
SELECT convert_from(toaststore.get('guarded', 1), 'UTF8'), toaststore.length('guarded', 1);
ALTER TABLE guarded DROP CONSTRAINT short;
SELECT toaststore.put('guarded', 'long now, but allowed') IS NOT NULL AS put;
CREATE TABLE parts (id bigint, value bytea) PARTITION BY RANGE (id);
CREATE TABLE small_part PARTITION OF parts FOR VALUES FROM (1) TO (100) USING toaststore_values;
SELECT toaststore.put('small_part', 'x');
\echo :SQLSTATE
INSERT INTO parts VALUES (5, 'fifth'), (7, 'seventh');
INSERT INTO parts VALUES (100, 'nowhere');
\echo :SQLSTATE
DELETE FROM parts WHERE id = 7;
SELECT tableoid::regclass, id, convert_from(toaststore.get('small_part', id), 'UTF8') FROM parts;

-- Not in a transaction that must not write.
BEGIN READ ONLY;
SELECT toaststore.get('other', 2) = 'no path' AS get;
SELECT toaststore.put('other', 'x');
\echo :SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT toaststore.delete('other', 2);
\echo :SQLSTATE
ROLLBACK;

-- Nor in a parallel worker, whatever a function that calls it says of itself.
CREATE FUNCTION said_to_be_safe() RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
    RETURN toaststore.put('other', 'x');
END
$$;
BEGIN;
SELECT toaststore.put('other', 'x') IS NOT NULL AS has_a_transaction_id;
SET LOCAL force_parallel_mode = on;
SELECT said_to_be_safe();
\echo :SQLSTATE
ROLLBACK;

SELECT toaststore.version() ~ '^1\.\d+' AS version;
SELECT toaststore.version() LIKE extversion || '%' AS same_as_extension
  FROM pg_extension WHERE extname = 'toaststore';

SELECT relation, fault.*
  FROM unnest(ARRAY['media', 'other', '"My Store"', 'by_hand', 'no_path',
                    'guarded', 'small_part']::regclass[]) relation,
       LATERAL toaststore.verify(relation) fault;

SET client_min_messages = warning;
DROP SCHEMA "Put Get" CASCADE;
DROP SCHEMA put_get CASCADE;
