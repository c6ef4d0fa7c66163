# The log alone makes a store again: a server that has written nothing but its log is stopped at
# once, and replay begins with pages that are blank, or that hold what an earlier use left there.
# Redo compares each page with the one that was logged, and full-page images do not help it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('replay');
$node->init(extra => ['--data-checksums']);
# Room for every page, and nobody who would write one before its time.
$node->append_conf('postgresql.conf', q[
shared_buffers = 64MB
bgwriter_lru_maxpages = 0
checkpoint_timeout = 1h
max_wal_size = 4GB
wal_level = replica
wal_consistency_checking = 'all'
autovacuum = off
log_statement = none
]);
$node->start;
$node->safe_psql('postgres', q[CREATE EXTENSION toaststore; SELECT toaststore.create_store('media')]);
create_random_bytes($node);

# A statement that fails when its first value is written leaves pages that the next one starts anew.
my $rows = $node->basedir . '/rows';
$node->safe_psql('postgres', qq[
	COPY (VALUES (NULL::bigint, random_bytes(1, 100000)), (1, 'taken')) TO '$rows' (FORMAT binary);
	CREATE FUNCTION fail() RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
	    COPY media FROM '$rows' (FORMAT binary);
	    RAISE 'does not fail';
	EXCEPTION WHEN unique_violation THEN
	    RETURN;
	END
	\$\$]);

my $changes = q[
	SELECT toaststore.put('media', random_bytes(n, 100)) FROM generate_series(1, 300) n;
	SELECT fail();
	SELECT toaststore.put('media', random_bytes(2, 60000));
	BEGIN;
	SELECT toaststore.put('media', random_bytes(3, 1000000));
	ROLLBACK;
	SELECT toaststore.put('media', convert_to(repeat('says little; ', 100000), 'UTF8'));
	SELECT toaststore.put('media', random_bytes(4, 500000));
	SELECT toaststore.put('media', '');
	BEGIN;
	SAVEPOINT a;
	INSERT INTO media SELECT max(id) + 1000, random_bytes(5, 9000) FROM media;
	ROLLBACK TO a;
	INSERT INTO media SELECT max(id) + 1000, random_bytes(6, 9000) FROM media;
	COMMIT;
	SELECT toaststore.put_many('media', array_agg(random_bytes(n, n * 40))) FROM generate_series(1, 200) n;
	SELECT toaststore.delete('media', id) FROM media WHERE id % 7 = 0;
	BEGIN;
	DELETE FROM media WHERE id % 5 = 0;
	ROLLBACK];

# Stops the server at once and starts it again. Where replay fails there is nothing more to test.
sub crash
{
	my ($when) = @_;
	my $before = digests($node, 'media');
	$node->stop('immediate');
	if (!ok($node->start(fail_ok => 1), "$when: the log is replayed"))
	{
		diag(grep { /PANIC|FATAL/ } split(/^/, slurp_file($node->logfile)));
		done_testing();
		exit 1;
	}
	is(verify_store($node, 'media'), '', "$when: the store is sound");
	is_deeply(digests($node, 'media'), $before, "$when: every value is as it was");
	return;
}

for my $full_page_writes ('off', 'on')
{
	$node->append_conf('postgresql.conf', "full_page_writes = $full_page_writes");
	$node->reload;
	for my $pages ('blank pages', 'pages of before')
	{
		$node->safe_psql('postgres', 'TRUNCATE media; CHECKPOINT') if $pages eq 'blank pages';
		$node->safe_psql('postgres', $changes);
		crash("$pages, full_page_writes $full_page_writes");
	}
}

# Writers beside each other, in a store that is not made yet.
$node->safe_psql('postgres', 'TRUNCATE media; CHECKPOINT');
$node->pgbench(
	'--no-vacuum --client=8 --transactions=100', 0, [qr/processed: 800\/800/], [qr/^$/],
	'several clients put at once',
	{ '015_clients' => q[
		\set length random(1, 20000)
		\set seed random(1, 1000000)
		SELECT toaststore.put('media', random_bytes(:seed, :length));] });
is($node->safe_psql('postgres', 'SELECT count(*) FROM media'), 800, 'nothing that they put is lost');
is(verify_store($node, 'media'), '', 'or overwritten');
crash('several clients');

$node->stop;
done_testing();
