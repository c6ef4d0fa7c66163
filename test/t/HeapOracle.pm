# The same statements on heap tables and on toaststore tables: two databases, as_heap and
# as_toaststore, that differ in default_table_access_method alone, and sessions that come in pairs, one
# in each. What a heap table answers is what a toaststore table must answer.
package HeapOracle;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(access_method create_databases open_pair check_stores faults_beside_writers);

our @sides = ('as_heap', 'as_toaststore');

# The access method that is compared with heap; heap itself proves that a test can pass.
sub access_method { return $ENV{TOASTSTORE_ORACLE_ACCESS_METHOD} // 'toaststore'; }

# What both databases have besides: functions that make values from a seed, of a length and a kind:
# noise does not compress, prose compresses well, mixed by half, and its letters take one or two bytes.
my $functions = q[
	CREATE SCHEMA oracle;
	CREATE TABLE oracle.pool (bytes bytea) USING heap;
	ALTER TABLE oracle.pool ALTER bytes SET STORAGE EXTERNAL;
	INSERT INTO oracle.pool
	SELECT string_agg(sha256(('pool' || i)::bytea), '' ORDER BY i) FROM generate_series(1, 16384) i;
	CREATE FUNCTION oracle.noise(seed int, length int) RETURNS bytea LANGUAGE sql STABLE AS $$
	    SELECT substr(string_agg(substr(bytes, 1 + (hashint4(seed * 1000 + i)::bigint & 262143)::int, 65536), ''
	                             ORDER BY i), 1, length)
	      FROM oracle.pool, generate_series(0, length / 65536) i
	$$;
	CREATE FUNCTION oracle.value(seed int, length int, kind text) RETURNS text LANGUAGE sql STABLE AS $$
	    SELECT CASE kind
	           WHEN 'noise' THEN left(translate(encode(oracle.noise(seed, length * 3 / 4 + 3), 'base64'), E'\n', ''), length)
	           WHEN 'prose' THEN left(repeat(encode(oracle.noise(seed, 900), 'base64'), length / 1200 + 1), length)
	           ELSE left((SELECT string_agg(encode(substr(n, i, 750), 'base64') || repeat('ü' || i, 500), '')
	                        FROM generate_series(1, length, 750) i), length)
	           END
	      FROM (SELECT oracle.noise(seed, length) OFFSET 0) AS part (n)
	$$;
	-- The values of a table that a snapshot sees, and all that its store has an entry of, whoever may see it.
	CREATE FUNCTION oracle.visible(of_table regclass) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
	BEGIN
	    RETURN QUERY EXECUTE format('SELECT chunk_id::bigint FROM %s', (SELECT reltoastrelid::regclass FROM pg_class WHERE oid = of_table));
	END $$;
	CREATE FUNCTION oracle.stored(of_table regclass) RETURNS SETOF bigint LANGUAGE sql AS $$
	    SELECT id FROM generate_series(1, (SELECT 10000 + max(id) FROM
	             (SELECT 0 UNION SELECT oracle.visible(of_table) UNION SELECT r.id FROM toaststore.removable(of_table) r) AS known (id))) AS id
	     WHERE EXISTS (SELECT FROM toaststore.info(of_table, id))
	$$];

sub create_databases
{
	my ($node) = @_;
	for my $side (@sides)
	{
		$node->safe_psql('postgres', "CREATE DATABASE $side");
		# What toaststore's rows are compressed with where nobody chooses: else rows differ in length, and with that
		# in their places.
		$node->safe_psql('postgres', "ALTER DATABASE $side SET default_toast_compression = lz4");
		$node->safe_psql($side, 'CREATE EXTENSION toaststore');
		$node->safe_psql($side, $functions);
	}
	my $method = access_method();
	$node->safe_psql('postgres', "ALTER DATABASE as_toaststore SET default_table_access_method = $method");
	note("as_toaststore has $method tables");
	return;
}

# A session in each database. Statements find :access_method and :'file' (of the server) set.
sub open_pair
{
	my ($node, $name) = @_;
	my @sessions;
	for my $side (@sides)
	{
		my $session = $node->background_psql($side, on_error_stop => 0);
		$session->set_query_timer_restart();
		my $method = $side eq 'as_heap' ? 'heap' : access_method();
		my $file = $node->data_dir . "/$side.$name.copy";
		$session->query_safe("\\set VERBOSITY sqlstate\n\\set access_method $method\n\\set file '$file'");
		push @sessions, $session;
	}
	return bless { name => $name, sessions => \@sessions, node => $node, waiting => 0 }, 'HeapOracle';
}

# The answer of one session: rows, SQLSTATE and count of rows.
sub answer
{
	my ($session, $query) = @_;
	my ($output) = $session->query("$query\n\\echo :SQLSTATE :ROW_COUNT");
	my $errors = $session->{stderr};
	$session->{stderr} = '';
	return "$output\n$errors" =~ s/\s+$//r;
}

# Runs a statement in both databases. Returns the heap's answer, and the other where it differs. Where rows
# lie in a table, and so in which order they are changed, is up to how well they were compressed.
sub run
{
	my ($self, $statement) = @_;
	my ($heap, $other) = map { answer($_, "$statement\n;") } @{ $self->{sessions} };
	($heap, $other) = map { join("\n", sort split(/\n/)) } ($heap, $other) if $statement =~ /RETURNING/;
	return ($heap, $heap eq $other ? undef : $other);
}

# Sends a statement that is expected to wait for another session, and waits until it does or ends.
sub send_statement
{
	my ($self, $statement) = @_;
	for my $i (0 .. 1)
	{
		my $session = $self->{sessions}[$i];
		my $pid = $session->query_safe('SELECT pg_backend_pid()');
		$session->{stdin} .= "$statement\n;\n\\echo :SQLSTATE :ROW_COUNT\n\\echo ended\n";
		$session->{run}->pump_nb();
		while ($session->{stdout} !~ /^ended$/m)
		{
			last if $self->{node}->safe_psql($sides[$i], "SELECT 1 FROM pg_stat_activity
				WHERE pid = $pid AND wait_event_type = 'Lock'") eq '1';
			usleep(2_000);
			$session->{run}->pump_nb();
		}
	}
	return;
}

# The answer to it.
sub receive
{
	my ($self) = @_;
	my @answers;
	for my $session (@{ $self->{sessions} })
	{
		$session->{run}->pump() until $session->{stdout} =~ /^ended$/m;
		push @answers, "$session->{stdout}\n$session->{stderr}" =~ s/^ended$//mr;
		$session->{stdout} = $session->{stderr} = '';
	}
	return ($answers[0], $answers[0] eq $answers[1] ? undef : $answers[1]);
}

# Waits until nobody else is in the database, so that no snapshot needs what no row shows any more.
sub wait_alone
{
	my ($node) = @_;
	$node->safe_psql('postgres', 'ALTER SYSTEM SET autovacuum = off');
	$node->reload;
	$node->poll_query_until('as_toaststore', q[
		SELECT NOT EXISTS (SELECT FROM pg_stat_activity
		                    WHERE pid <> pg_backend_pid() AND (datname = current_database() OR backend_type = 'autovacuum launcher'))])
	  or die 'somebody else stays in the database';
	return;
}

# The toaststore tables of a schema; temporary ones are another session's.
sub tables_of
{
	my ($node, $schema) = @_;
	return split(/\n/, $node->safe_psql('as_toaststore', qq[
		SELECT format('%I.%I', nspname, relname)
		  FROM pg_class c JOIN pg_am a ON a.oid = relam JOIN pg_namespace n ON n.oid = relnamespace
		 WHERE amname = 'toaststore' AND relkind IN ('r', 'm') AND relpersistence <> 't' AND reltoastrelid <> 0 AND nspname = '$schema'
		 ORDER BY 1]));
}

# A statement for each table.
sub statements_of
{
	my ($statement, @tables) = @_;
	return join(";\n", map { $statement =~ s/%TABLE%/$_/gr } @tables);
}

# Tests that the stores of a schema's toaststore tables are sound; that they hold the values that rows refer to and,
# besides, what removable() lists; and that VACUUM removes that and nothing else. All sessions must be closed.
sub check_stores
{
	my ($node, $schema) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$schema //= 'public';
	wait_alone($node);
	my @tables = tables_of($node, $schema);
	return if !@tables;
	my $answers = sub { return $node->safe_psql('as_toaststore', statements_of($_[0], @tables)); };
	my $faults = q[SELECT '%TABLE%', * FROM toaststore.verify('%TABLE%', exact => true)];
	my $stored = q[SELECT '%TABLE%', id FROM oracle.stored('%TABLE%') AS id ORDER BY id];
	my $removable = q[SELECT '%TABLE%', id FROM toaststore.removable('%TABLE%') ORDER BY id];
	is($answers->($faults), '', "the stores of $schema are sound, each value is a row's");
	my @there = split(/\n/, $answers->($stored));
	my @dead = split(/\n/, $answers->($removable));
	my @visible = split(/\n/, $answers->(q[SELECT '%TABLE%', id FROM oracle.visible('%TABLE%') AS id ORDER BY id]));
	is_deeply([ sort @there ], [ sort(@visible, @dead) ], "the stores of $schema hold these values and what can be removed");
	$answers->('VACUUM %TABLE%');
	is($answers->($stored), join("\n", @visible), 'VACUUM removes that and nothing else');
	is($answers->($removable), '', 'nothing can be removed then');
	is($answers->($faults), '', "the stores of $schema are sound after VACUUM");
	note("$schema: ", scalar(@tables), ' tables, ', scalar(@visible), ' values, ', scalar(@dead), ' to be removed');
	return;
}

# The faults that show beside transactions in progress. A table that one of them has locked is left out.
sub faults_beside_writers
{
	my ($node) = @_;
	my ($status, $faults, $errors) = $node->psql('as_toaststore',
		statements_of("SELECT '%TABLE%', * FROM toaststore.verify('%TABLE%')", tables_of($node, 'public')), on_error_stop => 0);
	return $faults . join('', grep { !/lock timeout/ } split(/^/, $errors));
}

sub close_pair
{
	my ($self) = @_;
	$_->quit for @{ $self->{sessions} };
	return;
}

1;
