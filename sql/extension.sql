-- The extension comes and goes whole: its schema is its own, and stores keep it from being dropped.

\set VERBOSITY sqlstate
CREATE EXTENSION toaststore;
SELECT nspname FROM pg_namespace WHERE nspname = 'toaststore';
SELECT amname FROM pg_am WHERE amname LIKE 'toaststore%' ORDER BY 1;
SELECT has_schema_privilege('public', 'toaststore', 'USAGE');

SELECT toaststore.create_store('kept') IS NOT NULL AS created;
DROP EXTENSION toaststore;
DROP TABLE kept;
DROP EXTENSION toaststore;
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
