# A cancel, a timeout or a termination in the middle of any call ends it within a second. The
# session goes on after a cancel, the store is sound, and it holds what it held.
#
# TOASTSTORE_LONG makes the values nearly as large as bytea takes them, and more of the small ones.
# Rows and arrays of values stay at 200 MB: core copies them whole, and asks nobody meanwhile.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use Toaststore;

# What is promised, and how often a machine that is busy with other things is asked again.
my $bound_s = 1;
my $tries = 5;
# A call that has done so much of its work was not interrupted.
my $most = 0.8;

my $long = $ENV{TOASTSTORE_LONG};
my $large = $long ? 1000 << 20 : 200 << 20;
my $many = $long ? 1000000 : 100000;
# Seconds after which a call that writes is cancelled.
my @moments = $long ? (0, 0.02, 0.1, 0.3, 1) : (0.05);

my $node = PostgreSQL::Test::Cluster->new('cancel');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
wal_level = replica
max_wal_size = 1GB
shared_buffers = 64MB
log_statement = none
log_min_error_statement = panic
autovacuum = off
jit = off
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
allow_in_place_tablespaces = on
]);
$node->start;
$node->safe_psql('postgres', q[CREATE TABLESPACE elsewhere LOCATION '']);
my $files = $node->basedir . '/files';
mkdir $files or die "$files: $!";
write_repeated("$files/random", random_bytes(1, 1000003), $large);
write_repeated("$files/text", join('', map { random_bytes($_, 5000) x 4 } 1 .. 50) . 'odd', $large);

# Stores to be read, with two large values, some of a size that COPY takes a moment for, and many
# small ones; and stores to be written to, with values that have to outlive it.
$node->safe_psql('postgres', qq[
	CREATE EXTENSION toaststore;
	CREATE FUNCTION part(name text, start bigint, bytes bigint) RETURNS bytea LANGUAGE sql
	    AS \$\$ SELECT pg_read_binary_file('$files/' || name, start, bytes) \$\$;
	SELECT toaststore.create_store(name) FROM unnest('{media, rows, tiny}'::text[]) name;
	SELECT toaststore.put('media', part(name, 0, $large)) FROM unnest('{random, text}'::text[]) name;
	SELECT toaststore.put('rows', part('random', n * 1000, 16000000)) FROM generate_series(1, 10) n;
	INSERT INTO tiny(value) SELECT int4send(n) FROM generate_series(1, $many) n;
	COPY rows(value) TO '$files/rows.copy' (FORMAT binary);
	COPY tiny(value) TO '$files/tiny.copy';
	SELECT toaststore.create_store('target'), toaststore.create_store('raw', compression => 'none'),
	       toaststore.create_store('dense', extent_max => 262144, chunk_bytes => 262144, compression => 'zstd:19');
	SELECT toaststore.put(store, part(name, n * 1000, n * n * n))
	  FROM generate_series(1, 60) n, unnest('{random, text}'::text[]) name,
	       unnest('{target, raw, dense}'::regclass[]) store]);

# What a store holds, in a line. What verify() proves need not be hashed as well.
sub contents
{
	my ($store) = @_;
	return $node->safe_psql('postgres', qq[
		SELECT count(*), min(id), max(id), sum(length(value)),
		       md5(string_agg(sha256(value), '' ORDER BY id) FILTER (WHERE length(value) < 1000000))
		  FROM $store]);
}

# Pages of the store that were looked at by sessions that are over or have told it.
sub pages_of
{
	my ($store) = @_;
	return $node->safe_psql('postgres',
		"SELECT heap_blks_hit + heap_blks_read FROM pg_statio_user_tables WHERE relname = '$store'");
}

# Waits until psql has said so on its standard error, or has ended.
sub hear
{
	my ($session, $said) = @_;
	$session->{run}->pump while $session->{stderr} !~ $said && $session->{run}->pumpable;
	return;
}

# Starts a call in a session of its own, and comes back when it is under way.
sub begin
{
	my ($call) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$call->{pages} = pages_of($call->{store});
	$session->query_safe('BEGIN') unless $call->{outside};
	$session->{stderr} = '';
	$session->{stdin} .= "\\warn under way\n" unless $call->{tells};
	$session->{stdin} .= "$call->{sql};\n\\warn ended :SQLSTATE\n";
	hear($session, qr/under way/);
	$node->poll_query_until('postgres',
		"SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid")
	  if $call->{waits};
	return ($session, $pid);
}

# Waits for its end: the SQLSTATE, and the pages that it looked at. The session goes on.
sub end
{
	my ($call, $session) = @_;
	hear($session, qr/ended \w+/);
	my ($state) = $session->{stderr} =~ /ended (\w+)/ or die "$call->{name}: $session->{stderr}";
	my $ended = time;
	# A cancel or a timeout that came too late for the call may hit what follows it.
	do
	{
		$session->{stderr} = '';
		$session->query('ROLLBACK');
	} while ($session->{stderr} =~ /canceling/);
	$session->{stderr} = '';
	$session->query_safe('SELECT pg_stat_force_next_flush()');
	$session->quit;
	return ($state, $ended, pages_of($call->{store}) - $call->{pages});
}

# Three ways to interrupt a call. Each gives the SQLSTATE that it ends with, the seconds that it
# still took, and the pages that it looked at.
sub cancel
{
	my ($call, $delay_s) = @_;
	my ($session, $pid) = begin($call);
	usleep(1e6 * $delay_s);
	my $sent = time;
	kill 'INT', $pid;
	my ($state, $ended, $pages) = end($call, $session);
	return ($state, $ended - $sent, $pages);
}

sub time_out
{
	my ($call, $delay_s) = @_;
	my $limited = { %$call, sql => sprintf('SET LOCAL statement_timeout = %d; ', 1 + 1000 * $delay_s) . $call->{sql} };
	my ($session) = begin($limited);
	my $due = time + $delay_s;
	my ($state, $ended, $pages) = end($limited, $session);
	return ($state, $ended - $due, $pages);
}

sub terminate
{
	my ($call, $delay_s) = @_;
	my ($session, $pid) = begin($call);
	usleep(1e6 * $delay_s);
	my $sent = time;
	kill 'TERM', $pid;
	usleep(1000) while kill 0, $pid;
	my $took = time - $sent;
	hear($session, qr/ended|connection to server was lost/);
	my $state = $session->{stderr} =~ /terminating connection due to administrator command/ ? '57P01' : 'other';
	$session->{run}->finish;
	return ($state, $took, pages_of($call->{store}) - $call->{pages});
}

# Interrupts the call until it is in time; where it was late too often, the median tells. A call that
# is done before is interrupted earlier. That it stops where it is, and does not just answer soon, is
# told by the pages that it looks at, where it is known how many the whole call needs.
sub interrupt
{
	my ($call, $name, $way, $delay_s, $expected) = @_;
	my ($state, $part, @took);
	for (my $early = 0; @took < $tries && $early < 10;)
	{
		($state, my $took, my $pages) = $way->($call, $delay_s);
		$part = $call->{whole} ? $pages / $call->{whole} : 0;
		if ($state eq $expected && $part < $most)
		{
			push @took, $took;
			last if $took < $bound_s;
			next;
		}
		$delay_s /= 2;
		$early++;
	}
	is($state, $expected, "$call->{name}, $name: it ends with $expected");
	my $median = (sort { $a <=> $b } @took)[ $#took / 2 ] // 'never';
	cmp_ok($median, '<', $bound_s, sprintf('%s, %s: %.0f ms later', $call->{name}, $name, $median * 1000));
	cmp_ok($part, '<', $most, sprintf('%s, %s: with %.1f %% of its work done', $call->{name}, $name, 100 * $part))
	  if $call->{whole};
	return;
}

# Interrupts a call that writes.
sub interrupt_write
{
	my ($call) = @_;
	my $before = contents($call->{store});
	interrupt($call, "cancelled after $_ s", \&cancel, $_, '57014') for @moments;
	interrupt($call, 'terminated', \&terminate, 0.05, '57P01');
	is(verify_store($node, $call->{store}), '', "$call->{name}: the store is sound");
	is(contents($call->{store}), $before, "$call->{name}: and holds what it held");
	return;
}

# Interrupts a call that only reads, and is first seen to work.
sub interrupt_read
{
	my ($call) = @_;
	my $started = time;
	my ($session) = begin($call);
	my ($state, $ended, $whole) = end($call, $session);
	is($state, '00000', "$call->{name}: it works");
	my $known = { %$call, whole => $whole };
	my $soon_s = ($ended - $started) / 5;
	interrupt($known, 'cancelled', \&cancel, $soon_s, '57014');
	interrupt($known, 'timed out', \&time_out, $soon_s, '57014') if $call->{more} || $long;
	interrupt($known, 'terminated', \&terminate, $soon_s, '57P01') if $call->{more} || $long;
	return;
}

# A call in a block, which has its argument ready before it tells that it is under way.
sub in_block
{
	my ($value, $call) = @_;
	return (
		tells => 1,
		sql => "DO \$\$ DECLARE v $value; id bigint; BEGIN RAISE WARNING 'under way'; $call; END \$\$");
}

my @writes = (
	{
		name => 'put of bytes that do not compress',
		store => 'target',
		whole => $large / 8120,
		in_block("bytea := part('random', 0, $large)", "id := toaststore.put('target', v)")
	},
	{
		name => 'put of bytes that do',
		store => 'target',
		in_block("bytea := part('text', 0, $large)", "id := toaststore.put('target', v)")
	},
	{
		name => 'put without compression',
		store => 'raw',
		whole => $large / 2 / 8120,
		in_block("bytea := part('text', 0, $large / 2)", "id := toaststore.put('raw', v)")
	},
	{
		name => 'put at the highest compression',
		store => 'dense',
		in_block("bytea := part('text', 0, $large / 2)", "id := toaststore.put('dense', v)")
	},
	{
		name => 'put_many of large values',
		store => 'target',
		in_block("bytea[] := ARRAY(SELECT part('text', n, 2000000) FROM generate_series(1, 100) n)",
			"id := cardinality(toaststore.put_many('target', v))")
	},
	{
		name => 'put_many of small values',
		store => 'target',
		in_block("bytea[] := ARRAY(SELECT int4send(n) FROM generate_series(1, 10 * $many) n)",
			"id := cardinality(toaststore.put_many('target', v))")
	},
	{
		name => 'INSERT .. SELECT of large values',
		store => 'target',
		sql => 'INSERT INTO target(value) SELECT value FROM media'
	},
	{
		name => 'INSERT .. SELECT of small values',
		store => 'target',
		sql => 'INSERT INTO target(value) SELECT value FROM tiny'
	},
	{
		name => 'COPY FROM, large values',
		store => 'target',
		sql => "COPY target(value) FROM '$files/rows.copy' (FORMAT binary)"
	},
	{
		name => 'COPY FROM, small values',
		store => 'target',
		sql => "COPY target(value) FROM '$files/tiny.copy'"
	},
	{ name => 'DELETE', store => 'tiny', sql => 'DELETE FROM tiny' },
	{ name => 'VACUUM FULL', store => 'media', outside => 1, sql => 'VACUUM FULL media' },
	{ name => 'SET TABLESPACE', store => 'media', sql => 'ALTER TABLE media SET TABLESPACE elsewhere' });

my @reads = (
	{
		name => 'get of plain chunks',
		store => 'media',
		sql => q[SELECT length(toaststore.get('media', 1))]
	},
	{
		name => 'get of compressed chunks',
		store => 'media',
		more => 1,
		sql => q[SELECT length(toaststore.get('media', 2))]
	},
	{
		name => 'get_slice of nearly all',
		store => 'media',
		sql => "SELECT length(toaststore.get_slice('media', 2, 12345, $large - 23456))"
	},
	{ name => 'substr', store => 'media', sql => 'SELECT sum(length(substr(value, 10))) FROM media' },
	{ name => 'COPY TO', store => 'rows', sql => "COPY rows TO '$files/again.copy' (FORMAT binary)" },
	{
		name => 'verify of large values',
		store => 'media',
		more => 1,
		sql => q[SELECT * FROM toaststore.verify('media')]
	},
	{
		name => 'verify of small values',
		store => 'tiny',
		sql => q[SELECT * FROM toaststore.verify('tiny')]
	},
	{
		name => 'ANALYZE',
		store => 'media',
		sql => 'SET LOCAL default_statistics_target = 10000; ANALYZE media'
	},
	{
		name => 'count',
		store => 'tiny',
		sql => 'SET LOCAL max_parallel_workers_per_gather = 0; SELECT count(*), sum(length(value)) FROM tiny'
	},
	{
		name => 'count by parallel workers',
		store => 'tiny',
		more => 1,
		sql => 'SELECT count(*), sum(length(value)) FROM tiny'
	});

interrupt_write($_) for @writes;

my %before = map { $_ => contents($_) } qw(media tiny rows);
interrupt_read($_) for @reads;
for my $store (sort keys %before)
{
	is(verify_store($node, $store), '', "store $store is sound after all that");
	is(contents($store), $before{$store}, 'and holds what it held');
}

# Calls that wait for what another session has begun.
sub interrupt_wait
{
	my ($call, $beside) = @_;
	my $other = $node->background_psql('postgres');
	$other->query_safe("BEGIN; $beside");
	interrupt({ %$call, waits => 1, store => 'target' }, $_->[0], $_->[1], 0, $_->[2])
	  for ([ 'cancelled', \&cancel, '57014' ], [ 'terminated', \&terminate, '57P01' ]);
	$other->query_safe('ROLLBACK');
	$other->quit;
	return;
}

my $before = contents('target');
interrupt_wait(
	{ name => 'delete of a value that is being deleted', sql => q[SELECT toaststore.delete('target', 7)] },
	q[SELECT toaststore.delete('target', 7)]);
interrupt_wait(
	{ name => 'INSERT of an id that is being inserted', sql => q[INSERT INTO target VALUES (1000000, 'mine')] },
	q[INSERT INTO target VALUES (1000000, 'theirs')]);
interrupt_wait(
	{ name => 'create_store of a name that is being taken', sql => q[SELECT toaststore.create_store('new')] },
	q[SELECT toaststore.create_store('new')]);
interrupt_wait({ name => 'an exact verify beside a writer', sql => q[SELECT * FROM toaststore.verify('target', exact => true)] },
	q[SELECT toaststore.put('target', 'theirs')]);
interrupt_wait({ name => 'get of a store that is locked', sql => q[SELECT toaststore.get('target', 7)] },
	'LOCK TABLE target');

# Every lane is held by a put that stands still; another put waits for one.
my $gate = $node->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(8153)');
my @holders = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 16;
$_->query_safe(q[SET toaststore.stop_at = 'put_chunk:wait']) for @holders;
$_->query_until(qr/begun/, qq[\\echo begun\nSELECT toaststore.put('target', part('random', 0, 100000));\n])
  for @holders;
$node->poll_query_until('postgres',
	q[SELECT count(*) = 16 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted])
  or BAIL_OUT('the lanes are not held');
my $next = {
	name => 'put when every lane is taken',
	store => 'target',
	waits => 1,
	sql => q[SELECT toaststore.put('target', 'mine')]
};
interrupt($next, 'cancelled', \&cancel, 0, '57014');
interrupt($next, 'terminated', \&terminate, 0, '57P01');
my ($waiter) = begin({ %$next, sql => "SELECT toaststore.put('target', 'mine') > 0 AS put \\gset\n\\warn put :put" });
$node->safe_psql('postgres', q[
	SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted]);
hear($waiter, qr/ended/);
like($waiter->{stderr}, qr/put t/, 'and it goes on when the puts that hold them are cancelled');
$waiter->quit;
$_->quit for @holders, $gate;
is(verify_store($node, 'target'), '', 'the store is sound after all that waiting');
is(contents('target'), $before, 'and holds what it held');

$node->stop;
done_testing();
