--
-- The functions by id ask for the privileges of the statements that they stand for, of whoever
-- calls; and nothing that a user can name, shadow or attach to a store of theirs misleads them.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA privileges;
SET search_path = privileges;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
CREATE ROLE regress_store_owner;
CREATE ROLE regress_store_user;
GRANT USAGE ON SCHEMA privileges TO PUBLIC;
GRANT CREATE ON SCHEMA privileges TO regress_store_owner;
-- Does a role get through with a statement? (Which is undone.)
CREATE FUNCTION tried(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE statement;
    RAISE SQLSTATE 'UNDO0';
EXCEPTION
    WHEN SQLSTATE 'UNDO0' THEN RETURN 'yes';
    WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;

-- Everybody may call the functions, and make stores where they may make tables.
SELECT has_schema_privilege('regress_store_user', 'toaststore', 'USAGE') AS usage,
       has_schema_privilege('regress_store_user', 'toaststore', 'CREATE') AS create_there,
       tried('regress_store_user', 'SELECT toaststore.version()') AS version,
       tried('regress_store_user', 'SELECT toaststore.options(0, 0, 8192, ''none'')') AS options,
       tried('regress_store_user', 'SELECT toaststore.create_store(''mine'')') AS create_store,
       tried('regress_store_user', 'SELECT toaststore.create_store(''toaststore.mine'')') AS in_toaststore,
       tried('regress_store_user', 'SELECT toaststore.create_store(''pg_temp.mine'')') AS temporary,
       tried('regress_store_owner', 'SELECT toaststore.create_store(''mine'')') AS create_store_by_owner;
SELECT proname AS not_for_everybody FROM pg_proc
 WHERE pronamespace = 'toaststore'::regnamespace AND NOT has_function_privilege('regress_store_user', oid, 'EXECUTE');
SET ROLE regress_store_owner;
SELECT toaststore.create_store('media');
RESET ROLE;
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'media'::regclass;
SELECT toaststore.put_many('media', ARRAY['small', random_bytes(3000, 1), random_bytes(300000, 2)]);
INSERT INTO media VALUES (4294967296, random_bytes(1000, 4));
CREATE TABLE before AS SELECT id, sha256(value) AS digest FROM media;
-- The same rows in a plain table, to compare with.
CREATE TABLE plain AS SELECT * FROM media;
ALTER TABLE plain ALTER value SET NOT NULL, OWNER TO regress_store_owner;

-- Each function against what is granted, beside the same done by SQL on the store and on a table.
CREATE TABLE calls (n serial, function text, call text, on_store text, on_table text);
INSERT INTO calls (function, call, on_store) VALUES
    ('get', 'SELECT toaststore.get(''media'', 1)', 'SELECT value FROM media WHERE id = 1'),
    ('get_slice', 'SELECT toaststore.get_slice(''media'', 1, 0, 1)', 'SELECT substr(value, 1, 1) FROM media WHERE id = 1'),
    ('length', 'SELECT toaststore.length(''media'', 1)', 'SELECT length(value) FROM media WHERE id = 1'),
    ('info', 'SELECT * FROM toaststore.info(''media'', 1)', 'SELECT length(value) FROM media WHERE id = 1'),
    ('put', 'SELECT toaststore.put(''media'', ''x'')', 'INSERT INTO media (value) VALUES (''x'')'),
    ('put_many', 'SELECT toaststore.put_many(''media'', ''{x,y}'')', 'INSERT INTO media (value) VALUES (''x''), (''y'')'),
    ('delete', 'SELECT toaststore.delete(''media'', 1)', 'DELETE FROM media'),
    ('verify', 'SELECT * FROM toaststore.verify(''media'')', 'ALTER TABLE media SET (fillfactor = 90)'),
    ('alter_store', 'SELECT toaststore.alter_store(''media'', ''none'')', 'ALTER TABLE media SET (fillfactor = 90)');
UPDATE calls SET on_table = replace(on_store, 'media', 'plain');
CREATE FUNCTION with_grant(given text, OUT function text, OUT by_id text, OUT on_store text, OUT on_table text)
RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    IF given IN ('pg_read_all_data', 'pg_write_all_data', 'regress_store_owner') THEN
        EXECUTE format('GRANT %I TO regress_store_user', given);
    ELSIF given <> '' THEN
        EXECUTE format('GRANT %s ON media, plain TO regress_store_user', given);
    END IF;
    RETURN QUERY SELECT c.function, tried('regress_store_user', call), tried('regress_store_user', c.on_store),
                        tried('regress_store_user', c.on_table) FROM calls c ORDER BY n;
    IF given IN ('pg_read_all_data', 'pg_write_all_data', 'regress_store_owner') THEN
        EXECUTE format('REVOKE %I FROM regress_store_user', given);
    END IF;
    REVOKE ALL ON media, plain FROM regress_store_user;
END
$$;
CREATE TABLE results AS
SELECT n, given, tried.* FROM unnest(ARRAY['', 'SELECT', 'INSERT', 'DELETE', 'UPDATE, TRUNCATE, REFERENCES, TRIGGER',
             'SELECT (id)', 'SELECT (value)', 'SELECT (id, value)', 'INSERT (id)', 'INSERT (value)',
             'INSERT (id, value)', 'UPDATE (id, value)', 'ALL', 'pg_read_all_data', 'pg_write_all_data',
             'regress_store_owner']) WITH ORDINALITY AS grants (given, n), LATERAL with_grant(given) tried;
SELECT given, string_agg(function, ' ') FILTER (WHERE by_id = 'yes') AS allowed,
       string_agg(DISTINCT by_id, ' ') FILTER (WHERE by_id <> 'yes') AS otherwise
  FROM results GROUP BY n, given ORDER BY n;
SELECT given, function, by_id, on_store, on_table FROM results
 WHERE by_id <> on_store OR on_store <> on_table;
-- In words.
SET ROLE regress_store_user;
SELECT toaststore.get('media', 1);
SELECT toaststore.verify('media');
-- Whoever may not read does not learn either what is there.
SELECT toaststore.length('media', 1000);
SELECT toaststore.get_slice('media', 1, 0, 0);
SELECT toaststore.delete('media', 1000);
RESET ROLE;

-- Grants are those of any table: by default, for all tables of a schema, with grant option, to
-- everybody, and taken away again.
ALTER DEFAULT PRIVILEGES FOR ROLE regress_store_owner IN SCHEMA privileges GRANT SELECT ON TABLES TO regress_store_user;
SET ROLE regress_store_owner;
SELECT toaststore.create_store('by_default');
RESET ROLE;
SELECT tried('regress_store_user', 'SELECT toaststore.get(''by_default'', 1)') AS get,
       tried('regress_store_user', 'SELECT toaststore.put(''by_default'', ''x'')') AS put;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_store_owner IN SCHEMA privileges REVOKE SELECT ON TABLES FROM regress_store_user;
GRANT INSERT ON ALL TABLES IN SCHEMA privileges TO regress_store_user WITH GRANT OPTION;
SELECT tried('regress_store_user', 'SELECT toaststore.put(''by_default'', ''x'')') AS put,
       tried('regress_store_user', 'GRANT INSERT ON media TO PUBLIC') AS grant;
REVOKE ALL ON ALL TABLES IN SCHEMA privileges FROM regress_store_user;
GRANT DELETE ON media TO PUBLIC;
SELECT tried('regress_store_user', 'SELECT toaststore.delete(''media'', 1)') AS delete;
REVOKE DELETE ON media FROM PUBLIC;
SELECT tried('regress_store_user', 'SELECT toaststore.delete(''media'', 1)') AS delete,
       tried('regress_store_user', 'GRANT SELECT ON media TO regress_store_user') AS grant;
SELECT relacl FROM pg_class WHERE oid = 'media'::regclass;

-- A store belongs to its owner, also to the next one.
CREATE ROLE regress_store_heir;
ALTER TABLE media OWNER TO regress_store_heir;
SELECT role, tried(role, 'SELECT * FROM toaststore.verify(''media'')') AS verify,
       tried(role, 'SELECT toaststore.alter_store(''media'', ''none'')') AS alter_store,
       tried(role, 'SELECT toaststore.get(''media'', 1)') AS get, tried(role, 'TRUNCATE media') AS truncate,
       tried(role, 'DROP TABLE media') AS drop
  FROM unnest(ARRAY['regress_store_owner', 'regress_store_heir', 'regress_store_user']) role;
-- An owner may give up the right to read, and keeps that to look after the store.
REVOKE ALL ON media FROM regress_store_heir;
SELECT function, tried('regress_store_heir', call) FROM calls ORDER BY n;
GRANT ALL ON media TO regress_store_heir;
REASSIGN OWNED BY regress_store_heir TO regress_store_owner;
DROP OWNED BY regress_store_heir;
DROP ROLE regress_store_heir;
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'media'::regclass;

-- A function has the rights of whoever it runs as; a view asks for its owner's as far as it reads
-- the store itself, and for the caller's where it calls a function.
SET ROLE regress_store_owner;
CREATE FUNCTION get_for_all(bigint) RETURNS bytea LANGUAGE sql SECURITY DEFINER SET search_path = privileges
AS 'SELECT toaststore.get(''media'', $1)';
CREATE FUNCTION put_for_all(bytea) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = privileges
AS 'SELECT toaststore.put(''media'', $1)';
CREATE FUNCTION row_for_all(bigint) RETURNS media LANGUAGE sql SECURITY DEFINER SET search_path = privileges
AS 'SELECT * FROM media WHERE id = $1';
CREATE FUNCTION get_for_oneself(bigint) RETURNS bytea LANGUAGE sql AS 'SELECT toaststore.get(''privileges.media'', $1)';
CREATE VIEW reading AS SELECT id, value FROM media;
CREATE VIEW reading_as_caller WITH (security_invoker) AS SELECT id, value FROM media;
CREATE VIEW calling AS SELECT id, toaststore.get('media', id) AS value FROM media;
GRANT SELECT ON reading, reading_as_caller, calling TO regress_store_user;
RESET ROLE;
SELECT what, tried('regress_store_user', what) FROM unnest(ARRAY[
    'SELECT get_for_all(1)', 'SELECT put_for_all(''x'')', 'SELECT row_for_all(1)', 'SELECT get_for_oneself(1)',
    'SELECT * FROM reading', 'SELECT * FROM reading_as_caller', 'SELECT * FROM calling', 'SELECT id FROM calling']) what;
-- The value is read when it is looked at, which may be later, by somebody who could not have.
SET ROLE regress_store_user;
SELECT id, length(value), value = privileges.random_bytes(1000, 4) AS same FROM reading ORDER BY value;
SELECT id, length((row_for_all(id)).value) FROM reading;
SELECT bool_and(get_for_all(id) = value) AS same FROM reading;
RESET ROLE;

-- Row security: the functions cannot apply a policy, so they refuse, whatever it would allow; SQL on
-- the store gives what it gives on a table.
GRANT ALL ON media, plain TO regress_store_user;
CREATE FUNCTION row_security_of(role text, OUT function text, OUT by_id text, OUT on_store text, OUT on_table text)
RETURNS SETOF record LANGUAGE sql AS $$
    SELECT function, tried(role, call), tried(role, on_store), tried(role, on_table) FROM calls ORDER BY n
$$;
CREATE FUNCTION seen_by(role text, relation regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE format('SELECT string_agg(id || '':'' || length(value), '' '' ORDER BY id) FROM %s', relation) INTO answer;
    PERFORM set_config('role', 'none', true);
    RETURN answer;
END
$$;
ALTER TABLE media ENABLE ROW LEVEL SECURITY;
ALTER TABLE plain ENABLE ROW LEVEL SECURITY;
SELECT * FROM row_security_of('regress_store_user');
SELECT seen_by('regress_store_user', 'media') AS media, seen_by('regress_store_user', 'plain') AS plain;
CREATE POLICY few ON media USING (id BETWEEN 2 AND 10) WITH CHECK (id > 5 AND length(value) < 100);
CREATE POLICY few ON plain USING (id BETWEEN 2 AND 10) WITH CHECK (id > 5 AND length(value) < 100);
SELECT * FROM row_security_of('regress_store_user');
SELECT seen_by('regress_store_user', 'media') AS media, seen_by('regress_store_user', 'plain') AS plain;
SELECT statement, tried('regress_store_user', statement) AS store,
       tried('regress_store_user', replace(statement, 'media', 'plain')) AS plain
  FROM unnest(ARRAY['INSERT INTO media VALUES (7, ''x'')', 'INSERT INTO media VALUES (4, ''x'')',
                    'INSERT INTO media VALUES (8, random_bytes(1000, 8))', 'INSERT INTO media (value) VALUES (''x'')',
                    'TRUNCATE media']) statement;
SET ROLE regress_store_user;
COPY media (id) TO STDOUT;
COPY plain (id) TO STDOUT;
COPY media FROM STDIN;
7	x
\.
COPY plain FROM STDIN;
7	x
\.
RESET ROLE;
-- What may be read may be deleted; and the owner, and who may pass row security by, pass it by.
BEGIN;
SET LOCAL ROLE regress_store_user;
DELETE FROM media RETURNING id, length(value);
DELETE FROM plain RETURNING id, length(value);
ROLLBACK;
SELECT by_id, count(*) FROM row_security_of('regress_store_owner') GROUP BY by_id;
ALTER TABLE media FORCE ROW LEVEL SECURITY;
ALTER TABLE plain FORCE ROW LEVEL SECURITY;
SELECT * FROM row_security_of('regress_store_owner');
SELECT tried('regress_store_owner', 'SET LOCAL row_security = off; SELECT toaststore.get(''media'', 1)') AS get,
       tried('regress_store_owner', 'SET LOCAL row_security = off; SELECT value FROM media') AS value;
ALTER ROLE regress_store_user BYPASSRLS;
SELECT by_id, count(*) FROM row_security_of('regress_store_user')
 WHERE function NOT IN ('verify', 'alter_store') GROUP BY by_id;
ALTER ROLE regress_store_user NOBYPASSRLS;
SET ROLE regress_store_user;
SELECT toaststore.get('media', 2);
RESET ROLE;
-- A condition of the caller's is shown only rows that the policy lets through.
CREATE FUNCTION told(bigint, bytea) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    RAISE NOTICE 'shown % of % bytes', $1, length($2);
    RETURN true;
END
$$;
SET ROLE regress_store_user;
SELECT id FROM media WHERE told(id, value);
RESET ROLE;
ALTER TABLE media DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE plain DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;

-- Names of the library's that stand for something else in a schema that is searched before
-- pg_catalog: nothing of it is found.
CREATE SCHEMA evil;
CREATE TYPE evil.bytea AS (stolen int);
CREATE TYPE evil.int8 AS (stolen int);
CREATE TYPE evil.text AS (stolen int);
CREATE TYPE evil.regclass AS (stolen int);
CREATE FUNCTION evil.steal() RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS 'BEGIN RAISE WARNING ''evil as %'', current_user; RETURN true; END';
CREATE FUNCTION evil.options(int, int, int, pg_catalog.text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT evil.steal()';
CREATE FUNCTION evil.quote_ident(pg_catalog.text) RETURNS pg_catalog.text LANGUAGE sql AS 'SELECT evil.steal()::pg_catalog.text';
CREATE FUNCTION evil.equal(pg_catalog.int8, pg_catalog.int8) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT evil.steal()';
CREATE FUNCTION evil.equal(oid, oid) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT evil.steal()';
CREATE FUNCTION evil.equal(name, name) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT evil.steal()';
CREATE FUNCTION evil.equal(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT evil.steal()';
CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = pg_catalog.int8, RIGHTARG = pg_catalog.int8);
CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = oid, RIGHTARG = oid);
CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = name, RIGHTARG = name);
CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text);
CREATE TABLE evil.pg_class (relname name);
CREATE TABLE evil.pg_constraint (conname name);
CREATE TABLE evil.media (id bigint, value bytea);
SET search_path = evil, pg_catalog;
SELECT toaststore.create_store('privileges.made', 100, 5000, 8192, 'zstd:2');
SELECT toaststore.put('privileges.made', 'x'), toaststore.put_many('privileges.made', '{a,b}');
SELECT toaststore.get('privileges.made', 1), toaststore.get_slice('privileges.made', 1, 0, 1),
       toaststore.length('privileges.made', 1), toaststore.delete('privileges.made', 1);
SELECT layout, compression FROM toaststore.info('privileges.made', 2);
SELECT toaststore.alter_store('privileges.made', 'none');
SELECT * FROM toaststore.verify('privileges.made');
SET search_path = privileges;
SELECT attname, atttypid::regtype, attnotnull FROM pg_attribute WHERE attrelid = 'made'::regclass AND attnum > 0;
SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'made'::regclass;
SET client_min_messages = warning;
DROP SCHEMA evil CASCADE;
RESET client_min_messages;

-- A temporary table hides a store's name as it hides a table's; what is given by its schema or its
-- identity is not mistaken for it, and what is made is what was asked for.
CREATE TEMP TABLE media (id bigint, value bytea);
CREATE TEMP TABLE fresh (id bigint, value bytea);
CREATE FUNCTION pg_temp.options(int, int, int, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT 1 / 0 = 0';
SELECT toaststore.put('media', 'x');
\echo :SQLSTATE
SELECT toaststore.create_store('fresh') AS made \gset
SELECT :'made'::regclass = 'privileges.fresh'::regclass AS made_here;
SELECT toaststore.put('privileges.fresh', 'x');
SELECT toaststore.alter_store('privileges.fresh', 'none');
SELECT convert_from(get_for_oneself(1), 'UTF8');
SELECT relnamespace::regnamespace::text ~ '^pg_temp' AS temporary, amname,
       (SELECT count(*) FROM pg_constraint WHERE conrelid = pg_class.oid)
  FROM pg_class LEFT JOIN pg_am ON pg_am.oid = relam WHERE relname IN ('fresh', 'media')
   AND relnamespace IN (pg_my_temp_schema(), 'privileges'::regnamespace) ORDER BY 1, 2, 3;
DROP TABLE pg_temp.media, pg_temp.fresh;
DROP FUNCTION pg_temp.options;
-- A plan made before is not misled either.
PREPARE getting AS SELECT convert_from(toaststore.get('privileges.media', 1), 'UTF8');
EXECUTE getting;
CREATE TEMP TABLE media (id bigint, value bytea) USING toaststore_values;
INSERT INTO pg_temp.media VALUES (1, 'a trap');
EXECUTE getting;
SELECT convert_from(toaststore.get('media', 1), 'UTF8');
DROP TABLE pg_temp.media;

-- What is attached to a store of somebody else's does not run as whoever calls a function on it.
GRANT CREATE ON SCHEMA privileges TO regress_store_user;
SET ROLE regress_store_user;
CREATE FUNCTION trap(bytea) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS 'BEGIN RAISE WARNING ''caught %'', current_user; RETURN true; END';
CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM privileges.trap(''''); RETURN NEW; END';
CREATE TABLE checked (id bigint, value bytea CHECK (trap(value))) USING toaststore_values;
CREATE TABLE named (id bigint, value bytea, CONSTRAINT toaststore_options CHECK (trap(value))) USING toaststore_values;
CREATE TABLE triggered (id bigint, value bytea) USING toaststore_values;
CREATE TRIGGER trap AFTER INSERT OR DELETE ON triggered FOR EACH STATEMENT EXECUTE FUNCTION trap();
CREATE TABLE ruled (id bigint, value bytea) USING toaststore_values;
CREATE RULE trap AS ON INSERT TO ruled DO ALSO SELECT privileges.trap(NEW.value);
CREATE TABLE secured (id bigint DEFAULT trap('')::int, value bytea) USING toaststore_values;
CREATE POLICY trap ON secured USING (trap(value));
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
RESET ROLE;
SELECT relation, statement, tried(current_user, format('SELECT ' || statement, relation))
  FROM unnest(ARRAY['checked', 'named', 'triggered', 'ruled', 'secured']) relation,
       unnest(ARRAY['toaststore.put(%L, ''x'')', 'toaststore.get(%L, 1)', 'toaststore.delete(%L, 1)',
                    'toaststore.verify(%L)', 'toaststore.info(%L, 1)']) statement;

-- Nobody else puts anything into the extension's schema, or takes the access method away.
SELECT statement, tried('regress_store_user', statement) FROM unnest(ARRAY[
    'CREATE FUNCTION toaststore.options(int, int, int, bytea) RETURNS boolean LANGUAGE sql AS ''SELECT true''',
    'CREATE TABLE toaststore.media (id bigint, value bytea)', 'DROP FUNCTION toaststore.options',
    'ALTER FUNCTION toaststore.get SET search_path = privileges', 'DROP ACCESS METHOD toaststore_values CASCADE',
    'CREATE ACCESS METHOD mine TYPE TABLE HANDLER toaststore.toaststore_values_handler',
    'DROP EXTENSION toaststore CASCADE']) statement;
SELECT statement, tried(current_user, statement) FROM unnest(ARRAY[
    'DROP FUNCTION toaststore.options', 'DROP ACCESS METHOD toaststore_values', 'DROP SCHEMA toaststore']) statement;

-- The functions' labels.
SELECT proname, provolatile, proparallel, procost, prorows, proisstrict, prosecdef, proleakproof, proconfig
  FROM pg_proc WHERE pronamespace = 'toaststore'::regnamespace ORDER BY proname;
-- So they are not in an index, whose rows would outlive the answer,
CREATE TABLE documents (content bigint);
CREATE INDEX ON documents (toaststore.length('media', content));
\echo :SQLSTATE
CREATE TABLE generated (content bigint, bytes bigint GENERATED ALWAYS AS (toaststore.length('media', content)) STORED);
\echo :SQLSTATE
-- are called for each row where they change something,
SELECT count(DISTINCT put) FROM (SELECT toaststore.put('media', 'again') AS put FROM generate_series(1, 3)) put;
DELETE FROM media WHERE value = 'again';
-- and stay with the leader of a parallel query, where a temporary store can be read.
INSERT INTO documents SELECT 1 FROM generate_series(1, 5000);
ANALYZE documents;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
CREATE TEMP TABLE passing (id bigint, value bytea) USING toaststore_values;
SELECT toaststore.put('passing', random_bytes(3000, 1));
EXPLAIN (COSTS OFF) SELECT sum(toaststore.length('passing', content)) FROM documents;
SELECT sum(toaststore.length('passing', content)) FROM documents;
EXPLAIN (COSTS OFF) SELECT count(toaststore.version()) FROM documents;
EXPLAIN (COSTS OFF) SELECT count(toaststore.put('passing', 'x')) FROM documents;
SET LOCAL force_parallel_mode = on;
SELECT toaststore.length('passing', 1), length(toaststore.get('passing', 1)), length(toaststore.get_slice('passing', 1, 0, 9)),
       (SELECT layout FROM toaststore.info('passing', 1)), toaststore.put('passing', 'x'), toaststore.delete('passing', 1);
COMMIT;

-- None of which changed anything.
SELECT id, b.digest IS NULL AS more, a.digest IS NULL AS less
  FROM before b FULL JOIN (SELECT id, sha256(value) AS digest FROM media) a USING (id)
 WHERE b.digest IS DISTINCT FROM a.digest;
SELECT relation, fault.* FROM unnest(ARRAY['media', 'made', 'fresh', 'by_default', 'passing']::regclass[]) relation,
       LATERAL toaststore.verify(relation) fault;

\pset format aligned
SET client_min_messages = warning;
DROP SCHEMA privileges CASCADE;
DROP TABLE passing;
DROP OWNED BY regress_store_owner, regress_store_user;
DROP ROLE regress_store_owner, regress_store_user;
