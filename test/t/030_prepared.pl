# Prepared transactions outlive crashes and the server that they were prepared on: until they are
# ended, what they put is unseen, what they deleted is there, and whoever wants the same waits; then
# they have happened whole, or not at all, on whichever server ended them.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
$primary->append_conf('postgresql.conf', q[
max_prepared_transactions = 10
shared_buffers = 4MB
log_statement = none
autovacuum = off
]);
$primary->start;
$primary->backup('start');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'start', has_streaming => 1);
$standby->start;

my $lengths = 'ARRAY[0, 10, 3000, 4097, 30000, 65537, 300000]';

# What a transaction does that is then prepared: it puts a value of every layout at ids from $first on,
# takes some back, and deletes an id of the start and one of its own.
sub prepare
{
	my ($node, $name, $first) = @_;
	$node->safe_psql('postgres', qq[
		BEGIN;
		INSERT INTO media SELECT $first + n, random_bytes($first + n, length)
		  FROM unnest($lengths) WITH ORDINALITY AS lengths (length, n);
		SAVEPOINT a;
		INSERT INTO media SELECT $first + 10 + n, random_bytes(1, 20000) FROM generate_series(1, 5) n;
		SELECT toaststore.delete('media', $first + 1), toaststore.delete('media', $first / 1000 + 1);
		ROLLBACK TO a;
		SAVEPOINT b;
		SELECT toaststore.delete('media', $first + 2), toaststore.delete('media', $first / 1000);
		RELEASE b;
		PREPARE TRANSACTION '$name']);
	return;
}

# Those digests that are there once it has been committed.
sub committed
{
	my ($node, $before, $first) = @_;
	my %after = %$before;
	delete $after{ $first / 1000 };
	for my $n (1, 3 .. 7)
	{
		$after{ $first + $n } = $node->safe_psql('postgres', qq[
			SELECT encode(sha256(random_bytes($first + $n, ($lengths)[$n])), 'hex')]);
	}
	return \%after;
}

# The SQLSTATE of a statement that waits for longer than it likes.
sub waits
{
	my ($node, $sql) = @_;
	my ($status, $out, $err) =
	  $node->psql('postgres', "SET lock_timeout = '50ms'; $sql", extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return $err =~ /(\w{5})\s*$/ ? $1 : "no error: $out";
}

$primary->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($primary);
$primary->safe_psql('postgres', q[
	SELECT toaststore.create_store('media');
	INSERT INTO media SELECT n, random_bytes(n, n * n * 20) FROM generate_series(1, 100) n]);
my $state = digests($primary, 'media');
is(scalar(keys %$state), 100, 'there are values to begin with');

prepare($primary, 'kept', 10000);
prepare($primary, 'undone', 20000);
$primary->safe_psql('postgres', 'CHECKPOINT');
prepare($primary, 'kept after a checkpoint', 30000);
prepare($primary, 'undone after a checkpoint', 40000);
prepare($primary, 'kept on the standby', 50000);
prepare($primary, 'undone on the standby', 60000);

sub unseen_and_held
{
	my ($node, $when, @first) = @_;
	is_deeply(digests($node, 'media'), $state, "$when: nothing has happened yet");
	for my $first (@first)
	{
		my $id = $first / 1000;
		is(waits($node, "SELECT toaststore.delete('media', $id)"), '55P03', "$when: the deleted id $id is waited for");
		is(waits($node, "INSERT INTO media VALUES ($first + 7, 'x')"), '55P03', "$when: so is the inserted id " . ($first + 7));
		is($node->safe_psql('postgres', "SELECT toaststore.delete('media', $first / 1000 + 1)"), 't',
			"$when: an id whose deletion was taken back is not");
		delete $state->{ $id + 1 };
	}
	my $put = $node->safe_psql('postgres', q[SELECT toaststore.put('media', 'meanwhile')]);
	cmp_ok($put, '>', 60007, "$when: others put");
	$state->{$put} = $node->safe_psql('postgres', "SELECT encode(sha256('meanwhile'), 'hex')");
	return;
}

unseen_and_held($primary, 'prepared', 10000);
$primary->stop('immediate');
$primary->start;
unseen_and_held($primary, 'after a crash', 20000, 30000);
is(waits($primary, q[SELECT * FROM toaststore.verify('media', exact => true)]), '55P03',
	'an exact verify waits for them, too');

$primary->safe_psql('postgres', q[COMMIT PREPARED 'kept']);
$state = committed($primary, $state, 10000);
$primary->safe_psql('postgres', q[ROLLBACK PREPARED 'undone']);
is_deeply(digests($primary, 'media'), $state, 'one committed, one rolled back');
is($primary->safe_psql('postgres', q[SELECT toaststore.delete('media', 20), toaststore.delete('media', 10)]),
	't|f', 'and deletions tell the truth');
delete $state->{20};
$primary->safe_psql('postgres', q[INSERT INTO media VALUES (20007, 'free again')]);
$state->{20007} = $primary->safe_psql('postgres', "SELECT encode(sha256('free again'), 'hex')");

# The ends of transactions survive a crash like everything else.
$primary->safe_psql('postgres', q[COMMIT PREPARED 'kept after a checkpoint']);
$state = committed($primary, $state, 30000);
$primary->safe_psql('postgres', q[ROLLBACK PREPARED 'undone after a checkpoint']);
$primary->stop('immediate');
$primary->start;
unseen_and_held($primary, 'after another crash', 50000);

# A session that waits is told the truth when somebody else ends the transaction.
my $waiting = $primary->background_psql('postgres');
$waiting->query_until(qr/waiting/, q[
\echo waiting
SELECT toaststore.delete('media', 50);
]);
$primary->poll_query_until('postgres',
	q[SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'toaststore.delete']);

# The standby sees none of the two that are left either, and ends them itself once it is promoted.
$primary->wait_for_catchup($standby);
is_deeply(digests($standby, 'media'), $state, 'standby: the same values');
my $aside = PostgreSQL::Test::Cluster->new('aside');
$primary->backup('aside');
$standby->promote;
$primary->safe_psql('postgres', q[COMMIT PREPARED 'kept on the standby']);
like($waiting->query(q[SELECT 'done']), qr/^f\b/, 'who waited is told that the value is gone');
$waiting->quit;
$primary->safe_psql('postgres', q[ROLLBACK PREPARED 'undone on the standby']);
is_deeply(digests($primary, 'media'), committed($primary, $state, 50000), 'primary: the last ones ended');
is(verify_store($primary, 'media'), '', 'primary: the store is sound');
$primary->stop;

my $before_promotion = { %$state };
is($standby->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), 2, 'promoted: two are left');
unseen_and_held($standby, 'promoted', 60000);
$standby->safe_psql('postgres', q[COMMIT PREPARED 'kept on the standby']);
$state = committed($standby, $state, 50000);
$standby->safe_psql('postgres', q[ROLLBACK PREPARED 'undone on the standby']);
is_deeply(digests($standby, 'media'), $state, 'promoted: ended here');
is(verify_store($standby, 'media'), '', 'promoted: the store is sound');
$standby->stop;

# So does a copy that was made while they were pending.
$aside->init_from_backup($primary, 'aside');
$aside->start;
$state = $before_promotion;
$aside->safe_psql('postgres', q[ROLLBACK PREPARED 'kept on the standby'; COMMIT PREPARED 'undone on the standby']);
is_deeply(digests($aside, 'media'), committed($aside, $before_promotion, 60000), 'a copy: ended the other way round');
is(verify_store($aside, 'media'), '', 'a copy: the store is sound');
$aside->stop;

done_testing();
