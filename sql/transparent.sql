-- A table USING toaststore does what a heap table does: each statement is run on two tables that
-- differ in their access method, in schemas of their own, and rows, counts, errors and what is left
-- in the tables are compared.  After each the store holds what the rows refer to, nothing is missing.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS toaststore;
CREATE SCHEMA transparent;
SET search_path = transparent;
RESET client_min_messages;
-- Rows of heap as large as those of a store's table: the order of what an UPDATE returns depends on it.
SET default_toast_compression = lz4;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION random_bytes(length int, seed int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
                           1, length), ''::bytea)
      FROM generate_series(1, (length + 31) / 32) i
$$;
CREATE FUNCTION random_text(length int, seed int) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT substr(encode(random_bytes(length, seed), 'hex'), 1, length) $$;
-- Half of it compresses.
CREATE FUNCTION some_text(length int, seed int) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT substr(string_agg(random_text(50, seed + i) || repeat(' ', 50), '' ORDER BY i), 1, length)
      FROM generate_series(1, (length + 99) / 100) i
$$;

CREATE SCHEMA on_heap;
CREATE SCHEMA on_store;
-- What a statement answers in one of the schemas.
CREATE FUNCTION answer(schema_name text, statement text) RETURNS text LANGUAGE plpgsql
SET search_path = transparent AS $$
DECLARE
    rows bigint;
    result text;
    tag text;
BEGIN
    PERFORM set_config('search_path', schema_name || ', transparent', true);
    PERFORM set_config('default_table_access_method',
                       CASE schema_name WHEN 'on_heap' THEN 'heap' ELSE 'toaststore' END, true);
    IF statement ~* '^\s*(SELECT|VALUES|TABLE)|RETURNING' THEN
        EXECUTE format('WITH answer AS (%s) SELECT count(*), md5(string_agg(answer::text, E''\n'')) FROM answer', statement)
           INTO rows, result;
        RETURN rows || ' rows ' || coalesce(result, '');
    END IF;
    EXECUTE statement;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows || ' rows';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS tag = RETURNED_SQLSTATE;
    RETURN tag || ' ' || replace(replace(SQLERRM, 'on_heap', 'schema'), 'on_store', 'schema');
END
$$;
-- What there is in a schema's tables.
CREATE FUNCTION contents(schema_name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    one text;
    result text := '';
    name text;
BEGIN
    FOR name IN SELECT relname FROM pg_class
                 WHERE relnamespace = schema_name::regnamespace AND relkind IN ('r', 'm', 'p') ORDER BY 1
    LOOP
        EXECUTE format('SELECT count(*) || md5(string_agg(md5(kept::text), '''' ORDER BY md5(kept::text))) FROM %I.%I kept',
                       schema_name, name) INTO one;
        result := result || name || ' ' || coalesce(one, 'empty') || E'\n';
    END LOOP;
    RETURN result;
END
$$;
-- Faults of the stores behind a schema's tables.
CREATE FUNCTION faults(schema_name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s: block %s, value %s: %s', relname, block, id, fault), E'\n')
      FROM pg_class JOIN pg_am ON pg_am.oid = relam, LATERAL toaststore.verify(pg_class.oid, exact => true)
     WHERE relnamespace = schema_name::regnamespace AND relkind IN ('r', 'm') AND reltoastrelid <> 0
       AND amname = 'toaststore'
$$;
CREATE FUNCTION alike(statement text, OUT answered text) LANGUAGE plpgsql AS $$
DECLARE
    heap text := answer('on_heap', statement);
    store text := answer('on_store', statement);
    left_by_heap text := contents('on_heap');
    left_by_store text := contents('on_store');
    broken text := faults('on_store');
BEGIN
    $1 := regexp_replace(CASE WHEN length(statement) > 100 THEN left(statement, 97) || '...' ELSE statement END, '\s+', ' ', 'g');
    answered := $1 || ': ' ||
        CASE WHEN heap IS DISTINCT FROM store THEN format('HEAP %s STORE %s', heap, store)
             WHEN left_by_heap IS DISTINCT FROM left_by_store THEN format('DIFFERENT %s %s', left_by_heap, left_by_store)
             WHEN broken IS NOT NULL THEN broken
             ELSE regexp_replace(heap, ' rows [0-9a-f]{32}', ' rows') END;
END
$$;
SELECT alike($$CREATE TABLE documents (id int PRIMARY KEY, body text, content bytea, raw bytea, plain bytea, main bytea, meta jsonb)$$);
SELECT alike($$ALTER TABLE documents ALTER raw SET STORAGE EXTERNAL, ALTER plain SET STORAGE PLAIN, ALTER main SET STORAGE MAIN$$);
SELECT alike($$CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF TG_OP = ''DELETE'' THEN RETURN OLD; END IF; NEW.meta := jsonb_build_object(''length'', length(NEW.content), ''was'', CASE WHEN TG_OP = ''UPDATE'' THEN md5(OLD.content) END); RETURN NEW; END'$$);

-- Rows of every kind and size.
SELECT alike(format($$INSERT INTO documents SELECT i, some_text(%s, i), random_bytes(%s, i), random_bytes(%s, i + 1)
                     FROM generate_series(%s, %s) i$$, bytes, bytes, bytes / 2, start, start + 2))
  FROM (VALUES (10, 0), (1000, 10), (3000, 20), (9000, 30), (70000, 40), (140000, 50)) kinds(bytes, start);
SELECT alike($$INSERT INTO documents SELECT i, repeat('x', i), null, random_bytes(1900, i), random_bytes(1000, i), random_bytes(1500 * (i % 5), i) FROM generate_series(100, 119) i$$);
SELECT alike($$INSERT INTO documents (id, meta) SELECT i, jsonb_object_agg('key' || n, random_text(30, n)) FROM generate_series(200, 204) i, generate_series(1, 100 * (i - 199)) n GROUP BY i$$);
SELECT alike($$INSERT INTO documents (id, plain) VALUES (300, random_bytes(9000, 1))$$);
SELECT alike($$INSERT INTO documents (id, body) SELECT 0, some_text(100000, 1)$$);

-- Reading, whole and in part.
SELECT alike($$SELECT id, body, content, raw, plain, main, meta FROM documents ORDER BY id$$);
SELECT alike(format($$SELECT id, substr(raw, %s, %s), substr(content, %1$s, %2$s), substr(body, %1$s, %2$s) FROM documents ORDER BY id$$, first, count))
  FROM (VALUES (1, 1), (1, 100000), (65530, 20), (65536, 1), (65537, 1), (99990, 100), (1000000, 5), (4, 0)) slices(first, count);
SELECT alike($$SELECT id, length(content), octet_length(raw), md5(body) FROM documents WHERE content = random_bytes(9000, id)$$);
SELECT alike($$SELECT d.id, e.id FROM documents d JOIN documents e ON d.content = e.content AND d.id <> e.id$$);
SELECT alike($$SELECT id FROM documents ORDER BY body COLLATE "C", content, id$$);
SELECT alike($$SELECT meta ->> 'key3' FROM documents WHERE meta ? 'key3' ORDER BY id$$);

-- Changing.
SELECT alike($$UPDATE documents SET body = body || '!' WHERE id % 3 = 0$$);
SELECT alike($$UPDATE documents SET content = random_bytes(50000, id + 1) WHERE id BETWEEN 20 AND 40$$);
SELECT alike($$UPDATE documents SET raw = content, content = raw WHERE id BETWEEN 40 AND 60$$);
SELECT alike($$UPDATE documents SET raw = null WHERE id = 41$$);
SELECT alike($$UPDATE documents SET raw = raw WHERE id < 60$$);
SELECT alike($$UPDATE documents SET id = id + 1000 WHERE id > 50$$);
SELECT alike($$UPDATE documents SET content = other.content FROM documents other WHERE documents.id = other.id + 1 AND documents.id < 60 RETURNING documents.id, documents.content, other.content$$);
SELECT alike($$UPDATE documents SET id = 1 WHERE id IN (2, 3)$$);
SELECT alike($$DELETE FROM documents WHERE id IN (1, 21, 31, 41, 1051)$$);
SELECT alike($$DELETE FROM documents WHERE id IN (2, 22, 32, 42, 1052) RETURNING *$$);
SELECT alike($$INSERT INTO documents (id, content) SELECT i, random_bytes(100000, i) FROM generate_series(2, 4) i ON CONFLICT DO NOTHING$$);
SELECT alike($$INSERT INTO documents (id, content) SELECT i, random_bytes(100000, i) FROM generate_series(3, 5) i ON CONFLICT (id) DO UPDATE SET content = excluded.content || documents.content RETURNING id, content$$);
SELECT alike($$MERGE INTO documents USING (SELECT i, random_bytes(70000, i) b FROM generate_series(20, 29) i) s ON id = i
              WHEN MATCHED AND i % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET content = b WHEN NOT MATCHED THEN INSERT (id, content) VALUES (i, b)$$);
SELECT alike($$CREATE TRIGGER changed BEFORE INSERT OR UPDATE OR DELETE ON documents FOR EACH ROW EXECUTE FUNCTION changed()$$);
SELECT alike($$UPDATE documents SET content = content || content WHERE id BETWEEN 30 AND 39$$);
SELECT alike($$INSERT INTO documents (id, content) VALUES (77, random_bytes(300000, 77)) RETURNING meta$$);
SELECT alike($$DROP TRIGGER changed ON documents$$);

-- What fails is undone.
SELECT alike($$INSERT INTO documents (id, content) SELECT i, random_bytes(100000, i) FROM generate_series(83, 77, -1) i$$);
SELECT alike($$DO 'BEGIN UPDATE documents SET content = random_bytes(80000, 7); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN DELETE FROM documents WHERE id = 77; END'$$);
SELECT alike($$DO 'BEGIN DELETE FROM documents; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN UPDATE documents SET content = content || ''x'' WHERE id < 40; END'$$);

-- Columns come, change and go: old rows keep the pointers of one that went.
SELECT alike($$ALTER TABLE documents ADD copy bytea GENERATED ALWAYS AS (content || '\x01') STORED$$);
SELECT alike($$ALTER TABLE documents DROP copy, DROP raw$$);
SELECT alike($$UPDATE documents SET body = 'short' WHERE id % 2 = 0$$);
SELECT alike($$DELETE FROM documents WHERE id % 3 = 1$$);
SELECT alike($$ALTER TABLE documents ALTER body TYPE bytea USING convert_to(body, 'UTF8')$$);
SELECT alike($$ALTER TABLE documents ALTER content SET STORAGE PLAIN, ALTER body SET STORAGE EXTERNAL$$);
SELECT alike($$UPDATE documents SET id = -id$$);
SELECT alike($$UPDATE documents SET content = substr(content, 1, 1000), body = body || random_bytes(5000, 1)$$);
SELECT alike($$ALTER TABLE documents ALTER content SET STORAGE EXTENDED$$);

-- Indexes over large values.
SELECT alike($$CREATE INDEX by_digest ON documents (sha256(body)) WHERE length(body) > 1000$$);
SELECT alike($$CREATE UNIQUE INDEX unique_digest ON documents (md5(body))$$);
SELECT alike($$CREATE INDEX by_meta ON documents USING gin (meta)$$);
SELECT alike($$INSERT INTO documents (id, body) SELECT 5000, body FROM documents WHERE length(body) > 2000 LIMIT 1$$);
SELECT alike($$UPDATE documents SET body = random_bytes(30000, abs(id))$$);
SET enable_seqscan = off;
SELECT alike($$SELECT id FROM documents WHERE sha256(body) = sha256(random_bytes(30000, 33)) AND length(body) > 1000$$);
RESET enable_seqscan;
SELECT alike($$REINDEX TABLE documents$$);
SELECT alike($$ANALYZE documents$$);
SELECT alike($$CLUSTER documents USING documents_pkey$$);
SELECT alike($$CLUSTER documents USING by_digest$$);
SELECT alike($$TRUNCATE documents$$);
SELECT alike($$INSERT INTO documents (id, body) SELECT i, random_bytes(4000, i) FROM generate_series(1, 40) i$$);

-- Other tables.
SELECT alike($$CREATE TABLE copied AS SELECT * FROM documents$$);
SELECT alike($$DROP TABLE documents$$);
SELECT alike($$CREATE MATERIALIZED VIEW seen AS SELECT id, body, body || body AS twice FROM copied WHERE id % 2 = 0$$);
SELECT alike($$CREATE UNIQUE INDEX ON seen (id)$$);
SELECT alike($$UPDATE copied SET body = random_bytes(9000, id)$$);
SELECT alike($$REFRESH MATERIALIZED VIEW seen$$);
SELECT alike($$UPDATE copied SET body = random_bytes(100000, id) WHERE id < 5$$);
SELECT alike($$REFRESH MATERIALIZED VIEW CONCURRENTLY seen$$);
SELECT alike($$CREATE TABLE parts (id int, body bytea) PARTITION BY RANGE (id)$$);
SELECT alike($$CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (20)$$);
SELECT alike($$CREATE TABLE high PARTITION OF parts FOR VALUES FROM (20) TO (1000)$$);
SELECT alike($$INSERT INTO parts SELECT id, body FROM copied$$);
SELECT alike($$UPDATE parts SET id = id + 10 WHERE id BETWEEN 5 AND 25$$);
SELECT alike($$UPDATE parts SET id = id + 1000$$);
SELECT alike($$CREATE TYPE pair AS (id int, body bytea)$$);
SELECT alike($$CREATE UNLOGGED TABLE unlogged AS SELECT id, body, ARRAY[body, body] AS bodies, (id, body)::pair AS pair FROM copied$$);
SELECT alike($$SELECT (pair).body, bodies[2] FROM unlogged ORDER BY id$$);
SELECT alike($$UPDATE unlogged SET pair.body = 'x', bodies[1] = body WHERE id % 2 = 0$$);
SELECT alike($$ALTER TABLE unlogged SET LOGGED$$);
SELECT alike($$TRUNCATE parts, unlogged$$);

-- From one access method to the other and back.
SELECT alike($$ALTER TABLE copied SET ACCESS METHOD heap$$);
SELECT alike($$UPDATE copied SET id = id + 1, body = body || 'x' WHERE id % 5 = 0$$);
SELECT alike($$ALTER TABLE copied SET ACCESS METHOD toaststore$$);
SELECT alike($$UPDATE copied SET id = id + 1, body = body || 'x' WHERE id % 5 = 0$$);

-- VACUUM, which is not run by a function.
VACUUM FULL on_store.copied;
VACUUM (FULL, ANALYZE) on_store.seen;
VACUUM on_store.copied;
SELECT alike($$SELECT * FROM copied ORDER BY id$$);
CREATE INDEX CONCURRENTLY by_body ON on_store.copied (md5(body));
REINDEX TABLE CONCURRENTLY on_store.copied;
SET enable_seqscan = off;
SELECT count(*) FROM on_store.copied c JOIN on_heap.copied h ON md5(c.body) = md5(h.body);
RESET enable_seqscan;

-- A row outlives the table that its value came from, and a value the row that it came from.
CREATE TABLE source (id int, body bytea) USING toaststore;
INSERT INTO source SELECT i, random_bytes(20000, i) FROM generate_series(1, 3) i;
CREATE TABLE target USING toaststore AS TABLE source;
DROP TABLE source;
SELECT id, body = random_bytes(20000, id) FROM target;

-- The store behind a table is not changed but by its rows, and has no index to be read by.
SELECT reltoastrelid AS store, reltoastrelid::regclass AS name FROM pg_class WHERE oid = 'target'::regclass \gset
\set VERBOSITY sqlstate
SELECT toaststore.put(:store, 'x');
SELECT toaststore.put_many(:store, '{x}');
SELECT toaststore.delete(:store, 1);
SELECT toaststore.get('target', 1);
\set VERBOSITY default
SELECT chunk_id, chunk_seq, chunk_data = random_bytes(20000, chunk_id::int) FROM :name WHERE chunk_id > 1;
SELECT layout, raw_bytes FROM toaststore.info('target', 2);

-- The server's own toaster cannot write into it, whatever the catalog says.
CREATE TABLE plain (id int, body bytea);
CREATE FUNCTION misled(change text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL allow_system_table_mods = on;
    EXECUTE change;
    EXECUTE statement;
    RAISE 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, '_\d+', '_N');
END
$$;
SELECT misled(format('UPDATE pg_class SET reltoastrelid = %s WHERE relname = ''plain''', :store), statement)
  FROM (VALUES ('INSERT INTO plain VALUES (1, ''small'')'), ('INSERT INTO plain VALUES (1, random_bytes(10000, 1))'),
               ('INSERT INTO plain SELECT * FROM target')) tried(statement);
SELECT misled('UPDATE pg_class SET relam = (SELECT oid FROM pg_am WHERE amname = ''heap'') WHERE relname = ''target''', statement)
  FROM (VALUES ('INSERT INTO target VALUES (1, random_bytes(10000, 1))'), ('UPDATE target SET body = random_bytes(10000, 1)'),
               ('DELETE FROM target')) tried(statement);
SELECT count(*) FROM toaststore.verify('target', exact => true);

\set VERBOSITY terse
DROP SCHEMA transparent, on_heap, on_store CASCADE;
