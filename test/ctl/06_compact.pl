# What was removed makes room: a store in which values come and go stays as large as on its first
# day, and each value stays what it was.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Ctl;
use Test::More;

my $store = new_path();
my @files = map { write_file(new_path(), random_bytes($_, 400_000)) } 1 .. 8;

# Puts eight values and removes six of them; returns the two that stay.
sub turn_over
{
	my @ids = split(/\n/, ctl_ok('put', $store, @files));
	ctl_ok('rm', $store, @ids[ 0, 1, 3, 4, 6, 7 ]);
	return @ids[ 2, 5 ];
}

sub compacted
{
	return map { split /\t/ } split(/\n/, ctl_ok('compact', $store));
}

my @kept = turn_over();
my %first = compacted();
is($first{removed_values}, 6, 'six values are removed');
is({ compacted() }->{removed_values}, 0, '.. once');

my $size;
for my $round (1 .. 10)
{
	ctl_ok('rm', $store, @kept);
	@kept = turn_over();
	my %done = compacted();
	is($done{removed_values}, 8, "round $round: what was removed is gone");
	$size = -s "$store/data" if $round == 4;
}
cmp_ok(-s "$store/data", '<=', $size + 2_000_000, 'the file does not grow any more');
ok(ctl_ok('get', $store, $kept[0]) eq read_file($files[2]), 'a value that stayed');
ok(ctl_ok('get', $store, $kept[1]) eq read_file($files[5]), '.. and the other');
is(ctl_ok('verify', $store), '', 'the store is healthy');

my $before = -s "$store/data";
ctl_ok('rm', $store, @kept);
my %last = compacted();
cmp_ok(-s "$store/data", '<', 1_000_000, 'a file without values is small');
is($last{given_back_bytes}, $before - -s "$store/data", 'by as much as is told');
is(ctl_ok('verify', $store), '', 'and healthy');

done_testing();
