# VACUUM and compact() are cancelled, run into a timeout or are terminated, each in the middle of
# each of their phases: the values are those that were there, the store is sound, the session goes on,
# and the next VACUUM brings the work to its end. What happens at an error, a crash or on a full disk is
# in 022_upkeep_stop_points.pl and 015_disk_full.pl.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('interrupted');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
fsync = off
log_statement = none
autovacuum = off
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_media($node, small => 3000, large => 20, kept => 5);

my $contents = media_contents();
my $settled = q[
	SELECT unprocessed_changes, dead_bytes <= live_bytes, size_bytes < 4000000 + 2.2 * live_bytes
	  FROM toaststore.stat_stores];

# What the session is held by in the middle of its work.
my $holder = $node->background_psql('postgres');
$holder->query_safe('SELECT pg_advisory_lock(8153)');

# Each interrupts the process that waits there, and tells what it is to say.
my %ways = (
	cancel => ['SELECT', 'pg_cancel_backend', qr/canceling statement due to user request/],
	terminate => ['SELECT', 'pg_terminate_backend', qr/terminating connection due to administrator command/],
	statement_timeout => ['SET statement_timeout = 700', undef, qr/canceling statement due to statement timeout/],
	lock_timeout => ['SET lock_timeout = 50', undef, qr/canceling statement due to lock timeout/]);

# Runs a command in a session that waits after a step, and is interrupted there. What the session says
# of the store's contents afterwards, and its errors.
sub interrupt
{
	my ($way, $stop_at, $command) = @_;
	my ($setting, $function) = @{ $ways{$way} };
	my @sql = ($setting, "SET toaststore.stop_at = '$stop_at'", $command, 'RESET ALL', $contents);
	my ($out, $err) = ('', '');
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), map { ('-c', $_) } @sql ],
		'<' => \undef, '>' => \$out, '2>' => \$err);
	if (defined $function)
	{
		$node->poll_query_until('postgres', q[
			SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'advisory'])
		  or die "$stop_at is not reached";
		$node->safe_psql('postgres', qq[SELECT $function(pid) FROM pg_stat_activity WHERE wait_event = 'advisory']);
	}
	$psql->finish;
	$out =~ s/^\n|\n$//g;
	return ($out, $err);
}

# In the middle of the journals, of the list of dead ranges, of counting and of moving.
my @points = qw(clean:wait:0 clean:wait:18 count_page:wait:100 move_run:wait:0 move_run:wait:40);
my @names = sort keys %ways;
my $number = 0;
for my $point (@points)
{
	# Each way at some of the points, or at all of them.
	my $some = $number++;
	for my $way ($ENV{TOASTSTORE_LONG} ? @names : @names[ $some % 4, ($some + 1) % 4 ])
	{
		my $command = $way eq 'terminate' ? q[CALL toaststore.compact('media')] : 'VACUUM media';
		$node->safe_psql('postgres', 'CALL make_media()');
		my $before = $node->safe_psql('postgres', $contents);
		my ($out, $err) = interrupt($way, $point, $command);
		like($err, $ways{$way}[2], "$way at $point");
		is($out, $before, 'the session goes on, and reads the same values') if $way ne 'terminate';
		is($node->safe_psql('postgres', $contents), $before, 'so does another');
		is(verify_store($node, 'media'), '', 'the store is sound');
		$node->safe_psql('postgres', 'VACUUM media');
		is($node->safe_psql('postgres', $settled), '0|t|t', 'VACUUM brings the work to its end');
		is($node->safe_psql('postgres', $contents), $before, 'with the same values');
		is(verify_store($node, 'media'), '', 'in a sound store');
	}
}

# Every lane is in use: what moves values has to wait for one, and gives up.
my $lanes = 16;
$node->safe_psql('postgres', 'CALL make_media()');
my @writers = map {
	IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-c', q[SET toaststore.stop_at = 'put_chunk:wait:2'],
			'-c', q[SELECT toaststore.put('media', bytes(1, 300000))] ], '<' => \undef, '>' => \my $out, '2>' => \my $err)
} 1 .. $lanes;
$node->poll_query_until('postgres', "SELECT count(*) = $lanes FROM pg_stat_activity WHERE wait_event = 'advisory'")
  or die 'writers do not stop';
my $before = $node->safe_psql('postgres', $contents);
my (undef, undef, $errors) = $node->psql('postgres', "SET lock_timeout = 50;\nVACUUM media");
like($errors, $ways{lock_timeout}[2], 'a lock timeout where every lane is in use');
is($node->safe_psql('postgres', $contents), $before, 'the values are the same');
is($node->safe_psql('postgres', q[SELECT * FROM toaststore.verify('media')]), '', 'and sound');
$node->safe_psql('postgres', q[SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory']);
$_->finish for @writers;
$node->safe_psql('postgres', 'VACUUM media');
is($node->safe_psql('postgres', $settled), '0|t|t', 'without writers VACUUM brings the work to its end');
is($node->safe_psql('postgres', $contents), $before, 'with the same values');
is(verify_store($node, 'media'), '', 'in a sound store');

# Who waits for the store does not wait until the work is done: whatever brought it on since the
# last batch began, here that dead bytes were charged, the batch ends.
$node->safe_psql('postgres', q[
	SELECT toaststore.create_store('many', compression => 'none');
	INSERT INTO many (value) SELECT bytes(n, 100) FROM generate_series(1, 40000) n;
	VACUUM many;
	DELETE FROM many WHERE id % 3 = 0]);
(undef, undef, $errors) = $node->psql('postgres',
	"SET toaststore.stop_at = 'clean:error:50';\nCALL toaststore.checkpoint('many')");
like($errors, qr/stopped at clean/, 'the journals are consumed, the list of dead ranges is not');
is($node->safe_psql('postgres', q[SELECT unprocessed_changes, dead_bytes < 400000 FROM toaststore.stat_stores WHERE store = 'many'::regclass]),
	'0|t', 'its bytes are not all charged');
my $caller = IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-c', q[SET toaststore.stop_at = 'clean:wait:16'],
		'-c', q[CALL toaststore.checkpoint('many')] ], '<' => \undef, '>' => \my $said, '2>' => \my $failed);
$node->poll_query_until('postgres', q[SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'advisory'])
  or die 'the list is not reached';
my $charged = '';
my $locker = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
		q[BEGIN; LOCK TABLE many; SELECT dead_bytes < 1000000 FROM toaststore.stat_stores WHERE store = 'many'::regclass; COMMIT] ],
	'<' => \undef, '>' => \$charged, '2>' => \my $refused);
$node->poll_query_until('postgres', q[SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND relation = 'many'::regclass])
  or die 'nobody waits';
$holder->{run}->kill_kill;
$_->finish for $locker, $caller;
is($charged, "t\n", 'a batch ends for who waits');
is($node->safe_psql('postgres', q[SELECT dead_bytes > 1200000 FROM toaststore.stat_stores WHERE store = 'many'::regclass]),
	't', 'and the next one goes on to the end');
is(verify_store($node, 'many'), '', 'in a sound store');
$node->stop;

done_testing();
