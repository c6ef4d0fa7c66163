# When the 32-bit ids of a table's values have been used once, a new value costs no more than before,
# whatever stands in the way: a native TOAST table probes a million dense ids one by one, for seconds.
#
# TOASTSTORE_LONG makes it a million.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreFile;
use Test::More;
use Toaststore;

my $columns = 20;    # values of a row
my $rows = $ENV{TOASTSTORE_LONG} ? 50_000 : 1_000;
my $dense = $rows * $columns;

my $node = PostgreSQL::Test::Cluster->new('wrap');
$node->init;
$node->append_conf('postgresql.conf', q[
fsync = off
shared_buffers = 256MB
max_wal_size = 2GB
autovacuum = off
]);
$node->start;
my $names = join(', ', map { "c$_" } 1 .. $columns);
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore; CREATE TABLE filled (id int, '
	  . join(', ', map { "c$_ text" } 1 .. $columns) . q[) USING toaststore WITH (toast_tuple_target = 128);
	ALTER TABLE filled ] . join(', ', map { "ALTER c$_ SET STORAGE EXTERNAL" } 1 .. $columns));
$node->safe_psql('postgres', "INSERT INTO filled SELECT n, $names FROM generate_series(1, $rows) n, LATERAL (SELECT "
	  . join(', ', map { "repeat(md5('$_.' || n), 4) AS c$_" } 1 .. $columns) . ' OFFSET 0) line');
my $store = $node->safe_psql('postgres', q[SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'filled'::regclass]);
is($node->safe_psql('postgres', "SELECT count(*), min(chunk_id), max(chunk_id) FROM $store"),
	"$dense|1|$dense", 'ids are dense');

# The most buffers that one of 200 puts touches, whichever of them looks for ids, and the time of one.
sub cost
{
	my ($name) = @_;
	my $answer = $node->safe_psql('postgres', q[
		CREATE TEMPORARY TABLE puts (us float, buffers int);
		DO $$
		DECLARE
		    began timestamptz;
		    value text := repeat(md5('y'), 100);
		    plan json;
		BEGIN
		    FOR n IN 1 .. 200 LOOP
		        EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) INSERT INTO filled (c1) VALUES ($1)' INTO plan USING value;
		        INSERT INTO puts (buffers)
		        VALUES ((plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::int + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::int);
		    END LOOP;
		    FOR n IN 1 .. 2000 LOOP
		        began := clock_timestamp();
		        INSERT INTO filled (c1) VALUES (value);
		        INSERT INTO puts (us) VALUES (extract(epoch FROM clock_timestamp() - began) * 1e6);
		    END LOOP;
		END $$;
		SELECT concat_ws(' ', max(buffers), round(percentile_cont(0.5) WITHIN GROUP (ORDER BY us)), round(max(us))) FROM puts]);
	my ($buffers, $us, $most) = split(/ /, $answer);
	note("$name, with $dense dense ids: $buffers buffers at most, $us us in the median, $most us at most");
	return ($buffers, $us);
}
my ($buffers_before, $us_before) = cost('before ids wrap');

# The counter stands before the last id.
my $path = $node->data_dir . '/' . relation_file($node, $store);
$node->stop;
my $file = StoreFile->new($path);
$file->put(1, 24 + 24, pack('Q', 4294967295));
$file->seal(1);
$file->save;
$node->start;

my ($buffers, $us) = cost('after ids wrap');
my $taken = $node->safe_psql('postgres', "SELECT count(*) FILTER (WHERE chunk_id = 4294967295), count(*) - count(DISTINCT chunk_id) FROM $store");
is($taken, '1|0', 'ids have wrapped, and each names one value');
cmp_ok($buffers, '<', $buffers_before + 30, 'a put touches a few pages more, not a page for each id in the way');
SKIP:
{
	skip 'times are looked at with TOASTSTORE_LONG', 1 unless $ENV{TOASTSTORE_LONG};
	cmp_ok($us, '<', 100, 'a put takes less than 100 us');
}
is($node->safe_psql('postgres', q[SELECT count(*) FROM filled WHERE c1 = repeat(md5('y'), 100)]), 4400, 'values are right');
is(verify_store($node, 'filled'), '', 'the store is sound');
$node->stop;
done_testing();
