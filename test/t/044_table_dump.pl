# toaststore tables are dumped and restored as what they are, in every format of pg_dump, or as heap tables
# where that is asked for, and upgraded by pg_upgrade: values are the same by SHA-256.

use strict;
use warnings;

use File::Spec;
use HeapOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
fsync = off
log_statement = none
autovacuum = off
]);
$node->start;
create_databases($node);
my $from = 'as_toaststore';
$node->safe_psql($from, q[
	CREATE TABLE documents (id int PRIMARY KEY, body text, data bytea, meta jsonb, gone text);
	ALTER TABLE documents ALTER data SET STORAGE EXTERNAL, ALTER body SET COMPRESSION lz4;
	ALTER TABLE documents SET (toast_tuple_target = 500);
	SELECT toaststore.alter_store('documents', 'zstd:2', chunk_bytes => 16384);
	INSERT INTO documents
	SELECT n, oracle.value(n, 100 * n * n, (ARRAY['noise', 'prose', 'mixed'])[1 + n % 3]), oracle.noise(n, 50 * n * n),
	       jsonb_build_object('n', n, 'words', oracle.value(n, 3000, 'mixed')), oracle.value(n, 5000, 'noise')
	  FROM generate_series(1, 40) n;
	ALTER TABLE documents DROP COLUMN gone;
	DELETE FROM documents WHERE id % 7 = 0;
	UPDATE documents SET body = body || data::text WHERE id % 5 = 0;
	CREATE INDEX documents_hash ON documents (md5(body));
	CREATE TABLE parted (id int, grp int, body text) PARTITION BY LIST (grp);
	CREATE TABLE parted1 PARTITION OF parted FOR VALUES IN (1);
	CREATE TABLE parted2 PARTITION OF parted FOR VALUES IN (2) USING heap;
	INSERT INTO parted SELECT id, 1 + id % 2, body FROM documents;
	CREATE MATERIALIZED VIEW shown AS SELECT id, left(body, 9000) AS body FROM documents;
	CREATE UNLOGGED TABLE loose AS SELECT id, body FROM documents;
	SELECT toaststore.create_map('files');
	SELECT toaststore.map_set('files', 'file ' || n, oracle.noise(n, 20000)) FROM generate_series(1, 20) n]);

my $methods = q[
	SELECT c.oid::regclass, amname, toast.relname IS NOT NULL, reloptions_of.reloptions, (SELECT string_agg(pg_get_constraintdef(oid), '') FROM pg_constraint WHERE conrelid = c.oid AND contype = 'c')
	  FROM pg_class c JOIN pg_am ON pg_am.oid = c.relam LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid,
	       LATERAL (SELECT c.reloptions) AS reloptions_of
	 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'm') ORDER BY c.relname];
my @tables = ('documents', 'parted', 'shown', 'loose', 'files');
sub contents
{
	my ($where, $database) = @_;
	return join("\n", map { "$_ " . $where->safe_psql($database, "SELECT encode(sha256(convert_to(t::text, 'UTF8')), 'hex') FROM $_ t ORDER BY 1") } @tables);
}
my $expected = contents($node, $from);
my $as_made = $node->safe_psql($from, $methods);
like($as_made, qr/^documents\|toaststore\|t\|\{toast_tuple_target=500\}\|CHECK.*16384.*zstd:2/m, 'there is something to dump');

sub same_in
{
	my ($where, $database, $what) = @_;
	is($where->safe_psql($database, $methods), $as_made, "$what: access methods and options are the same");
	is(contents($where, $database), $expected, "$what: rows are the same");
	is(verify_store($where, $_, $database), '', "$what: $_ is sound") for 'documents', 'parted1', 'shown', 'loose', 'files';
	$where->safe_psql($database, q[
		BEGIN;
		UPDATE documents SET body = body || 'x', data = substr(data, 2);
		INSERT INTO documents SELECT id + 1000, body, data, meta FROM documents;
		ROLLBACK]);
	is(contents($where, $database), $expected, "$what: rows can be changed");
	return;
}

my $dump = $node->basedir . '/dump';
command_ok([ 'pg_dump', '--file', "$dump.sql", $node->connstr($from) ], 'pg_dump, plain');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '--output', "$dump.out", '--file', "$dump.sql", $node->connstr('restored') ],
	'a plain dump is restored');
same_in($node, 'restored', 'plain');
command_ok([ 'pg_dump', '--format', 'custom', '--file', "$dump.custom", $node->connstr($from) ], 'pg_dump, custom');
# pg_restore takes its database by name.
sub pg_restore_ok
{
	my ($what, @options) = @_;
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS restored');
	$node->safe_psql('postgres', 'CREATE DATABASE restored');
	command_ok([ 'pg_restore', '--exit-on-error', '--host', $node->host, '--port', $node->port, '--dbname', 'restored', @options ], $what);
	return;
}
pg_restore_ok('a custom dump is restored', "$dump.custom");
same_in($node, 'restored', 'custom');
command_ok([ 'pg_dump', '--format', 'directory', '--jobs', 2, '--file', "$dump.directory", $node->connstr($from) ], 'pg_dump, parallel');
pg_restore_ok('a directory is restored in parallel', '--jobs', 2, "$dump.directory");
same_in($node, 'restored', 'parallel');
pg_restore_ok('tables are restored as heap tables where that is asked for', '--no-table-access-method', "$dump.custom");
is(contents($node, 'restored'), $expected, 'with the same rows');
unlike($node->safe_psql('restored', $methods), qr/\|toaststore\|/, 'and none of them a toaststore table');
$node->safe_psql('postgres', 'DROP DATABASE restored');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE as_toaststore');
same_in($node, 'restored', 'CREATE DATABASE .. TEMPLATE');
$node->safe_psql('postgres', 'DROP DATABASE restored');
$node->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => ['--data-checksums']);
$new->append_conf('postgresql.conf', "fsync = off\nlog_statement = none\nautovacuum = off\n");
# It writes into the directory that it is run in.
my $here = File::Spec->rel2abs('.');
chdir PostgreSQL::Test::Utils::tempdir_short() or die "chdir: $!";
my $bin = $new->config_data('--bindir');
command_ok(
	[
		'pg_upgrade', '--no-sync', '--old-datadir', $node->data_dir, '--new-datadir', $new->data_dir,
		'--old-bindir', $bin, '--new-bindir', $bin, '--old-port', $node->port, '--new-port', $new->port, '--socketdir', $new->host
	],
	'pg_upgrade');
chdir $here or die "chdir: $!";
$new->start;
same_in($new, $from, 'upgraded');
$new->safe_psql($from, q[INSERT INTO documents SELECT id + 2000, body, data, meta FROM documents WHERE id < 40; DELETE FROM documents WHERE id < 2000;
	UPDATE documents SET id = id - 2000; DELETE FROM documents WHERE id > 40; VACUUM FULL documents]);
is($new->safe_psql($from, q[SELECT count(*) FROM documents WHERE data IS DISTINCT FROM oracle.noise(id, 50 * id * id)]), 0, 'upgraded: values are stored and found');
is(verify_store($new, 'documents', $from), '', 'upgraded: and the store stays sound');
$new->stop;
done_testing();
