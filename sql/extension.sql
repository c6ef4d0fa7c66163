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

-- Every function says what it does.
CREATE EXTENSION toaststore;
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'toaststore' AND obj_description(p.oid, 'pg_proc') IS NULL
  AND p.prorettype <> 'table_am_handler'::regtype;
DROP EXTENSION toaststore;
