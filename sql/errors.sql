--
-- Bad input gets an error that says what is wrong, by its SQLSTATE and in words, and changes nothing:
-- neither the store nor the catalog.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA errors;
SET search_path = errors;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null '(null)'

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
-- How a statement fails.
CREATE FUNCTION failure(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    message := 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END
$$;

SELECT toaststore.create_store('media');
SELECT toaststore.put_many('media', ARRAY['small', '', random_bytes(3000, 1), random_bytes(30000, 2),
                                          random_bytes(300000, 3)]);
CREATE TABLE before AS SELECT id, sha256(value) AS digest FROM media;
CREATE VIEW changes AS
SELECT id, b.digest AS before, a.digest AS after
  FROM before b FULL JOIN (SELECT id, sha256(value) AS digest FROM media) a USING (id)
 WHERE b.digest IS DISTINCT FROM a.digest;
CREATE FUNCTION relations() RETURNS bigint LANGUAGE sql
AS 'SELECT count(*) FROM pg_class WHERE relnamespace = ''errors''::regnamespace';

-- Every function that is given a store, with arguments that are right otherwise. (The procedures: upkeep.)
CREATE TABLE calls (function text, call text);
INSERT INTO calls VALUES
    ('put', 'toaststore.put(%s, ''x'')'),
    ('put_many', 'toaststore.put_many(%s, ARRAY[''x'']::bytea[])'),
    ('get', 'toaststore.get(%s, 1)'),
    ('get_slice', 'toaststore.get_slice(%s, 1, 0, 1)'),
    ('length', 'toaststore.length(%s, 1)'),
    ('delete', 'toaststore.delete(%s, 1)'),
    ('info', 'toaststore.info(%s, 1)'),
    ('removable', 'toaststore.removable(%s)'),
    ('verify', 'toaststore.verify(%s)'),
    ('alter_store', 'toaststore.alter_store(%s, ''none'')');
SELECT proname AS function_without_a_call FROM pg_proc
 WHERE pronamespace = 'toaststore'::regnamespace AND prokind = 'f' AND proargtypes[0] = 'regclass'::regtype
   AND proname NOT IN (SELECT function FROM calls);

-- No store, whatever else it is: every function says so.
CREATE TABLE a_table (id bigint PRIMARY KEY, value bytea);
CREATE VIEW a_view AS SELECT * FROM media;
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM media WHERE id = 1;
CREATE SEQUENCE a_sequence;
CREATE TABLE a_partitioned (id bigint, value bytea) PARTITION BY RANGE (id);
CREATE INDEX a_partitioned_index ON a_partitioned (id);
CREATE TYPE a_type AS (id bigint, value bytea);
CREATE FOREIGN DATA WRAPPER toaststore_wrapper;
CREATE SERVER toaststore_server FOREIGN DATA WRAPPER toaststore_wrapper;
CREATE FOREIGN TABLE a_foreign_table (id bigint, value bytea) SERVER toaststore_server;
CREATE TEMP TABLE a_temporary_table (id bigint, value bytea);
CREATE TABLE no_stores (relation regclass);
INSERT INTO no_stores
SELECT unnest(ARRAY['a_table', 'a_table_pkey', 'a_view', 'a_matview', 'a_sequence', 'a_partitioned',
                    'a_partitioned_index', 'a_type', 'a_foreign_table', 'a_temporary_table',
                    'pg_catalog.pg_class', 'pg_catalog.pg_authid',
                    'information_schema.tables']::regclass[])
 UNION ALL SELECT reltoastrelid FROM pg_class WHERE oid = 'a_table'::regclass;
SELECT state, hint, count(*), count(DISTINCT function) AS functions, count(DISTINCT relation) AS relations
  FROM no_stores, calls,
       LATERAL failure('SELECT ' || format(call, quote_literal(relation::oid) || '::regclass'))
 GROUP BY state, hint;
SELECT * FROM failure($$SELECT toaststore.get('a_view', 1)$$);

-- Nothing there.
CREATE TABLE dropped (id bigint, value bytea) USING toaststore_values;
SELECT 'dropped'::regclass::oid AS dropped \gset
DROP TABLE dropped;
SELECT state, count(*), count(DISTINCT function) AS functions
  FROM unnest(ARRAY[0, 1, :dropped, 4294967295]::oid[]) relation, calls,
       LATERAL failure('SELECT ' || format(call, relation || '::oid')) GROUP BY state;
SELECT * FROM failure($$SELECT toaststore.get(0::oid, 1)$$);
SELECT name, state, message FROM (VALUES
    ('nowhere'), ('errors.nowhere'), ('no_such_schema.media'), ('Media'), ('"MEDIA"'), ('media.x.y'),
    ('a.b.c.d'), (''), (' '), ('media x'), ('media;'), ('"media'), ('media."'), ('.media')) names (name),
    LATERAL failure(format('SELECT toaststore.get(%L, 1)', name));
-- A name's case and blanks do not matter where they do not to regclass.
SELECT name, toaststore.length(name::regclass, 1)
  FROM unnest(ARRAY['MEDIA', ' media ', 'errors . Media', '"media"', '"errors"."media"']) name;

-- Names that no store can be given.
SELECT relations() AS relations_before \gset
CREATE TYPE taken_type AS ENUM ();
SELECT name, state, message, hint FROM (VALUES
    ('media'), ('MEDIA'), ('errors.media'), ('a_table'), ('a_table_pkey'), ('a_view'), ('a_matview'),
    ('a_sequence'), ('a_partitioned'), ('a_foreign_table'), ('a_type'), ('taken_type'),
    (''), (' '), ('.'), ('x.'), ('.x'), ('x y'), ('"x'), ('""'), ('a.b.c.d'),
    ('no_such_schema.x'), ('no_such_database.errors.x'), ('pg_catalog.x'), ('pg_toast.x')) names (name),
    LATERAL failure(format('SELECT toaststore.create_store(%L)', name));
-- They are the same for CREATE TABLE.
SELECT name, t.state, s.state FROM (VALUES
    ('media'), ('a_view'), ('a_table_pkey'), ('taken_type'), ('pg_catalog.x'), ('pg_toast.x'),
    ('no_such_schema.x'), ('no_such_database.errors.x')) names (name),
    LATERAL failure(format('SELECT toaststore.create_store(%L)', name)) s,
    LATERAL failure(format('CREATE TABLE %s (id bigint, value bytea)', name)) t
 WHERE s.state IS DISTINCT FROM t.state;
SET search_path = '';
SELECT * FROM errors.failure($$SELECT toaststore.create_store('x')$$);
SET search_path = no_such_schema;
SELECT * FROM errors.failure($$SELECT toaststore.create_store('x')$$);
SET search_path = errors;
SELECT relations() - :relations_before AS made;
-- Names that it can: with the database's own, quoted, of any letters, cut to their length, and
-- those that regclass needs no quotes for.
SELECT toaststore.create_store(name) FROM (VALUES
    (format('%I.errors.of_database', current_database())), ('"a"".b"'), ('"Größe ♥"'), ('"select"'),
    ('user'), ('x;y'), ('1x'), ('"; DROP TABLE errors.media; --"'), ('$1'), ('"%s %I"'), (repeat('long', 20))) names (name);
SELECT relname, length(relname::text) FROM pg_class WHERE relname LIKE 'longlong%';
SELECT toaststore.put(repeat('long', 20)::regclass, 'x');

-- Options out of their range, with the range, in either function; the good ones beside them.
SELECT relations() AS relations_before \gset
SELECT options, state, message, hint FROM (VALUES
    ('direct_max => -1'), ('direct_max => 8001, extent_max => 9000'), ('direct_max => 2147483647'),
    ('direct_max => -2147483648'), ('direct_max => 5000, extent_max => 4999'), ('extent_max => 262145'),
    ('extent_max => -1'), ('chunk_bytes => 0'), ('chunk_bytes => 8191'), ('chunk_bytes => 262145'),
    ('chunk_bytes => -65536'), ('compression => '''''), ('compression => ''pglz'''),
    ('compression => ''zstd:0'''), ('compression => ''zstd:20'''), ('compression => ''zstd:1;'''),
    ('compression => ''lz4:9'''), ('compression => ''zstd,lz4'''),
    ('compression => repeat(''zstd'', 3)')) bad (options),
    LATERAL failure(format('SELECT toaststore.create_store(''unmade'', %s)', options));
SELECT compression, state, message FROM unnest(ARRAY['', 'pglz', 'zstd:0', 'zstd:20', 'ZSTD']) compression,
       LATERAL failure(format('SELECT toaststore.alter_store(''media'', %L)', compression));
SELECT options, state, message FROM (VALUES
    ('-1, 65536, 65536, ''lz4'''), ('0, 0, 8191, ''lz4'''), ('0, 0, 8192, ''best''')) bad (options),
    LATERAL failure(format('SELECT toaststore.options(%s)', options));
-- What is no int is no option.
SELECT state FROM failure($$SELECT toaststore.create_store('unmade', direct_max => 3000000000)$$);
SELECT state FROM failure($$SELECT toaststore.create_store('unmade', direct_max => 'many')$$);
SELECT state FROM failure($$SELECT toaststore.create_store('unmade', block_size => 1)$$);
SELECT relations() - :relations_before AS made, to_regclass('unmade');
BEGIN;
SELECT count(toaststore.create_store('made_' || n, direct_max, extent_max, chunk_bytes, compression))
  FROM (VALUES (1, 0, 0, 8192, 'none'), (2, 8000, 8000, 262144, 'zstd:1'),
               (3, 8000, 262144, 8192, 'zstd:19')) good (n, direct_max, extent_max, chunk_bytes, compression);
ROLLBACK;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'media'::regclass;

-- Null, for each argument of each function: nothing is done, and the answer is null, or no row.
SELECT relations() AS relations_before \gset
CREATE FUNCTION answer(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    whole record;
BEGIN
    EXECUTE 'SELECT ' || call || ' AS answer' INTO whole;
    RETURN CASE WHEN whole IS NULL THEN NULL ELSE 'an answer' END;
END
$$;
SELECT call, answer(call) FROM (VALUES
    ('toaststore.create_store(NULL)'), ('toaststore.create_store(''unmade'', direct_max => NULL)'),
    ('toaststore.create_store(''unmade'', extent_max => NULL)'),
    ('toaststore.create_store(''unmade'', chunk_bytes => NULL)'),
    ('toaststore.create_store(''unmade'', compression => NULL)'),
    ('toaststore.alter_store(NULL, ''none'')'), ('toaststore.alter_store(''media'', NULL)'),
    ('toaststore.put(NULL, ''x'')'), ('toaststore.put(''media'', NULL)'),
    ('toaststore.put_many(NULL, ARRAY[''x'']::bytea[])'), ('toaststore.put_many(''media'', NULL)'),
    ('toaststore.get(NULL, 1)'), ('toaststore.get(''media'', NULL)'),
    ('toaststore.get_slice(NULL, 1, 0, 1)'), ('toaststore.get_slice(''media'', NULL, 0, 1)'),
    ('toaststore.get_slice(''media'', 1, NULL, 1)'), ('toaststore.get_slice(''media'', 1, 0, NULL)'),
    ('toaststore.length(NULL, 1)'), ('toaststore.length(''media'', NULL)'),
    ('toaststore.delete(NULL, 1)'), ('toaststore.delete(''media'', NULL)'),
    ('toaststore.info(NULL, 1)'), ('toaststore.info(''media'', NULL)'),
    ('toaststore.verify(NULL)'), ('toaststore.options(NULL, 1, 8192, ''none'')'),
    ('toaststore.options(1, 1, 8192, NULL)'), ('toaststore.length(''media'', 1)')) calls (call);
SELECT relations() - :relations_before AS made;
CREATE FUNCTION many_values() RETURNS bytea[] LANGUAGE sql
AS 'SELECT array_agg(random_bytes(5000, n)) FROM generate_series(1, 200) n';
-- Null among several, or as the value of a row, is a mistake.
SELECT elements, f.* FROM (VALUES
    ('ARRAY[NULL]::bytea[]'), ('ARRAY[''a'', NULL]::bytea[]'), ('ARRAY[NULL, ''a'', NULL]::bytea[]'),
    ('ARRAY[[''a'', ''b''], [''c'', NULL]]::bytea[]'), ('''[5:6]={a,NULL}''::bytea[]'),
    ('array_append(many_values(), NULL)')) given (elements),
    LATERAL failure('SELECT toaststore.put_many(''media'', ' || elements || ')') f;
SELECT state, message FROM failure('INSERT INTO media VALUES (NULL, NULL)');
SELECT state, message FROM failure('INSERT INTO media VALUES (100, NULL)');
SELECT state, message FROM failure('INSERT INTO media (id) VALUES (100)');
SELECT state, message FROM failure('INSERT INTO media DEFAULT VALUES');
SELECT state, message FROM failure($$INSERT INTO media VALUES (100, 'x'), (101, NULL)$$);
CREATE TABLE nullable (id bigint, value bytea) USING toaststore_values;
SELECT state, message FROM failure('INSERT INTO nullable VALUES (1, NULL)');
SELECT * FROM nullable;
-- Values and ids of other types are no values and ids.
SELECT statement, state FROM (VALUES
    ('toaststore.put(''media'', ''x''::text)'), ('toaststore.put(''media'', 1)'),
    ('toaststore.put_many(''media'', ARRAY[''x''])'), ('toaststore.put_many(''media'', ''x'')'),
    ('toaststore.put(''media'', ''\xabc'')'), ('toaststore.get(''media'', ''one'')'),
    ('toaststore.get(''media'', 1.5)'), ('toaststore.get(''media'', 9223372036854775808)'),
    ('toaststore.get(''media'')'), ('toaststore.put(''media'')'),
    ('toaststore.get_slice(''media'', 1, 0)'), ('toaststore.get_slice(''media'', 1, 0, 2147483648)'),
    ('toaststore.toaststore_values_handler(NULL)')) calls (statement),
    LATERAL failure('SELECT ' || statement);

-- An id out of range names no value, and is none to insert.
SELECT id, toaststore.get('media', id), toaststore.get_slice('media', id, 0, 1),
       toaststore.length('media', id), toaststore.delete('media', id),
       (SELECT count(*) FROM toaststore.info('media', id)) AS info
  FROM unnest(ARRAY[-9223372036854775808, -140737488289792, -1, 0, 4294967296, 4294967297, 140737488289792,
                    140737488289793, 140737488355328, 281474976710657, 9223372036854775807]) id;
SELECT id, state, message, detail, hint
  FROM unnest(ARRAY[-9223372036854775808, -1, 0, 140737488289793, 281474976710657,
                    9223372036854775807]) id,
       LATERAL failure(format('INSERT INTO media VALUES (%s, ''x'')', id));
SELECT state, message FROM failure($$INSERT INTO media VALUES (1000, 'fine'), (0, 'not'), (1001, 'fine')$$);
SELECT state FROM failure($$INSERT INTO media VALUES (9223372036854775808, 'x')$$);

-- Slices that cannot be.
SELECT slice_offset, slice_length, f.*
  FROM (VALUES (-1, 1), (0, -1), (-1, -1), (-9223372036854775808, 0), (0, -2147483648),
               (9223372036854775807, -1)) bad (slice_offset, slice_length),
       LATERAL failure(format('SELECT toaststore.get_slice(''media'', 5, %s, %s)',
                              slice_offset, slice_length)) f;

-- An id that is taken: by itself, in one statement, behind good rows, and by what others are about
-- to get.
SELECT statement, f.* FROM (VALUES
    ($$INSERT INTO media VALUES (1, 'x')$$),
    ($$INSERT INTO media VALUES (5, random_bytes(500000, 9))$$),
    ($$INSERT INTO media VALUES (70, 'x'), (70, 'y')$$),
    ($$INSERT INTO media VALUES (71, 'x'), (72, 'y'), (2, 'z')$$),
    ($$INSERT INTO media SELECT n, random_bytes(3000, n) FROM generate_series(1000, 3, -1) n$$),
    ($$INSERT INTO media SELECT * FROM media$$),
    ($$WITH a AS (INSERT INTO media VALUES (80, 'a')) INSERT INTO media VALUES (80, 'b')$$),
    ($$MERGE INTO media USING (VALUES (1)) new (id) ON false
       WHEN NOT MATCHED THEN INSERT VALUES (new.id, 'x')$$)) taken (statement),
    LATERAL failure(statement) f;
BEGIN;
INSERT INTO media VALUES (90, 'mine') RETURNING id;
SAVEPOINT a;
INSERT INTO media VALUES (90, 'mine again');
\echo :SQLSTATE
ROLLBACK TO a;
SELECT toaststore.delete('media', 90);
ROLLBACK;
\set VERBOSITY sqlstate
COPY media FROM STDIN;
91	fine
1	taken
\.
COPY media FROM STDIN;
0	out of range
\.
COPY media FROM STDIN;
92	\\xnot hex
\.
\set VERBOSITY default

-- Nothing is written in a transaction that only reads; reading goes on.
SELECT relations() AS relations_before \gset
BEGIN READ ONLY;
SELECT statement, f.* FROM (VALUES
    ($$SELECT toaststore.put('media', 'x')$$), ($$SELECT toaststore.put_many('media', ARRAY['x']::bytea[])$$),
    ($$SELECT toaststore.put_many('media', '{}')$$), ($$SELECT toaststore.delete('media', 1)$$),
    ($$SELECT toaststore.delete('media', 1000)$$), ($$SELECT toaststore.alter_store('media', 'none')$$),
    ($$SELECT toaststore.create_store('unmade')$$), ($$INSERT INTO media VALUES (200, 'x')$$),
    ($$DELETE FROM media$$), ($$TRUNCATE media$$), ($$DROP TABLE media$$)) writing (statement),
    LATERAL failure(statement) f;
SELECT toaststore.length('media', 5), octet_length(toaststore.get('media', 5)),
       (SELECT layout FROM toaststore.info('media', 5)), (SELECT count(*) FROM toaststore.verify('media')) AS faults,
       (SELECT count(*) FROM media);
ROLLBACK;
SELECT relations() - :relations_before AS made;

-- What the functions cannot obey: they refuse, and INSERT and DELETE obey it.
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE ids (id bigint PRIMARY KEY);
CREATE TABLE of_stores (id bigint, value bytea) PARTITION BY RANGE (id);
CREATE TABLE guarded (id bigint, value bytea) USING toaststore_values;
CREATE FUNCTION refused(what text, guard text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    call text;
    answer record;
BEGIN
    FOREACH call IN ARRAY ARRAY['put(''guarded'', ''a long value'')', 'put_many(''guarded'', ''{a long value}'')',
                                'delete(''guarded'', 1)', 'length(''guarded'', 1)'] LOOP
        BEGIN
            INSERT INTO guarded VALUES (1, 'here');
            EXECUTE guard;
            answer := failure('SELECT toaststore.' || call);
            RETURN NEXT format('%s: %s: %s: %s', what, split_part(call, '(', 1), answer.state,
                               coalesce(answer.detail, answer.message));
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN
        END;
    END LOOP;
END
$$;
SELECT refused(what, guard) FROM (VALUES
    ('nothing', 'SELECT'),
    ('row trigger', 'CREATE TRIGGER t BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION nothing()'),
    ('statement trigger', 'CREATE TRIGGER t AFTER DELETE ON guarded FOR EACH STATEMENT EXECUTE FUNCTION nothing()'),
    ('foreign key', 'INSERT INTO ids VALUES (1); ALTER TABLE guarded ADD FOREIGN KEY (id) REFERENCES ids'),
    ('rule', 'CREATE RULE r AS ON DELETE TO guarded DO INSTEAD NOTHING'),
    ('check', 'ALTER TABLE guarded ADD CHECK (length(value) < 10)'),
    ('check under our name', 'ALTER TABLE guarded ADD CONSTRAINT toaststore_options CHECK (length(value) < 10)'),
    ('options', 'ALTER TABLE guarded ADD CONSTRAINT toaststore_options
                 CHECK (toaststore.options(1, 1, 8192, ''none''))'),
    ('options of the row', 'ALTER TABLE guarded ADD CONSTRAINT toaststore_options
                 CHECK (toaststore.options(length(value), 1000, 8192, ''none''))'),
    ('options under another name', 'ALTER TABLE guarded ADD CONSTRAINT chosen
                 CHECK (toaststore.options(1, 1, 8192, ''none''))'),
    ('partition', 'ALTER TABLE of_stores ATTACH PARTITION guarded FOR VALUES FROM (1) TO (10)'),
    ('inherited', 'CREATE TABLE parent (id bigint, value bytea); ALTER TABLE guarded INHERIT parent')) guards (what, guard);
SELECT * FROM failure($$CREATE TABLE checked (id bigint, value bytea CHECK (length(value) < 10)) USING toaststore_values;
                        SELECT toaststore.put('checked', 'x')$$);

-- Constraints and bounds are checked before a row without an id gets one, so such rows must bring
-- theirs if that matters.
CREATE TABLE ids_checked (id bigint CHECK (id > 100), value bytea) USING toaststore_values;
CREATE TABLE row_checked (id bigint, value bytea, CONSTRAINT row_checked CHECK (row_checked IS NOT NULL))
       USING toaststore_values;
CREATE TABLE value_checked (id bigint, value bytea CHECK (length(value) > 2)) USING toaststore_values;
CREATE TABLE first_part PARTITION OF of_stores FOR VALUES FROM (1) TO (100) USING toaststore_values;
CREATE TABLE other_part PARTITION OF of_stores DEFAULT USING toaststore_values;
CREATE TABLE by_value (id bigint, value bytea) PARTITION BY HASH (value);
CREATE TABLE by_value_0 PARTITION OF by_value FOR VALUES WITH (MODULUS 1, REMAINDER 0) USING toaststore_values;
CREATE TABLE with_null_id (id bigint CHECK (id > 100), value bytea);
INSERT INTO with_null_id VALUES (NULL, 'x');
SELECT statement, f.* FROM (VALUES
    ($$INSERT INTO ids_checked (value) VALUES ('x')$$), ($$INSERT INTO ids_checked VALUES (100, 'x')$$),
    ($$INSERT INTO ids_checked VALUES (101, 'x')$$), ($$INSERT INTO row_checked (value) VALUES ('x')$$),
    ($$INSERT INTO value_checked (value) VALUES ('xyz')$$), ($$INSERT INTO value_checked (value) VALUES ('xy')$$),
    ($$INSERT INTO of_stores (value) VALUES ('x')$$), ($$INSERT INTO other_part (value) VALUES ('x')$$),
    ($$INSERT INTO first_part (value) VALUES ('x')$$), ($$INSERT INTO of_stores VALUES (5, 'x'), (500, 'y')$$),
    ($$INSERT INTO by_value (value) VALUES ('x'), ('y')$$),
    ($$ALTER TABLE with_null_id SET ACCESS METHOD toaststore_values$$)) inserts (statement),
    LATERAL failure(statement) f;
SELECT tableoid::regclass, id, value FROM of_stores UNION ALL SELECT tableoid::regclass, id, value FROM by_value
 UNION ALL SELECT tableoid::regclass, id, value FROM ids_checked ORDER BY 1, 2;

-- The last id of all: no value can be put behind it, and the store says so; all else goes on.
CREATE TABLE full_store (id bigint, value bytea) USING toaststore_values;
INSERT INTO full_store VALUES (1, 'first'), (140737488289792, 'last');
SELECT statement, f.* FROM (VALUES
    ($$SELECT toaststore.put('full_store', 'x')$$), ($$SELECT toaststore.put_many('full_store', '{a,b}')$$),
    ($$INSERT INTO full_store (value) VALUES ('x')$$)) puts (statement), LATERAL failure(statement) f;
INSERT INTO full_store VALUES (2, 'of its own') RETURNING id;
SELECT id, value, toaststore.get('full_store', id) = value AS same FROM full_store;
SELECT * FROM toaststore.verify('full_store');

-- Tables of other columns are no stores, and are not made.
SELECT columns, state, message FROM (VALUES
    (''), ('id bigint'), ('value bytea, id bigint'), ('id bigint, value bytea, note text'),
    ('id int, value bytea'), ('id oid, value bytea'), ('id numeric, value bytea'), ('id bigint, value text'),
    ('id bigint, value bytea[]'), ('id bigserial, value bytea, n serial'), ('id positive, value bytea'),
    ('id bigint, value small')) tables (columns),
    LATERAL failure(format('CREATE DOMAIN positive AS bigint CHECK (VALUE > 0);
                            CREATE DOMAIN small AS bytea;
                            CREATE TABLE unmade (%s) USING toaststore_values', columns));
SELECT * FROM failure('CREATE TABLE unmade USING toaststore_values AS SELECT 1 AS id');
SELECT to_regclass('unmade');
-- Whatever their names.
CREATE TABLE of_other_names ("the number" bigint, bytes bytea) USING toaststore_values;
SELECT toaststore.put('of_other_names', 'x');
SELECT "the number", bytes FROM of_other_names;

-- None of which changed anything.
SELECT * FROM changes;
SELECT * FROM toaststore.verify('media');
SELECT toaststore.put('media', 'next') > max(id) AS put FROM before;

\pset format aligned
SET client_min_messages = warning;
DROP FOREIGN DATA WRAPPER toaststore_wrapper CASCADE;
DROP SCHEMA errors CASCADE;
