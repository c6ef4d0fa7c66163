# verify runs beside clients that put, delete, roll back, choose ids themselves and clean up, and
# finds nothing wrong in a store that is sound; it waits for none of them. What is wrong it finds there
# too. An exact verify waits, and says the same at the end.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreFile;
use Test::More;
use Toaststore;

my $transactions = $ENV{TOASTSTORE_LONG} ? 1200 : 400;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q[
shared_buffers = 16MB
log_statement = none
autovacuum = off
]);
$node->start;
$node->safe_psql('postgres', q[CREATE EXTENSION toaststore]);
create_random_bytes($node);
$node->safe_psql('postgres', q[
	SELECT toaststore.create_store('media');
	SELECT toaststore.put('media', random_bytes(n, n * 10)) FROM generate_series(1, 1000) n;
	CREATE FUNCTION put_at(chosen bigint) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
	    INSERT INTO media VALUES (chosen, random_bytes(chosen::int, chosen::int));
	    RETURN true;
	EXCEPTION WHEN unique_violation THEN
	    RETURN false;
	END
	$$]);

my %scripts = (
	put => q[
\set length random_exponential(1, 200000, 10)
SELECT toaststore.put('media', random_bytes(:length, :length));
],
	many => q[
SELECT toaststore.put_many('media', array_agg(random_bytes(n, n * 7))) FROM generate_series(1, 60) n;
],
	delete => q[
SELECT count(toaststore.delete('media', id))
  FROM (SELECT id FROM (SELECT id FROM media ORDER BY random() LIMIT 40) AS any_ids ORDER BY id) AS ids;
],
	rollback => q[
BEGIN;
SELECT toaststore.put('media', random_bytes(n, n * 100)) FROM generate_series(1, 50) n;
ROLLBACK;
],
	chosen => q[
\set chosen random(10000, 12000)
SELECT put_at(:chosen);
],
	vacuum => q[
VACUUM media;
]);
my @files;
for my $name (sort keys %scripts)
{
	my $file = $node->basedir . "/$name.sql";
	append_to_file($file, $scripts{$name});
	push @files, "--file=$file\@" . ($name eq 'put' ? 10 : 3);
}

my @storm = (
	'pgbench', '--no-vacuum', '--client=3', "--transactions=$transactions",
	'--host=' . $node->host, '--port=' . $node->port, @files, 'postgres');
my ($out, $err) = ('', '');
my $clients = IPC::Run::start(\@storm, '<', \undef, '>', \$out, '2>', \$err);
my @faults;
my $calls = 0;
while ($clients->pumpable)
{
	$clients->pump_nb;
	push @faults, $node->safe_psql('postgres', "SELECT * FROM toaststore.verify('media')");
	$calls++;
}
ok($clients->finish, 'no client failed') or diag($err);
like($out, qr/number of transactions actually processed: [1-9]/, 'they were busy');
cmp_ok($calls, '>', 3, "verify was called $calls times meanwhile");
is(join("\n", grep { $_ ne '' } @faults), '', 'and found nothing');
is(verify_store($node, 'media'), '', 'nor does it where nobody writes');

# What is wrong is found beside writers.
my $damaged = $node->data_dir . '/' . relation_file($node, 'media');
my $id = $node->safe_psql('postgres', 'SELECT max(id) FROM media WHERE id < 10000');
$node->stop;
my $file = StoreFile->new($damaged);
my $entry = $file->entry($id);
$file->flip($entry->{block}, $file->piece($entry->{block}, $entry->{item})->{bytes});
$file->save($damaged);
$node->start;
my $found = "$entry->{block}|$id|value bytes do not match their CRC";
is($node->safe_psql('postgres', "SELECT * FROM toaststore.verify('media')"), $found, 'a fault beside writers');
is(verify_store($node, 'media'), $found, 'and exactly');
$node->stop;

done_testing();
