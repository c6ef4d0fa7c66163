# The bound on a store's size is a promise (docs/operations.md): after any mixture of puts, deletes and
# rollbacks, and after crashes, VACUUM leaves a file that is no larger, and a second one leaves it alone.
# What the store tells of its values and of live and dead bytes is what a look at all of them finds.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreFile;
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
my $told = q[
	SELECT direct_values, extent_values, chunked_values, raw_bytes, stored_bytes FROM toaststore.stat_stores];
my $found = q[
	SELECT count(*) FILTER (WHERE layout = 'direct'), count(*) FILTER (WHERE layout = 'extent'),
	       count(*) FILTER (WHERE layout = 'chunked'), coalesce(sum(raw_bytes), 0), coalesce(sum(stored_bytes), 0)
	  FROM media, toaststore.info('media', id)];

# The statistics against a look at each value and each page.
sub exact
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql('postgres', $told), $node->safe_psql('postgres', $found), 'the values are counted exactly');
	$node->safe_psql('postgres', 'CHECKPOINT');
	my ($told, $found) = StoreFile->new($node->data_dir . '/' . relation_file($node, 'media'))->accounts;
	is_deeply($told, $found, 'so are the live and dead bytes of each extent');
	my ($live, $dead) = (0, 0);
	for (values %$found) { $live += $_->[0]; $dead += $_->[1]; }
	is($node->safe_psql('postgres', 'SELECT live_bytes, dead_bytes FROM toaststore.stat_stores'), "$live|$dead",
		"and of the store: $live live, $dead dead");
	return;
}

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
	exact();
	$node->safe_psql('postgres', q[CALL toaststore.compact('media')]);
	is($node->safe_psql('postgres', q[SELECT pg_relation_size('media')]), $size, 'and the file stays as it is');
}

# A damaged value stays where it is, and does not keep the others from moving to the front.
$node->safe_psql('postgres', q[
	TRUNCATE media;
	SELECT count(toaststore.put('media', bytes(n, 50000))) FROM generate_series(1, 400) n;
	VACUUM media;
	DELETE FROM media WHERE id < 350 AND id <> 200]);
my $path = $node->data_dir . '/' . relation_file($node, 'media');
$node->stop;
my $file = StoreFile->new($path);
$file->flip($file->entry(200)->{block} + 3, 4000);
$file->save;
$node->start;
$node->safe_psql('postgres', 'VACUUM media');
cmp_ok($node->safe_psql('postgres', q[SELECT pg_relation_size('media')]), '<', 12_000_000,
	'the file is short where a damaged value lies in the middle of it');
like(verify_store($node, 'media'), qr/^\d+\|200\|value bytes do not match their CRC$/, 'it is the only fault');
$node->stop;

done_testing();
