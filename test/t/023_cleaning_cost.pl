# What cleaning costs depends on what changed, not on the size of the store: after 1,000 deletes VACUUM
# touches as many pages in a store ten times as large. TOASTSTORE_LONG: a store of 1,000,000 values, and
# one of 10,000,000.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $small = $ENV{TOASTSTORE_LONG} ? 1000000 : 20000;
my $deletes = 1000;

my $node = PostgreSQL::Test::Cluster->new('cost');
$node->init;
$node->append_conf('postgresql.conf', q[
fsync = off
autovacuum = off
shared_buffers = 256MB
max_wal_size = 4GB
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');

# Pages of a store that a statement reads, from the cache or not. Statistics are written when a session
# ends.
sub touched
{
	my ($store) = @_;
	return $node->safe_psql('postgres', qq[
		SELECT heap_blks_hit + heap_blks_read FROM pg_statio_all_tables WHERE relid = '$store'::regclass]);
}

my %pages;
for my $count ($small, 10 * $small)
{
	my $store = "of_$count";
	$node->safe_psql('postgres', qq[
		SELECT toaststore.create_store('$store', compression => 'none');
		INSERT INTO $store (value) SELECT decode(repeat(md5(n::text), 6), 'hex') FROM generate_series(1, $count) n]);
	$node->safe_psql('postgres', "VACUUM $store");
	# Each in a leaf of its own, if there are as many.
	my $step = $count / $deletes;
	$node->safe_psql('postgres', qq[
		SELECT count(toaststore.delete('$store', n::bigint * $step)) FROM generate_series(1, $deletes) n]);
	my $before = touched($store);
	$node->safe_psql('postgres', "VACUUM $store");
	$pages{$count} = touched($store) - $before;
	is($node->safe_psql('postgres', "SELECT count(*) FROM $store"), $count - $deletes, "$store is clean");
	my $dead = $node->safe_psql('postgres', "SELECT reltuples::bigint FROM pg_class WHERE relname = '$store'");
	is($dead, $count - $deletes, 'and known to be');
	$before = touched($store);
	$node->safe_psql('postgres', "VACUUM $store");
	cmp_ok(touched($store) - $before, '<', 250, 'where nothing changed next to nothing is read');
}
my ($few, $many) = @pages{ $small, 10 * $small };
note("VACUUM after $deletes deletes touches $few pages of $small values, $many of ten times as many");
cmp_ok($few, '>', 0, 'pages are counted');
cmp_ok($many, '<', 8 * $deletes, 'a few pages for each value deleted');
$node->stop;

done_testing();
