# On a standby, values whose pages are not in shared buffers are read from the file while replay moves
# values, frees what they leave and cuts the file: they are those that were put.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
$primary->append_conf('postgresql.conf', q[
shared_buffers = 4MB
autovacuum = off
max_standby_streaming_delay = -1
log_statement = none
]);
$primary->start;
$primary->backup('start');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'start', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($primary);
# Those that stay lie between others that will go.
$primary->safe_psql('postgres', q[
SELECT toaststore.create_store('media');
CREATE TABLE kept(id bigint);
INSERT INTO kept
  SELECT id FROM (SELECT n, toaststore.put('media', random_bytes(n, 200000 + n)) AS id FROM generate_series(1, 60) n) AS put
   WHERE n % 4 = 0]);
my $digest = q[SELECT string_agg(id || ':' || coalesce(encode(sha256(toaststore.get('media', id)), 'hex'), 'none'), ' ' ORDER BY id) FROM kept];
my $values = $primary->safe_psql('postgres', $digest);
$primary->wait_for_catchup($standby);

my $changes = q[
	SELECT count(toaststore.delete('media', id)) FROM media WHERE id NOT IN (SELECT id FROM kept);
	VACUUM media;
	CALL toaststore.compact('media');
	SELECT count(toaststore.put('media', random_bytes(n, 200000))) FROM generate_series(1, 45) n;] x 12;
my $changer = IPC::Run::start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $primary->connstr('postgres') ],
	'<', \$changes, '>', \my $out, '2>', \my $err);
my ($rounds, $wrong) = (0, 0);
do
{
	# A new session each time: what one reads again goes through shared buffers.
	my $here = $standby->safe_psql('postgres', $digest);
	$wrong++ if $here ne $values;
	$rounds++;
	$changer->pump_nb;
} while ($changer->pumpable && $rounds < 300);
$changer->finish;
is($err, '', 'the changes succeed');
is($wrong, 0, "$rounds times the same values on the standby");
cmp_ok($rounds, '>', 5, 'while replay went on');

$primary->wait_for_catchup($standby);
is(verify_store($standby, 'media'), '', 'the store is sound there');
$standby->restart;
my $plan = $standby->safe_psql('postgres', "EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off) $digest");
my %blocks = $plan =~ /\b(hit|read)=(\d+)/g;
cmp_ok(($blocks{hit} // 0) + ($blocks{read} // 0), '<', 15 * 12, 'most of their 15 times 25 pages go past shared buffers');
$_->stop for $standby, $primary;

done_testing();
