# Each file of same_as_heap/ is run by psql in a database whose tables are heap tables, and in one whose
# tables are toaststore tables: what it prints is the same, errors and counts of rows included.

use strict;
use warnings;

use HeapOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('same');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
fsync = off
shared_buffers = 128MB
max_wal_size = 2GB
log_statement = none
log_min_error_statement = panic
autovacuum = off
max_prepared_transactions = 10
]);
$node->start;
create_databases($node);

# What a file prints, with its own statements between. Each has a schema of its own.
sub output_of
{
	my ($side, $name) = @_;
	my $output = $node->basedir . "/$side.out";
	my $copy = $node->data_dir . "/$side.copy";
	my $method = $side eq 'as_heap' ? 'heap' : access_method();
	$node->safe_psql($side, "CREATE SCHEMA $name");
	local $ENV{PGOPTIONS} = "-c search_path=$name,public";
	run_log([ 'psql', '--no-psqlrc', '--echo-all', '--set', 'VERBOSITY=verbose', '--set', "file=$copy",
			'--set', "access_method=$method", '--dbname', $node->connstr($side), '--file', "t/same_as_heap/$name.sql" ], '>', $output, '2>&1');
	# Where in the server's source an error was raised is nobody's business.
	return slurp_file($output) =~ s/^LOCATION: .*\n//mgr =~ s/^psql:.*?:\d+: //mgr;
}

for my $file (glob('t/same_as_heap/*.sql'))
{
	my ($name) = $file =~ m{([^/]+)\.sql$};
	my ($heap, $other) = map { output_of($_, $name) } @HeapOracle::sides;
	cmp_ok(length($heap), '>', 500, "$name prints something");
	check_stores($node, $name);
	next if is($other, $heap, "$name prints the same");
	# is() prints both whole; what differs is what is looked for.
	my @lines = split(/^/, $heap);
	my @others = split(/^/, $other);
	my $first = 0;
	$first++ while $first < @lines && ($others[$first] // '') eq $lines[$first];
	my $from = $first < 10 ? 0 : $first - 10;
	diag("from line $first of $name, heap:\n", @lines[ $from .. ($first + 5 < $#lines ? $first + 5 : $#lines) ],
		"toaststore:\n", @others[ $from .. ($first + 5 < $#others ? $first + 5 : $#others) ]);
}
$node->stop;
done_testing();
