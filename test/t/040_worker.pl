# With the library preloaded, stores are looked after by themselves: space comes back, an idle
# server stays asleep, and whatever happens to the processes in the middle of their work, every
# value is there afterwards and the store is sound. They are in nobody's way.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreFile;
use Test::More;
use Time::HiRes qw(usleep);
use Toaststore;

my $config = q[
shared_preload_libraries = 'toaststore'
toaststore.naptime = 1
toaststore.checkpoint_interval = 1
autovacuum = off
restart_after_crash = on
fsync = off
log_statement = none
checkpoint_timeout = 1h
];

my $node = PostgreSQL::Test::Cluster->new('worker');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', $config);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);

sub new_store
{
	my ($name, $database) = @_;
	$node->safe_psql($database // 'postgres', "SELECT toaststore.create_store('$name')");
	return;
}

my $seed = 1;

# Puts values, each of other bytes.
sub put_values
{
	my ($store, $count, $length, $database) = @_;
	$node->safe_psql($database // 'postgres', qq[
		SELECT count(toaststore.put('$store', random_bytes($seed + n, $length)))
		  FROM generate_series(1, $count) n]);
	$seed += $count;
	return;
}

# Waits until a query about a store's row of the view is true.
sub wait_for_store
{
	my ($what, $store, $condition, $database, $on) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(($on // $node)->poll_query_until($database // 'postgres',
		"SELECT $condition FROM toaststore.stat_stores WHERE store = '$store'::regclass"), $what);
	return;
}

# Nothing of what has changed is left to look at, or to come back for.
my $all_done = 'unprocessed_changes = 0 AND worker_due IS NULL';

sub pid_of
{
	my ($type) = @_;
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'toaststore $type'");
}

# Settings of the server, at once.
sub set
{
	my ($settings) = @_;
	$node->append_conf('postgresql.conf', $settings);
	$node->reload;
	return;
}

# Makes a worker stop in the middle of its work in a store, and returns the session that it waits
# for and its process. Workers that come later do not stop.
sub catch_worker
{
	my ($step, $work) = @_;
	my $session = $node->background_psql('postgres');
	$session->query_safe('SELECT pg_advisory_lock(8153)');
	set("toaststore.stop_at = '$step:wait'");
	$node->safe_psql('postgres', $work);
	$node->poll_query_until('postgres', q[
		SELECT count(*) = 1 FROM pg_stat_activity
		 WHERE backend_type = 'toaststore worker' AND wait_event = 'advisory'])
	  or BAIL_OUT('no worker came');
	my $pid = pid_of('worker');
	set("toaststore.stop_at = ''");
	return ($session, $pid);
}

# --- space -----------------------------------------------------------------------------------------

new_store('media');
put_values('media', 300, 30_000);
my $full = $node->safe_psql('postgres', q[SELECT pg_relation_size('media')]);
$node->safe_psql('postgres', 'DELETE FROM media');
wait_for_store('what was deleted is worked off', 'media', "$all_done AND dead_bytes = 0");
put_values('media', 290, 30_000);
cmp_ok($node->safe_psql('postgres', q[SELECT pg_relation_size('media')]),
	'<=', 1.2 * $full, 'new values take the space of deleted ones');
$node->safe_psql('postgres', q[
	BEGIN;
	SELECT count(toaststore.put('media', random_bytes(n, 30000))) FROM generate_series(1, 100) n;
	ROLLBACK]);
wait_for_store('what was rolled back is worked off', 'media', $all_done);
is(verify_store($node, 'media'), '', 'the store is sound');

# A transaction of which nobody knows how it ends.
my $old = $node->background_psql('postgres');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$node->safe_psql('postgres', 'DELETE FROM media WHERE id % 2 = 0');
my $expected = digests($node, 'media');
wait_for_store('while a snapshot needs values, the worker comes back later', 'media',
	'unprocessed_changes > 0 AND worker_due IS NOT NULL');
is($old->query_safe('SELECT count(*) FROM media'), '290', 'the snapshot reads them');
$old->query_safe('COMMIT');
$old->quit;
wait_for_store('and removes them once it is gone', 'media', $all_done);
same_store($node, 'media', $expected, 'after that');

# --- idleness --------------------------------------------------------------------------------------

sub wakeups
{
	my ($status) = grep { /^voluntary_ctxt_switches/ } split /\n/, slurp_file('/proc/' . pid_of('launcher') . '/status');
	return $status;
}
# Pages that were written by anybody.
sub writes
{
	return $node->safe_psql('postgres', 'SELECT buffers_checkpoint + buffers_clean + buffers_backend FROM pg_stat_bgwriter');
}
$node->safe_psql('postgres', 'CHECKPOINT');
my @before = ($node->lsn('insert'), writes(), wakeups());
# Long enough for several visits of a worker that has nothing to do.
usleep(1_000_000 * ($ENV{TOASTSTORE_LONG} ? 60 : 5));
is_deeply([ $node->lsn('insert'), writes(), wakeups() ], \@before, 'an idle server is not woken, and logs nothing');
is(pid_of('worker'), '', 'and has no worker');

# --- crashes ---------------------------------------------------------------------------------------

for my $who (qw(worker postmaster))
{
	for my $step (qw(clean))
	{
		put_values('media', 50, 9_000);
		my $delete = 'DELETE FROM media WHERE id IN (SELECT id FROM media ORDER BY id LIMIT 40)';
		my ($session, $pid) = catch_worker($step, $delete);
		$expected = digests($node, 'media');
		if ($who eq 'worker') { kill('KILL', $pid); }
		else
		{
			my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
			kill('KILL', $postmaster, $pid);
			start_again($node);
		}
		$session->{run}->kill_kill;
		wait_until_up($node);
		wait_for_store("after kill -9 of the $who at $step work goes on", 'media', $all_done);
		same_store($node, 'media', $expected, "kill -9 of the $who at $step");
	}
}

for my $step (qw(clean_leaf consume_journal charge_dead))
{
	put_values('media', 50, 9_000);
	my $seen = -s $node->logfile;
	set("toaststore.stop_at = '$step:kill'");
	$node->safe_psql('postgres', 'DELETE FROM media WHERE id IN (SELECT id FROM media ORDER BY id LIMIT 40)');
	$node->wait_for_log(qr/"toaststore worker" .* was terminated by signal 9/, $seen);
	set("toaststore.stop_at = ''");
	wait_until_up($node);
	$expected = digests($node, 'media');
	is(scalar(keys %$expected), $node->safe_psql('postgres', 'SELECT count(*) FROM media'), 'all is readable');
	wait_for_store("after a worker that died after $step work goes on", 'media', $all_done);
	same_store($node, 'media', $expected, "a worker died after $step");
}

# --- signals ---------------------------------------------------------------------------------------

my ($session, $pid) = catch_worker('clean', 'DELETE FROM media WHERE id % 5 = 0');
set('toaststore.worker = off');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"),
	'a worker leaves at once when it is turned off');
$session->quit;
ok($node->poll_query_until('postgres', q[SELECT wait_event = 'Extension' FROM pg_stat_activity
	 WHERE backend_type = 'toaststore launcher']), 'the launcher sleeps meanwhile');
set('toaststore.worker = on');
wait_for_store('and work goes on when it is turned on again', 'media', $all_done);

($session, $pid) = catch_worker('clean', 'DELETE FROM media WHERE id % 7 = 0');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$session->quit;
wait_for_store('work goes on after a worker was terminated', 'media', $all_done);

my $launcher = pid_of('launcher');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
$node->poll_query_until('postgres', qq[SELECT count(*) = 1 FROM pg_stat_activity
	 WHERE backend_type = 'toaststore launcher' AND pid <> $launcher]);
$node->safe_psql('postgres', 'DELETE FROM media WHERE id % 11 = 0');
wait_for_store('a launcher that was terminated comes back', 'media', $all_done);

($session, $pid) = catch_worker('clean', 'DELETE FROM media WHERE id % 2 = 0');
$expected = digests($node, 'media');
$node->stop('fast');
$session->{run}->kill_kill;
is(kill(0, $pid), 0, 'a fast shutdown waits for nobody');
$node->start;
wait_for_store('a store that was left in the middle is found again', 'media', $all_done);
same_store($node, 'media', $expected, 'shutdown in the middle');

# --- no process to be had --------------------------------------------------------------------------

# The launcher's, and that of logical replication.
$node->append_conf('postgresql.conf', 'max_worker_processes = 2');
my $seen = -s $node->logfile;
$node->restart;
$node->safe_psql('postgres', 'DELETE FROM media WHERE id % 3 = 0');
$node->wait_for_log(qr/toaststore found no free slot for a background worker/, $seen);
$node->safe_psql('postgres', 'VACUUM media');
wait_for_store('without a process for a worker VACUUM does its work', 'media', 'unprocessed_changes = 0');
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;

# --- damage ----------------------------------------------------------------------------------------

new_store('bad');
put_values('bad', 10, 5_000);
wait_for_store('a store', 'bad', $all_done);
my $path = $node->data_dir . '/' . relation_file($node, 'bad');
$node->append_conf('postgresql.conf', 'toaststore.worker = off');
$node->restart;
$node->safe_psql('postgres', q[SELECT toaststore.delete('bad', 1)]);
$node->stop;
my $file = StoreFile->new($path);
$file->flip($_, 4000) for $file->pages_of('leaf'), $file->pages_of('map');
$file->save;
# The view's own warnings of the page are none of the test.
$node->append_conf('postgresql.conf', qq[toaststore.worker = on\nclient_min_messages = error]);
$node->start;
$node->safe_psql('postgres', 'DELETE FROM media WHERE id % 2 = 0');
wait_for_store('the error of a damaged store is seen', 'bad',
	q[last_error LIKE 'invalid page%' AND last_error_sqlstate = 'XX001' AND last_error_at < now() AND worker_failures > 0]);
wait_for_store('other stores are looked after', 'media', $all_done);
is($node->safe_psql('postgres', q[SELECT fault ~ '^invalid page' FROM toaststore.stat_stores
	 WHERE store = 'bad'::regclass]), 't', 'so is what the view itself cannot read');
$node->safe_psql('postgres', 'DROP TABLE bad');

# --- databases -------------------------------------------------------------------------------------

# A worker is busy for a minute: so many bytes have to be moved at so slow a rate.
set('toaststore.compaction_rate = 1MB');
$node->safe_psql('postgres', 'CREATE DATABASE busy');
$node->safe_psql('busy', 'CREATE EXTENSION toaststore');
create_random_bytes($node, 'busy');
new_store('media', 'busy');
put_values('media', 4000, 20_000, 'busy');
$node->safe_psql('busy', 'DELETE FROM media WHERE id % 4 > 0');
my $at_work = q[
	SELECT count(*) = 1 FROM toaststore.progress_compact
	 WHERE store = 'media'::regclass AND phase = 'moving values' AND extents_to_do > extents_done AND bytes_moved > 0];
ok($node->poll_query_until('busy', $at_work), 'a worker is moving values');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE busy');
pass('CREATE DATABASE .. TEMPLATE beside a busy worker');
is($node->safe_psql('busy', q[SELECT dead_bytes > 1000000 FROM toaststore.stat_stores]), 't',
	'that was not done yet');
ok($node->poll_query_until('copy', $at_work), 'a worker comes to the new database by itself');
ok($node->poll_query_until('busy', $at_work), 'and goes on in the old one');
$node->safe_psql('postgres', 'ALTER DATABASE busy RENAME TO renamed');
pass('ALTER DATABASE beside a busy worker');
ok($node->poll_query_until('renamed', $at_work), 'the worker goes on');
$expected = digests($node, 'media', 'renamed');
$node->safe_psql('postgres', 'DROP DATABASE renamed');
pass('DROP DATABASE beside a busy worker');
ok($node->poll_query_until('copy', $at_work), 'it goes on in the other one');
set('toaststore.compaction_rate = 0');
wait_for_store('a worker that may go faster is done', 'media', "$all_done AND dead_bytes <= live_bytes", 'copy');
same_store($node, 'media', $expected, 'in the copy', 'copy');
$node->safe_psql('postgres', 'DROP DATABASE copy');
ok($node->poll_query_until('postgres', q[SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'toaststore worker']),
	'there is nothing left to do');

# --- without the library preloaded -----------------------------------------------------------------

$node->append_conf('postgresql.conf', q[shared_preload_libraries = '']);
$node->restart;
is(pid_of('launcher'), '', 'without preload there is no launcher');
put_values('media', 100, 9_000);
$node->safe_psql('postgres', q[DELETE FROM media WHERE id % 2 = 0]);
$expected = digests($node, 'media');
is($node->safe_psql('postgres', q[SELECT unprocessed_changes > 0 AND worker_due IS NULL AND worker_failures IS NULL
	 FROM toaststore.stat_stores WHERE store = 'media'::regclass]), 't', 'the view knows of no worker');
$node->safe_psql('postgres', 'VACUUM media');
is($node->safe_psql('postgres', q[SELECT unprocessed_changes FROM toaststore.stat_stores WHERE store = 'media'::regclass]),
	'0', 'VACUUM does the work');
same_store($node, 'media', $expected, 'without preload');
$node->stop;

# --- a standby -------------------------------------------------------------------------------------

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
$primary->append_conf('postgresql.conf', $config);
$primary->start;
$primary->safe_psql('postgres', q[CREATE EXTENSION toaststore; SELECT toaststore.create_store('media')]);
create_random_bytes($primary);
$primary->backup('start');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'start', has_streaming => 1);
$standby->start;
$primary->append_conf('postgresql.conf', 'toaststore.worker = off');
$primary->reload;
$primary->safe_psql('postgres', q[
	SELECT count(toaststore.put('media', random_bytes(n, 9000))) FROM generate_series(1, 100) n;
	DELETE FROM media WHERE id % 3 = 0]);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
my $processes = q[SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'toaststore'];
is($standby->safe_psql('postgres', $processes), '0', 'nothing runs on a standby');
is($standby->safe_psql('postgres', q[SELECT unprocessed_changes FROM toaststore.stat_stores]), '133',
	'but the view shows what there is');
$expected = digests($primary, 'media');
$primary->stop;
$standby->promote;
wait_for_store('a promoted standby looks after its stores', 'media', $all_done, 'postgres', $standby);
same_store($standby, 'media', $expected, 'after promotion');
$standby->stop;

done_testing();
