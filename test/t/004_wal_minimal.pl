# Under wal_level = minimal a store that is created and filled in one transaction is flushed instead
# of logged, and outlives a crash; an unlogged store is empty and usable after one; a temporary store
# works and leaves nothing behind. A prepared transaction outlives a crash undecided.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('minimal');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
wal_level = minimal
max_wal_senders = 0
wal_skip_threshold = 0
max_prepared_transactions = 2
autovacuum = off
log_statement = none
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);
is($node->safe_psql('postgres', 'SHOW wal_level'), 'minimal', 'wal_level is minimal');

my $values = 'SELECT random_bytes(n, (n * n * n) % 200000) FROM generate_series(1, 100) n';

# Committed in one transaction, each in a way of its own.
$node->safe_psql('postgres', qq[
	SELECT toaststore.create_store('logged');
	SELECT toaststore.put('logged', v) FROM ($values) made (v);
	BEGIN;
	SELECT toaststore.create_store('skipped');
	SELECT toaststore.put('skipped', v) FROM ($values) made (v);
	SELECT toaststore.delete('skipped', id) FROM skipped WHERE id % 10 = 0;
	SAVEPOINT a;
	SELECT toaststore.put('skipped', 'undone');
	ROLLBACK TO a;
	COMMIT;
	CREATE TABLE by_select USING toaststore_values AS
	SELECT row_number() OVER () AS id, v AS value FROM ($values) made (v);
	SELECT toaststore.create_store('truncated');
	SELECT toaststore.put('truncated', 'before');
	BEGIN;
	TRUNCATE truncated;
	INSERT INTO truncated (value) $values;
	COMMIT;
	SELECT toaststore.create_store('kept');
	INSERT INTO kept (value) $values;
	BEGIN;
	TRUNCATE kept;
	SELECT toaststore.put('kept', 'undone');
	ROLLBACK;
	BEGIN;
	SELECT toaststore.create_store('undone');
	SELECT toaststore.put('undone', v) FROM ($values) made (v);
	ROLLBACK]);
# Small ones are logged rather than flushed.
$node->safe_psql('postgres', qq[
	SET wal_skip_threshold = '1GB';
	BEGIN;
	SELECT toaststore.create_store('logged_at_commit');
	SELECT toaststore.put('logged_at_commit', v) FROM ($values) made (v);
	COMMIT]);
my @stores = qw(logged skipped by_select truncated kept logged_at_commit);
my %before = map { $_ => digests($node, $_) } @stores;
is(scalar(keys %{ $before{skipped} }), 90, 'values are there before the crash');

# What is put afterwards is logged.
for my $store (@stores)
{
	$node->safe_psql('postgres', "SELECT toaststore.put('$store', random_bytes(1000, 100000))");
	$before{$store} = digests($node, $store);
}

$node->safe_psql('postgres', qq[
	CREATE UNLOGGED TABLE unlogged (id bigint, value bytea,
	    CONSTRAINT toaststore_options CHECK (toaststore.options(10, 1000, 8192, 'none')))
	    USING toaststore_values;
	SELECT toaststore.put('unlogged', v) FROM ($values) made (v);
	CREATE UNLOGGED TABLE unlogged_empty (id bigint, value bytea) USING toaststore_values]);
is(scalar(keys %{ digests($node, 'unlogged') }), 100, 'an unlogged store takes values');
is(verify_store($node, 'unlogged'), '', 'and is sound');

# Neither there nor gone until it is decided.
$node->safe_psql('postgres', q[
	SELECT toaststore.create_store('prepared');
	SELECT toaststore.put('prepared', 'deleted or not');
	BEGIN;
	SELECT toaststore.put('prepared', random_bytes(1, 100000));
	SELECT toaststore.delete('prepared', 1);
	PREPARE TRANSACTION 'undecided']);

$node->stop('immediate');
$node->start;

is($node->safe_psql('postgres', q[SELECT id, length(value) FROM prepared]), '1|14',
	'what a prepared transaction changed does not show after a crash');
$node->safe_psql('postgres', q[COMMIT PREPARED 'undecided']);
is($node->safe_psql('postgres', q[SELECT id, value = random_bytes(1, 100000) FROM prepared]), '2|t',
	'until it is committed');
is(verify_store($node, 'prepared'), '', 'and the store is sound');

for my $store (@stores)
{
	is_deeply(digests($node, $store), $before{$store}, "$store is the same after a crash");
	is(verify_store($node, $store), '', "$store is sound");
	my $most = (sort { $b <=> $a } keys %{ $before{$store} })[0];
	cmp_ok($node->safe_psql('postgres', "SELECT toaststore.put('$store', 'next')"), '>', $most, "its ids go on");
}
is($node->safe_psql('postgres', q[SELECT to_regclass('undone') IS NULL]), 't', 'a store rolled back is gone');
for my $store (qw(unlogged unlogged_empty))
{
	is($node->safe_psql('postgres', "SELECT count(*) FROM $store"), 0, "$store is empty after a crash");
	is($node->safe_psql('postgres', "SELECT toaststore.put('$store', random_bytes(1, 5000))"), 1, 'and usable');
	is($node->safe_psql('postgres',
			"SELECT toaststore.get('$store', 1) = random_bytes(1, 5000), count(*) FROM $store"),
		't|1', 'and keeps what it gets');
	is(verify_store($node, $store), '', 'and is sound');
}
is($node->safe_psql('postgres', q[SELECT layout, chunks FROM toaststore.info('unlogged', 1)]),
	'chunked|1', 'its options are kept');
$node->restart;
is($node->safe_psql('postgres', q[SELECT count(*) FROM unlogged]), 1,
	'an unlogged store outlives an orderly stop');
# Logged from now on, which writes it anew where that is supported.
my ($status, undef, $errors) = $node->psql('postgres', 'ALTER TABLE unlogged SET LOGGED');
if ($status == 0)
{
	$node->stop('immediate');
	$node->start;
}
is($node->safe_psql('postgres', q[SELECT toaststore.get('unlogged', 1) = random_bytes(1, 5000)]),
	't', 'SET LOGGED keeps the values, or changes nothing');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM unlogged_empty'), 0,
	'what an unlogged store had on disk is gone after a crash');

# A temporary store is its session's own.
is($node->safe_psql('postgres', qq[
		CREATE TEMP TABLE passing (id bigint, value bytea) USING toaststore_values;
		DO \$\$
		BEGIN
		    PERFORM toaststore.put('passing', v) FROM ($values) made (v);
		    PERFORM toaststore.delete('passing', 3);
		    INSERT INTO passing VALUES (1000, 'own');
		END
		\$\$;
		SELECT count(*), bool_and(toaststore.get('passing', id) = value),
		       bool_and(id = 1000 OR value = random_bytes(id, ((id * id * id) % 200000)::int))
		  FROM passing;
		SELECT count(*) FROM toaststore.verify('passing');
		TRUNCATE passing;
		SELECT count(*), toaststore.put('passing', 'anew') FROM passing;
		BEGIN READ ONLY;
		SELECT toaststore.put('passing', 'also read-only');
		COMMIT;
		VACUUM ANALYZE passing;
		SELECT string_agg(convert_from(value, 'UTF8'), ', ' ORDER BY id) FROM passing]),
	"100|t|t\n0\n0|1\n2\nanew, also read-only", 'a temporary store works');
is($node->safe_psql('postgres', q[
		CREATE TEMP TABLE passing (id bigint, value bytea) USING toaststore_values ON COMMIT DELETE ROWS;
		BEGIN;
		SELECT toaststore.put('passing', 'here');
		SELECT count(*) FROM passing;
		COMMIT;
		SELECT count(*) FROM passing;
		SELECT toaststore.put('passing', 'here again') IS NOT NULL]),
	"1\n1\n0\nt", 'also where its values last for a transaction');
# The backend drops it on its way out, after the client has gone.
ok($node->poll_query_until('postgres', q[SELECT count(*) = 0 FROM pg_class WHERE relname = 'passing']),
	'and is gone');
$node->stop;
command_ok([ 'pg_checksums', '--check', '-D', $node->data_dir ], 'every checksum is right');

done_testing();
