# Transaction ids go round: a store is frozen in time, by VACUUM and by autovacuum that must, and its
# values are there after the circle, whoever put them: transactions, subtransactions, prepared ones.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('freeze');
$node->init;
$node->append_conf('postgresql.conf', q[
fsync = off
autovacuum = off
max_prepared_transactions = 2
]);
$node->start;
create_random_bytes($node);
$node->safe_psql('postgres', q[
	CREATE EXTENSION toaststore;
	SELECT toaststore.create_store('media');
	INSERT INTO media (value) SELECT random_bytes(n, n * 100) FROM generate_series(1, 200) n;
	BEGIN;
	SAVEPOINT a;
	SELECT toaststore.put('media', random_bytes(1, 9000));
	SAVEPOINT b;
	SELECT toaststore.put('media', 'rolled back'), toaststore.delete('media', 1);
	ROLLBACK TO b;
	SELECT toaststore.delete('media', 2);
	RELEASE a;
	COMMIT]);
$node->safe_psql('postgres', q[
	BEGIN;
	SELECT toaststore.put('media', random_bytes(2, 9000)), toaststore.delete('media', 3);
	PREPARE TRANSACTION 'kept']);
$node->safe_psql('postgres', q[
	BEGIN;
	SELECT toaststore.put('media', random_bytes(2, 9000)), toaststore.delete('media', 4);
	PREPARE TRANSACTION 'dropped']);
$node->safe_psql('postgres', 'VACUUM media');
my $held = $node->safe_psql('postgres', q[
	SELECT bool_and(age(transaction) <= age(relfrozenxid)) FROM pg_prepared_xacts, pg_class WHERE relname = 'media']);
is($held, 't', 'prepared transactions hold the horizon back');
$node->safe_psql('postgres', q[COMMIT PREPARED 'kept']);
$node->safe_psql('postgres', q[ROLLBACK PREPARED 'dropped']);
my $values = digests($node, 'media');
is(scalar(keys %$values), 200, 'the values are there');
ok(!exists $values->{2} && !exists $values->{3} && exists $values->{1} && exists $values->{4}, 'and no others');

# Half a circle, three times: each would be the end of what is not frozen.
my $xid = 10000;
for my $round (1 .. 3)
{
	$node->safe_psql('postgres', q[UPDATE pg_database SET datallowconn = true WHERE datname = 'template0']);
	$node->safe_psql($_, 'VACUUM (FREEZE)') for qw(template0 template1 postgres);
	$node->safe_psql('postgres', 'CHECKPOINT');
	is($node->safe_psql('postgres', q[SELECT age(relfrozenxid) < 1000 FROM pg_class WHERE relname = 'media']),
		't', "round $round: the store is frozen");
	$node->stop;
	# A page of the commit log, so that there is one to begin with.
	$xid = ($xid + 1500000000) % 4294967296;
	$xid -= $xid % 1048576;
	my $clog = sprintf('%s/pg_xact/%04X', $node->data_dir, $xid / 1048576);
	open(my $file, '>', $clog) or die "$clog: $!";
	print $file "\0" x 262144;
	close($file);
	command_ok([ 'pg_resetwal', '-f', '-x', $xid, $node->data_dir ], "the next transaction is $xid");
	$node->start;
	is_deeply(digests($node, 'media'), $values, 'the values are the same');
	is(verify_store($node, 'media'), '', 'and sound');
	my $id = $node->safe_psql('postgres', q[SELECT toaststore.put('media', 'of this round')]);
	$node->safe_psql('postgres', qq[SELECT toaststore.delete('media', $id)]);
}
$node->safe_psql('postgres', 'VACUUM FULL media; VACUUM media');
is_deeply(digests($node, 'media'), $values, 'the same after VACUUM FULL');
$node->stop;

done_testing();
