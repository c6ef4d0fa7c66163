# A standby holds the same values as its primary after every kind of change, page for page (under
# wal_consistency_checking), refuses to write, and goes on as a primary once it is promoted.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
# Redo compares each page with the primary's, and stops the standby where they differ.
$primary->append_conf('postgresql.conf', q[
wal_consistency_checking = 'all'
shared_buffers = 16MB
max_wal_size = 1GB
max_prepared_transactions = 5
log_statement = none
autovacuum = off
]);
$primary->start;
$primary->backup('start');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'start', has_streaming => 1);
$standby->start;

my %stores;    # that the primary has

sub run { return $primary->safe_psql('postgres', $_[0]) }

# Makes a change on the primary and compares both servers, store by store, id by id.
sub same_after
{
	my ($change, $sql) = @_;
	run($sql);
	$primary->wait_for_catchup($standby);
	my $different = '';
	my $values = 0;
	for my $store (sort keys %stores)
	{
		my ($here, $there) = (digests($primary, $store), digests($standby, $store));
		$values += keys %$here;
		my %ids = (%$here, %$there);
		for my $id (sort { $a <=> $b } keys %ids)
		{
			$different .= " $store/$id" if ($here->{$id} // 'none') ne ($there->{$id} // 'none');
		}
		$different .= " verify($store)" if verify_store($standby, $store) ne '';
	}
	is($different, '', "the same $values values after: $change");
	return;
}

run('CREATE EXTENSION toaststore');
create_random_bytes($primary);

same_after('create_store', q[SELECT toaststore.create_store('media')]);
$stores{media} = 1;
same_after('nothing: an empty store', 'SELECT 1');
same_after('a direct value', q[SELECT toaststore.put('media', random_bytes(1, 100))]);
same_after('an empty value', q[SELECT toaststore.put('media', '')]);
same_after('an extent value', q[SELECT toaststore.put('media', random_bytes(2, 50000))]);
same_after('a chunked value', q[SELECT toaststore.put('media', random_bytes(3, 1000000))]);
same_after('compressed values', q[
	SELECT toaststore.put('media', convert_to(repeat('compressible ', n), 'UTF8'))
	  FROM unnest(ARRAY[100, 4000, 100000]) n]);
same_after('put_many', q[
	SELECT toaststore.put_many('media', array_agg(random_bytes(n, n * 37)))
	  FROM generate_series(1, 300) n]);
same_after('INSERT', q[
	INSERT INTO media (value) SELECT random_bytes(n, n * 50) FROM generate_series(1, 200) n]);
same_after('COPY', q[
	CREATE TABLE source (id bigint, value bytea);
	INSERT INTO source SELECT n * 10 + 100000, random_bytes(n, n * 20) FROM generate_series(1, 200) n;
	COPY source TO '] . $primary->data_dir . q[/source.copy' (FORMAT binary);
	COPY media FROM '] . $primary->data_dir . q[/source.copy' (FORMAT binary)]);
same_after('delete', q[SELECT toaststore.delete('media', id) FROM media WHERE id % 5 = 0]);
same_after('DELETE', q[DELETE FROM media WHERE id % 7 = 0]);
same_after('rollback of puts', q[
	BEGIN;
	SELECT toaststore.put('media', random_bytes(n, 3000)) FROM generate_series(1, 200) n;
	SELECT toaststore.put('media', random_bytes(4, 500000));
	ROLLBACK]);
same_after('rollback of deletions', q[
	BEGIN;
	SELECT toaststore.delete('media', id) FROM media WHERE id % 3 = 0;
	ROLLBACK]);
same_after('deletion after a rollback of it', q[
	SELECT toaststore.delete('media', id) FROM media WHERE id % 9 = 0]);
same_after('savepoints', q[
	BEGIN;
	SELECT toaststore.put('media', random_bytes(5, 4000));
	SAVEPOINT a;
	SELECT toaststore.put('media', random_bytes(6, 80000));
	SELECT toaststore.delete('media', 3);
	ROLLBACK TO a;
	SELECT toaststore.put('media', random_bytes(7, 4000));
	COMMIT]);
same_after('an aborted id of one\'s own, taken again', q[
	BEGIN;
	INSERT INTO media VALUES (50000, random_bytes(8, 70000));
	ROLLBACK;
	INSERT INTO media VALUES (50000, random_bytes(9, 5000))]);
same_after('the id of a deleted value, taken again', q[
	SELECT toaststore.delete('media', 50000);
	INSERT INTO media VALUES (50000, random_bytes(8, 20000))]);
same_after('a prepared transaction', q[
	BEGIN;
	SELECT toaststore.put('media', random_bytes(10, 30000));
	SELECT toaststore.delete('media', min(id)) FROM media;
	PREPARE TRANSACTION 'prepared']);
same_after('its commit', q[COMMIT PREPARED 'prepared']);

# Leaves split at the right edge, then in the middle, then everywhere.
same_after('thousands of puts', q[
	SELECT toaststore.put('media', random_bytes(n, 40 + n % 60)) FROM generate_series(1, 5000) n]);
same_after('ids in the middle', q[
	INSERT INTO media SELECT n * 7, random_bytes(n, 50) FROM generate_series(200000, 203000) n;
	INSERT INTO media SELECT n * 7 + 3, random_bytes(n, 50) FROM generate_series(200000, 203000) n]);
same_after('ids in descending order', q[
	INSERT INTO media SELECT 100000000 - n, random_bytes(n, 30) FROM generate_series(1, 2000) n]);
same_after('ids beyond 32 bits', q[
	INSERT INTO media SELECT (1::bigint << 40) + n * 3, random_bytes(n, n * 10)
	  FROM generate_series(1, 500) n]);
same_after('a store with a row of its own thresholds', q[
	SELECT toaststore.create_store('tuned', 100, 8000, 8192, 'zstd:3')]);
$stores{tuned} = 1;
same_after('values of every size in it', q[
	SELECT toaststore.put('tuned', random_bytes(n, n * n)) FROM generate_series(0, 200) n;
	SELECT toaststore.put('tuned', convert_to(repeat(n || ' ', n * n), 'UTF8'))
	  FROM generate_series(0, 200) n]);
same_after('a table of chunk tables', q[SELECT toaststore.put('tuned', random_bytes(11, 17000000))]);
same_after('alter_store', q[
	SELECT toaststore.alter_store('tuned', 'none');
	SELECT toaststore.put('tuned', convert_to(repeat(n || ' ', n * n), 'UTF8'))
	  FROM generate_series(0, 100) n]);
same_after('VACUUM', 'VACUUM media');
same_after('VACUUM ANALYZE', 'VACUUM (ANALYZE, FREEZE) tuned');
same_after('VACUUM FULL', 'VACUUM FULL tuned');
same_after('puts after it', q[
	SELECT toaststore.put('tuned', random_bytes(n, n * 500)) FROM generate_series(1, 100) n]);
same_after('CHECKPOINT, puts after it', q[
	CHECKPOINT;
	SELECT toaststore.put('media', random_bytes(n, 2000)) FROM generate_series(1, 100) n]);
# Each in a session of its own: the lanes of several writers.
$primary->pgbench(
	'--no-vacuum --client=4 --transactions=50', 0, [qr/processed: 200\/200/], [qr/^$/],
	'several clients at once',
	{ '002_clients' => q[
		\set length random(1, 20000)
		\set seed random(1, 1000000)
		SELECT toaststore.put('media', random_bytes(:seed, :length));] });
same_after('several clients at once', 'SELECT 1');
$standby->restart;
same_after('a restart of the standby', q[SELECT toaststore.put('media', random_bytes(12, 100000))]);
same_after('TRUNCATE', 'TRUNCATE tuned');
same_after('puts after TRUNCATE', q[
	SELECT toaststore.put('tuned', random_bytes(n, n * 100)) FROM generate_series(1, 100) n]);
same_after('TRUNCATE rolled back', q[
	BEGIN; TRUNCATE tuned; SELECT toaststore.put('tuned', 'x'); ROLLBACK]);
same_after('SET TABLESPACE', q[
	SET allow_in_place_tablespaces = on;
	CREATE TABLESPACE elsewhere LOCATION '';
	ALTER TABLE tuned SET TABLESPACE elsewhere]);
same_after('puts there', q[
	SELECT toaststore.put('tuned', random_bytes(n, n * 100)) FROM generate_series(1, 50) n]);
same_after('an unlogged store beside it', q[
	CREATE UNLOGGED TABLE unlogged (id bigint, value bytea) USING toaststore_values;
	SELECT toaststore.put('unlogged', random_bytes(1, 10000))]);
same_after('SET LOGGED', 'ALTER TABLE unlogged SET LOGGED');
$stores{unlogged} = 1;
same_after('puts after it', q[
	SELECT toaststore.put('unlogged', random_bytes(n, n * 500)) FROM generate_series(1, 100) n]);
run('CREATE DATABASE copied TEMPLATE postgres');
$primary->wait_for_catchup($standby);
my $all = q[SELECT count(*), encode(sha256(string_agg(sha256(value), '' ORDER BY id)), 'hex') FROM media];
is($standby->safe_psql('copied', $all), $standby->safe_psql('postgres', $all),
	'the same in a database copied from this one');
is($primary->safe_psql('copied', q[SELECT toaststore.put('media', 'x') IS NOT NULL]),
	't', 'which takes values');
run('DROP TABLE source, unlogged') if delete $stores{unlogged};

# A value that is about to go for good is one that a query of the standby may still need.
run('SELECT toaststore.delete(\'media\', 50000)');
$primary->wait_for_catchup($standby);
run(q[INSERT INTO media VALUES (60000, 'seen by the standby')]);
$primary->wait_for_catchup($standby);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = 0');
$standby->reload;
my $reader = $standby->background_psql('postgres', on_error_stop => 0);
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($reader->query_safe(q[SELECT convert_from(value, 'UTF8') FROM media WHERE id = 60000]),
	'seen by the standby', 'an old snapshot of the standby sees a value');
run(q[SELECT toaststore.delete('media', 60000)]);
$primary->wait_for_catchup($standby);
is($reader->query_safe(q[SELECT convert_from(value, 'UTF8') FROM media WHERE id = 60000]),
	'seen by the standby', 'and goes on seeing it when it is deleted');
run(q[INSERT INTO media VALUES (60000, 'another')]);
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q[SELECT confl_snapshot FROM pg_stat_database_conflicts WHERE datname = 'postgres']),
	1, 'and is ended when the id is taken again, rather than shown another value');
eval { $reader->quit };

# The same where VACUUM removes it. What was rolled back, and what is only moved, is in nobody's way.
sub conflicts
{
	return $standby->safe_psql('postgres',
		q[SELECT confl_snapshot FROM pg_stat_database_conflicts WHERE datname = 'postgres']);
}

run(q[
	SELECT toaststore.create_store('vacuumed');
	INSERT INTO vacuumed (value) SELECT random_bytes(n, 20000) FROM generate_series(1, 300) n]);
run('VACUUM vacuumed');
# Most of it is dead, and cleaned, before the standby looks.
run('DELETE FROM vacuumed WHERE id % 3 <> 0');
run(q[CALL toaststore.checkpoint('vacuumed')]);
run(q[BEGIN; SELECT toaststore.put('vacuumed', random_bytes(n, 9000)) FROM generate_series(1, 50) n; ROLLBACK]);
$primary->wait_for_catchup($standby);
my $old = $standby->background_psql('postgres', on_error_stop => 0);
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $sum = q[SELECT count(*), md5(string_agg(md5(value), ' ' ORDER BY id)) FROM vacuumed];
my $seen = $old->query_safe($sum);
my $conflicts = conflicts();
# A file that becomes shorter ends queries of a standby as any table's does: not while it is in use here.
my $user = $primary->background_psql('postgres');
$user->query_safe('BEGIN; SELECT count(*) FROM vacuumed');
run(q[CALL toaststore.compact('vacuumed')]);
$primary->wait_for_catchup($standby);
is($old->query_safe($sum), $seen, 'an old snapshot of the standby sees values that are moved');
$user->quit;
is(conflicts(), $conflicts, 'and is not ended by what is rolled back or moved');
run('DELETE FROM vacuumed WHERE id % 2 = 0');
$primary->wait_for_catchup($standby);
is($old->query_safe($sum), $seen, 'it sees values that are deleted');
run('VACUUM vacuumed');
$primary->wait_for_catchup($standby);
is(conflicts(), $conflicts + 1, 'and is ended when VACUUM removes them');
eval { $old->quit };
is($standby->safe_psql('postgres', $sum), $primary->safe_psql('postgres', $sum), 'new ones see what is left');
is(verify_store($standby, 'vacuumed'), '', 'which is sound');
is($standby->safe_psql('postgres', q[SELECT pg_relation_size('vacuumed')]),
	$primary->safe_psql('postgres', q[SELECT pg_relation_size('vacuumed')]), 'and as short as on the primary');
run('DROP TABLE vacuumed');

# On the standby values are read by every function, and written by none.
my $read = q[
	SELECT count(*) FROM media
	 WHERE toaststore.get('media', id) IS DISTINCT FROM value
	    OR toaststore.get_slice('media', id, 10, 100) IS DISTINCT FROM substr(value, 11, 100)
	    OR toaststore.length('media', id) IS DISTINCT FROM length(value)
	    OR (SELECT raw_bytes FROM toaststore.info('media', id)) IS DISTINCT FROM length(value)];
is($standby->safe_psql('postgres', $read), 0, 'get, get_slice, length and info answer on a standby');
my %writes = (
	put => q[SELECT toaststore.put('media', 'x')],
	put_many => q[SELECT toaststore.put_many('media', ARRAY['x']::bytea[])],
	delete => q[SELECT toaststore.delete('media', min(id)) FROM media],
	create_store => q[SELECT toaststore.create_store('another')],
	alter_store => q[SELECT toaststore.alter_store('media', 'none')],
	compact => q[CALL toaststore.compact('media')],
	checkpoint => q[CALL toaststore.checkpoint('media')],
	INSERT => q[INSERT INTO media (value) VALUES ('x')],
	DELETE => q[DELETE FROM media]);
for my $write (sort keys %writes)
{
	my ($status, undef, $errors) =
	  $standby->psql('postgres', "\\set VERBOSITY sqlstate\n$writes{$write};");
	like($errors, qr/ERROR:  25006/, "$write is refused on a standby");
}

same_after('DROP', 'DROP TABLE tuned') if delete $stores{tuned};
is($standby->safe_psql('postgres', q[SELECT to_regclass('tuned') IS NULL]),
	't', 'a dropped store is gone on the standby');

# As a primary.
my $before = digests($primary, 'media');
$primary->stop;
$standby->promote;
is_deeply(digests($standby, 'media'), $before, 'the same after promotion');
is(verify_store($standby, 'media'), '', 'sound after promotion');
$standby->safe_psql('postgres', q[
	SELECT toaststore.put('media', random_bytes(n, n * 100)) FROM generate_series(1, 300) n;
	SELECT toaststore.put('media', random_bytes(13, 3000000));
	SELECT toaststore.delete('media', id) FROM media WHERE id % 11 = 0;
	CHECKPOINT]);
my $after = digests($standby, 'media');
my @taken = grep { exists $before->{$_} && $before->{$_} ne $after->{$_} } keys %$after;
is(scalar(@taken), 0, 'no new value took an id that was there');
$standby->restart;
is_deeply(digests($standby, 'media'), $after, 'the same after a restart');
is(verify_store($standby, 'media'), '', 'sound after a restart');
$standby->safe_psql('postgres', q[SELECT toaststore.put('media', random_bytes(14, 100000))]);
$standby->stop('immediate');
$standby->start;
is(scalar(keys %{ digests($standby, 'media') }), scalar(keys %$after) + 1, 'and after a crash');
is(verify_store($standby, 'media'), '', 'sound after a crash');
$standby->stop;

done_testing();
