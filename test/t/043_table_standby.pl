# A standby has the rows of toaststore tables and their values after every kind of change, and goes on from
# there when it is promoted.

use strict;
use warnings;

use HeapOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
$primary->append_conf('postgresql.conf', q[
fsync = off
log_statement = none
autovacuum = off
max_prepared_transactions = 10
wal_consistency_checking = 'all'
]);
$primary->start;
create_databases($primary);
my $database = 'as_toaststore';
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

my @changes = (
	q[CREATE TABLE documents (id int PRIMARY KEY, body text, data bytea); ALTER TABLE documents ALTER data SET STORAGE EXTERNAL],
	q[INSERT INTO documents SELECT n, oracle.value(n, 100 * n * n, (ARRAY['noise', 'prose', 'mixed'])[1 + n % 3]), oracle.noise(n, 50 * n * n)
	    FROM generate_series(1, 60) n],
	q[UPDATE documents SET body = oracle.value(id + 100, 40000, 'mixed') WHERE id % 3 = 0],
	q[UPDATE documents SET id = id + 1000 WHERE id % 5 = 0],
	q[DELETE FROM documents WHERE id % 7 = 0],
	q[BEGIN; UPDATE documents SET body = data::text, data = NULL; DELETE FROM documents WHERE id < 10; ROLLBACK],
	q[BEGIN; SAVEPOINT a; INSERT INTO documents VALUES (500, oracle.value(1, 3000000, 'noise')); ROLLBACK TO a;
	  INSERT INTO documents VALUES (501, oracle.value(2, 3000000, 'mixed')); COMMIT],
	q[INSERT INTO documents VALUES (1, oracle.value(3, 9000, 'noise')), (502, oracle.value(4, 9000, 'noise'))
	  ON CONFLICT (id) DO UPDATE SET body = documents.body || excluded.body],
	q[BEGIN; INSERT INTO documents VALUES (503, oracle.value(5, 90000, 'noise')); PREPARE TRANSACTION 'first'],
	q[COMMIT PREPARED 'first'],
	q[VACUUM documents],
	q[VACUUM (FREEZE) documents],
	q[VACUUM FULL documents],
	q[CLUSTER documents USING documents_pkey],
	q[ALTER TABLE documents ALTER id TYPE bigint],
	q[ALTER TABLE documents ADD COLUMN more text DEFAULT oracle.value(7, 6000, 'noise')],
	q[ALTER TABLE documents DROP COLUMN more],
	q[ALTER TABLE documents SET ACCESS METHOD heap],
	q[ALTER TABLE documents SET ACCESS METHOD toaststore],
	q[CREATE TABLE copies AS SELECT * FROM documents],
	q[BEGIN; TRUNCATE copies; INSERT INTO copies SELECT * FROM documents WHERE id < 30; COMMIT],
	q[CREATE MATERIALIZED VIEW shown AS SELECT id, left(body, 30000) AS body FROM documents],
	q[REFRESH MATERIALIZED VIEW shown],
	q[CREATE INDEX documents_hash ON documents (md5(body))]);

my $contents = q[
	SELECT relname, (xpath('//row/text()', query_to_xml(format('SELECT id || md5(t::text) AS row FROM %I t ORDER BY id', relname), false, false, '')))::text
	  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm') ORDER BY 1];
for my $change (@changes)
{
	$primary->safe_psql($database, $change);
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	my $expected = $primary->safe_psql($database, $contents);
	is($standby->safe_psql($database, $contents), $expected, 'the same on the standby: ' . ($change =~ s/\s+/ /gr =~ s/^(.{60}).*/$1 ../r));
}
is($standby->safe_psql($database, q[SELECT md5(substr(data, 50000, 1000)) FROM documents WHERE id = 58]),
	$primary->safe_psql($database, q[SELECT md5(substr(data, 50000, 1000)) FROM documents WHERE id = 58]), 'a slice, too');
is(verify_store($standby, $_, $database), '', "$_ is sound on the standby") for 'documents', 'copies';
my ($status, undef, $errors) = $standby->psql($database, 'UPDATE documents SET body = body || 1');
like($errors, qr/read-only transaction/, 'which changes nothing');

# What was replayed is all there when the primary is gone.
$primary->safe_psql($database, 'INSERT INTO documents SELECT id + 3000, body, data FROM documents WHERE id < 40');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
my $acknowledged = $primary->safe_psql($database, $contents);
$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql($database, $contents), $acknowledged, 'promoted: what was replayed is there');
$standby->safe_psql($database, q[
	UPDATE documents SET body = oracle.value(id::int + 7, 60000, 'mixed') WHERE id % 2 = 0;
	DELETE FROM documents WHERE id % 11 = 0;
	INSERT INTO documents SELECT n, oracle.value(n, 30000, 'noise') FROM generate_series(5001, 5040) n;
	VACUUM documents]);
is($standby->safe_psql($database, q[
		SELECT count(*) FROM documents WHERE id > 5000 AND id <= 5040 AND body IS DISTINCT FROM oracle.value(id::int, 30000, 'noise')]), 0,
	'it takes new values');
is(verify_store($standby, $_, $database), '', "$_ is sound after that") for 'documents', 'copies';
$standby->stop('immediate');
$standby->start;
check_stores($standby);
$standby->stop;
done_testing();
