# Logical replication of tables with large values, from toaststore tables to heap tables and from heap tables
# to toaststore tables: initial copies, changes that leave large values alone, row filters, column lists, keys
# that lie in the store themselves, TRUNCATE, partitions, prepared transactions, and a subscriber that has
# to try again. After each, what a subscriber holds is what its publication says of the publisher's rows.

use strict;
use warnings;

use HeapOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($publisher, $subscriber) = map { PostgreSQL::Test::Cluster->new($_) } 'publisher', 'subscriber';
for my $node ($publisher, $subscriber)
{
	$node->init(allows_streaming => 'logical', extra => ['--data-checksums']);
	$node->append_conf('postgresql.conf', q[
fsync = off
log_statement = none
autovacuum = off
max_prepared_transactions = 10
# Transactions are sent while they run.
logical_decoding_work_mem = 64kB
wal_retrieve_retry_interval = 100ms
]);
	$node->start;
	create_databases($node);
}

# A subscriber's database, the publisher's, what the subscription is called and what is special about it.
my @ways = (
	{ from => 'as_toaststore', to => 'as_heap', name => 'store_to_heap', options => 'binary = true' },
	{ from => 'as_heap', to => 'as_toaststore', name => 'heap_to_store', options => 'binary = false' });

sub publish { $publisher->safe_psql($_->{from}, $_[0]) for @ways; return; }

my %tables = (
	documents => q[id int PRIMARY KEY, note text, body text, data bytea],
	# The old row is sent as a whole, large values and all, and its large values are filtered by.
	filtered => q[id int NOT NULL, note text, body text],
	# Of the columns that are not published the subscriber has others.
	listed => q[id int PRIMARY KEY, note text, body text, secret text],
	# The key lies in the store.
	keyed => q[id int NOT NULL, key text NOT NULL, body text],
	parted => q[id int NOT NULL, region int NOT NULL, body text, PRIMARY KEY (id, region)]);
my $published = q[
	SELECT 'documents', id, md5(documents::text) FROM documents
	UNION ALL SELECT 'filtered', id, md5(filtered::text) FROM filtered WHERE length(body) > 20000 AND md5(note) > '4'
	UNION ALL SELECT 'listed', id, md5(note) || md5(body) FROM listed
	UNION ALL SELECT 'keyed', id, md5(keyed::text) FROM keyed
	UNION ALL SELECT 'parted', id, md5(parted::text) FROM parted ORDER BY 1, 2, 3];

for my $node ($publisher, $subscriber)
{
	my $partitioned = $node == $publisher ? ' PARTITION BY LIST (region)' : '';
	my $create = join('', map { "CREATE TABLE $_ ($tables{$_})" . ($_ eq 'parted' ? $partitioned : '') . ";\n" } sort keys %tables);
	$create .= q[
		CREATE TABLE parted1 PARTITION OF parted FOR VALUES IN (1);
		CREATE TABLE parted2 PARTITION OF parted FOR VALUES IN (2) USING heap;] if $node == $publisher;
	$node->safe_psql($_, $create . q[
		ALTER TABLE filtered REPLICA IDENTITY FULL;
		ALTER TABLE documents ALTER data SET STORAGE EXTERNAL;
		ALTER TABLE keyed SET (toast_tuple_target = 128), ALTER key SET STORAGE EXTERNAL;
		CREATE UNIQUE INDEX keyed_key ON keyed (key);
		ALTER TABLE keyed REPLICA IDENTITY USING INDEX keyed_key]) for @HeapOracle::sides;
}
$subscriber->safe_psql($_, q[ALTER TABLE listed DROP secret, ADD own text DEFAULT repeat('own', 3000)]) for @HeapOracle::sides;

# What the initial copy finds.
publish(q[
	INSERT INTO documents SELECT n, 'note', oracle.value(n, 250 * n * n, (ARRAY['noise', 'prose', 'mixed'])[1 + n % 3]), oracle.noise(n, 900 * n)
	  FROM generate_series(1, 30) n;
	INSERT INTO documents VALUES (31, 'large', oracle.value(31, 3000000, 'mixed'), oracle.noise(31, 4000000));
	INSERT INTO filtered SELECT n, 'n' || n, oracle.value(n, 3000 * n, 'noise') FROM generate_series(1, 16) n;
	INSERT INTO listed SELECT n, 'n' || n, oracle.value(n, 9000, 'noise'), oracle.value(-n, 9000, 'noise') FROM generate_series(1, 5) n;
	INSERT INTO keyed SELECT n, oracle.value(n, 1200, 'noise'), oracle.value(n, 7000 * n, 'noise') FROM generate_series(1, 9) n;
	INSERT INTO parted SELECT n, 1 + n % 2, oracle.value(n, 4000 * n, 'mixed') FROM generate_series(1, 9) n;
	CREATE PUBLICATION rows FOR TABLE documents, keyed, listed (id, note, body), parted,
	    filtered WHERE (length(body) > 20000 AND md5(note) > '4') WITH (publish_via_partition_root = true)]);
for my $way (@ways)
{
	my $connection = $publisher->connstr($way->{from}) =~ s/'/''/gr;
	$subscriber->safe_psql($way->{to}, "CREATE SUBSCRIPTION $way->{name} CONNECTION '$connection' PUBLICATION rows
		WITH (streaming = on, two_phase = on, $way->{options})");
}
$subscriber->wait_for_subscription_sync($publisher, $_->{name}, $_->{to}) for @ways;
# Only then are transactions sent when they are prepared.
$subscriber->poll_query_until('postgres', q[SELECT count(*) = 2 FROM pg_subscription WHERE subtwophasestate = 'e'])
  or die 'prepared transactions are not sent';

sub contents { return $_[0]->safe_psql($_[1], $published); }

my $expected = '';

# Runs statements on both publishers; what the subscribers are to hold then has changed.
sub delivered
{
	my ($what, @statements) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	publish($_) for @statements;
	my $before = $expected;
	$expected = contents($publisher, 'as_heap');
	isnt($expected, $before, "$what: there is something to deliver");
	for my $way (@ways)
	{
		$publisher->wait_for_catchup($way->{name});
		is(contents($publisher, $way->{from}), $expected, "$what: published from $way->{from}");
		is(contents($subscriber, $way->{to}), $expected, "$what: $way->{name}");
	}
	return;
}

# The ids of a subscriber's values: those of values that were not touched stay.
sub value_ids { return $subscriber->safe_psql('as_toaststore', "SELECT oracle.visible('$_[0]') ORDER BY 1"); }

delivered('the initial copy');
my $through = $subscriber->safe_psql('as_heap', 'SELECT count(*) FROM filtered');
ok($through > 2 && $through < 10, 'the filter lets some rows through');
is($publisher->safe_psql('as_toaststore', q[SELECT count(*) FROM oracle.visible('keyed')]), 18, 'keys lie in the store, too');

my $ids = value_ids('documents');
delivered('large values left alone', q[UPDATE documents SET note = 'changed' || id WHERE id % 2 = 0],
	q[UPDATE documents SET id = id + 100 WHERE id > 20]);
is(value_ids('documents'), $ids, 'what was not sent is not written again');
delivered('one of two large values', q[UPDATE documents SET data = oracle.noise(id, 70000) WHERE id % 3 = 0],
	q[UPDATE documents SET body = left(body, 50) WHERE id % 5 = 0], q[DELETE FROM documents WHERE id % 7 = 0 OR note = 'large']);
delivered('a transaction in progress, with a part rolled back', q[
	BEGIN;
	INSERT INTO documents SELECT n, 'streamed', oracle.value(n, 2000 * n, 'noise'), oracle.noise(n, 500 * n) FROM generate_series(40, 55) n;
	SAVEPOINT a;
	UPDATE documents SET body = oracle.value(id, 90000, 'mixed');
	ROLLBACK TO a;
	UPDATE documents SET note = 'again' WHERE id > 50;
	COMMIT;
	BEGIN; UPDATE documents SET body = oracle.value(1, 90000, 'noise'); ROLLBACK]);
is($publisher->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_replication_slots WHERE stream_txns > 0'), 2, 'it was sent in parts');

# Rows come in, go out, stay, by values that are sent and by values that are not.
delivered('filtered by large values', q[UPDATE filtered SET body = left(body, 15000) WHERE id IN (8, 9, 10, 11)],
	q[UPDATE filtered SET body = oracle.value(id + 50, 30000, 'noise') WHERE id IN (2, 3, 4, 5, 9)],
	q[UPDATE filtered SET note = note || 'x' WHERE id % 3 > 0], q[DELETE FROM filtered WHERE id IN (3, 12)],
	q[INSERT INTO filtered SELECT n, 'n' || n, oracle.value(n, 1500 * n, 'mixed') FROM generate_series(20, 30) n]);
delivered('a list of columns', q[UPDATE listed SET secret = oracle.value(id, 50000, 'noise'), note = note || '!' WHERE id < 3],
	q[UPDATE listed SET body = secret, secret = body WHERE id > 3], q[INSERT INTO listed SELECT 10, 'ten', body, body FROM listed WHERE id = 1]);
is($subscriber->safe_psql($_, q[SELECT DISTINCT own = repeat('own', 3000) FROM listed]), 't', "$_: the subscriber's own column is kept") for @HeapOracle::sides;
delivered('keys that are large values', q[UPDATE keyed SET body = oracle.value(id, 40000, 'noise') WHERE id < 4], q[UPDATE keyed SET id = id + 100 WHERE id > 6],
	q[UPDATE keyed SET key = oracle.value(id + 1000, 1300, 'noise') WHERE id IN (1, 4, 107)], q[DELETE FROM keyed WHERE id IN (4, 5, 108)],
	q[UPDATE keyed SET body = key WHERE id < 3]);
delivered('partitions', q[UPDATE parted SET region = 3 - region WHERE id > 4], q[UPDATE parted SET body = body || '.' WHERE region = 2], q[DELETE FROM parted WHERE id < 3]);

# A prepared transaction is delivered when it is prepared, and seen when it ends.
for my $way (@ways)
{
	$publisher->safe_psql($way->{from}, qq[
		BEGIN;
		INSERT INTO documents VALUES (70, 'prepared', oracle.value(70, 400000, 'noise'), oracle.noise(70, 9000));
		UPDATE keyed SET body = oracle.value(7, 100000, 'noise') WHERE id = 1;
		PREPARE TRANSACTION '$way->{name} kept';
		BEGIN;
		INSERT INTO documents VALUES (71, 'prepared', oracle.value(71, 400000, 'noise'), NULL);
		PREPARE TRANSACTION '$way->{name} lost']);
	$publisher->wait_for_catchup($way->{name});
	is($subscriber->safe_psql($way->{to}, 'SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()'), 2, "$way->{name}: prepared there");
	is(contents($subscriber, $way->{to}), $expected, "$way->{name}: not seen yet");
	$publisher->safe_psql($way->{from}, "COMMIT PREPARED '$way->{name} kept'; ROLLBACK PREPARED '$way->{name} lost'");
}
delivered('prepared transactions');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), 0, 'none is left');

# A row that is in the way: the subscriber tries until it is gone, and what it wrote in vain is nobody's.
$subscriber->safe_psql($_->{to}, q[INSERT INTO documents VALUES (80, 'in the way')]) for @ways;
publish(q[INSERT INTO documents SELECT n, 'late', oracle.value(n, 50000, 'noise'), oracle.noise(n, 50000) FROM generate_series(75, 82) n]);
for my $way (@ways)
{
	$subscriber->poll_query_until($way->{to}, "SELECT apply_error_count > 1 FROM pg_stat_subscription_stats WHERE subname = '$way->{name}'")
	  or die 'nothing was in the way';
	$subscriber->safe_psql($way->{to}, q[DELETE FROM documents WHERE note = 'in the way']);
}
delivered('after errors');

delivered('TRUNCATE', q[TRUNCATE documents, parted], q[INSERT INTO documents SELECT n, 'new', oracle.value(n, 20000, 'noise') FROM generate_series(1, 3) n]);

$subscriber->safe_psql($_->{to}, "DROP SUBSCRIPTION $_->{name}") for @ways;
check_stores($_) for $publisher, $subscriber;
$_->stop for $subscriber, $publisher;
done_testing();
