# A server is stopped, and the files of its stores are opened where they lie: toaststorectl finds them
# healthy and gives out what SQL gave out, byte for byte, without changing anything. It finds a damaged
# byte that the server would only find by reading it.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
autovacuum = off
log_statement = none
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);

# --- stores of every kind ------------------------------------------------------------------------

# Values of all layouts, that compress and that do not.
my $values = q[
	SELECT toaststore.put('STORE', random_bytes(n, n)) FROM unnest(ARRAY[0, 1, 100, 4096, 5000, 65536, 65537, 400000]) n;
	SELECT toaststore.put('STORE', convert_to(repeat('text ' || n, n), 'UTF8')) FROM unnest(ARRAY[1, 10, 1000, 50000, 300000]) n;
	SELECT toaststore.put('STORE', random_bytes(n, n % 300)) FROM generate_series(1, 1000) n;];
my %options = (
	defaults => '',
	plain => q[, compression => 'none'],
	zstd => q[, compression => 'zstd:5'],
	narrow => q[, direct_max => 0, extent_max => 0, chunk_bytes => 8192],
	wide => q[, direct_max => 8000, extent_max => 262144, chunk_bytes => 262144]);
for my $store (sort keys %options)
{
	$node->safe_psql('postgres', "SELECT toaststore.create_store('$store'$options{$store});" . $values =~ s/STORE/$store/gr);
}
# Put into in other ways: by rows, by COPY, by batches; in chunks that need a table of tables.
my $copy = $node->basedir . '/rows.copy';
$node->safe_psql('postgres', q[
	SELECT toaststore.create_store('rows');
	COPY (SELECT n::bigint, random_bytes(n, 700) FROM generate_series(1000001, 1000100) n) TO 'FILE' (FORMAT binary);
	COPY rows FROM 'FILE' (FORMAT binary);
	INSERT INTO rows SELECT n, random_bytes(n, n) FROM generate_series(10, 5000, 10) n;
	SELECT toaststore.put_many('rows', ARRAY['\x01', '\x02', random_bytes(3, 100000)]::bytea[]);
	SELECT toaststore.create_store('tables', chunk_bytes => 8192, compression => 'none');
	SELECT toaststore.put('tables', decode(repeat('0123456789abcdef', 2200000), 'hex'));
	CREATE UNLOGGED TABLE unlogged (id bigint, value bytea) USING toaststore_values;
	SELECT toaststore.put('unlogged', random_bytes(n, n)) FROM generate_series(1, 5000, 100) n;
	SELECT toaststore.create_store('empty');
	SELECT toaststore.create_store('copied');
	SELECT toaststore.put('copied', random_bytes(n, n)) FROM generate_series(1, 50000, 999) n;
	DELETE FROM copied WHERE id % 3 = 0] =~ s/FILE/$copy/gr);
$node->safe_psql('postgres', 'VACUUM FULL copied');
my @stores = (sort(keys %options), qw(rows tables unlogged empty copied));

# Deleted, and put by transactions that rolled back: in one store, known by their ids.
$node->safe_psql('postgres', 'DELETE FROM zstd WHERE id BETWEEN 100 AND 199');
my $rolled_back = $node->safe_psql('postgres', q[
	BEGIN;
	SELECT toaststore.put('zstd', 'rolled back');
	ROLLBACK]);
$node->safe_psql('postgres', 'BEGIN; DELETE FROM zstd WHERE id = 200; ROLLBACK');

my (%file, %expected);
for my $store (@stores)
{
	$file{$store} = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$store')");
	$expected{$store} = digests($node, $store);
}
my ($heap_file) = map { $node->data_dir . '/' . $_ }
  $node->safe_psql('postgres', q[CREATE TABLE heap AS SELECT 1 AS one; SELECT pg_relation_filepath('heap')]);
my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
$node->stop;

# --- offline -------------------------------------------------------------------------------------

# Exit status, what it printed, and what it complained about.
sub ctl
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'toaststorectl', @_ ], '<', \undef, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub list
{
	my ($status, $out) = ctl('ls', $_[0]);
	return { map { split /\t/ } split(/\n/, $out) };
}

sub digest_of
{
	my ($file, $id) = @_;
	my ($status, $out, $err) = ctl('get', $file, $id);
	return $status == 0 ? sha256_hex($out) : "exit $status: $err";
}

my %before = map { $_ => sha256_hex(slurp_file($file{$_})) } @stores;
# Of stores with many values every 20th is read, beside the first ones, which have all layouts.
for my $store (@stores)
{
	is_deeply([ ctl('verify', $file{$store}) ], [ 0, '', '' ], "$store: verify finds nothing");
	my ($status, $out) = ctl('page', $file{$store}, 'all');
	is($status, 0, '.. nor does anybody who looks at every page');
	unlike($out, qr/fault/, '.. of any kind');
	my $listed = list($file{$store});
	delete @$listed{ $rolled_back, 200 } if $store eq 'zstd';
	my %sql = %{ $expected{$store} };
	delete $sql{200} if $store eq 'zstd';
	is_deeply([ sort keys %$listed ], [ sort keys %sql ], '.. ls lists what SQL has');
	my @ids = sort { $a <=> $b } keys %sql;
	@ids = grep { $_ <= $ids[14] || $_ % 20 == 0 } @ids if @ids > 100;
	my @wrong = grep { digest_of($file{$store}, $_) ne $sql{$_} } @ids;
	is("@wrong", '', '.. and get gives what SQL gave: ' . @ids . ' values');
}

# There is no commit log at hand, as the manual says.
my $zstd = list($file{zstd});
is($zstd->{$rolled_back}, 11, 'a value whose transaction rolled back is listed');
ok(!exists $zstd->{200}, 'one whose deletion rolled back is not');
ok(!exists $zstd->{150}, 'nor is one that was deleted');
is((ctl('get', $file{zstd}, 150))[0], 1, '.. or given out');

# All of a store at once, as files.
my $saved = $node->basedir . '/saved';
is_deeply([ ctl('export', '--ids', $file{narrow}, $saved) ], [ 0, '', '' ], 'every value of a store into a file');
is_deeply({ map { $_ =~ s{.*/}{}r => sha256_hex(slurp_file($_)) } glob("$saved/*") }, $expected{narrow}, '.. as SQL gave it');

# Log positions are the server's.
my ($status, $meta) = ctl('page', $file{defaults}, 1);
my ($high, $low) = $meta =~ m{lsn ([0-9A-F]+)/([0-9A-F]+),};
my ($now_high, $now_low) = split(m{/}, $lsn);
is(hex($high), hex($now_high), 'the log position of a page');
ok(hex($low) > 0 && hex($low) <= hex($now_low), '.. is before that of the server');

like((ctl('stat', $file{narrow}))[1], qr/^chunk_bytes +8192$/m, 'stat tells how a store was made');
like((ctl('stat', $file{tables}, 1))[1], qr/^chunks +2149$/m, '.. and how a value is kept');

# Not everything below base/ is a store.
for my $other ($heap_file, $node->data_dir . '/PG_VERSION')
{
	($status, my $out, my $err) = ctl('verify', $other);
	is($status, 3, 'a file of something else');
	like($err, qr/file is not a store/, '.. is told from a store');
}

# Nothing of this has changed anything, and nothing was left beside the files.
is(sha256_hex(slurp_file($file{$_})), $before{$_}, "the file of $_ is as it was") for @stores;
is_deeply([ grep { !/_(vm|fsm|init)$/ } map { glob("$file{$_}*") } @stores ], [ @file{@stores} ], 'and alone');

# --- damage --------------------------------------------------------------------------------------

my $place = index(slurp_file($file{plain}), substr(random_bytes(5000, 5000), 1000, 64));
cmp_ok($place, '>', 0, 'a value that is stored as it is');
my ($id) = grep { $expected{plain}{$_} eq sha256_hex(random_bytes(5000, 5000)) } keys %{ $expected{plain} };
sub flip
{
	open(my $handle, '+<:raw', $file{plain}) or die "could not open $file{plain}: $!";
	seek($handle, $place, 0);
	read($handle, my $byte, 1);
	seek($handle, $place, 0);
	print $handle chr(ord($byte) ^ 16);
	close($handle);
	return;
}
flip();
my $block = int($place / 8192);
($status, my $out, my $err) = ctl('verify', $file{plain});
is($status, 1, 'verify finds one bit that is wrong');
like($out, qr/\Ablock \d+: value $id: value bytes do not match their CRC\n\z/, '.. and the value that it belongs to');
is($err, "toaststorectl: $file{plain}: 1 fault\n", '.. and nothing else');
($status, $out, $err) = ctl('get', $file{plain}, $id);
is($status, 3, 'get does not give it out');
is($out, '', '.. nor a part of it');
my @others = grep { $_ != $id && $_ < 30 } keys %{ $expected{plain} };
is(scalar(grep { digest_of($file{plain}, $_) ne $expected{plain}{$_} } @others), 0, 'but all others');
flip();
is_deeply([ ctl('verify', $file{plain}) ], [ 0, '', '' ], 'put right, the store is healthy');

$node->start;
for my $store (@stores)
{
	is_deeply(digests($node, $store), $expected{$store}, "$store: the server has what it had");
	is(verify_store($node, $store), '', '.. and finds it healthy');
}
$node->stop;

done_testing();
