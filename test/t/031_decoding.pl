# Logical decoding delivers the values of a table as those of a heap table: the same statements are
# run on two tables of one name, and what test_decoding makes of them is compared.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', q[
	max_prepared_transactions = 10
	logical_decoding_work_mem = 64kB
	wal_consistency_checking = 'all'
	autovacuum = off]);
$node->start;
create_random_bytes($node);
$node->safe_psql('postgres', q[
	CREATE EXTENSION toaststore;
	CREATE FUNCTION some_text(seed bigint, length int) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
	    SELECT substr(string_agg(md5(seed || ':' || i) || repeat(' ', 32), '' ORDER BY i), 1, length)
	      FROM generate_series(1, (length + 63) / 64) i
	$$;
	CREATE SCHEMA on_heap;
	CREATE SCHEMA on_store]);

my $standby_backup = 'copy';
$node->backup($standby_backup);
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, $standby_backup, has_streaming => 1);
$standby->start;

my $rows = $node->basedir . '/rows';
my @statements = (
	q[CREATE TABLE kept (id int PRIMARY KEY, body text, content bytea, raw bytea)],
	q[ALTER TABLE kept ALTER raw SET STORAGE EXTERNAL],
	# Of all sizes, compressed and not, at which layouts and pieces begin.
	map({ "INSERT INTO kept SELECT $_, some_text($_, $_), random_bytes($_, $_), random_bytes(1, $_)" }
		(10, 2100, 4096, 8124, 20000, 65517, 65518, 70000, 131034, 300000)),
	q[INSERT INTO kept SELECT i, some_text(i, 5000), random_bytes(i, 3000), null FROM generate_series(1, 9) i],
	q[UPDATE kept SET content = random_bytes(1, 9000) WHERE id < 5],
	q[UPDATE kept SET body = 'short' WHERE id = 70000],
	q[UPDATE kept SET id = id + 100000 WHERE id > 10000],
	q[DELETE FROM kept WHERE id = 120000],
	q[INSERT INTO kept VALUES (1, some_text(7, 90000)) ON CONFLICT (id) DO UPDATE SET body = excluded.body],
	q[INSERT INTO kept SELECT 1, some_text(8, 90000) ON CONFLICT DO NOTHING],
	q[BEGIN; INSERT INTO kept VALUES (100, some_text(1, 80000), random_bytes(1, 80000));
	  SAVEPOINT a; UPDATE kept SET raw = random_bytes(2, 100000); ROLLBACK TO a;
	  UPDATE kept SET body = some_text(3, 7000) WHERE id = 100; COMMIT],
	q[BEGIN; UPDATE kept SET content = random_bytes(5, 5000); ROLLBACK],
	q[BEGIN; INSERT INTO kept VALUES (200, some_text(1, 200000), random_bytes(1, 200000)); PREPARE TRANSACTION 'prepared'],
	q[COMMIT PREPARED 'prepared'],
	"COPY (SELECT i, some_text(i, 9000), null, random_bytes(i, 9000) FROM generate_series(1000, 1020) i) TO '$rows'; COPY kept FROM '$rows'",
	q[VACUUM FULL kept],
	q[ALTER TABLE kept ADD more int DEFAULT 3, ALTER id TYPE bigint],
	q[ALTER TABLE kept REPLICA IDENTITY FULL],
	q[UPDATE kept SET more = 4 WHERE id IN (1, 100, 200, 165518)],
	q[UPDATE kept SET body = some_text(more, 100000) WHERE id IN (2, 231034)],
	q[DELETE FROM kept WHERE id IN (1, 2, 200, 170000)],
	q[TRUNCATE kept]);

sub decoded
{
	my ($schema, $method) = @_;
	my $slot = "of_$schema";
	$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$slot', 'test_decoding', false, true)");
	for my $statement (@statements)
	{
		$node->safe_psql('postgres',
			"SET search_path = $schema, public; SET default_table_access_method = $method; $statement");
	}
	my $changes = $node->safe_psql('postgres',
		"SELECT data FROM pg_logical_slot_get_changes('$slot', null, null, 'include-xids', '0', 'skip-empty-xacts', '1')");
	$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('$slot')");
	$changes =~ s/\b\Q$schema\E\b/schema/g;
	return $changes;
}

my @heap = split /\n/, decoded('on_heap', 'heap');
my @store = split /\n/, decoded('on_store', 'toaststore');
cmp_ok(length(join('', @heap)), '>', 2_000_000, 'there is something to compare');
# No diff of megabytes is printed.
my ($first) = grep { ($heap[$_] // '') ne ($store[$_] // '') } 0 .. ($#heap > $#store ? $#heap : $#store);
is(defined $first ? substr($heap[$first] // 'nothing', 0, 200) . ' / ' . substr($store[$first] // 'nothing', 0, 200) : 'same',
	'same', 'test_decoding says the same of both tables');

# A subscriber gets them too, of transactions in progress, and where old rows are delivered whole.
my $table = 'CREATE TABLE on_store.published (id int PRIMARY KEY, body text, content bytea) USING toaststore';
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', "CREATE EXTENSION toaststore; CREATE SCHEMA on_store; $table");
$node->safe_psql('postgres', "$table; CREATE PUBLICATION published FOR TABLE on_store.published;
	INSERT INTO on_store.published VALUES (0, some_text(0, 100000), random_bytes(0, 100000))");
my $connection = $node->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION subscribed CONNECTION '$connection' PUBLICATION published WITH (streaming = on)");
$subscriber->wait_for_subscription_sync($node, 'subscribed');
$node->safe_psql('postgres', q[
	SET search_path = on_store, public;
	BEGIN;
	INSERT INTO published SELECT i, some_text(i, i * 5000), random_bytes(i, i * 5000) FROM generate_series(1, 60) i;
	SAVEPOINT a;
	UPDATE published SET content = random_bytes(0, 50000);
	ROLLBACK TO a;
	UPDATE published SET body = some_text(id, 30000) WHERE id % 2 = 0;
	DELETE FROM published WHERE id % 7 = 1;
	COMMIT;
	ALTER TABLE published REPLICA IDENTITY FULL;
	UPDATE published SET id = id + 1000 WHERE id % 3 = 0;
	DELETE FROM published WHERE id % 7 = 2]);
$node->wait_for_catchup('subscribed');
my $digest = q[SELECT count(*), sum(id), md5(string_agg(md5(body) || md5(content), '' ORDER BY id)) FROM on_store.published];
is($subscriber->safe_psql('postgres', $digest), $node->safe_psql('postgres', $digest), 'a subscriber has the same rows');
is($subscriber->safe_psql('postgres', q[SELECT * FROM toaststore.verify('on_store.published')]), '', 'and a healthy store');

# Redo of the records that are for decoding only changes nothing.
$node->safe_psql('postgres', q[
	INSERT INTO on_store.kept SELECT i, some_text(i, 100000), random_bytes(i, 100000) FROM generate_series(1, 5) i]);
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q[SELECT count(*) FROM on_store.kept WHERE body = some_text(id, 100000) AND content = random_bytes(id, 100000)]),
	'5', 'a standby has the values');
is($standby->safe_psql('postgres', q[SELECT * FROM toaststore.verify('on_store.kept')]), '', 'and a healthy store');

done_testing();
