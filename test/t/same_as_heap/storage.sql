-- Where values go is the user's word: STORAGE, COMPRESSION and toast_tuple_target. pg_column_size of a value
-- that lies outside is that of the access method, so it is shown only of values inside the row.
CREATE TABLE stored (id int PRIMARY KEY, plain text, main text, extended text, external text);
ALTER TABLE stored ALTER plain SET STORAGE PLAIN, ALTER main SET STORAGE MAIN, ALTER external SET STORAGE EXTERNAL;
SELECT attname, attstorage, attcompression FROM pg_attribute WHERE attrelid = 'stored'::regclass AND attnum > 0 ORDER BY attnum;
INSERT INTO stored SELECT n, oracle.value(n, 1 << n, 'prose'), oracle.value(n, 1 << n, 'prose'), oracle.value(n, 1 << n, 'prose'),
                          oracle.value(n, 1 << n, 'prose') FROM generate_series(5, 12) n;
-- Compressed inside the row, or not at all.
SELECT id, pg_column_size(plain), pg_column_size(main), pg_column_compression(main), pg_column_size(extended), pg_column_compression(extended)
  FROM stored WHERE id < 11 ORDER BY id;
SELECT id, md5(plain), md5(main), md5(extended), md5(external) FROM stored ORDER BY id;
-- Too long for a row, as on any table: PLAIN never leaves it.
INSERT INTO stored (id, plain) VALUES (100, oracle.value(1, 9000, 'noise'));
INSERT INTO stored (id, plain, external) VALUES (101, oracle.value(1, 7000, 'noise'), oracle.value(1, 900000, 'noise'));
INSERT INTO stored (id, plain, main) VALUES (102, oracle.value(1, 3000, 'noise'), oracle.value(1, 900000, 'noise'));
UPDATE stored SET plain = oracle.value(2, 9000, 'noise') WHERE id = 101;
SELECT id, md5(plain), md5(main), md5(external) FROM stored WHERE id > 100 ORDER BY id;
ALTER TABLE stored ALTER plain SET STORAGE EXTENDED, ALTER extended SET STORAGE PLAIN;
INSERT INTO stored (id, plain) VALUES (103, oracle.value(3, 9000, 'noise'));
UPDATE stored SET id = id + 1000 WHERE id IN (12, 103);
SELECT id, md5(plain), md5(extended) FROM stored WHERE id > 1000 ORDER BY id;
UPDATE stored SET extended = extended || 'x' WHERE id = 1012;
ALTER TABLE stored ALTER extended SET STORAGE EXTENDED;

CREATE TABLE compressed (id int PRIMARY KEY, pglz text COMPRESSION pglz, lz4 text COMPRESSION lz4);
INSERT INTO compressed SELECT n, w, w FROM generate_series(1, 6) n, repeat(md5(n::text), 40 * n) w;
INSERT INTO compressed SELECT n, w, w FROM generate_series(11, 16) n, oracle.value(n, 1000 * n, 'prose') w;
SELECT id, pg_column_compression(pglz), pg_column_compression(lz4), md5(pglz) = md5(lz4) AS same FROM compressed WHERE id < 10 ORDER BY id;
UPDATE compressed SET lz4 = pglz, pglz = lz4;
SELECT id, pg_column_compression(pglz), pg_column_compression(lz4), md5(pglz) = md5(lz4) AS same FROM compressed WHERE id < 10 ORDER BY id;
ALTER TABLE compressed ALTER lz4 SET COMPRESSION pglz;
VACUUM FULL compressed;
SELECT id, md5(pglz), md5(lz4) FROM compressed ORDER BY id;

CREATE TABLE targeted (id int, a text, b text) WITH (toast_tuple_target = 200);
INSERT INTO targeted SELECT n, oracle.value(n, 300, 'noise'), oracle.value(n, 50 * n, 'noise') FROM generate_series(1, 10) n;
SELECT id, md5(a), md5(b) FROM targeted ORDER BY id;
ALTER TABLE targeted SET (toast_tuple_target = 8160);
INSERT INTO targeted SELECT n, oracle.value(n, 3000, 'noise'), oracle.value(n, 500 * n, 'noise') FROM generate_series(11, 20) n;
UPDATE targeted SET b = b || a;
SELECT id, md5(a), md5(b) FROM targeted ORDER BY id;
-- A row that had long values, and is short now, but above a small target.
ALTER TABLE targeted SET (toast_tuple_target = 128);
UPDATE targeted SET a = left(a, 150), b = left(b, 140) WHERE id > 15;
UPDATE targeted SET a = left(a, 20), b = left(b, 100) WHERE id > 17;
SELECT id, md5(a), md5(b) FROM targeted ORDER BY id;
ALTER TABLE targeted SET (toast_tuple_target = 100);
ALTER TABLE targeted SET (toast.autovacuum_enabled = false);

-- A table gets its place for long values when it needs one, and dropped columns take theirs along.
CREATE TABLE narrow (id int, n numeric(10, 2));
SELECT reltoastrelid <> 0 AS has_toast FROM pg_class WHERE oid = 'narrow'::regclass;
ALTER TABLE narrow ADD COLUMN words text;
SELECT reltoastrelid <> 0 AS has_toast FROM pg_class WHERE oid = 'narrow'::regclass;
INSERT INTO narrow SELECT n, n, oracle.value(n, 20000, 'mixed') FROM generate_series(1, 5) n;
ALTER TABLE narrow DROP COLUMN words;
UPDATE narrow SET n = n + 1 WHERE id < 3;
DELETE FROM narrow WHERE id = 5;
ALTER TABLE narrow ADD COLUMN words text;
UPDATE narrow SET words = oracle.value(id, 30000, 'noise') WHERE id > 1;
VACUUM FULL narrow;
SELECT id, n, md5(words) FROM narrow ORDER BY id;
