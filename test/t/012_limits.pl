# The largest value that bytea holds comes back as it was. What calls allocate is bounded, whatever
# the size of the value and of the store; a backend that may not map more address space than that
# proves it, and one that is asked for more says so and goes on. Scans read no value page.
#
# TOASTSTORE_LONG makes everything as large as is promised: 10 GB for ANALYZE.

use strict;
use warnings;

use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $long = $ENV{TOASTSTORE_LONG};
my $largest = (1 << 30) - 1 - 4;    # MaxAllocSize less a header
my $block = 361651;                 # a prime factor of it
my $kb = 1024;
my $mb = 1024 * 1024;

# Without data checksums, so that every read is proven, which takes the most memory.
my $node = PostgreSQL::Test::Cluster->new('limits');
$node->init;
$node->append_conf('postgresql.conf', q[
max_wal_size = 1GB
log_statement = none
log_min_error_statement = panic
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
]);
$node->start;

# Values are blocks of characters, repeated: ones that lz4 finds nothing in, and ones that shrink. No
# chunk is like another, for the length of a block is a prime.
my $files = $node->basedir . '/files';
mkdir $files or die "$files: $!";
write_repeated("$files/random", encode_base64(random_bytes(1, $block), ''), $block);
write_repeated("$files/text", join('', map { unpack('H*', random_bytes($_, 50)) x 4 } 1 .. 1000), $block);

# The functions are inlined where they are called, which saves copies of large values.
$node->safe_psql('postgres', qq[
	CREATE EXTENSION toaststore;
	CREATE FUNCTION bytes(kind text, blocks int) RETURNS bytea LANGUAGE sql
	    AS \$\$ SELECT convert_to(repeat(pg_read_file('$files/' || kind), blocks), 'UTF8') \$\$;
	CREATE FUNCTION part(kind text, length int) RETURNS bytea LANGUAGE sql
	    AS \$\$ SELECT substr(bytes(kind, 1), 1, length) \$\$;

	-- From now on the backend may map so many bytes more than it has mapped; null: as many as it likes.
	CREATE FUNCTION limit_memory(bytes bigint) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
	    EXECUTE format('COPY (SELECT) TO PROGRAM %L', format(
	        'cat; mapped=\$(sed -n "s/^VmSize:[^0-9]*//p" /proc/%1\$s/status); '
	        'prlimit --pid %1\$s --as=%2\$s:', pg_backend_pid(),
	        coalesce('\$((\${mapped% kB} * 1024 + ' || bytes || '))', 'unlimited')));
	END \$\$]);

# Runs statements in a session that has done the like before, so that its caches are filled, and
# may then allocate so many bytes. Returns what they gave, and the errors.
sub limited
{
	my ($bytes, $warm_up, $sql) = @_;
	my ($out, $err);
	$node->psql('postgres',
		"\\set VERBOSITY verbose\n\\o /dev/null\n$warm_up;\nSELECT limit_memory($bytes);\n\\o\n$sql;",
		on_error_stop => 0, stdout => \$out, stderr => \$err);
	return ($out, $err);
}

# The same where they must succeed.
sub fits
{
	my ($name, $bytes, $warm_up, $sql, $expected) = @_;
	my ($out, $err) = limited($bytes, $warm_up, $sql);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is("$out$err", $expected, sprintf('%s within %.1f MB', $name, $bytes / $mb));
	return;
}

# -------------------------------------------------------------------------------------------------
# The largest value

$node->safe_psql('postgres', q[
	SELECT toaststore.create_store('small'), toaststore.create_store('small_zstd', compression => 'zstd');
	SELECT toaststore.put(name::regclass, part(kind, 100000))
	  FROM unnest('{small, small_zstd}'::text[]) name, unnest('{random, text}'::text[]) kind]);

for my $kind ($long ? qw(random text) : 'text')
{
	my $codec = $kind eq 'random' ? 'none' : 'lz4';
	is($node->safe_psql('postgres', qq[
			DO \$\$
			DECLARE
			    v bytea := bytes('$kind', $largest / $block);
			    id bigint;
			BEGIN
			    PERFORM toaststore.create_store('largest_$kind');
			    id := toaststore.put('largest_$kind', v);
			    IF toaststore.get('largest_$kind', id) IS DISTINCT FROM v THEN
			        RAISE 'it is not the same';
			    END IF;
			END \$\$;
			SELECT length(value), compression FROM largest_$kind, toaststore.info('largest_$kind', id)]),
		"$largest|$codec", "the largest value comes back: $kind");
}

# Core itself makes no larger one.
my (undef, undef, $errors) = $node->psql('postgres',
	"SELECT toaststore.put('small', convert_to(repeat('x', $largest), 'UTF8') || '\\x00')");
like($errors, qr/invalid memory alloc request size/, 'there is no larger value to put');

# -------------------------------------------------------------------------------------------------
# Reading: 4 kB of a value take less than 1 MB. Under the limit, 1 MB cannot be had.

# What does not compress takes the same steps whatever its length, so a part will do.
$node->safe_psql('postgres', q[
	SELECT toaststore.create_store('largest_random', compression => 'none');
	SELECT toaststore.put('largest_random', bytes('random', 200))]) unless $long;
# The largest chunks, and a codec that the session has not used before.
$node->safe_psql('postgres', q[
	SELECT toaststore.create_store('coarse', chunk_bytes => 262144, extent_max => 262144, compression => 'zstd');
	SELECT toaststore.put('coarse', bytes('text', 100))]);

my $warm = q[SELECT length(toaststore.get('small', 1)), length(toaststore.get_slice('small', 2, 9, 9))];
for my $store (qw(largest_text largest_random coarse))
{
	my ($out, $err) = limited($mb, $warm, qq[
		SELECT toaststore.get_slice('$store', 1, length - 54321, 4096) = substr(value, (length - 54320)::int, 4096),
		       length(toaststore.get_slice('$store', 1, length / 2, 4096))
		  FROM $store, toaststore.length('$store', 1);
		SELECT length(repeat('x', $mb));
		SELECT length(toaststore.get('$store', 1));
		SELECT 'goes on', length(toaststore.get_slice('$store', 1, 0, 4096));
		SELECT limit_memory(NULL) IS NULL;
		SELECT length(toaststore.get('$store', 1)) = length(value) FROM $store]);
	is($out, "t|4096\ngoes on|4096\nf\nt", "a slice of $store takes less than 1 MB, and the session goes on");
	is(join(' ', $err =~ /ERROR:  (\w+)/g), '53200 53200', 'where 1 MB, or the whole value, is out of memory');
}

# A session that once had no memory to decompress does it when there is some.
$node->safe_psql('postgres', q[SELECT toaststore.put('small_zstd', part('text', 20000))]);
my ($out, $err) = limited(64 * $kb, $warm, q[
	SELECT length(toaststore.get('small_zstd', 3));
	SELECT limit_memory(NULL) IS NULL;
	SELECT toaststore.get('small_zstd', 3) = part('text', 20000)]);
like($err, qr/ERROR:  53200: out of memory\nDETAIL:  Failed while working on toaststore "small_zstd"/,
	'without memory a value is not decompressed');
is($out, "f\nt", 'with memory it is');

fits('get of the whole', $mb + 100 * $block, $warm, q[SELECT length(toaststore.get('coarse', 1))], 100 * $block);

# -------------------------------------------------------------------------------------------------
# Writing: beside the argument a chunk, a table of chunks (56 kB), the pages of a change (64 kB), and
# what compression needs; and up to 132 kB more, for that is how malloc() takes them.

for my $case (
	[ 'none', 65536, 320 * $kb, $long ? $largest / $block : 100, 'none' ],
	[ 'lz4', 65536, 320 * $kb, $long ? $largest / $block : 750, 'lz4' ],
	[ 'lz4', 262144, 512 * $kb, 100, 'lz4' ],
	[ 'zstd', 65536, 1 * $mb, 100, 'zstd' ],
	[ 'zstd', 262144, 2 * $mb, 100, 'zstd' ],
	[ 'zstd:19', 65536, 2 * $mb, 25, 'zstd' ],
	[ 'zstd:19', 262144, 6 * $mb, 25, 'zstd' ])
{
	my ($compression, $chunk_bytes, $budget, $blocks, $codec) = @$case;
	my $length = $blocks * $block;
	my $smaller = $codec eq 'none' ? 'f' : 't';
	my ($out, $err) = limited(1 << 40, $warm, qq[
		SELECT toaststore.create_store('written', chunk_bytes => $chunk_bytes, compression => '$compression');
		CREATE TEMP TABLE result (id bigint);
		DO \$\$
		DECLARE
		    v bytea := bytes('text', $blocks);
		    id bigint;
		BEGIN
		    id := toaststore.length('written', 1);
		    PERFORM limit_memory($budget);
		    id := toaststore.put('written', v);
		END \$\$;
		SELECT compression, raw_bytes, stored_bytes < raw_bytes * 0.7 FROM toaststore.info('written', 1);
		DROP TABLE written]);
	like($out, qr/^$codec\|$length\|$smaller$/m,
		"put of $length bytes, $compression, chunks of $chunk_bytes, within " . $budget / $kb . ' kB');
	is($err, '', 'without an error');
}

# -------------------------------------------------------------------------------------------------
# Many values: one at a time is in memory.

my $count = $long ? 1000000 : 50000;
my $each = 50 * $block;
my $wide = 5000000000;
$node->safe_psql('postgres', qq[
	SELECT toaststore.create_store(name) FROM unnest('{many, narrow, wide}'::text[]) name;
	INSERT INTO many(value) SELECT int4send(n) FROM generate_series(1, $count) n;
	DO \$\$
	DECLARE
	    v bytea := bytes('random', 50);
	    id bigint;
	BEGIN
	    FOR i IN 1 .. 8 LOOP
	        id := toaststore.put('narrow', v);
	        INSERT INTO wide VALUES ($wide + i, v);
	    END LOOP;
	END \$\$]);

my $scans = 'SELECT count(*), count(id), sum(length(value)), sum(length(sha256(value))) FROM small';
my $writes = q[INSERT INTO small(value) VALUES ('x'); SELECT toaststore.put('small', 'y');
	BEGIN; DELETE FROM small; ROLLBACK];
fits('a scan of many', $mb, $scans, 'SELECT count(*), count(id), sum(length(value)) FROM many',
	"$count|$count|" . 4 * $count);
fits('a scan of many values', $mb, $scans, 'SELECT sum(length(sha256(value))) FROM many', 32 * $count);
# With wide ids an aggregate would copy its first row with the value, hence the subquery.
my $hashes = 'SELECT count(*), sum(bytes) FROM (SELECT length(sha256(value)) AS bytes FROM %s OFFSET 0) hashed';
for my $store (qw(narrow wide))
{
	fits("a scan of large values under $store ids", $each + $mb, sprintf($hashes, 'small'), sprintf($hashes, $store),
		'8|256');
	fits("a copy of large values under $store ids", $each + $mb, "$scans; $writes",
		"INSERT INTO small(value) SELECT value FROM $store", '');
}
fits('INSERT of many', $mb, "$scans; $writes", 'INSERT INTO many(value) SELECT value FROM many', '');
fits('put of many in a block', $mb, $writes, qq[
	DO \$\$
	DECLARE
	    id bigint;
	BEGIN
	    FOR i IN 1 .. $count LOOP
	        id := toaststore.put('many', 'x');
	    END LOOP;
	END \$\$], '');
fits('DELETE of many', $mb, $writes, 'DELETE FROM many', '');
# The many are three times as many by now, with two journal records each, and verify takes two bytes of a record,
# or up to twice that.
fits("verify of $_", $mb + ($_ eq 'many' ? 24 * $count : 0), q[SELECT * FROM toaststore.verify('small_zstd')],
	"SELECT * FROM toaststore.verify('$_')", '')
  for qw(many wide largest_text);
fits('VACUUM FULL', $mb, 'VACUUM FULL small_zstd', 'VACUUM FULL narrow', '');

# -------------------------------------------------------------------------------------------------
# Scans that look at no value read no value page.

sub pages_read
{
	my ($query) = @_;
	my $plan = $node->safe_psql('postgres', "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) $query");
	# The first line is of the whole plan.
	my ($line) = $plan =~ /Buffers: (.*)/;
	my $pages = 0;
	$pages += $_ for $line =~ /(?:hit|read)=(\d+)/g;
	return $pages;
}

cmp_ok(pages_read('SELECT substr(value, 1, 5000000) FROM narrow'), '>', 8 * 600, 'values lie in thousands of pages');
for my $query (
	'SELECT count(*) FROM narrow', 'SELECT id FROM narrow',
	'SELECT sum(length(value)) FROM narrow', 'SELECT id FROM narrow ORDER BY length(value) DESC, id',
	'SELECT * FROM narrow WHERE id = 4', 'SELECT id, length(value) FROM wide')
{
	cmp_ok(pages_read($query), '<', 10, $query . ' reads none of them');
}

# -------------------------------------------------------------------------------------------------
# ANALYZE stays within 100 MB. Its sample is of blocks: with as many as there are it finds every row.

sub analyze_fits
{
	my ($store, $target, $rows) = @_;
	fits("ANALYZE of $store, statistics target $target", 100 * $mb, 'ANALYZE small; SELECT relname FROM pg_class',
		"SET default_statistics_target = $target; ANALYZE $store;"
		  . "SELECT reltuples FROM pg_class WHERE relname = '$store'",
		$rows);
	return;
}

$node->safe_psql('postgres', qq[
	SELECT toaststore.create_store('kilobytes');
	INSERT INTO kilobytes(value) SELECT substr(block, n, 1000)
	  FROM part('random', 100000) block, generate_series(1, 40000) n]);
analyze_fits('kilobytes', 100, 40000);
if ($long)
{
	$node->safe_psql('postgres', qq[
		DO \$\$
		DECLARE
		    v bytea := bytes('random', 177);
		    id bigint;
		BEGIN
		    FOR i IN 1 .. 60 LOOP
		        id := toaststore.put('narrow', v);
		        INSERT INTO wide VALUES ($wide + 100 + i, v);
		    END LOOP;
		END \$\$;
		INSERT INTO narrow(value) SELECT substr(block, n, 65000)
		  FROM part('random', 200000) block, generate_series(1, 20000) n;
		INSERT INTO wide SELECT $wide + 1000 + n, substr(block, n, 65000)
		  FROM part('random', 200000) block, generate_series(1, 20000) n]);
	cmp_ok($node->safe_psql('postgres', "SELECT pg_relation_size('narrow') + pg_relation_size('wide')"),
		'>', 10e9, 'there are 10 GB');
}
analyze_fits('narrow', 10000, 8 + ($long ? 20060 : 0));
analyze_fits('wide', 10000, 8 + ($long ? 20060 : 0));

$node->stop;
done_testing();
