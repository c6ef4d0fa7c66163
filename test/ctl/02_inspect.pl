# What stat, verify and page say is what is there: in a healthy store, in a damaged one, and in pages
# that hold anything at all.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Ctl;
use JSON::PP;
use Test::More;

my $store = new_path();
my $data = "$store/data";

# --- a store with an inner page, all layouts, and something deleted ------------------------------

my $small = write_file(new_path(), random_bytes('small', 100));
my %file = (
	direct => write_file(new_path(), random_bytes('direct', 3000)),
	extent => write_file(new_path(), random_bytes('extent', 20_000)),
	chunked => write_file(new_path(), random_bytes('chunked', 200_000)));
my %id;
for my $layout (sort keys %file)
{
	chomp($id{$layout} = ctl_ok('put', $store, $file{$layout}));
}
my @ids = split(/\n/, ctl_ok('put', $store, ($small) x 400));
ctl_ok('rm', $store, $ids[7]);

# --- stat ----------------------------------------------------------------------------------------

my $stat = decode_json(ctl_ok('stat', '--json', $store));
my %constants = (
	values => 402, value_bytes => 3000 + 20_000 + 200_000 + 399 * 100, data_bytes => -s $data,
	kind => 'by id', format_version => 1, direct_max => 4096, extent_max => 65536,
	chunk_bytes => 65536, compression => 'lz4', tree_levels => 2);
is($stat->{$_}, $constants{$_}, "stat: $_") for sort keys %constants;
cmp_ok($stat->{next_id}, '>', $ids[-1], 'stat: next_id is beyond every id');
is($stat->{value_extent_bytes} + $stat->{page_extent_bytes} + $stat->{free_extent_bytes},
	$stat->{data_bytes} - 2 * $page_bytes, 'stat: every extent of the file is accounted for');
cmp_ok($stat->{value_extent_bytes}, '>', 200_000 + 400 * 100, 'stat: values take space');
my %lines = map { /^(\w+) +(.+)$/ } split(/\n/, ctl_ok('stat', $store));
is_deeply(\%lines, $stat, 'the same in lines');

my %expected = (
	direct => { raw_bytes => 3000, stored_bytes => 3000, compression => 'none', chunks => 0 },
	extent => { raw_bytes => 20_000, stored_bytes => 20_000, compression => 'none', chunks => 0 },
	chunked => { raw_bytes => 200_000, stored_bytes => 200_000, compression => 'none', chunks => 4 });
for my $layout (sort keys %expected)
{
	my $value = decode_json(ctl_ok('stat', $store, $id{$layout}, '--json'));
	is($value->{layout}, $layout, "stat of a value: layout $layout");
	is($value->{id}, $id{$layout}, '.. its id');
	is($value->{$_}, $expected{$layout}{$_}, ".. $_") for sort keys %{ $expected{$layout} };
}
is((ctl('stat', $store, 1_000_000))[0], 1, 'stat of a value that is not there');

# --- page ----------------------------------------------------------------------------------------

my $pages = ctl_ok('page', $store, 'all');
my @page = split(/^(?=block \d+: )/m, $pages);
is(scalar(@page), (-s $data) / $page_bytes, 'every page is shown');
unlike($pages, qr/fault/, '.. without a fault');
is(ctl_ok('page', $store, 1), $page[1], 'one page, as among all');

sub of_kind { my ($kind) = @_; return grep { /^block \d+: $kind$/m } @page }
sub block_of { my ($page) = @_; return $page =~ /^block (\d+):/ ? $1 : die $page }

like($page[0], qr/^block 0: empty page/, 'the page that starts every store');
like($page[1], qr/^block 1: meta page\n.*^  direct_max 4096, extent_max 65536, chunk_bytes 65536$/ms, 'the meta page');
like($page[1], qr/^  lane 0: run \[\d+, \d+\), ids \[\d+, \d+\), journal \d+ to \d+$/m, '.. with its lane');
my ($root) = $page[1] =~ /^  root (\d+) at level 1,/m;
my @inner = of_kind('inner page');
is(scalar(@inner), 1, 'an inner page');
is(block_of($inner[0]), $root, '.. which is the root');
my @children = $inner[0] =~ /^  \d+: from key \d+ child (\d+)$/mg;
my @leaves = of_kind('leaf');
is_deeply([ sort { $a <=> $b } @children ], [ sort { $a <=> $b } map { block_of($_) } @leaves ], '.. of all leaves');
my %entry = map { /^  \d+: id (\d+), (.*)$/mg } @leaves;
is(scalar(keys %entry), 403, 'an entry for each value, also the deleted one');
like($entry{ $id{chunked} }, qr/^chunked, none, 200000 bytes, 200000 stored, at \(\d+, \d+\), .*xmax 0,/, 'what it says');
like($entry{ $ids[7] }, qr/xmax [1-9]/, 'the deleted one is stamped');
my ($map) = of_kind('map page');
like($map, qr/^  extent 0, blocks 2 to 5: 4 of 4 pages in use$/m, 'the map: single pages');
like($map, qr/^  extent \d+, blocks \d+ to \d+: values, lane 0, writer \d+, not counted$/m, '.. and values');
my ($free, $of_pages, $of_values) = $map =~ /^  map page 0, extents 0 to 253: (\d+) free, (\d+) of pages, (\d+) of values$/m;
is($free + $of_pages + $of_values, 254, '.. and how many of each');
my ($journal) = of_kind('journal page');
like($journal, qr/^  \d+: id $id{direct} put by transaction \d+$/m, 'the journal: a put');
like($journal, qr/^  \d+: id $ids[7] deleted by transaction \d+$/m, '.. and a deletion');
my @pieces = map { /^  \d+: id $id{chunked}, (piece[^,]*), (\d+) bytes at \d+$/mg } of_kind('value page');
my ($bytes, $tables) = (0, 0);
while (my ($what, $length) = splice(@pieces, 0, 2))
{
	$what =~ /chunk table/ ? ($tables += $length) : ($bytes += $length);
}
is($bytes, 200_000, 'the pieces of a value add up to it');
is($tables, 4 * 28, '.. and those of its chunk table to that');
for my $layout (sort keys %id)
{
	is(scalar(grep { /^  \d+: id $id{$layout}, /m } of_kind('value page')),
		decode_json(ctl_ok('stat', '--json', $store, $id{$layout}))->{pages}, "pages of the $layout value");
}

# Pages that no command makes yet: a list of dead ranges, and a page that was retired.
my ($never) = of_kind('never written');
my $unused = block_of($never);
my $tail = sub {
	my ($kind, $middle) = @_;
	my $start = pack('S C C L', $kind, 1, 0, $unused) . $middle;
	return $start . pack('L', crc32c($start));
};
my $made = sub {
	my ($records, $end) = @_;
	my $header = pack('Q S S S S S S L', 0, 0, 0, 24 + length($records), 8152, 8152, 8192 + 4, 0);
	my $page = $header . $records;
	return $page . "\0" x (8152 - length($page)) . $end;
};
my $copy = write_file(new_path(), read_file($data));
my $dead = pack('Q Q L L S S C x3', 77, 300_000, 42, 0, 3, 1000, 3);
write_page($copy, $unused, $made->($dead, $tail->(0x7306, pack('Q L L L S S L', 2, 0, 0, 9, 1, 0, crc32c($dead)))));
my $shown = ctl_ok('page', $copy, $unused);
like($shown, qr/^block $unused: page of the dead list$/m, 'a page of the dead list');
like($shown, qr/^  2 chunks of the first record done\n  next page 9, 1 records, 0 of them done with$/m, '.. its tail');
like($shown, qr/^  0: id 77, chunked, 300000 bytes at \(42, 3\), first 1000, sequence 0$/m, '.. its record');
write_page($copy, $unused, $made->('', $tail->(0x7307, "\0" x 28)));
like(ctl_ok('page', $copy, $unused), qr/^block $unused: retired page$/m, 'a retired page');

# --- damage --------------------------------------------------------------------------------------

# damaged NAME BLOCK OFFSET FAULT-OF-VERIFY FAULT-OF-PAGE: one bit, seen by both.
sub damaged
{
	my ($name, $block, $offset, $verify, $page) = @_;
	my $file = write_file(new_path(), read_file($data));
	flip_byte($file, $block * $page_bytes + $offset);
	my ($status, $out, $err) = ctl('verify', $file);
	is($status, 1, "$name: verify says so");
	like($out, $verify, '.. and where');
	like($err, qr/^toaststorectl: \Q$file\E: \d+ faults?$/, '.. and how many');
	($status, $out) = ctl('page', $file, $block);
	is($status, defined($page) ? 1 : 0, '.. and so does page, if the page alone tells');
	like($out, $page // qr/^block $block: /m, '.. and what');
	return $file;
}

damaged('the meta page', 1, 100, qr/^block 1: meta page does not match its check$/m, qr/^  fault: meta page does not match/m);
damaged('the map', 2, 24 + 32 + 4, qr/^block 2: map entry does not match its check$/m, qr/^  fault: map entry does not match/m);
damaged('a leaf entry', block_of($leaves[0]), 24 + 64 + 30, qr/^block \d+: leaf entry does not match its check$/m,
	qr/^  fault: leaf entry does not match/m);
damaged('the tail of a leaf', block_of($leaves[0]), 8160, qr/^block \d+: page tail does not match its check$/m,
	qr/^  fault: page tail does not match/m);
damaged('the header of a leaf', block_of($leaves[0]), 12, qr/^block \d+: page header is invalid$/m,
	qr/^  fault: page header is invalid/m);
damaged('an inner entry', $root, 24 + 16 + 3, qr/^block $root: inner entry does not match its check$/m,
	qr/^  fault: inner entry does not match/m);
damaged('a journal record', block_of($journal), 24, qr/^block \d+: chain records do not match their CRC$/m,
	qr/^  fault: chain records do not match/m);
my ($block, $item) = $entry{ $id{direct} } =~ /at \((\d+), (\d+)\)/;
my ($piece) = grep { block_of($_) == $block } of_kind('value page');
my ($at) = $piece =~ /^  $item: id $id{direct}, piece 0, \d+ bytes at (\d+)$/m;
damaged('the length of a piece', $block, $at + 24 + 8 + 4, qr/^block $block: value $id{direct}: piece has a foreign length word$/m,
	qr/^  $item:\n  fault: piece has a foreign length word/m);
my $file = damaged('the bytes of a value', $block, $at + 200, qr/^block $block: value $id{direct}: value bytes do not match their CRC$/m);
my ($status, $out, $err) = ctl('get', $file, $id{direct});
is($status, 3, 'a damaged value is not given out');
is($out, '', '.. not a byte of it');
like($err, qr/value bytes do not match their CRC \(block $block\)/, '.. and the reason is');
ok(ctl_ok('get', $file, $id{chunked}) eq read_file($file{chunked}), 'others are');

# A file cut off: its last pages are missing.
$file = write_file(new_path(), substr(read_file($data), 0, 10 * $page_bytes));
($status, $out) = ctl('verify', $file);
is($status, 1, 'a file cut off');
like($out, qr/block lies beyond the end of the file/, '.. and what is missing');

# A store that can't be opened can still be looked at.
my $lame = new_path();
system('cp', '-r', $store, $lame) == 0 or die;
flip_byte("$lame/control", 20);
($status, $out, $err) = ctl('ls', $lame);
is($status, 3, 'a damaged control file');
is($err, "toaststorectl: $lame: control file is damaged\n", '.. is what the store can not be opened for');
is(ctl_ok('page', $lame, 'all'), $pages, '.. but its pages can be seen');
is((ctl('verify', "$lame/data"))[0], 0, '.. and verified');

# Whatever a page holds, looking at it ends well.
srand(1);
my @blocks = map { block_of($_) } @leaves, @inner, of_kind('meta page'), of_kind('map page'), $journal, $piece;
for my $round (1 .. 60)
{
	$file = write_file(new_path(), read_file($data));
	my $target = $blocks[ rand(@blocks) ];
	for (1 .. 1 + rand(20))
	{
		flip_byte($file, $target * $page_bytes + int(rand(2) < 1 ? rand($page_bytes) : 8152 + rand(40)));
	}
	# A kind of page with the numbers of another.
	if ($round % 4 == 0)
	{
		my $other = substr(read_file($data), $blocks[ rand(@blocks) ] * $page_bytes, $page_bytes);
		write_page($file, $target, substr($other, 0, 24) . random_bytes($round, 8152 - 24) . substr($other, 8152));
	}
	my @statuses = map { (ctl(@$_))[0] } [ 'page', $file, $target ], [ 'verify', $file ];
	ok($statuses[0] =~ /^[01]$/ && $statuses[1] =~ /^[013]$/, "round $round: damage in block $target") or diag("@statuses");
	unlink($file);
}

done_testing();
