-- What other parts of the server do with rows: triggers, partitions, keys, row security, views, procedures.
CREATE TABLE documents (id int PRIMARY KEY, body text, data bytea);
CREATE TABLE history (number int GENERATED ALWAYS AS IDENTITY, operation text, old_body text, new_body text, old_row documents);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.body := NEW.body || ' stamped by ' || TG_OP;
    IF TG_OP = 'UPDATE' AND NEW.id = 3 THEN RETURN NULL; END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (operation, old_body, new_body, old_row) VALUES (TG_OP, OLD.body, NEW.body, OLD);
    RETURN NULL;
END $$;
CREATE FUNCTION summary() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (operation, new_body)
    SELECT 'all of ' || TG_OP, string_agg(md5(body), ' ' ORDER BY id) FROM changed;
    RETURN NULL;
END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON documents FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER record AFTER INSERT OR UPDATE OR DELETE ON documents FOR EACH ROW EXECUTE FUNCTION record();
CREATE TRIGGER summary AFTER UPDATE ON documents REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION summary();
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON documents DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record();
INSERT INTO documents SELECT n, oracle.value(n, 10000 * n, 'noise'), oracle.noise(n, 5000) FROM generate_series(1, 4) n;
UPDATE documents SET body = left(body, 6000) WHERE id > 1;
BEGIN;
UPDATE documents SET data = data || data;
UPDATE documents SET data = NULL WHERE id = 1;
COMMIT;
DELETE FROM documents WHERE id = 2;
INSERT INTO documents VALUES (1, 'short'), (9, oracle.value(9, 9000, 'noise')) ON CONFLICT (id) DO UPDATE SET data = convert_to(excluded.body, 'UTF8');
SELECT id, length(body), md5(body), md5(data) FROM documents ORDER BY id;
SELECT number, operation, md5(old_body), md5(new_body), md5(old_row::text) FROM history ORDER BY number;

-- Row movement.
CREATE TABLE parted (id int, region text, body text, data bytea, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE north PARTITION OF parted FOR VALUES IN ('north');
CREATE TABLE south (data bytea, extra int, body text, id int NOT NULL, region text NOT NULL);
ALTER TABLE south DROP COLUMN extra;
ALTER TABLE parted ATTACH PARTITION south FOR VALUES IN ('south');
CREATE TABLE other PARTITION OF parted DEFAULT USING heap;
INSERT INTO parted SELECT n, (ARRAY['north', 'south', 'east'])[1 + n % 3], oracle.value(n, 8000 * n, 'noise'), oracle.noise(n, 3000) FROM generate_series(1, 9) n;
UPDATE parted SET region = 'north' WHERE id IN (1, 2, 4) RETURNING tableoid::regclass, id, md5(body), md5(data);
UPDATE parted SET region = 'west', body = body || 'x' WHERE region = 'north' AND id > 2;
UPDATE parted SET region = 'south' WHERE region = 'west';
INSERT INTO parted SELECT id, region, 'again' FROM parted ON CONFLICT (id, region) DO UPDATE SET data = parted.data || 'y', body = excluded.body || parted.body;
ALTER TABLE parted DETACH PARTITION north;
SELECT tableoid::regclass, id, region, md5(body), md5(data) FROM parted ORDER BY id;
SELECT id, md5(body) FROM north ORDER BY id;
INSERT INTO parted SELECT * FROM north;
DROP TABLE north;
SELECT tableoid::regclass, count(*), md5(string_agg(body, '' ORDER BY id)) FROM parted GROUP BY 1 ORDER BY 1::text;
CREATE TABLE child (more text) INHERITS (documents);
INSERT INTO child VALUES (70, oracle.value(70, 30000, 'noise'), NULL, oracle.value(71, 30000, 'noise'));
UPDATE documents SET body = body || '!' WHERE id > 5;
SELECT tableoid::regclass, id, md5(body) FROM documents ORDER BY id;

-- Foreign keys and checks.
CREATE TABLE sheets (id int PRIMARY KEY, document int REFERENCES documents ON DELETE CASCADE ON UPDATE CASCADE, body text CHECK (length(body) > 3000),
                     EXCLUDE USING hash (md5(body) WITH =));
INSERT INTO sheets SELECT n, n, oracle.value(n, 20000, 'mixed') FROM unnest(ARRAY[1, 3, 4]) n;
INSERT INTO sheets VALUES (5, 99, oracle.value(5, 20000, 'noise'));
INSERT INTO sheets VALUES (5, 1, 'short');
INSERT INTO sheets VALUES (5, 1, oracle.value(1, 20000, 'mixed'));
DELETE FROM documents WHERE id = 1;
UPDATE documents SET id = 40 WHERE id = 4;
SELECT id, document, md5(body) FROM sheets ORDER BY id;

-- Row security.
CREATE TABLE guarded (id int, owner name, body text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded USING (owner = current_user AND length(body) > 5000);
CREATE ROLE a_reader;
GRANT ALL ON guarded TO a_reader;
SELECT current_schema() AS here \gset
GRANT USAGE ON SCHEMA :here TO a_reader;
INSERT INTO guarded SELECT n, (ARRAY['a_reader', 'nobody'])[1 + n % 2], oracle.value(n, 3000 * n, 'noise') FROM generate_series(1, 6) n;
SET ROLE a_reader;
SELECT id, md5(body) FROM guarded ORDER BY id;
UPDATE guarded SET body = left(body, 5500) RETURNING id, length(body);
UPDATE guarded SET body = left(body, 500);
INSERT INTO guarded VALUES (7, 'nobody', repeat('x', 9000));
DELETE FROM guarded;
RESET ROLE;
SELECT id, owner, length(body) FROM guarded ORDER BY id;
DROP OWNED BY a_reader;
DROP ROLE a_reader;

-- Updatable views, rules.
CREATE VIEW short_documents AS SELECT id, body FROM documents WHERE id < 50 WITH CHECK OPTION;
UPDATE short_documents SET body = body || 'v' WHERE id = 40 RETURNING length(body);
UPDATE short_documents SET id = 60 WHERE id = 40;
CREATE RULE logged AS ON DELETE TO sheets DO ALSO INSERT INTO history (operation, old_body) VALUES ('rule', OLD.body);
DELETE FROM sheets WHERE id = 3;
SELECT operation, md5(old_body) FROM history WHERE operation = 'rule';

-- Variables that outlive what they were read from.
CREATE PROCEDURE shuffle() LANGUAGE plpgsql AS $$
DECLARE
    kept text;
    record_kept record;
    list text[] := '{}';
BEGIN
    SELECT body INTO kept FROM documents WHERE id = 3;
    SELECT * INTO record_kept FROM documents WHERE id = 9;
    list := list || kept || record_kept.body;
    COMMIT;
    DELETE FROM documents WHERE id IN (3, 9);
    COMMIT;
    RAISE NOTICE '% % %', md5(kept), md5(record_kept.body), md5(list[2]);
    INSERT INTO documents VALUES (103, kept), (109, record_kept.body);
    ROLLBACK;
    RAISE NOTICE '% %', md5(kept || record_kept.body), md5(list::text);
    FOR record_kept IN SELECT * FROM documents ORDER BY id LOOP
        UPDATE documents SET body = 'loop ' || record_kept.body WHERE id = record_kept.id;
        COMMIT;
    END LOOP;
    BEGIN
        INSERT INTO documents VALUES (200, list[1]);
        INSERT INTO documents SELECT 200, body FROM documents;
    EXCEPTION WHEN unique_violation THEN
        RAISE NOTICE 'caught %', SQLERRM;
    END;
END $$;
CALL shuffle();
SELECT id, length(body), md5(body) FROM documents ORDER BY id;
