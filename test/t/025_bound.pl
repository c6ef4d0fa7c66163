# The bound on a store's size is a promise (docs/operations.md): after any mixture of puts, deletes and
# rollbacks, and after crashes, VACUUM leaves a file that is no larger, and a second one leaves it alone.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $rounds = $ENV{TOASTSTORE_LONG} ? 20 : 8;
my $choices = srand($ENV{TOASTSTORE_SEED} // time ^ $$);
note("TOASTSTORE_SEED=$choices");

my $node = PostgreSQL::Test::Cluster->new('bound');
$node->init;
$node->append_conf('postgresql.conf', q[
fsync = off
autovacuum = off
max_wal_size = 4GB
]);
$node->start;
$node->safe_psql('postgres', q[
	CREATE EXTENSION toaststore;
	SELECT toaststore.create_store('media', compression => 'none');
	CREATE FUNCTION bytes(seed int, length int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
	$$ SELECT substr(decode(repeat(md5(seed::text), length / 16 + 1), 'hex'), 1, length) $$;
	CREATE FUNCTION put_some(most int, count int) RETURNS bigint LANGUAGE sql AS
	$$ SELECT count(toaststore.put('media', bytes(n, most / 2 + n * 7919 % most))) FROM generate_series(1, count) n $$]);

my $bound = q[
	SELECT pg_relation_size('media'), coalesce(sum(length(value)), 0) * 1.1 / 0.5 + 128 * count(*) + (32 << 20)
	  FROM media];
my $seed = 1;
for my $round (1 .. $rounds)
{
	my $most = (3000, 20000, 200000)[ int(rand(3)) ];
	my $count = int(60_000_000 / $most);
	$node->safe_psql('postgres', "SELECT put_some($most, $count)");
	$node->safe_psql('postgres', "BEGIN; SELECT put_some($most, $count / 3); ROLLBACK") if rand() < 0.5;
	# A share of the ids, or all of a range of them.
	my ($share, $from) = (int(rand(100)), int(rand(60)));
	$node->safe_psql('postgres', rand() < 0.5
		? "DELETE FROM media WHERE (id * 2654435761) % 100 < $share"
		: "DELETE FROM media WHERE id BETWEEN (SELECT max(id) FROM media) * $from / 100 AND (SELECT max(id) FROM media) * ($from + 35) / 100");
	if (rand() < 0.4)
	{
		$node->stop('immediate');
		$node->start;
	}
	my $before = digests($node, 'media');
	$node->safe_psql('postgres', 'VACUUM media');
	my ($size, $most_size) = split(/\|/, $node->safe_psql('postgres', $bound));
	cmp_ok($size, '<=', $most_size, "round $round: the file is no larger than promised");
	is_deeply(digests($node, 'media'), $before, 'the values are the same');
	is(verify_store($node, 'media'), '', 'and sound');
	$node->safe_psql('postgres', q[CALL toaststore.compact('media')]);
	is($node->safe_psql('postgres', q[SELECT pg_relation_size('media')]), $size, 'and the file stays as it is');
}
$node->stop;

done_testing();
