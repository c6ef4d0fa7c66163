# Replay stops after any record of the log, in the middle of a put, of a split or of a deletion, and
# readers are let in: they see the transactions that were committed by then whole, of the others
# nothing, and the store is sound. The server is killed there, and again and again further on; it
# recovers, and is promoted at the last of these places.
#
# TOASTSTORE_CRASH_ROUNDS, times three, is how often that happens; TOASTSTORE_SEED repeats the choice of
# places.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $stops = 3 * ($ENV{TOASTSTORE_CRASH_ROUNDS} || 3);
my $choices = srand($ENV{TOASTSTORE_SEED} // time ^ $$);
note("TOASTSTORE_SEED=$choices");

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
# Without full-page images each record has to do with the page that the one before it left.
$primary->append_conf('postgresql.conf', q[
full_page_writes = off
wal_keep_size = 512MB
autovacuum = off
log_statement = none
]);
$primary->start;
$primary->safe_psql('postgres', q[
	CREATE EXTENSION toaststore;
	SELECT toaststore.create_store('media')]);
create_random_bytes($primary);
$primary->backup('start');

# Each is one transaction, or none. None takes a lock that would keep readers out.
my @changes = (
	q[SELECT toaststore.put('media', random_bytes(1, 100))],
	q[SELECT toaststore.put('media', random_bytes(2, 400000))],
	q[SELECT toaststore.put_many('media', array_agg(random_bytes(n, n * 10))) FROM generate_series(1, 200) n],
	q[SELECT toaststore.delete('media', id) FROM media WHERE id % 3 = 0],
	q[
		BEGIN;
		SELECT toaststore.put('media', random_bytes(n, n * 1000)) FROM generate_series(1, 20) n;
		SAVEPOINT a;
		SELECT toaststore.put('media', random_bytes(3, 50000));
		SELECT toaststore.delete('media', 1);
		ROLLBACK TO a;
		SELECT toaststore.delete('media', 2);
		COMMIT],
	q[
		BEGIN;
		SELECT toaststore.put('media', random_bytes(n, 6000)) FROM generate_series(1, 50) n;
		SELECT toaststore.delete('media', id) FROM media WHERE id % 2 = 0;
		ROLLBACK],
	q[CHECKPOINT],
	q[INSERT INTO media SELECT 1000000 + n * 7, random_bytes(n, 40) FROM generate_series(1, 300) n],
	q[INSERT INTO media SELECT 1000000 + n * 7 + 3, random_bytes(n, 70) FROM generate_series(1, 300) n],
	q[DELETE FROM media WHERE id BETWEEN 1000100 AND 1000900],
	q[SELECT toaststore.put('media', convert_to(repeat(n || ' says this; ', n * 3000), 'UTF8')) FROM generate_series(1, 10) n],
	q[DELETE FROM media WHERE id % 5 <> 0],
	q[SELECT toaststore.put_many('media', array_agg(random_bytes(n, 200 + n))) FROM generate_series(1, 300) n]);
my $begin = $primary->lsn('insert');
my @states = (digests($primary, 'media'));    # before each change, and after the last
my @ends;                                      # of the log after each
for my $change (@changes)
{
	$primary->safe_psql('postgres', $change);
	push @states, digests($primary, 'media');
	push @ends, $primary->lsn('insert');
}
$primary->stop;

# A log position as a number.
sub position { my ($high, $low) = map { hex } split(/\//, $_[0]); return ($high << 32) + $low; }

# Records of the store and of its transactions: where each begins, how many changes have happened once
# it is replayed, and whether it takes or returns space, in the map or in meta.
my ($dump) = run_command([ 'pg_waldump', '--path', $primary->data_dir . '/pg_wal', '--start', $begin, '--end', $ends[-1] ]);
my @records;
my $change = 0;
my $happened = 0;
for my $line (split /\n/, $dump)
{
	next unless $line =~ /^rmgr: (\w+) .* lsn: ([0-9A-F\/]+), .*?desc: (.*)/;
	my ($manager, $lsn, $what) = ($1, $2, $3);
	$change++ while position($lsn) >= position($ends[$change]);
	# A change that only reads, or is rolled back, leaves what was there.
	$happened = $change if $happened < $change;
	$happened = $change + 1 if $what =~ /^COMMIT /;
	my $kind = "$manager " . ($what =~ /^(\w+)/)[0];
	my $space = $manager eq 'Generic' && $what =~ /blk [12]\b/;
	push @records, { lsn => $lsn, kind => $kind, happened => $happened, space => $space }
	  if $manager =~ /^(?:Heap|Generic|Transaction|Storage)$/;
}
cmp_ok(scalar(@records), '>', 1000, 'there is a log to stop in');
cmp_ok(scalar(grep { $_->{kind} =~ /^Generic/ } @records), '>', 200, 'with changes of trees and journals');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'start');
$standby->append_conf('postgresql.conf', qq[
restore_command = 'cp "@{[ $primary->data_dir ]}/pg_wal/%f" "%p"'
shared_buffers = 256kB
]);
$standby->set_recovery_mode;
# Always just before the commit of the second change, and just after it.
my ($commit) = grep { $records[$_]{happened} == 2 } 0 .. $#records;
is($records[$commit]{kind}, 'Transaction COMMIT', 'a commit makes the difference');
my %places = map { $_ => 1 } $commit - 1, $commit;
# Elsewhere at random: in each part of the log once anywhere, else next to where space is taken.
my @space = grep { $records[$_]{space} } 1 .. $#records;
cmp_ok(scalar(@space), '>', 50, 'space is taken many times');
for my $stop (0 .. $stops - 1)
{
	my $from = $stop % 4 == 0 ? [ 0 .. $#records ] : [ map { ($_ - 1, $_) } @space ];
	my $part = @$from / $stops;
	$places{ $from->[ int($part * $stop + rand($part)) ] } = 1;
}
my @places = sort { $a <=> $b } keys %places;
for my $number (0 .. $#places)
{
	my $record = $records[ $places[$number] ];
	my $expected = $states[ $record->{happened} ];
	my $what = "after record $places[$number], $record->{kind}";
	$standby->append_conf('postgresql.conf', "recovery_target_lsn = '$record->{lsn}'");
	start_again($standby);
	$standby->poll_query_until('postgres', q[SELECT pg_get_wal_replay_pause_state() = 'paused'])
	  or BAIL_OUT('replay does not stop');
	same_store($standby, 'media', $expected, $what);
	if ($number == $#places)
	{
		$standby->promote;
		same_store($standby, 'media', $expected, "$what, promoted");
	}
	elsif ($number % 2 == 0)
	{
		kill 9, $standby->safe_psql('postgres', q[SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup']);
	}
	else { $standby->kill9; }
}

my $before = digests($standby, 'media');
$standby->safe_psql('postgres', q[
	SELECT toaststore.put('media', random_bytes(n, n * 500)) FROM generate_series(1, 100) n;
	SELECT toaststore.put_many('media', array_agg(random_bytes(n, n))) FROM generate_series(1, 300) n]);
my $after = digests($standby, 'media');
is(scalar(keys %$after), keys(%$before) + 400, 'promoted, it goes on');
is(join(' ', grep { ($after->{$_} // '') ne $before->{$_} } keys %$before), '', 'and writes over nothing');
$standby->stop('immediate');
$standby->start;
same_store($standby, 'media', $after, 'after a crash');
$standby->stop;
command_ok([ 'pg_checksums', '--check', '-D', $standby->data_dir ], 'every checksum is right');

done_testing();
