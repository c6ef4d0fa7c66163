# What goes in comes out: values of every size, from files and pipes, whole and in parts; several
# together or none.

use strict;
use warnings;

use Digest::SHA;
use FindBin;
use lib $FindBin::Bin;
use Ctl;
use Test::More;

my $store = new_path();

# Binary data of every layout, compressible and not; the empty value; a zero byte; a line's end.
my %values;
for my $length (0, 1, 100, 4096, 9000, 65536, 65537, 300_000, 2_500_000)
{
	for my $bytes (random_bytes($length, $length), substr("some \0 text\n" x ($length / 12 + 1), 0, $length))
	{
		my $id = ctl_ok('put', $store, write_file(new_path(), $bytes));
		like($id, qr/^\d+\n\z/, 'put prints the id alone');
		chomp($id);
		$values{$id} = $bytes;
	}
}
is(scalar(keys %values), 18, 'an id for each');
for my $id (sort { $a <=> $b } keys %values)
{
	ok(ctl_ok('get', $store, $id) eq $values{$id}, "value $id, to the standard output");
}
is(ctl_ok('verify', $store), '', 'a healthy store has no faults');

# Slices: across the borders of chunks and of what the tool reads at once, and beyond the end.
my ($large) = grep { length($values{$_}) == 2_500_000 } sort { $a <=> $b } keys %values;
for my $slice ([ 0, 1 ], [ 65_530, 20 ], [ 1_048_570, 2_000 ], [ 1_000_000, 1_400_000 ], [ 2_499_990, 100 ],
	[ 2_500_000, 10 ], [ 9_999_999, 10 ], [ 5, 0 ])
{
	my ($offset, $length) = @$slice;
	my $expected = $offset > 2_500_000 ? '' : substr($values{$large}, $offset, $length);
	ok(ctl_ok('get', $store, $large, '--offset', $offset, "--length=$length") eq $expected,
		"$length bytes from $offset");
}
ok(ctl_ok('get', '--offset', 2_000_000, $store, $large) eq substr($values{$large}, 2_000_000), 'to the end');

# Files.
my $copy = new_path();
is(ctl_ok('get', $store, $large, '-o', $copy), '', 'nothing is printed');
ok(read_file($copy) eq $values{$large}, 'into a file');
is((ctl('get', $store, 100_000, '-o', $copy))[0], 1, 'a value that is not there');
ok(read_file($copy) eq $values{$large}, '.. leaves the file that was');

# Pipes.
my $piped = ctl_ok('put', $store, '-', [ "a\0b" ]);
chomp($piped);
is(ctl_ok('get', $store, $piped), "a\0b", 'from the standard input');

# Lists.
$values{$piped} = "a\0b";
my $listed = sub { return { map { split /\t/ } split(/\n/, ctl_ok('ls', $store, @_)) } };
is_deeply($listed->(), { map { $_ => length($values{$_}) } keys %values }, 'ids and lengths');
my @ids = sort { $a <=> $b } keys %values;
is_deeply([ map { (split /\t/)[0] } split(/\n/, ctl_ok('ls', $store)) ], \@ids, 'in order');
is_deeply([ sort { $a <=> $b } keys %{ $listed->('--from', $ids[3], '--to', $ids[6]) } ], [ @ids[ 3 .. 5 ] ],
	'from the first id up to before the last');

# Removing.
is(ctl_ok('rm', $store, $ids[0]), '', 'rm prints nothing');
is((ctl('get', $store, $ids[0]))[0], 1, 'what was removed is gone');
is((ctl('rm', $store, $ids[0]))[0], 1, '.. once');
my ($status, undef, $err) = ctl('rm', $store, $ids[1], $ids[0], $ids[2]);
is($status, 1, 'one of several that is not there');
like($err, qr/value $ids[0]: no such value/, '.. is named');
is_deeply([ sort { $a <=> $b } keys %{ $listed->() } ], [ @ids[ 1 .. $#ids ] ], '.. and none is removed');
ctl_ok('rm', $store, @ids[ 1, 2 ]);
is_deeply([ sort { $a <=> $b } keys %{ $listed->() } ], [ @ids[ 3 .. $#ids ] ], 'both are removed');

# Several files.
my @files = map { write_file(new_path(), random_bytes("several $_", 5000 * $_)) } 1 .. 5;
my @several = split(/\n/, ctl_ok('put', $store, @files));
is(scalar(@several), 5, 'an id for each of several files');
ok(ctl_ok('get', $store, $several[$_]) eq read_file($files[$_]), "file $_") for 0 .. 4;
my $before = $listed->();
($status, my $out, $err) = ctl('put', $store, $files[0], new_path(), $files[1]);
is($status, 3, 'one of several files that can not be read');
is($out, '', '.. no id is printed');
like($err, qr/No such file/, '.. and it is named');
is_deeply($listed->(), $before, '.. and none is put');

# An id of one's choice.
is(ctl_ok('put', '--id', 7_000_000, $store, $files[0]), "7000000\n", 'under a chosen id');
ok(ctl_ok('get', $store, 7_000_000) eq read_file($files[0]), '.. there it is');
is((ctl('put', '--id', 7_000_000, $store, $files[1]))[0], 3, 'which is then taken');
ok(ctl_ok('get', $store, 7_000_000) eq read_file($files[0]), '.. and keeps its value');

# Compression, as the value itself tells.
my $text = write_file(new_path(), "the same again and again\n" x 2000);
for my $compression (qw(none lz4 zstd zstd:19))
{
	my $id = ctl_ok('put', '--compression', $compression, $store, $text);
	chomp($id);
	my $told = ctl_ok('stat', $store, $id);
	my ($codec) = $compression =~ /^(\w+)/;
	like($told, qr/^compression +$codec$/m, "compressed by $compression");
	is(ctl_ok('get', $store, $id), read_file($text), '.. and back');
}
is(ctl_ok('verify', $store), '', 'the store is healthy after all that');

# A store that holds more than memory may: the tool gives out a value in slices. Its page cache has
# 64 MB; with the programs' own needs that must do for a value of 256 MB.
my $huge = new_path();
write_file($huge, '');
truncate($huge, 256 << 20) or die;
my $huge_id = ctl_ok('put', $store, $huge);
chomp($huge_id);
my $program = $ENV{TOASTSTORECTL} || 'toaststorectl';
my $digest = Digest::SHA->new(256);
open(my $reader, '-|', 'sh', '-c', "ulimit -v 200000; exec $program get $store $huge_id") or die;
binmode($reader);
$digest->addfile($reader);
ok(close($reader), 'a value larger than memory is given out');
is($digest->hexdigest, Digest::SHA->new(256)->addfile($huge)->hexdigest, '.. as it was put in');

done_testing();
