# The server crashes, and crashes again while it recovers, at several places in its log. Each time
# some of what was replayed had reached the disk, and with full_page_writes pages of it only in part.
# In the end every acknowledged value is there, and nothing else.
#
# Replay is cut off where a segment of the log begins: a startup process that may not open one dies
# at once, as if it was killed, with nothing flushed.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $page_bytes = 8192;
my $sector_bytes = 512;

# Changes of every kind, in transactions of their own.
my $changes = q[
	SELECT toaststore.put('media', random_bytes(n, (n * n * n) % 150000)) FROM generate_series(1, 60) n;
	SELECT toaststore.put_many('media', array_agg(random_bytes(n, n * 37))) FROM generate_series(1, 100) n;
	SELECT toaststore.put('media', random_bytes(n, 40)) FROM generate_series(1, 400) n;
	SELECT toaststore.put('media', convert_to(repeat(n || ' says this; ', n * 500), 'UTF8'))
	  FROM generate_series(1, 40) n;
	SELECT toaststore.delete('media', id) FROM media WHERE id % 5 = 0;
	DELETE FROM media WHERE id % 7 = 0;
	BEGIN;
	SELECT toaststore.put('media', random_bytes(n, n * 1000)) FROM generate_series(1, 40) n;
	SELECT toaststore.delete('media', id) FROM media WHERE id % 3 = 0;
	ROLLBACK;
	INSERT INTO media SELECT (SELECT max(id) FROM media) + n * 3, random_bytes(n, n * 30)
	  FROM generate_series(1, 200) n;
	SELECT toaststore.put('fresh', random_bytes(n, n * 500)) FROM generate_series(1, 80) n];

sub read_file
{
	my ($path) = @_;
	open(my $handle, '<:raw', $path) or die "$path: $!";
	local $/;
	my $bytes = <$handle>;
	close $handle;
	return $bytes // '';
}

# Pages that were written since the checkpoint, but of which only the first sector reached the disk,
# or all but the first. $then is the file as of the checkpoint.
sub tear_pages
{
	my ($path, $then, $first_only) = @_;
	my $now = read_file($path);
	my ($from, $to) = $first_only ? ($sector_bytes, $page_bytes) : (0, $sector_bytes);
	my $torn = 0;
	for (my $page = 0; $page < length $now; $page += $page_bytes)
	{
		my $old = $page < length $then ? substr($then, $page, $page_bytes) : "\0" x $page_bytes;
		next if substr($now, $page, $page_bytes) eq $old;
		substr($now, $page + $from, $to - $from) = substr($old, $from, $to - $from);
		$torn++;
	}
	open(my $handle, '+<:raw', $path) or die "$path: $!";
	print $handle $now;
	close $handle;
	return $torn;
}

# Segments of the log, oldest first.
sub segments
{
	my ($node, $first, $last) = @_;
	return sort grep { $_ ge $first && $_ le $last && /^[0-9A-F]{24}$/ } slurp_dir($node->data_dir . '/pg_wal');
}

for my $full_page_writes ('on', 'off')
{
	my $node = PostgreSQL::Test::Cluster->new("again_$full_page_writes");
	$node->init(extra => [ '--data-checksums', '--wal-segsize=1' ]);
	# Before the crash nothing is written. Nothing is read ahead, so that replay gets to the very end of
	# a segment before it asks for the next.
	$node->append_conf('postgresql.conf', qq[
full_page_writes = $full_page_writes
wal_level = replica
shared_buffers = 64MB
bgwriter_lru_maxpages = 0
recovery_prefetch = off
max_wal_size = 1GB
checkpoint_timeout = 1h
autovacuum = off
log_statement = none
]);
	$node->start;
	$node->safe_psql('postgres', q[
		CREATE EXTENSION toaststore;
		SELECT toaststore.create_store('media');
		SELECT toaststore.create_store('fresh')]);
	create_random_bytes($node);
	$node->safe_psql('postgres', $changes =~ s/'fresh'/'media'/r);
	my $redo = $node->safe_psql('postgres', q[
		CHECKPOINT;
		SELECT pg_walfile_name(redo_lsn) FROM pg_control_checkpoint()]);
	my $file = $node->data_dir . '/' . relation_file($node, 'media');
	my $then = read_file($file);

	$node->safe_psql('postgres', $changes);
	# Another is in the middle of its work.
	my $client = $node->background_psql('postgres');
	$client->query_safe(q[
		BEGIN;
		SELECT toaststore.put('media', random_bytes(n, n * 900)) FROM generate_series(1, 40) n;
		SELECT toaststore.delete('media', id) FROM media WHERE id % 2 = 0]);
	# Logged as far as this, so that recovery meets what it did.
	$node->safe_psql('postgres', q[SELECT toaststore.put('media', random_bytes(1, 100000))]);
	my $last = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_flush_lsn())');
	my %before = map { $_ => digests($node, $_) } ('media', 'fresh');
	cmp_ok(scalar(keys %{ $before{media} }), '>', 500, "full_page_writes $full_page_writes: there is something to lose");
	$node->stop('immediate');
	eval { $client->quit };

	my $now = read_file($file);
	ok(index($now, $then) == 0 && substr($now, length $then) !~ /[^\0]/, 'of what changed nothing has reached the disk');
	# Few buffers, so that replay writes pages while it goes on.
	$node->append_conf('postgresql.conf', 'shared_buffers = 256kB');
	my @segments = segments($node, $redo, $last);
	cmp_ok(scalar(@segments), '>', 5, 'and a log of several segments to recover it from');
	my ($torn, $written) = (0, 0);
	for my $at (1, int(@segments / 3), int(@segments / 2), int(2 * @segments / 3), $#segments)
	{
		my $place = $node->data_dir . "/pg_wal/$segments[$at]";
		$torn += tear_pages($file, $then, $at % 2) if $full_page_writes eq 'on';
		my $crashed = read_file($file);
		my $log = -s $node->logfile;
		chmod 0, $place or die "$place: $!";
		ok(!$node->start(fail_ok => 1), "recovery is cut off after segment $at of $#segments");
		chmod 0600, $place or die "$place: $!";
		like(slurp_file($node->logfile, $log), qr/redo starts at.*PANIC:  could not open file "pg_wal\/$segments[$at]"/s,
			'in the middle of replay');
		$written++ if read_file($file) ne $crashed;
	}
	cmp_ok($written, '>', 2, 'some of what was replayed had been written each time');
	if ($full_page_writes eq 'on')
	{
		$torn += tear_pages($file, $then, 1);
		cmp_ok($torn, '>', 100, "pages were torn ($torn)");
	}

	$node->start;
	for my $store ('media', 'fresh')
	{
		same_store($node, $store, $before{$store}, "full_page_writes $full_page_writes");
		my $most = (sort { $b <=> $a } keys %{ $before{$store} })[0];
		cmp_ok($node->safe_psql('postgres', "SELECT toaststore.put('$store', random_bytes(2, 70000))"),
			'>', $most, "the ids of $store go on");
	}
	# What is put now takes no place of what was there.
	$node->safe_psql('postgres', $changes =~ s/(?:SELECT toaststore\.delete|DELETE).*?;//gsr);
	my $after = digests($node, 'media');
	is(scalar(grep { ($after->{$_} // '') ne $before{media}{$_} } keys %{ $before{media} }), 0,
		'what is put afterwards takes the place of nothing');
	is(verify_store($node, 'media'), '', 'and leaves the store sound');
	$node->stop;
	command_ok([ 'pg_checksums', '--check', '-D', $node->data_dir ], 'every checksum is right');
}

done_testing();
