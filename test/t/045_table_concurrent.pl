# Writers of one table at once, each with rows of its own, beside sessions that GRANT and REVOKE, ANALYZE,
# VACUUM and change options in a loop, so that relation caches are invalidated in the middle of every
# statement. The same writers on a heap table leave the same rows behind.
#
# TOASTSTORE_SEED repeats a run's choices.

use strict;
use warnings;

use HeapOracle;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $writers = 3;
my $transactions = $ENV{TOASTSTORE_LONG} ? 300 : 150;
my $choices = srand($ENV{TOASTSTORE_SEED} // time ^ $$);
note("TOASTSTORE_SEED=$choices");

my $node = PostgreSQL::Test::Cluster->new('concurrent');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
fsync = off
log_statement = none
autovacuum_naptime = 1s
]);
$node->start;
create_databases($node);
$node->safe_psql($_, q[
	CREATE TABLE documents (id int PRIMARY KEY, body text, data bytea);
	CREATE INDEX ON documents (md5(body))]) for @HeapOracle::sides;
$node->safe_psql('postgres', 'CREATE ROLE reader');

sub value { return sprintf("oracle.value(%d, %d, '%s')", int(rand(1e5)), int(100 * exp(rand(7))), (qw(noise prose mixed))[ int(rand(3)) ]); }

# Only rows with ids of the writer are touched, so that it doesn't matter who comes first.
sub writer_script
{
	my ($writer) = @_;
	my ($from, $to) = ($writer * 100, $writer * 100 + 15);
	my $script = '';
	for (1 .. $transactions)
	{
		my $id = $from + int(rand(16));
		my @statements = (
			"INSERT INTO documents VALUES ($id, " . value() . ') ON CONFLICT (id) DO UPDATE SET body = excluded.body',
			"INSERT INTO documents VALUES ($id, " . value() . ') ON CONFLICT DO NOTHING',
			"UPDATE documents SET data = convert_to(" . value() . ", 'UTF8') WHERE id BETWEEN $from AND $id",
			"UPDATE documents SET data = data WHERE id BETWEEN $id AND $to",
			"UPDATE documents SET body = left(body || body, 100000) WHERE id BETWEEN $id AND $to",
			"DELETE FROM documents WHERE id = $id",
			"INSERT INTO documents SELECT i, " . value() . " FROM generate_series($id, $to) i");
		my @chosen = map { $statements[ int(rand(@statements)) ] . ';' } 1 .. 1 + int(rand(3));
		$script .= "BEGIN; $chosen[0] SAVEPOINT a; " . join(' ', @chosen[ 1 .. $#chosen ]) . (qw(COMMIT COMMIT ROLLBACK), 'ROLLBACK TO a; COMMIT')[ int(rand(4)) ] . ";\n";
	}
	return $script;
}
my @scripts;
for my $writer (1 .. $writers)
{
	push @scripts, $node->basedir . "/writer$writer.sql";
	append_to_file($scripts[-1], writer_script($writer));
}

my $disturbances = q[
	GRANT SELECT ON documents TO reader; REVOKE SELECT ON documents FROM reader;
	ALTER TABLE documents SET (toast_tuple_target = 1000); ANALYZE documents; VACUUM documents;
	ALTER TABLE documents RESET (toast_tuple_target); GRANT UPDATE (body) ON documents TO reader; REVOKE ALL ON documents FROM reader;];
# About as long as the writers take.
push @scripts, $node->basedir . '/disturbing.sql', $node->basedir . '/granting.sql';
append_to_file($scripts[-2], ($disturbances =~ s/;\s*/;\n/gr) x $transactions);
append_to_file($scripts[-1], "GRANT SELECT ON documents TO reader;\n" x (20 * $transactions));

for my $side (@HeapOracle::sides)
{
	my @errors = map { '' } @scripts;
	my @running = map {
		IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr($side), '-f', $scripts[$_] ], '>', \my $out, '2>', \$errors[$_])
	} 0 .. $#scripts;
	$_->finish for @running;
	my %errors;
	my $all = "@errors";
	$errors{$1}++ while $all =~ /ERROR:  ([^"\n]+)/g;
	# GRANT and ALTER TABLE of two sessions at once.
	delete $errors{'tuple concurrently updated'};
	delete @errors{ 'duplicate key value violates unique constraint ', 'current transaction is aborted, commands ignored until end of transaction block', 'savepoint ' };
	is_deeply(\%errors, {}, "$side: no other error than that a row is there");
}
my $contents = q[SELECT id, sha256(convert_to(d::text, 'UTF8')) FROM documents d ORDER BY id];
my $heap = $node->safe_psql('as_heap', $contents);
cmp_ok(length($heap), '>', 1000, 'there are rows');
is($node->safe_psql('as_toaststore', $contents), $heap, 'they are those of the heap table');
check_stores($node);
$node->safe_psql('as_toaststore', 'VACUUM FULL documents');
is($node->safe_psql('as_toaststore', $contents), $heap, 'also written anew');
check_stores($node);
$node->stop;
done_testing();
