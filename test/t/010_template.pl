# A database is copied from one with stores, through the log and file by file. The stores of all three
# have the same file numbers and go on each for itself: after puts and deletions in turn, after a
# crash and on a standby each database has its own values, by SHA-256.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
$primary->append_conf('postgresql.conf', q[
shared_buffers = 4MB
autovacuum = off
log_statement = none
]);
$primary->start;
$primary->backup('start');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'start', has_streaming => 1);
$standby->start;

my @databases = ('source', 'by_log', 'by_file');
my @stores = ('media', 'tuned', 'empty');
my %values;    # of each store in each database
my $seed = 0;

# Puts and deletes in one session, in one database: their outcome is known here, too.
sub change
{
	my ($node, $database, $store) = @_;
	my $here = $values{$database}{$store} //= {};
	my (@sql, @new);
	for (1 .. 15)
	{
		my @value = (++$seed, ($seed * $seed * 7) % 60000);
		push @new, sha256_hex(random_bytes(@value));
		push @sql, "SELECT toaststore.put('$store', random_bytes($value[0], $value[1]))";
	}
	my @gone = (sort { $a <=> $b } keys %$here)[ 0 .. 2 ];
	my $delete = join(';', map { "SELECT toaststore.delete('$store', $_) AND null" } grep { defined } @gone);
	my @ids = grep { $_ ne '' } split(/\n/, $node->safe_psql($database, join(';', @sql, $delete)));
	is(scalar(@ids), scalar(@new), "$database: puts into $store");
	is(join(' ', grep { exists $here->{$_} } @ids), '', "$database: under ids that are not taken in it");
	delete @$here{ grep { defined } @gone };
	@$here{@ids} = @new;
	return;
}

sub all_same
{
	my ($node, $what) = @_;
	for my $database (@databases)
	{
		same_store($node, $_, $values{$database}{$_} // {}, "$what: $database", $database) for @stores;
	}
	return;
}

sub unlogged_empty
{
	my ($node, $what) = @_;
	is($node->safe_psql($_, q[SELECT count(*), toaststore.put('unlogged', 'x') FROM unlogged]), '0|1',
		"$what: $_: an unlogged store is empty and usable") for @databases;
	return;
}

$primary->safe_psql('postgres', 'CREATE DATABASE source');
$primary->safe_psql('source', q[
	CREATE EXTENSION toaststore;
	SELECT toaststore.create_store('media');
	SELECT toaststore.create_store('tuned', 100, 8000, 8192, 'zstd:3');
	SELECT toaststore.create_store('empty');
	CREATE UNLOGGED TABLE unlogged (id bigint, value bytea) USING toaststore_values]);
create_random_bytes($primary, 'source');
for my $store ('media', 'tuned')
{
	change($primary, 'source', $store) for 1 .. 3;
}
# What never happened is copied, too.
$primary->safe_psql('source', q[
	BEGIN;
	SELECT toaststore.put('media', random_bytes(n, 5000)) FROM generate_series(1, 50) n;
	ROLLBACK;
	SELECT toaststore.put('unlogged', random_bytes(n, 5000)) FROM generate_series(1, 50) n]);
$primary->safe_psql('postgres', 'CHECKPOINT');
# Some of it is in buffers alone when it is copied.
change($primary, 'source', 'media');

for my $copy ([ 'by_log', 'wal_log' ], [ 'by_file', 'file_copy' ])
{
	my ($database, $strategy) = @$copy;
	$primary->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE source STRATEGY $strategy");
	$values{$database}{$_} = { %{ $values{source}{$_} } } for 'media', 'tuned';
}
my $files = q[SELECT relname, relfilenode FROM pg_class WHERE relname IN ('media', 'tuned', 'empty', 'unlogged')
	ORDER BY relname];
is($primary->safe_psql($_, $files), $primary->safe_psql('source', $files), "$_: the same file numbers")
  for 'by_log', 'by_file';
all_same($primary, 'copied');
is($primary->safe_psql($_, 'SELECT count(*) FROM unlogged'), 50, "$_: an unlogged store is copied") for @databases;
is($primary->safe_psql($_, q[SELECT * FROM toaststore.verify('unlogged')]), '', "$_: and sound") for @databases;

# Before any checkpoint: recovery makes the databases anew.
$primary->stop('immediate');
$primary->start;
all_same($primary, 'after a crash');
unlogged_empty($primary, 'after a crash');
$primary->wait_for_catchup($standby);
all_same($standby, 'standby');

# In turn, so that each meets what the others did.
for (1 .. 2)
{
	for my $store (@stores)
	{
		change($primary, $_, $store) for @databases;
	}
}
# Each store has had as many puts as the others, and holds nothing of theirs.
all_same($primary, 'in turn');
$primary->wait_for_catchup($standby);
all_same($standby, 'in turn, standby');
$primary->stop('immediate');
$primary->start;
all_same($primary, 'in turn, after a crash');

# A database that moves, and one that takes another's name.
$primary->safe_psql('postgres', q[
	SET allow_in_place_tablespaces = on;
	CREATE TABLESPACE elsewhere LOCATION '']);
$primary->safe_psql('postgres', 'ALTER DATABASE by_log SET TABLESPACE elsewhere');
$primary->safe_psql('postgres', 'DROP DATABASE by_file');
$primary->safe_psql('postgres', 'CREATE DATABASE by_file TEMPLATE by_log STRATEGY file_copy TABLESPACE pg_default');
$values{by_file} = { map { $_ => { %{ $values{by_log}{$_} } } } @stores };
for my $store (@stores)
{
	change($primary, $_, $store) for @databases;
}
all_same($primary, 'moved and replaced');
$primary->wait_for_catchup($standby);
$primary->stop;
$standby->promote;
for my $store (@stores)
{
	change($standby, $_, $store) for @databases;
}
all_same($standby, 'promoted');
unlogged_empty($standby, 'promoted');
$standby->stop;
command_ok([ 'pg_checksums', '--check', '-D', $_->data_dir ], $_->name . ': every checksum is right')
  for $primary, $standby;

done_testing();
