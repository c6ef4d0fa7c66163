# pg_upgrade carries stores over as they are, copied and linked: values, ids, options and the age of
# their transaction ids; also a store made of a table that once had another column.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init(extra => ['--data-checksums']);
$old->append_conf('postgresql.conf', 'autovacuum = off');
$old->start;
$old->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($old);
$old->safe_psql('postgres', q[
	SELECT toaststore.create_store('media');
	SELECT toaststore.create_store('tuned', 100, 8000, 8192, 'zstd:3');
	CREATE TABLE changed (id bigint, value bytea, note text);
	ALTER TABLE changed DROP COLUMN note;
	ALTER TABLE changed SET ACCESS METHOD toaststore_values;
	SELECT toaststore.create_store('empty')]);
my @stores = ('media', 'tuned', 'changed');
for my $store (@stores)
{
	$old->safe_psql('postgres', qq[
		SELECT toaststore.put('$store', random_bytes(n, n * n * 5)) FROM generate_series(0, 150) n;
		SELECT toaststore.delete('$store', id) FROM $store WHERE id % 10 = 3;
		BEGIN; SELECT toaststore.put('$store', 'rolled back'); ROLLBACK]);
}
# What must be the same: values by SHA-256, options, the oldest transaction id.
sub state_of
{
	my ($node) = @_;
	my %state = map { $_ => digests($node, $_) } @stores, 'empty';
	$state{options} = $node->safe_psql('postgres', q[
		SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint
		 WHERE conname = 'toaststore_options' ORDER BY conrelid]);
	$state{frozen} = $node->safe_psql('postgres', q[
		SELECT c.oid, relfrozenxid FROM pg_class c JOIN pg_am ON pg_am.oid = relam
		 WHERE amname = 'toaststore_values' ORDER BY c.oid]);
	return \%state;
}

my $before = state_of($old);
is(scalar(keys %{ $before->{media} }), 136, 'there is something to carry over');
$old->stop;

my $bindir = $old->config_data('--bindir');
for my $mode ('copy', 'link')
{
	my $new = PostgreSQL::Test::Cluster->new("new_$mode");
	$new->init(extra => ['--data-checksums']);
	chdir($new->basedir) or die "could not change to the new server's directory: $!";
	command_ok(
		[ 'pg_upgrade', '--no-sync', $mode eq 'link' ? '--link' : (),
		  '--old-bindir', $bindir, '--new-bindir', $bindir,
		  '--old-datadir', $old->data_dir, '--new-datadir', $new->data_dir,
		  '--socketdir', $new->host, '--old-port', $old->port, '--new-port', $new->port ],
		"pg_upgrade, $mode");
	$new->start;
	is_deeply(state_of($new), $before, "$mode: stores are the same");
	for my $store (@stores)
	{
		is(verify_store($new, $store), '', "$mode: $store is sound");
		is($new->safe_psql('postgres', "SELECT toaststore.put('$store', random_bytes(1, 30000)) > 151"),
			't', "$mode: $store goes on with fresh ids");
	}
	is($new->safe_psql('postgres', q[SELECT toaststore.put('empty', 'x')]), 1, "$mode: the empty one begins");
	$new->stop;
}

done_testing();
