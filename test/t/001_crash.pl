# Clients put, delete and roll back, and note what the server acknowledged; a backend or the
# postmaster is killed in the middle. Afterwards every acknowledged value is there with its
# SHA-256, every acknowledged deletion holds, a transaction in doubt happened whole or not at all,
# and nothing else is to be seen.
#
# TOASTSTORE_CRASH_ROUNDS is how often that happens; TOASTSTORE_SEED repeats a run's choices.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $rounds = $ENV{TOASTSTORE_CRASH_ROUNDS} || 6;
my $clients = 4;
# More than a client gets done before the crash.
my $transactions = 1500;

my $choices = srand($ENV{TOASTSTORE_SEED} // time ^ $$);
note("TOASTSTORE_SEED=$choices");

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init(extra => ['--data-checksums']);
# Few buffers, so that changed pages are written and read again all the time.
$node->append_conf('postgresql.conf', q[
restart_after_crash = on
shared_buffers = 2MB
wal_level = replica
max_wal_size = 64MB
log_statement = none
autovacuum_naptime = 1s
autovacuum_vacuum_insert_threshold = 50
autovacuum_vacuum_insert_scale_factor = 0
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
$node->safe_psql('postgres', q[SELECT toaststore.create_store('media')]);
create_random_bytes($node);

my %live;       # id => [seed, length]: acknowledged, not deleted
my %deleted;    # ids whose deletion was acknowledged
my $next_seed = 1;
# Ids of one's own count down, and those that the store gives are above them.
my $explicit_id = 1000000;
$node->safe_psql('postgres', "INSERT INTO media VALUES ($explicit_id, ''); DELETE FROM media");

# From 10 bytes to 300 kB, small ones more often.
sub random_length { return int(10 * 30000**rand()) }

# A new value: the variable of psql that its id will be in.
sub new_value
{
	my ($script) = @_;
	my $value = { variable => "id_$next_seed", seed => $next_seed, length => random_length() };
	$next_seed++;
	return $value;
}

sub put
{
	my ($script, $transaction) = @_;
	my $value = new_value();
	$$script .= "SELECT toaststore.put('media', random_bytes($value->{seed}, $value->{length}))"
	  . " AS $value->{variable} \\gset\n";
	push @{ $transaction->{puts} }, $value if $transaction;
	return $value;
}

sub insert_explicit
{
	my ($script, $transaction) = @_;
	my $value = new_value();
	my $id = --$explicit_id;
	$$script .= "INSERT INTO media VALUES ($id, random_bytes($value->{seed}, $value->{length}))"
	  . " RETURNING id AS $value->{variable} \\gset\n";
	push @{ $transaction->{puts} }, $value;
	return;
}

sub put_many
{
	my ($script, $transaction) = @_;
	my @values = map { new_value() } 1 .. 2 + int(rand(20));
	my $array = join(', ', map { "random_bytes($_->{seed}, $_->{length})" } @values);
	my $columns = join(', ', map { "ids[$_] AS $values[$_ - 1]{variable}" } 1 .. @values);
	$$script .= "SELECT $columns FROM toaststore.put_many('media', ARRAY[$array]) ids \\gset\n";
	push @{ $transaction->{puts} }, @values;
	return;
}

# Takes one of the client's own values, old or of this round, and deletes it.
sub delete_one
{
	my ($script, $mine, $transaction) = @_;
	return unless @$mine;
	my ($id) =
	  $transaction ? splice(@$mine, int(rand(@$mine)), 1) : $mine->[ int(rand(@$mine)) ];
	my $text = $id =~ /^\d/ ? $id : ":$id";
	$$script .= "SELECT toaststore.delete('media', $text) AS was \\gset\n\\echo was :was\n";
	push @{ $transaction->{deletes} }, $id if $transaction;
	return;
}

# A client's script for one round, and what each of its transactions does if it commits.
sub make_script
{
	my ($mine) = @_;
	my $script = '';
	my @transactions;
	for my $number (0 .. $transactions - 1)
	{
		my $this = { puts => [], deletes => [] };
		my $kind = rand();
		$script .= "\\echo try $number\n";
		if ($kind < 0.35) { put(\$script, $this); }
		elsif ($kind < 0.45) { put_many(\$script, $this); }
		elsif ($kind < 0.50) { insert_explicit(\$script, $this); }
		elsif ($kind < 0.65) { delete_one(\$script, $mine, $this); }
		elsif ($kind < 0.80)
		{
			$script .= "BEGIN;\n";
			put(\$script, $this);
			delete_one(\$script, $mine, $this);
			put(\$script, $this);
			$script .= "COMMIT;\n";
		}
		elsif ($kind < 0.90)
		{
			$script .= "BEGIN;\n";
			put(\$script);
			delete_one(\$script, $mine);
			$script .= "ROLLBACK;\n";
		}
		else
		{
			$script .= "BEGIN;\n";
			put(\$script, $this);
			$script .= "SAVEPOINT a;\n";
			put(\$script);
			delete_one(\$script, $mine);
			$script .= "ROLLBACK TO a;\n";
			put(\$script, $this);
			$script .= "COMMIT;\n";
		}
		push @$mine, map { $_->{variable} } @{ $this->{puts} };
		$script .= "\\echo done $number" . join('', map { " :$_->{variable}" } @{ $this->{puts} }) . "\n";
		push @transactions, $this;
	}
	return ($script, \@transactions);
}

# Reads what a client noted. Acknowledged transactions go into %live and %deleted; returns the one
# in doubt, if any, with the ids of the deletions resolved. Deletions that did not find their value
# are counted.
sub take_in
{
	my ($output, $transactions, $mistakes) = @_;
	my %ids;    # variable => id
	my $tried;
	my $resolve = sub { my ($id) = @_; return $ids{$id} // $id };
	for my $line (split /\n/, $output)
	{
		if ($line =~ /^try (\d+)$/) { $tried = $1; }
		elsif ($line =~ /^was (.)$/) { $$mistakes++ if $1 ne 't'; }
		elsif ($line =~ /^done (\d+)((?: \d+)*)$/)
		{
			my $this = $transactions->[$1];
			my @new = split(' ', $2);
			for my $value (@{ $this->{puts} })
			{
				my $id = shift @new;
				$ids{ $value->{variable} } = $id;
				$live{$id} = [ $value->{seed}, $value->{length} ];
			}
			for my $id (map { $resolve->($_) } @{ $this->{deletes} })
			{
				delete $live{$id};
				$deleted{$id} = 1;
			}
			undef $tried;
		}
	}
	return undef unless defined $tried;
	my $doubt = $transactions->[$tried];
	return { puts => $doubt->{puts}, deletes => [ map { $resolve->($_) } @{ $doubt->{deletes} } ] };
}

# Settles a transaction in doubt by what is there; false where it happened in part.
sub settle
{
	my ($doubt, $visible, $extra) = @_;
	my %by_digest = map { $visible->{$_} => $_ } keys %$extra;
	my (@there, @missing);
	for my $value (@{ $doubt->{puts} })
	{
		my $id = $by_digest{ sha256_hex(random_bytes($value->{seed}, $value->{length})) };
		if (defined $id) { push @there, [ $id, $value ]; }
		else { push @missing, $value; }
	}
	my @gone = grep { !exists $visible->{$_} } @{ $doubt->{deletes} };
	my $committed = @there > 0 || @gone > 0;
	return 0 if $committed && (@missing > 0 || @gone != @{ $doubt->{deletes} });
	for my $put (@there)
	{
		my ($id, $value) = @$put;
		$live{$id} = [ $value->{seed}, $value->{length} ];
		delete $extra->{$id};
	}
	for my $id (@gone)
	{
		delete $live{$id};
		$deleted{$id} = 1;
	}
	return 1;
}

sub kill_backend
{
	my $pid = $node->safe_psql('postgres', q[
		SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'client%'
		 ORDER BY state <> 'active', random() LIMIT 1]);
	kill 9, $pid if $pid;
	return;
}

for my $round (1 .. $rounds)
{
	my $postmaster = $round % 2 == 0;
	my $full_page_writes = int(($round - 1) / 2) % 2 == 0 ? 'on' : 'off';
	my $name =
	  "round $round (" . ($postmaster ? 'postmaster' : 'backend') . ", full_page_writes $full_page_writes)";
	$node->safe_psql('postgres', "ALTER SYSTEM SET full_page_writes = $full_page_writes");
	$node->reload;

	my @ids = sort { $a <=> $b } keys %live;
	my @started;
	for my $client (0 .. $clients - 1)
	{
		my $mine = [ grep { $_ % $clients == $client } @ids ];
		my ($script, $does) = make_script($mine);
		my $file = PostgreSQL::Test::Utils::tempdir() . '/client';
		open(my $handle, '>', "$file.sql") or die "$file.sql: $!";
		print $handle $script;
		close $handle;
		my $psql = IPC::Run::start(
			[
				'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d',
				$node->connstr('postgres') . " application_name=client$client", '-f', "$file.sql"
			],
			'>' => "$file.out", '2>' => "$file.err");
		push @started, { psql => $psql, does => $does, file => $file };
	}

	# Somewhere in the middle, once before a checkpoint and once after one.
	my $target = @ids + 60 + int(rand(150));
	my $many = "SELECT count(*) >= $target FROM media";
	$node->poll_query_until('postgres', $many) or BAIL_OUT('the clients do not get on');
	if (rand() < 0.5)
	{
		$node->safe_psql('postgres', 'CHECKPOINT');
		$target += 30 + int(rand(60));
		$node->poll_query_until('postgres', "SELECT count(*) >= $target FROM media")
		  or BAIL_OUT('the clients do not get on');
	}
	if ($postmaster) { $node->kill9; }
	else { kill_backend(); }
	for my $client (@started)
	{
		$client->{psql}->finish;
		$client->{output} = slurp_file("$client->{file}.out");
		$client->{errors} = slurp_file("$client->{file}.err");
	}
	my @others =
	  grep { $_ !~ /connection to server was lost|server closed the connection/ || /ERROR:/ } map { $_->{errors} } @started;
	is(join('', @others), '', "$name: each client was interrupted by the crash, and by that alone");
	if ($postmaster) { start_again($node); }
	wait_until_up($node);

	my $mistakes = 0;
	my @doubts = grep { defined } map { take_in($_->{output}, $_->{does}, \$mistakes) } @started;
	is($mistakes, 0, "$name: every deletion found its value");
	my $visible = digests($node, 'media');
	my %extra = map { $_ => 1 } grep { !exists $live{$_} } keys %$visible;
	my @halves = grep { !settle($_, $visible, \%extra) } @doubts;
	is(scalar(@halves), 0, "$name: transactions in doubt happened whole or not at all");

	my @lost = grep { !exists $visible->{$_} } keys %live;
	is(join(' ', sort @lost), '', "$name: every acknowledged value is there");
	my @changed = grep {
		exists $visible->{$_} && $visible->{$_} ne sha256_hex(random_bytes(@{ $live{$_} }))
	} keys %live;
	is(join(' ', sort @changed), '', "$name: with its SHA-256");
	my @back = grep { exists $visible->{$_} } keys %deleted;
	is(join(' ', sort @back), '', "$name: deleted values stay deleted");
	is(join(' ', sort keys %extra), '', "$name: nothing else is to be seen");
	is(verify_store($node, 'media'), '', "$name: the store is sound");
	is($node->safe_psql('postgres', q[SELECT count(*) FROM media
		WHERE toaststore.get('media', id) IS DISTINCT FROM value
		   OR toaststore.length('media', id) IS DISTINCT FROM length(value)]),
		0, "$name: get() and SELECT tell the same");
	note(scalar(keys %live) . ' values, ' . scalar(keys %deleted) . ' deleted, ' . @doubts . ' in doubt');
}

# All the while autovacuum has been at work.
$node->safe_psql('postgres', q[SELECT toaststore.put('media', 'one more') FROM generate_series(1, 1000)]);
ok($node->poll_query_until('postgres', q[
		SELECT autovacuum_count > 0 AND autoanalyze_count > 0 FROM pg_stat_user_tables WHERE relname = 'media']),
	'autovacuum visits a store');
is(verify_store($node, 'media'), '', 'and leaves it sound');
unlike(slurp_file($node->logfile), qr/PANIC|is corrupted/,
	'nothing in the log speaks of damage');

$node->stop;
done_testing();
