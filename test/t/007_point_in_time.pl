# A base backup and the archived log bring a store back to a chosen moment: what was put before is
# there by SHA-256, what was put after it is not, what was deleted after it is there again. The
# restored server goes on from there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(
	has_archiving => 1,
	allows_streaming => 1,
	extra => [ '--data-checksums', '--wal-segsize=1' ]);
$primary->append_conf('postgresql.conf', q[
autovacuum = off
log_statement = none
]);
$primary->start;

sub run { return $primary->safe_psql('postgres', $_[0]) }

run(q[
	CREATE EXTENSION toaststore;
	SELECT toaststore.create_store('media')]);
create_random_bytes($primary);
run(q[SELECT toaststore.put('media', random_bytes(n, n * n * 5)) FROM generate_series(1, 200) n]);
$primary->backup('base');

my @moments;    # in the order of time: a name, how to get there, what is there

sub moment
{
	my ($name, $target) = @_;
	push @moments, { name => $name, target => $target, values => digests($primary, 'media') };
	return;
}

sub put { return run("SELECT toaststore.put('media', random_bytes($_[0], $_[1]))") }

my $first = put(1001, 3000);
run(q[SELECT pg_create_restore_point('first')]);
moment('between two puts', q[recovery_target_name = 'first']);
my $second = put(1002, 3000);
ok(exists $moments[-1]{values}{$first} && !exists $moments[-1]{values}{$second}, 'the first is there, the second not yet');

my $doomed = put(1003, 500000);
my $lsn = $primary->lsn('insert');
moment('between a put and its deletion', qq[
recovery_target_lsn = '$lsn'
recovery_target_inclusive = off]);
is(run("SELECT toaststore.delete('media', $doomed)"), 't', 'then it is deleted');

my $time = run('SELECT clock_timestamp()');
moment('after it', qq[recovery_target_time = '$time']);
put(1004, 70000);

# A transaction that is open at the moment has not happened, wherever its bytes are.
my $client = $primary->background_psql('postgres');
my $xid = $client->query_safe(q[
	BEGIN;
	SELECT pg_current_xact_id()::xid FROM toaststore.put('media', random_bytes(1005, 400000))]);
$client->query_safe(q[SELECT toaststore.delete('media', id) FROM media WHERE id % 3 = 0]);
put(1006, 1000);
run(q[SELECT pg_create_restore_point('open transaction')]);
moment('in the middle of a transaction', q[recovery_target_name = 'open transaction']);
$client->query_safe(q[SELECT toaststore.put('media', random_bytes(1007, 400000))]);
put(1008, 1000);
moment('just before its commit', qq[
recovery_target_xid = '$xid'
recovery_target_inclusive = off]);
$client->query_safe('COMMIT');
$client->quit;
moment('just after its commit', qq[recovery_target_xid = '$xid']);
cmp_ok(scalar(keys %{ $moments[-1]{values} }), '<', scalar(keys %{ $moments[-2]{values} }), 'it deleted more than it put');
put(1009, 1000);

run(q[SELECT pg_create_restore_point('truncation')]);
moment('before TRUNCATE', q[recovery_target_name = 'truncation']);
run(q[
	TRUNCATE media;
	SELECT toaststore.put('media', random_bytes(n, n * 300)) FROM generate_series(1, 100) n]);
run(q[SELECT pg_create_restore_point('drop')]);
moment('before DROP', q[recovery_target_name = 'drop']);
run(q[
	DROP TABLE media;
	SELECT toaststore.create_store('media');
	SELECT toaststore.put('media', random_bytes(n, 100000 - n)) FROM generate_series(1, 20) n]);
moment('at the end', '');

my $last = run('SELECT pg_walfile_name(pg_switch_wal())');
$primary->poll_query_until('postgres', "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver")
  or BAIL_OUT('the log is not archived');
$primary->stop;

for my $number (0 .. $#moments)
{
	my $moment = $moments[$number];
	my $what = $moment->{name};
	my $restored = PostgreSQL::Test::Cluster->new("restored_$number");
	$restored->init_from_backup($primary, 'base', has_restoring => 1, standby => 0);
	$restored->append_conf('postgresql.conf', qq[
archive_mode = off
recovery_target_action = promote
$moment->{target}
]);
	$restored->start;
	$restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()')
	  or BAIL_OUT('recovery does not end');
	same_store($restored, 'media', $moment->{values}, $what);

	$restored->safe_psql('postgres', q[
		SELECT toaststore.put('media', random_bytes(2000 + n, n * n * 500)) FROM generate_series(1, 10) n;
		SELECT toaststore.put_many('media', array_agg(random_bytes(3000 + n, n))) FROM generate_series(1, 300) n;
		SELECT toaststore.delete('media', min(id)) FROM media]);
	my $after = digests($restored, 'media');
	my @kept = grep { ($after->{$_} // '') eq $moment->{values}{$_} } keys %{ $moment->{values} };
	is(scalar(@kept), keys(%{ $moment->{values} }) - 1, "$what: what is put now takes the place of nothing");
	$restored->stop('immediate');
	$restored->start;
	same_store($restored, 'media', $after, "$what, then put, then crashed");
	$restored->stop;
	command_ok([ 'pg_checksums', '--check', '-D', $restored->data_dir ], "$what: every checksum is right");
}

done_testing();
