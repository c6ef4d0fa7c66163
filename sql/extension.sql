-- The extension comes and goes whole: its schema is its own, and stores keep it from being dropped.

\set VERBOSITY sqlstate
CREATE EXTENSION toaststore;
SELECT nspname FROM pg_namespace WHERE nspname = 'toaststore';
SELECT amname FROM pg_am WHERE amname LIKE 'toaststore%' ORDER BY 1;
SELECT has_schema_privilege('public', 'toaststore', 'USAGE');

-- While there are tables it stays, and says what keeps their rows; each of these commands works.
SELECT toaststore.create_store('kept') IS NOT NULL AS created;
CREATE TABLE docs (id int, body text) USING toaststore;
INSERT INTO docs VALUES (1, repeat('x', 100));
CREATE MATERIALIZED VIEW "Shown docs" USING toaststore AS SELECT * FROM docs;
\set VERBOSITY default
DROP EXTENSION toaststore;
\set VERBOSITY sqlstate
DROP EXTENSION IF EXISTS plpgsql, toaststore;
ALTER TABLE docs SET ACCESS METHOD heap;
ALTER MATERIALIZED VIEW "Shown docs" SET ACCESS METHOD heap;
DROP EXTENSION toaststore;
DROP TABLE kept;
DROP EXTENSION toaststore;
SELECT count(*) FROM "Shown docs" JOIN docs USING (id, body);
CREATE EXTENSION toaststore;
CREATE TABLE lost (id int, body text) USING toaststore;
SET client_min_messages = warning;
DROP EXTENSION toaststore CASCADE;
RESET client_min_messages;
SELECT to_regclass('lost') IS NULL AS lost;
DROP MATERIALIZED VIEW "Shown docs";
DROP TABLE docs;
SELECT count(*) FROM pg_event_trigger;
SELECT count(*) FROM pg_namespace WHERE nspname = 'toaststore';
SELECT count(*) FROM pg_am WHERE amname LIKE 'toaststore%';

-- A schema that somebody else made is not taken over.
CREATE SCHEMA toaststore;
CREATE EXTENSION toaststore;
DROP SCHEMA toaststore;

-- Everything that it brings says what it is, settings too.
CREATE EXTENSION toaststore;
SELECT count(*) > 10 AS has_members,
       string_agg(pg_describe_object(classid, objid, objsubid), ', ')
           FILTER (WHERE coalesce(obj_description(objid, classid::regclass::name), '') = '') AS without_comment
  FROM pg_depend
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'toaststore');
SELECT toaststore.version() IS NOT NULL AS library_is_loaded;
SELECT name FROM pg_settings WHERE name LIKE 'toaststore.%' AND coalesce(short_desc, '') = '';
DROP EXTENSION toaststore;
