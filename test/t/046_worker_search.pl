# After a start of the server each store is looked at once, and a worker visits those in which
# something is left to be done, whatever that is: no others.
#
# A visit ends in an error here, as soon as it has begun. So the view tells which stores were visited,
# and each stays as it is.

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
$node->stop;

done_testing();
