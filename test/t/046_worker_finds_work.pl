# A worker finds what is to be done: in each store after a start of the server, in a database that is
# made, and what it had to leave for later. It visits no store in which nothing is.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('search');
$node->init;
$node->append_conf('postgresql.conf', q[
shared_preload_libraries = 'toaststore'
toaststore.naptime = 1
toaststore.checkpoint_interval = 1
toaststore.worker = off
autovacuum = off
fsync = off
log_statement = none
]);
$node->start;
$node->safe_psql('postgres', q[
	CREATE EXTENSION toaststore;
	CREATE FUNCTION bytes(seed int, length int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
	$$ SELECT substr(decode(repeat(md5(seed::text), length / 16 + 1), 'hex'), 1, length) $$;
	CREATE FUNCTION put_some(store regclass, count int) RETURNS bigint LANGUAGE sql AS
	$$ SELECT count(toaststore.put(store, bytes(n, 50000))) FROM generate_series(1, count) n $$]);

# --- after a start ---------------------------------------------------------------------------------

# Each store is looked at. A visit ends in an error here as soon as it has begun: so the view tells
# which stores were visited, and each stays as it is.

# Runs SQL that fails at a step.
sub stop_at
{
	my ($step, $sql) = @_;
	my (undef, undef, $errors) = $node->psql('postgres', "SET toaststore.stop_at = '$step'; $sql");
	like($errors, qr/stopped at/, "stopped at $step");
	return;
}

# What is left to be done in a store, and how that comes about.
my %left = (
	nothing => sub { },
	a_change => sub { $node->safe_psql('postgres', "SELECT put_some('$_[0]', 1)") },
	dead_ranges => sub
	{
		$node->safe_psql('postgres', "DELETE FROM $_[0] WHERE id = 50");
		stop_at('consume_journal:error', "CALL toaststore.checkpoint('$_[0]')");
		# What is consumed in the second go is a record of what has gone.
		stop_at('clean:error:16', "CALL toaststore.checkpoint('$_[0]')");
	},
	uncounted_extents => sub { stop_at('put_chunk:error:300', "SELECT toaststore.put('$_[0]', bytes(1, 25000000))") },
	mostly_dead_extents => sub
	{
		$node->safe_psql('postgres', "DELETE FROM $_[0] WHERE id % 4 > 0");
		$node->safe_psql('postgres', "CALL toaststore.checkpoint('$_[0]')");
	},
	values_far_behind => sub
	{
		# Of the extent that the first of them lies in, less than half is dead.
		for (my $first = 340;; $first++)
		{
			$node->safe_psql('postgres', "DELETE FROM $_[0] WHERE id < $first");
			$node->safe_psql('postgres', "CALL toaststore.checkpoint('$_[0]')");
			last if $node->safe_psql('postgres',
				"SELECT dead_bytes < 400000 FROM toaststore.stat_stores WHERE store = '$_[0]'::regclass") eq 't';
		}
	},
	free_end => sub
	{
		$node->safe_psql('postgres', "DELETE FROM $_[0] WHERE id > 20");
		$node->safe_psql('postgres', "VACUUM (TRUNCATE false) $_[0]");
	});
# The last one tells that the search has come to its end.
my @stores = ((sort keys %left), 'z_last');
for my $store (@stores)
{
	$node->safe_psql('postgres', "SELECT toaststore.create_store('$store', compression => 'none')");
	$node->safe_psql('postgres', "SELECT put_some('$store', 400)");
	$node->safe_psql('postgres', "VACUUM $store");
	$left{$store}->($store) if exists $left{$store};
}
my $journals = q[
	SELECT string_agg(store::text, ' ' ORDER BY store::text) FROM toaststore.stat_stores WHERE unprocessed_changes > 0];
is($node->safe_psql('postgres', $journals), 'a_change', 'journals tell of one store');

# The stores that are visited after a start.
sub visited
{
	$node->safe_psql('postgres', q[SELECT put_some('z_last', 1)]);
	$node->append_conf('postgresql.conf', q[
toaststore.worker = on
toaststore.stop_at = 'clean:error'
]);
	$node->restart;
	# All that the search finds is in the list at once.
	$node->poll_query_until('postgres', q[
		SELECT bool_or(store = 'z_last'::regclass AND worker_failures > 0)
		   AND bool_and(last_error IS NOT NULL OR worker_due IS NULL) FROM toaststore.stat_stores])
	  or die 'no visit';
	my @visited = split /\n/, $node->safe_psql('postgres',
		q[SELECT store FROM toaststore.stat_stores WHERE last_error = 'stopped at clean' ORDER BY store::text]);
	$node->append_conf('postgresql.conf', q[toaststore.stop_at = '']);
	return @visited;
}

is_deeply([ visited() ], [ grep { $_ ne 'nothing' } @stores ], 'a worker visits the stores in which something is left');
$node->reload;
$node->poll_query_until('postgres',
	'SELECT bool_and(unprocessed_changes = 0 AND worker_due IS NULL) FROM toaststore.stat_stores')
  or die 'the work does not come to its end';
is_deeply([ visited() ], ['z_last'], 'and when all of it is done, none of them');
for my $store (@stores)
{
	is(verify_store($node, $store), '', "$store is sound");
}

# --- a database that is made -----------------------------------------------------------------------

# Settings of the server, at once.
sub set
{
	my ($settings) = @_;
	$node->append_conf('postgresql.conf', $settings);
	$node->reload;
	return;
}

# Waits until a query about a store's row of the view is true.
sub wait_for_store
{
	my ($what, $store, $condition, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->poll_query_until($database // 'postgres',
			"SELECT $condition FROM toaststore.stat_stores WHERE store = '$store'::regclass"), $what)
	  or die 'it would not come by itself later';
	return;
}

set("toaststore.stop_at = ''\ntoaststore.worker = off");
$node->safe_psql('postgres', 'DELETE FROM a_change');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE postgres');
set('toaststore.worker = on');
wait_for_store('a worker comes to a new database', 'a_change', 'unprocessed_changes = 0', 'copy');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# --- what was left for later -----------------------------------------------------------------------

# What a transaction keeps is left by a worker, who comes back when it may be gone. The visit that
# finds it is over when the worker is: it has done something, so that the view tells of it.
sub comes_back
{
	my ($what, $store, $keeps, $work, $left, $gone) = @_;
	set('toaststore.worker = off');
	my $session = $node->background_psql('postgres');
	$session->query_safe($keeps);
	$node->psql('postgres', $work);
	my $start = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
	set('toaststore.worker = on');
	wait_for_store("$what: a worker comes", $store, "last_checkpoint > '$start'");
	$node->poll_query_until('postgres', q[SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'toaststore worker'])
	  or die 'the worker stays';
	is($node->safe_psql('postgres',
			"SELECT $left AND worker_due IS NOT NULL FROM toaststore.stat_stores WHERE store = '$store'::regclass"),
		't', "$what: it leaves that, and is to come back");
	$session->query_safe('COMMIT');
	$session->quit;
	wait_for_store("$what: it does when the transaction is over", $store, "$gone AND worker_due IS NULL");
	is(verify_store($node, $store), '', "$what: the store is sound");
	return;
}

$node->safe_psql('postgres', q[SELECT toaststore.create_store('media', compression => 'none'); SELECT put_some('media', 200)]);
comes_back('values of a snapshot', 'media', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1',
	'DELETE FROM media WHERE id % 2 = 0', 'unprocessed_changes > 0', 'unprocessed_changes = 0');
# A put that fails between its chunks leaves no change to look at, but whole extents.
comes_back('extents of a put that failed', 'media', 'BEGIN; SELECT pg_current_xact_id()',
	q[SET toaststore.stop_at = 'put_chunk:error:100'; SELECT toaststore.put('media', bytes(1, 10000000))],
	'unprocessed_changes = 0 AND open_bytes > 4000000', 'open_bytes < 4000000');
# Who reads the store keeps its file from becoming shorter.
comes_back('the end of a file', 'media', q[BEGIN; SELECT count(*) FROM media],
	'DELETE FROM media', 'live_bytes = 0 AND size_bytes > 4000000', 'size_bytes < 4000000');
$node->stop;

done_testing();
