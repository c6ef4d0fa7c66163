# Sessions that get in each other's way over rows with values of more than 100 kB: the specs of
# isolation_as_heap/ say the same on heap tables and on toaststore tables, step by step, and every one ends
# with a look at whether rows and values belong together, both ways.

use strict;
use warnings;

use File::Basename;
use HeapOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tester = dirname($ENV{PG_REGRESS}) . '/../isolation/isolationtester';
my $node = PostgreSQL::Test::Cluster->new('isolation');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
fsync = off
log_statement = none
log_min_error_statement = panic
autovacuum = off
]);
$node->start;
create_databases($node);
$node->safe_psql($_, q[
	CREATE FUNCTION oracle.faults() RETURNS TABLE (store regclass, fault text) LANGUAGE sql AS $$
	    SELECT c.oid::regclass, faults::text
	      FROM pg_class c JOIN pg_am ON pg_am.oid = relam, LATERAL toaststore.verify(c.oid, exact => true) AS faults
	     WHERE amname = 'toaststore' AND relnamespace = 'public'::regnamespace AND reltoastrelid <> 0
	$$]) for @HeapOracle::sides;

sub output_of
{
	my ($side, $spec) = @_;
	my ($out, $err);
	run_log([ $tester, $node->connstr($side) ], '<', $spec, '>', \$out, '2>', \$err)
		or diag("$spec on $side: $err");
	return "$out$err";
}

for my $spec (glob('t/isolation_as_heap/*.spec'))
{
	my ($name) = $spec =~ m{([^/]+)\.spec$};
	my ($heap, $other) = map { output_of($_, $spec) } @HeapOracle::sides;
	my $permutations = () = $heap =~ /^starting permutation/mg;
	cmp_ok($permutations, '>', 5, "$name has $permutations permutations");
	cmp_ok(scalar(() = $heap =~ /<waiting \.\.\.>/g), '>', 5, "$name: sessions wait for each other");
	next if is($other, $heap, "$name says the same");
	my @lines = split(/^/, $heap);
	my @others = split(/^/, $other);
	my $first = 0;
	$first++ while $first < @lines && ($others[$first] // '') eq $lines[$first];
	my $from = $first < 10 ? 0 : $first - 10;
	diag("from line $first, heap:\n", @lines[ $from .. ($first + 5 < $#lines ? $first + 5 : $#lines) ],
		"toaststore:\n", @others[ $from .. ($first + 5 < $#others ? $first + 5 : $#others) ]);
}
$node->stop;
done_testing();
