# A storm of cancels, and at its end terminations, over clients that put and delete, and note it in
# the same transaction. Afterwards the store holds what was noted, and nothing else.
#
# TOASTSTORE_SEED repeats a run's choices; TOASTSTORE_LONG makes the storm last a minute.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use Toaststore;

my $rounds = $ENV{TOASTSTORE_LONG} ? 20 : 1;
my $round_s = 2;
my $clients = 4;
# More than a client gets done meanwhile.
my $transactions = 6000;

my $choices = srand($ENV{TOASTSTORE_SEED} // time ^ $$);
note("TOASTSTORE_SEED=$choices");

my $node = PostgreSQL::Test::Cluster->new('storm');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
shared_buffers = 16MB
max_wal_size = 1GB
log_statement = none
log_min_error_statement = panic
autovacuum = off
]);
$node->start;

# Bytes that do not compress: parts of a file, which begin at a byte of one's choice.
my $files = $node->basedir . '/files';
mkdir $files or die "$files: $!";
write_repeated("$files/random", random_bytes(1, 1100000), 1100000);
$node->safe_psql('postgres', qq[
	CREATE EXTENSION toaststore;
	CREATE FUNCTION part(start int, bytes int) RETURNS bytea LANGUAGE sql
	    AS \$\$ SELECT pg_read_binary_file('$files/random', start, bytes) \$\$;
	SELECT toaststore.create_store('storm');
	CREATE TABLE noted (id bigint PRIMARY KEY, client int, start int, bytes int)]);

# Where a new value begins and how long it is: from 10 bytes to 100 kB, small ones more often.
sub choose { return (int(rand(1000000)), int(10 * 10000**rand())); }

sub put
{
	my ($client) = @_;
	my ($start, $bytes) = choose();
	return "INSERT INTO noted SELECT toaststore.put('storm', part($start, $bytes)), $client, $start, $bytes;\n";
}

sub put_many
{
	my ($client) = @_;
	my @values = map { [ choose() ] } 1 .. 2 + int(rand(20));
	my ($parts, $starts, $lengths) = (
		join(', ', map { "part($_->[0], $_->[1])" } @values),
		join(', ', map { $_->[0] } @values),
		join(', ', map { $_->[1] } @values));
	return "INSERT INTO noted SELECT id, $client, start, bytes FROM ROWS FROM ("
	  . "unnest(toaststore.put_many('storm', ARRAY[$parts])), unnest(ARRAY[$starts]), unnest(ARRAY[$lengths]))"
	  . " AS new (id, start, bytes);\n";
}

sub delete_one
{
	my ($client) = @_;
	return "WITH old AS (DELETE FROM noted WHERE id = (SELECT min(id) FROM noted WHERE client = $client)"
	  . " RETURNING id) SELECT toaststore.delete('storm', id) FROM old;\n";
}

sub transaction
{
	my ($client) = @_;
	my @kinds = (
		sub { put($client) },
		sub { put_many($client) },
		sub { delete_one($client) },
		sub { "BEGIN;\n" . put($client) . delete_one($client) . put($client) . "COMMIT;\n" },
		sub {
			"BEGIN;\n" . put($client) . "SAVEPOINT a;\n" . put_many($client) . delete_one($client)
			  . "ROLLBACK TO a;\n" . put($client) . "COMMIT;\n";
		},
		sub { "BEGIN;\n" . put($client) . delete_one($client) . "ROLLBACK;\n" });
	return $kinds[ rand(@kinds) ]->();
}

my $cancelled = 0;
for my $round (1 .. $rounds)
{
	my @running;
	for my $client (1 .. $clients)
	{
		my $script = "$files/client$client.sql";
		open(my $handle, '>', $script) or die "$script: $!";
		print $handle transaction($client) for 1 .. $transactions;
		close $handle;
		push @running, IPC::Run::start(
			[ 'psql', '-XAtq', '-d', $node->connstr('postgres') . ' application_name=storm', '-f', $script ],
			'>' => '/dev/null', '2>' => "$script.err");
	}
	my $pids = q[SELECT pid FROM pg_stat_activity WHERE application_name = 'storm'];
	$node->poll_query_until('postgres', "SELECT count(*) = $clients FROM ($pids) running");
	my @pids = split /\n/, $node->safe_psql('postgres', $pids);
	for (my $until = time + $round_s; time < $until; usleep(rand(3000)))
	{
		kill 'INT', $pids[ rand(@pids) ];
	}
	kill 'TERM', @pids;
	$_->finish for @running;

	# Besides cancels there is only what follows from them.
	for my $client (1 .. $clients)
	{
		my @errors = grep { /ERROR|FATAL|PANIC/ } split /\n/, slurp_file("$files/client$client.sql.err");
		$cancelled += grep { /canceling statement due to user request/ } @errors;
		my @others = grep { !/canceling statement|transaction is aborted|savepoint|terminating/i } @errors;
		is(join("\n", @others), '', "round $round: client $client met no other error");
	}
	is($node->safe_psql('postgres', q[
			SELECT count(*) FROM storm FULL JOIN noted USING (id)
			 WHERE value IS DISTINCT FROM part(start, bytes)]),
		0, "round $round: the store holds what was noted, and nothing else");
	is(verify_store($node, 'storm'), '', "round $round: and is sound");
}
cmp_ok($cancelled, '>', 10 * $rounds, "$cancelled statements were cancelled");
my $noted = $node->safe_psql('postgres', 'SELECT count(*) FROM noted');
cmp_ok($noted, '>', 0, "$noted values were put and kept");

$node->stop;
done_testing();
