# The primary has reserved space beyond the first gigabyte of a store, which a standby does not hear
# of. Promoted, the standby goes on across the border of the file's segments, and a checkpoint, a
# restart and a crash find all of it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

if (($ENV{TOASTSTORE_CRASH_ROUNDS} || 6) < 6)
{
	plan skip_all => 'takes 4 GB of disk: left out of a quick run';
}

my $segment = 1 << 30;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
$primary->append_conf('postgresql.conf', q[
shared_buffers = 64MB
max_wal_size = 1GB
wal_keep_size = 1GB
log_statement = none
autovacuum = off
]);
$primary->start;
$primary->backup('start');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'start', has_streaming => 1);
$standby->start;

sub size_on { return $_[0]->safe_psql('postgres', q[SELECT pg_relation_size('media')]); }

$primary->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($primary);
$primary->safe_psql('postgres', q[
	SELECT toaststore.create_store('media', compression => 'none');
	DO $$
	DECLARE
	    large bytea := decode(repeat('ab', 32000000), 'hex');
	BEGIN
	    WHILE pg_relation_size('media') < 1000000000 LOOP
	        PERFORM toaststore.put('media', large);
	        COMMIT;
	    END LOOP;
	END
	$$]);
cmp_ok(size_on($primary), '<', $segment, 'the first segment is nearly full');
# Small steps, up to where the primary's reservation has crossed the border.
$primary->safe_psql('postgres', q[
	DO $$
	BEGIN
	    WHILE pg_relation_size('media') <= 1 << 30 LOOP
	        PERFORM toaststore.put('media', random_bytes(1, 8000));
	        COMMIT;
	    END LOOP;
	END
	$$]);
$primary->wait_for_catchup($standby);
cmp_ok(size_on($primary), '>', $segment, 'the primary has reserved space in the second segment');
my ($status, $faults) = $primary->psql('postgres', q[SELECT * FROM toaststore.verify('media')]);
is("$status|$faults", '0|', 'and filled the first');
cmp_ok(size_on($standby), '<=', $segment, 'of which the standby does not know');
my $before = digests($primary, 'media');
is_deeply(digests($standby, 'media'), $before, 'the same on the standby');
$primary->stop;

$standby->promote;
$standby->safe_psql('postgres', q[
	SELECT toaststore.put('media', random_bytes(n, 20000)) FROM generate_series(1, 200) n;
	CHECKPOINT]);
cmp_ok(size_on($standby), '>', $segment, 'the promoted standby goes on in the second segment');
my $after = digests($standby, 'media');
is(scalar(keys %$after), scalar(keys %$before) + 200, 'with new values');
is(scalar(grep { ($after->{$_} // '') ne $before->{$_} } keys %$before), 0, 'that took the place of no other');
$standby->restart;
is_deeply(digests($standby, 'media'), $after, 'the same after a restart');
$standby->safe_psql('postgres', q[
	SELECT toaststore.put('media', random_bytes(n, 100000)) FROM generate_series(1, 100) n]);
$after = digests($standby, 'media');
$standby->stop('immediate');
$standby->start;
is_deeply(digests($standby, 'media'), $after, 'the same after a crash');
is(verify_store($standby, 'media'), '', 'and sound');
$standby->stop;

done_testing();
