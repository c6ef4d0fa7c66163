# A standby is promoted while its old primary goes on putting and deleting. pg_rewind takes the old
# primary back to where they parted: it holds what the new primary holds, by SHA-256, nothing of
# what it did alone, and follows.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

# The same ids on both sides, with other bytes: what is left over would show.
sub part_ways
{
	my ($node, $seed, $sizes) = @_;
	$node->safe_psql('postgres', qq[
		SELECT toaststore.put('media', random_bytes($seed + n, $sizes)) FROM generate_series(1, 150) n;
		SELECT toaststore.put_many('media', array_agg(random_bytes($seed + n, 50 + n)))
		  FROM generate_series(1, 300) n;
		INSERT INTO media VALUES (100000 + $seed, random_bytes($seed, 200000));
		BEGIN;
		SELECT toaststore.put('media', random_bytes($seed + n, 20000)) FROM generate_series(1, 50) n;
		ROLLBACK]);
	return;
}

sub rewind
{
	my ($mode, $extra) = @_;
	my $old = PostgreSQL::Test::Cluster->new("old_$mode");
	# Its log is kept: pg_rewind reads in it where the two parted.
	$old->init(allows_streaming => 1, extra => $extra);
	$old->append_conf('postgresql.conf', q[
wal_log_hints = on
wal_keep_size = 320MB
shared_buffers = 4MB
autovacuum = off
log_statement = none
]);
	$old->start;
	$old->safe_psql('postgres', 'CREATE EXTENSION toaststore');
	create_random_bytes($old);
	$old->safe_psql('postgres', q[
		SELECT toaststore.create_store(name) FROM unnest(ARRAY['media', 'truncated', 'dropped', 'untouched']) name;
		SELECT toaststore.put(store, random_bytes(n, n * n * 3))
		  FROM generate_series(1, 150) n,
		       unnest(ARRAY['media', 'truncated', 'dropped', 'untouched']::regclass[]) store]);
	$old->backup('start');
	my $new = PostgreSQL::Test::Cluster->new("new_$mode");
	$new->init_from_backup($old, 'start', has_streaming => 1);
	$new->start;
	$old->safe_psql('postgres', q[SELECT toaststore.put('media', random_bytes(1000, 100000))]);
	$old->wait_for_catchup($new);
	my $common = digests($old, 'media');

	$new->promote;
	# pg_rewind takes the timeline from the last checkpoint.
	$new->safe_psql('postgres', 'CHECKPOINT');

	# The old one has deleted what the new one has not, and grown beyond it.
	part_ways($old, 10000, 'n * n * 8');
	$old->safe_psql('postgres', q[
		SELECT toaststore.delete('media', id) FROM media WHERE id % 3 = 0;
		TRUNCATE truncated;
		SELECT toaststore.put('truncated', random_bytes(n, n * 500)) FROM generate_series(20001, 20005) n;
		DROP TABLE dropped;
		SELECT toaststore.create_store('lost');
		SELECT toaststore.put('lost', random_bytes(n, 10000)) FROM generate_series(1, 100) n;
		CHECKPOINT]);
	part_ways($old, 11000, '5000');
	part_ways($new, 30000, 'n * 90');
	$new->safe_psql('postgres', q[
		SELECT toaststore.delete('media', id) FROM media WHERE id % 4 = 0;
		SELECT toaststore.create_store('fresh');
		SELECT toaststore.put('fresh', random_bytes(n, n * 100)) FROM generate_series(1, 100) n;
		CHECKPOINT]);
	my @stores = qw(media truncated dropped untouched fresh);
	my %values = map { $_ => digests($new, $_) } @stores;
	my $parted = digests($old, 'media');
	my @both = grep { exists $parted->{$_} && !exists $common->{$_} } keys %{ $values{media} };
	cmp_ok(scalar(@both), '>', 100, "$mode: both gave the same ids");
	is(scalar(grep { $parted->{$_} eq $values{media}{$_} } @both), 0, "$mode: to other values");

	# One is stopped with work in it that pg_rewind recovers first, as after a crash.
	$old->stop($mode eq 'remote' ? 'immediate' : 'fast');
	my $conf = PostgreSQL::Test::Utils::tempdir() . '/postgresql.conf';
	append_to_file($conf, slurp_file($old->data_dir . '/postgresql.conf'));
	my @source = ('--source-server', $new->connstr('postgres'));
	if ($mode eq 'local')
	{
		$new->stop;
		@source = ('--source-pgdata', $new->data_dir);
	}
	command_ok([ 'pg_rewind', @source, '--target-pgdata', $old->data_dir, '--no-sync', '--config-file', $conf ],
		"$mode: pg_rewind");
	$new->start if $mode eq 'local';

	unlink $old->data_dir . '/postgresql.conf';
	$old->append_conf('postgresql.conf', slurp_file($conf));
	$old->enable_streaming($new);
	$old->start;
	$new->wait_for_catchup($old);
	same_store($old, $_, $values{$_}, "$mode: rewound") for @stores;
	is($old->safe_psql('postgres', q[SELECT to_regclass('lost') IS NULL]), 't',
		"$mode: a store that only the old one had is gone");

	# It follows, and takes over again.
	part_ways($new, 40000, 'n * n * 5');
	$new->safe_psql('postgres', q[SELECT toaststore.delete('media', id) FROM media WHERE id % 5 = 0]);
	$new->wait_for_catchup($old);
	my $now = digests($new, 'media');
	same_store($old, 'media', $now, "$mode: following");
	$new->stop;
	$old->promote;
	part_ways($old, 50000, 'n * 1000');
	my $after = digests($old, 'media');
	is(scalar(grep { ($after->{$_} // '') ne $now->{$_} } keys %$now), 0,
		"$mode: what is put then takes the place of nothing");
	$old->stop('immediate');
	$old->start;
	same_store($old, 'media', $after, "$mode: after a crash");
	$old->stop;
	command_ok([ 'pg_checksums', '--check', '-D', $old->data_dir ], "$mode: every checksum is right")
	  if @$extra;
	return;
}

rewind('remote', ['--data-checksums']);
# Without checksums, and the new primary's files at rest.
rewind('local', []);

done_testing();
