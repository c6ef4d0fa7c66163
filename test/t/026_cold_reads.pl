# Values whose pages are not in shared buffers are read from the file, past the buffers. They are the
# values that were put, whoever changes the store meanwhile; damage is the error that it is anyhow; a
# page that is in shared buffers is taken from there, for the file may be behind; and no file stays open.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreFile;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
shared_buffers = 16MB
autovacuum = off
bgwriter_lru_maxpages = 0
checkpoint_timeout = 1h
fsync = on
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);

# Values of every layout, raw and compressed.
my $fill = q[
	SELECT toaststore.put('%1$s', random_bytes(n, n * 700)) FROM generate_series(1, 30) n;
	SELECT toaststore.put('%1$s', random_bytes(n, 60000)) FROM generate_series(31, 40) n;
	SELECT toaststore.put('%1$s', random_bytes(n, 300000 + n)) FROM generate_series(41, 45) n;
	SELECT toaststore.put('%1$s', convert_to(repeat(encode(random_bytes(n, 500), 'hex'), 40 * n), 'UTF8'))
	  FROM generate_series(46, 60) n];

sub filled
{
	my ($server, $store) = @_;
	$server->safe_psql('postgres', "SELECT toaststore.create_store('$store');" . sprintf($fill, $store));
	return digests($server, $store);
}

# Blocks of a store's file that one statement read and found in shared buffers.
sub blocks_of
{
	my ($statement) = @_;
	my $plan = $node->safe_psql('postgres', "EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off) $statement");
	my ($execution) = split(/Planning/, $plan);
	return map { $execution =~ /Buffers: shared.*\b$_=(\d+)/ ? $1 : 0 } qw(read hit);
}

my $values = filled($node, 'media');
my $large = 'SELECT length(sha256(toaststore.get(\'media\', 41)))';

# ---- past the buffers ----
$node->restart;
same_store($node, 'media', $values, 'after a restart');
$node->restart;
blocks_of($large);
my ($read, $hit) = blocks_of($large);
cmp_ok($read, '>=', 36, 'what was read once was read past shared buffers: it is read again');
# One session: the second time they go to shared buffers, the third time they are there.
my $plans = $node->safe_psql('postgres', "EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off) $large;\n" x 3);
my @hits = map { /Buffers: shared(?: hit=(\d+))?/ ? $1 // 0 : () } split(/\n(?=Result)/, $plans =~ s/\nPlanning:.*?(?=\nResult|\z)//gsr);
cmp_ok($hits[1], '<', 36, 'nor is it there when it is read the second time');
cmp_ok($hits[2], '>=', 36, 'but then it is');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_prewarm');
$node->safe_psql('postgres', "SELECT pg_prewarm('media')");
($read, $hit) = blocks_of($large);
is($read, 0, 'what is in shared buffers is not read');
cmp_ok($hit, '>=', 36, 'but found there');

# ---- a page in shared buffers is newer than the file ----
$node->restart;
$node->safe_psql('postgres', 'CHECKPOINT');
my $new = $node->safe_psql('postgres', "SELECT toaststore.put('media', random_bytes(1000, 200000))");
# Of what is not on disk the file has zeros.
is( $node->safe_psql('postgres',
		"SELECT sha256(toaststore.get('media', $new)) = sha256(random_bytes(1000, 200000))"),
	't',
	'a value that is in shared buffers only');
# Between values that are not.
$values = digests($node, 'media');

# ---- beside those who change the store ----
my $changes = join("\n", map { "
	SELECT toaststore.delete('media', id) FROM (SELECT id FROM media WHERE id > $new) AS d;
	SELECT toaststore.put('media', random_bytes(n, 100000)) FROM generate_series(1, 20) n;
	SELECT toaststore.delete('media', max(id)) FROM media WHERE id > $new;
	VACUUM media;
	CALL toaststore.compact('media');
	CHECKPOINT;" } 1 .. 12);
my $changer = IPC::Run::start(
	[ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') ],
	'<', \$changes, '>', \my $out, '2>', \my $err);
my @wrong;
my $rounds = 0;
do
{
	my $here = digests($node, 'media');
	push @wrong, grep { ($here->{$_} // 'none') ne $values->{$_} } keys %$values;
	$rounds++;
	$changer->pump_nb;
} while ($changer->pumpable && $rounds < 200);
$changer->finish;
is($err, '', 'the changes succeed');
is("@wrong", '', "$rounds times the same values beside insertions, deletions, vacuum and compaction");
is(verify_store($node, 'media'), '', 'the store is sound');

# ---- one session, and what others do to the file between two reads ----
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $digest_41 = "SELECT encode(sha256(toaststore.get('media', 41)), 'hex');";
my $open_files = q[SELECT count(*) FROM pg_ls_dir('/proc/' || pg_backend_pid() || '/fd') AS f;];
is($session->query($digest_41), $values->{41}, 'a value');
$node->safe_psql('postgres', 'VACUUM FULL media');
is($session->query($digest_41), $values->{41}, 'the same after VACUUM FULL');
$node->safe_psql('postgres', "SELECT toaststore.delete('media', id) FROM (SELECT id FROM media WHERE id > 42) AS d");
$node->safe_psql('postgres', 'VACUUM media');
$node->safe_psql('postgres', "CALL toaststore.compact('media')");
is($session->query($digest_41), $values->{41}, 'the same when the file has become shorter');
$node->safe_psql('postgres', 'TRUNCATE media');
is($session->query("SELECT toaststore.get('media', 41) IS NULL;"), 't', 'nothing after TRUNCATE');

# ---- temporary stores ----
is( $session->query(q[
		CREATE TEMP TABLE docs (body bytea) USING toaststore;
		INSERT INTO docs SELECT random_bytes(n, 100000) FROM generate_series(1, 30) n;
		SELECT count(*) FROM docs, generate_series(1, 30) n WHERE body = random_bytes(n, 100000);]),
	'30',
	'a temporary table is read through its own buffers');
$session->quit;

# ---- damage ----
my $off = PostgreSQL::Test::Cluster->new('off');
$off->init;
$off->append_conf('postgresql.conf', 'autovacuum = off');
$off->start;
$off->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($off);
my %expected = (
	$node => qr/invalid page in block (\d+) of relation/,
	$off => qr/value bytes do not match their CRC/);
for my $server ($node, $off)
{
	my $name = $server->name;
	$server->safe_psql('postgres', "SELECT toaststore.create_store('bad', compression => 'none')");
	$server->safe_psql('postgres', "SELECT toaststore.put('bad', random_bytes(n, 200000)) FROM generate_series(1, 5) n");
	my $sound = digests($server, 'bad');
	my $path = $server->data_dir . '/' . relation_file($server, 'bad');
	$server->stop;
	my $store = StoreFile->new($path);
	my $chunk = $store->chunk(3, 1);
	$store->flip($chunk->{block} + 4, 4000);
	$store->save;
	$server->start;

	# The first read of it goes past shared buffers.
	my ($status, $stdout, $stderr) = $server->psql('postgres', "SELECT toaststore.get('bad', 3)");
	like($stderr, $expected{$server}, "$name: the damaged page is refused");
	is($stdout, '', "$name: nothing is returned");

	my $reader = $server->background_psql('postgres', on_error_stop => 0);
	$reader->query("SELECT toaststore.get('bad', 1) IS NULL;");
	my $before = $reader->query($open_files);
	for (1 .. 30)
	{
		$reader->query("SELECT toaststore.get('bad', 3);");
		$reader->query("BEGIN; SAVEPOINT s; SELECT toaststore.get('bad', 3); ROLLBACK TO s; COMMIT;");
	}
	is($reader->query($open_files), $before, "$name: no file stays open after errors");
	for my $id (1, 2, 4, 5)
	{
		is($server->safe_psql('postgres', "SELECT encode(sha256(toaststore.get('bad', $id)), 'hex')"),
			$sound->{$id}, "$name: value $id is read");
	}
	$reader->quit;
}

done_testing();
