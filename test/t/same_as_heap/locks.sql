-- The locks that statements leave behind, on everything but the access method, on which a table that is
-- made anew depends.
CREATE TABLE documents (id int PRIMARY KEY, body text);
CREATE TABLE sheets (id int REFERENCES documents, body text);
CREATE INDEX documents_hash ON documents (md5(body));
INSERT INTO documents SELECT n, oracle.value(n, 150000, 'noise') FROM generate_series(1, 5) n;
-- TOAST tables and their indexes are told by the table that they belong to.
CREATE VIEW held AS
SELECT locktype, CASE WHEN relnamespace = 'pg_toast'::regnamespace THEN concat('TOAST ', relkind, ' of ', owner.relname) ELSE relation::regclass::text END COLLATE "C" AS relation,
       mode, granted, count(*)
  FROM pg_locks LEFT JOIN pg_class ON pg_class.oid = relation
       LEFT JOIN LATERAL (SELECT o.relname FROM pg_class o WHERE o.oid = substring(pg_class.relname FROM '^pg_toast_([0-9]+)')::oid) owner ON true
 WHERE pid = pg_backend_pid() AND locktype <> 'virtualxid' AND classid IS DISTINCT FROM 'pg_am'::regclass
   AND (relation IS NULL OR relnamespace IN (current_schema()::regnamespace, 'pg_toast'::regnamespace))
 GROUP BY 1, 2, 3, 4;
BEGIN; SELECT sum(length(body)) FROM documents; SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; SELECT id FROM documents WHERE md5(body) = 'x' FOR UPDATE; SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; SELECT id FROM documents WHERE id = 2 FOR KEY SHARE; SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; INSERT INTO documents VALUES (6, oracle.value(6, 150000, 'noise')); SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; INSERT INTO documents VALUES (6, oracle.value(6, 150000, 'noise')) ON CONFLICT (id) DO UPDATE SET body = excluded.body;
SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; UPDATE documents SET body = body || 'x' WHERE id = 3; SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; UPDATE documents SET body = body; SELECT * FROM held ORDER BY 1, 2, 3; ROLLBACK;
BEGIN; DELETE FROM documents WHERE id = 3; SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; SAVEPOINT a; DELETE FROM documents; ROLLBACK TO a; SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; INSERT INTO sheets SELECT * FROM documents; SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; COPY documents TO :'file'; SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
BEGIN; TRUNCATE sheets; SELECT * FROM held ORDER BY 1, 2, 3; ROLLBACK;
BEGIN; CLUSTER documents USING documents_pkey; SELECT * FROM held ORDER BY 1, 2, 3; ROLLBACK;
BEGIN; ALTER TABLE documents ALTER id TYPE bigint; SELECT * FROM held ORDER BY 1, 2, 3; ROLLBACK;
BEGIN; ALTER TABLE documents ALTER body SET STORAGE EXTERNAL; SELECT * FROM held ORDER BY 1, 2, 3; ROLLBACK;
BEGIN; CREATE INDEX ON documents (left(body, 10)); SELECT * FROM held ORDER BY 1, 2, 3; ROLLBACK;
BEGIN; REINDEX TABLE documents; SELECT * FROM held ORDER BY 1, 2, 3; ROLLBACK;
BEGIN; ANALYZE documents; SELECT * FROM held ORDER BY 1, 2, 3; ROLLBACK;
BEGIN; LOCK TABLE documents IN SHARE ROW EXCLUSIVE MODE; SELECT * FROM held ORDER BY 1, 2, 3; ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT length(body) FROM documents WHERE id = 4; SELECT * FROM held ORDER BY 1, 2, 3; COMMIT;
