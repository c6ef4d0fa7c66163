-- The commands that write rows, with values that do and don't compress, small and large.
CREATE TABLE documents (id int PRIMARY KEY, body text, data bytea);
INSERT INTO documents
SELECT n, oracle.value(n, 1 << (n + 4), (ARRAY['noise', 'prose', 'mixed'])[1 + n % 3]), oracle.noise(n, 100 * n * n)
  FROM generate_series(1, 18) n;
SELECT id, length(body), md5(body), octet_length(data), md5(data) FROM documents ORDER BY id;
SELECT id, md5(substr(body, 1000, 100)), md5(substr(data, 3000, 64)), left(body, 10), right(body, 10)
  FROM documents ORDER BY id;
-- Slices at, across and behind the end; negative ones.
SELECT n, substr(data, 9999 - n, n), substr(data, 32400 - n + 1), length(substr(data, -5, n)), length(substr(data, 40000, n))
  FROM documents, generate_series(0, 3) n WHERE id = 18 ORDER BY n;
SELECT overlay(data PLACING '\x00'::bytea FROM 30000) = data, position('\x0102'::bytea IN data) > 0, get_byte(data, 32399),
       length(set_byte(data, 0, 1)), data LIKE '%' AS liked
  FROM documents WHERE id = 18;

-- Values that are left alone.
UPDATE documents SET id = id + 100 WHERE id % 2 = 0;
UPDATE documents SET body = body WHERE id > 100 RETURNING id, length(body);
UPDATE documents SET data = substr(data, 1, 3000) WHERE id < 10 RETURNING id, md5(data);
UPDATE documents SET body = (SELECT body FROM documents WHERE id = 118) WHERE id = 1;
UPDATE documents AS d SET body = other.body, data = other.data FROM documents AS other WHERE other.id = d.id + 2 AND d.id < 8
RETURNING d.id, md5(d.body);
SELECT id, length(body), md5(body), md5(data) FROM documents ORDER BY id;

-- Errors in the middle: nothing is left of the statement.
INSERT INTO documents SELECT n, oracle.value(n, 50000, 'noise') FROM unnest(ARRAY[50, 51, 3, 52]) n;
INSERT INTO documents SELECT n, oracle.value(n, 50000, 'noise'), (100 / (n - 52))::text::bytea FROM unnest(ARRAY[50, 51, 52]) n;
UPDATE documents SET id = 5, data = oracle.noise(1, 100000) WHERE id IN (3, 7);
SELECT count(*) FROM documents;

INSERT INTO documents VALUES (1, oracle.value(7, 70000, 'mixed')), (60, oracle.value(8, 70000, 'mixed'))
ON CONFLICT DO NOTHING RETURNING id, length(body);
INSERT INTO documents VALUES (1, oracle.value(9, 70000, 'noise')), (61, oracle.value(10, 70000, 'noise'))
ON CONFLICT (id) DO UPDATE SET body = documents.body || excluded.body, data = documents.data RETURNING id, length(body), md5(data);
INSERT INTO documents VALUES (61, 'a'), (61, 'b') ON CONFLICT (id) DO UPDATE SET body = excluded.body;
MERGE INTO documents AS d USING (SELECT n, oracle.value(n, 20000, 'noise') AS words FROM generate_series(58, 63) n) AS s ON d.id = s.n
 WHEN MATCHED AND d.id = 60 THEN DELETE
 WHEN MATCHED THEN UPDATE SET body = s.words
 WHEN NOT MATCHED AND s.n > 61 THEN INSERT (id, data) VALUES (s.n, convert_to(s.words, 'UTF8'))
 WHEN NOT MATCHED THEN DO NOTHING;
SELECT id, length(body), md5(body), md5(data) FROM documents WHERE id BETWEEN 50 AND 70 ORDER BY id;
WITH gone AS (DELETE FROM documents WHERE id > 110 RETURNING *),
     kept AS (INSERT INTO documents SELECT id - 50, data::text, data FROM gone RETURNING id, body)
SELECT id, length(body), md5(body) FROM kept ORDER BY id;
DELETE FROM documents WHERE length(body) > 60000 RETURNING id, md5(data);

-- Copies of tables do not depend on what they were made of.
CREATE TABLE copies AS SELECT * FROM documents;
CREATE TABLE more (LIKE documents INCLUDING ALL);
INSERT INTO more SELECT * FROM documents;
DROP TABLE documents;
SELECT count(*), sum(length(body)), md5(string_agg(body, '' ORDER BY id)) FROM copies;
SELECT * FROM (SELECT * FROM copies EXCEPT SELECT * FROM more) AS difference;
COPY copies TO :'file' (FORMAT binary);
TRUNCATE more;
COPY more FROM :'file' (FORMAT binary);
COPY more FROM :'file' (FORMAT binary);
COPY copies TO :'file';
BEGIN;
TRUNCATE more;
COPY more FROM :'file' (FREEZE);
SELECT count(*), md5(string_agg(body, '' ORDER BY id)) FROM more;
ROLLBACK;
SELECT count(*), md5(string_agg(body, '' ORDER BY id)) FROM more;
SELECT * FROM (SELECT * FROM copies EXCEPT SELECT * FROM more) AS difference;

-- Savepoints.
BEGIN;
INSERT INTO more VALUES (1000, oracle.value(1000, 300000, 'noise'));
SAVEPOINT a;
UPDATE more SET body = body || oracle.value(1001, 300000, 'noise') WHERE id = 1000 RETURNING md5(body);
SAVEPOINT b;
DELETE FROM more WHERE id = 1000;
ROLLBACK TO b;
SELECT md5(body) FROM more WHERE id = 1000;
ROLLBACK TO a;
SELECT md5(body) FROM more WHERE id = 1000;
RELEASE a;
COMMIT;
SELECT md5(body) FROM more WHERE id = 1000;

-- Cursors: what was there when they were opened, forwards, backwards, updated and deleted through.
BEGIN;
DECLARE reading SCROLL CURSOR WITH HOLD FOR SELECT id, length(body), md5(body) FROM more ORDER BY id;
DECLARE writing CURSOR FOR SELECT id, body FROM more WHERE id BETWEEN 40 AND 1000 FOR UPDATE;
FETCH 2 FROM reading;
DELETE FROM more WHERE id < 10;
UPDATE more SET body = 'gone' WHERE id < 50;
FETCH 2 FROM reading;
MOVE FORWARD 1 IN writing;
UPDATE more SET body = oracle.value(1, 90000, 'mixed') WHERE CURRENT OF writing;
MOVE FORWARD 1 IN writing;
DELETE FROM more WHERE CURRENT OF writing;
COMMIT;
FETCH LAST FROM reading;
FETCH BACKWARD 3 FROM reading;
CLOSE reading;
SELECT count(*), sum(length(body)) FROM more;

-- Two phases.
BEGIN;
INSERT INTO more VALUES (2000, oracle.value(2000, 400000, 'noise'));
DELETE FROM more WHERE id = 1000;
PREPARE TRANSACTION 'first';
SELECT id, md5(body) FROM more WHERE id >= 1000 ORDER BY id;
COMMIT PREPARED 'first';
SELECT id, md5(body) FROM more WHERE id >= 1000 ORDER BY id;
BEGIN;
UPDATE more SET body = body || 'x' WHERE id = 2000;
PREPARE TRANSACTION 'second';
ROLLBACK PREPARED 'second';
SELECT id, md5(body) FROM more WHERE id >= 1000 ORDER BY id;
