# Clients write rows with values of 1 to 120 kB into a toaststore table, commit, roll back, and note what
# was acknowledged; a backend or the postmaster is killed in the middle. Afterwards each client's rows are
# those of its last acknowledged transaction, or of the one in doubt, with every byte of their values, and
# the store is sound.
#
# TOASTSTORE_CRASH_ROUNDS is how often that happens; TOASTSTORE_SEED repeats a run's choices.

use strict;
use warnings;

use HeapOracle;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Toaststore;

my $rounds = $ENV{TOASTSTORE_CRASH_ROUNDS} || 3;
my $writers = 3;
my $rows_each = 12;
# More than a client gets done before the crash.
my $transactions = 600;
my $choices = srand($ENV{TOASTSTORE_SEED} // time ^ $$);
note("TOASTSTORE_SEED=$choices");

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init(extra => ['--data-checksums']);
# Few buffers, so that changed pages are written and read again all the time.
$node->append_conf('postgresql.conf', q[
restart_after_crash = on
shared_buffers = 2MB
max_wal_size = 64MB
log_statement = none
autovacuum_naptime = 1s
]);
$node->start;
create_databases($node);
my $database = 'as_toaststore';

# The value of a row is told by its id and the number of the transaction that wrote it.
$node->safe_psql($database, q[
	CREATE FUNCTION body(id int, n int) RETURNS text LANGUAGE sql STABLE AS $$
	    SELECT oracle.value(id + 1000 * (n % 2000), 1000 + (id * 7919 + n * 104729) % 119000, (ARRAY['noise', 'prose', 'mixed'])[1 + n % 3])
	$$;
	CREATE TABLE documents (id int PRIMARY KEY, n int NOT NULL, body text, kept text);
	CREATE INDEX ON documents (md5(body))]);

# A client's transactions: what it sends, and which rows there are after each, as id => n.
sub make_script
{
	my ($writer, $rows, $first) = @_;
	my %rows = %$rows;
	my @states = ({%rows});
	my $script = '';
	for my $n ($first .. $first + $transactions - 1)
	{
		my %before = %rows;
		$script .= "BEGIN;\n";
		for (1 .. 1 + int(rand(3)))
		{
			my $id = $writer * 100 + int(rand($rows_each));
			my $kind = rand();
			if ($kind < 0.2)
			{
				$script .= "DELETE FROM documents WHERE id = $id;\n";
				delete $rows{$id};
			}
			elsif ($kind < 0.3)
			{
				# What a savepoint takes back.
				$script .= "SAVEPOINT a; UPDATE documents SET body = body(id, $n), kept = body WHERE id = $id; ROLLBACK TO a;\n";
			}
			else
			{
				$script .= "INSERT INTO documents VALUES ($id, $n, body($id, $n), body($id, 1))"
				  . " ON CONFLICT (id) DO UPDATE SET n = $n, body = excluded.body;\n";
				$rows{$id} = $n;
			}
		}
		if (rand() < 0.2)
		{
			$script .= "ROLLBACK;\n";
			%rows = %before;
		}
		else
		{
			$script .= "COMMIT;\n";
		}
		$script .= "\\echo done $n\n";
		push @states, {%rows};
	}
	return ($script, \@states);
}

sub rows_of
{
	my ($writer) = @_;
	my ($from, $to) = ($writer * 100, $writer * 100 + 99);
	return join(' ', split(/\n/, $node->safe_psql($database, "SELECT id || '=' || n FROM documents WHERE id BETWEEN $from AND $to ORDER BY id")));
}

sub as_text
{
	my ($state) = @_;
	return join(' ', map { "$_=$state->{$_}" } sort { $a <=> $b } keys %$state);
}

my @rows = map { {} } 1 .. $writers;
my $first = 1;
for my $round (1 .. $rounds)
{
	my @running;
	for my $writer (1 .. $writers)
	{
		my ($script, $states) = make_script($writer, $rows[ $writer - 1 ], $first);
		my $file = $node->basedir . "/writer$writer.sql";
		unlink $file;
		append_to_file($file, $script);
		my ($out, $err) = ('', '');
		my $harness = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', $file ],
			'>', \$out, '2>', \$err);
		push @running, { harness => $harness, out => \$out, err => \$err, states => $states };
	}
	# Once there is something to lose, at a moment of chance.
	my $enough = 5 + int(rand(40));
	while ((grep { ${ $_->{out} } =~ /done/ } @running) < $writers || (() = ${ $running[0]{out} } =~ /done/g) < $enough)
	{
		last if grep { !$_->{harness}->pumpable } @running;
		$_->{harness}->pump_nb for @running;
		usleep(2000);
	}
	my $whom = $round % 2 ? 'postmaster' : 'backend';
	my $pid = $whom eq 'backend'
	  ? $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE datname = '$database' AND pid <> pg_backend_pid() LIMIT 1")
	  : $node->{_pid};
	kill 'KILL', $pid;
	$_->{harness}->finish for @running;
	$whom eq 'postmaster' ? start_again($node) : wait_until_up($node);

	for my $writer (1 .. $writers)
	{
		my $running = $running[ $writer - 1 ];
		my $done = () = ${ $running->{out} } =~ /^done \d+$/mg;
		my $here = rows_of($writer);
		my ($acknowledged, $next) = map { as_text($running->{states}[ $done + $_ ] // $running->{states}[$done]) } 0, 1;
		ok($done > 0 && ($here eq $acknowledged || $here eq $next), "round $round, $whom killed: the rows of client $writer after $done transactions")
		  or diag("here: $here\nacknowledged: $acknowledged\nin doubt: $next\n${ $running->{err} }");
		$rows[ $writer - 1 ] = { map { split /=/ } split(/ /, $here) };
	}
	is($node->safe_psql($database, q[
			SELECT id, n FROM documents
			 WHERE body IS DISTINCT FROM body(id, n) OR kept IS DISTINCT FROM body(id, 1) ORDER BY id]), '', "round $round: every value is its row's");
	is(verify_store($node, 'documents', $database), '', "round $round: the store is sound");
	is($node->safe_psql($database, q[
			SET enable_seqscan = off;
			SELECT count(*) FROM documents d WHERE (SELECT count(*) FROM documents o WHERE md5(o.body) = md5(d.body)) <> 1]), 0,
		"round $round: the index on values leads to them");
	$first += $transactions;
}
check_stores($node);
$node->safe_psql($database, 'VACUUM FULL documents');
is(verify_store($node, 'documents', $database), '', 'the store is sound when written anew');
is($node->safe_psql($database, 'SELECT count(*) FROM documents WHERE body IS DISTINCT FROM body(id, n)'), 0, 'with every value');
$node->stop;
done_testing();
