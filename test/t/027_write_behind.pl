# The log of large values is written and synced while they are put: the walwriter is woken by them,
# not by its own clock, and before the transaction commits.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# Nothing else writes the log: its buffers hold all that is logged here, and the walwriter comes by
# itself every ten seconds.
$node->append_conf('postgresql.conf', q[
wal_buffers = 64MB
wal_writer_delay = 10s
wal_writer_flush_after = 1MB
autovacuum = off
checkpoint_timeout = 1h
bgwriter_lru_maxpages = 0
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);
$node->safe_psql('postgres', q[
SELECT toaststore.create_store('media');
CREATE TABLE docs(id int, body bytea) USING toaststore;
CREATE TABLE source(id int, body bytea);
ALTER TABLE source ALTER body SET STORAGE EXTERNAL;
INSERT INTO source SELECT n, random_bytes(n, 4000000) FROM generate_series(1, 2) n;
INSERT INTO source SELECT n, random_bytes(n, 5000) FROM generate_series(3, 1602) n;
CHECKPOINT]);

# How far behind the end of the log the disk is, in megabytes, soon after a statement that is not
# committed.
sub megabytes_behind
{
	my ($session, $statement) = @_;
	$session->query_safe("BEGIN; $statement");
	my $behind;
	for (my $since = time; time - $since < 1; usleep(5_000))
	{
		$behind = $session->query_safe(
			'SELECT ((pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn()) / 1048576)::numeric(9, 2)');
		last if $behind < 2;
	}
	$session->query_safe('ROLLBACK');
	return $behind;
}

my $session = $node->background_psql('postgres');
my %writers = (
	'a large value by id' => q[SELECT toaststore.put('media', body) FROM source WHERE id <= 2],
	'many small ones' => q[SELECT count(toaststore.put('media', body)) FROM source WHERE id > 2],
	'a row of a table' => q[INSERT INTO docs SELECT id, body FROM source WHERE id <= 2]);
# Thrice, so that the walwriter's own clock cannot have done it.
foreach my $round (1 .. 3)
{
	cmp_ok(megabytes_behind($session, $writers{$_}), '<', 2, "$_: the log is on the disk before the commit, round $round")
	  foreach sort keys %writers;
}
$session->quit;
$node->stop;

done_testing();
