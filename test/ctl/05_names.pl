# Values by name: one at a time, and whole trees of files, which come back as they were, whatever
# their names; and names that would lead out of the directory lead nowhere.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Ctl;
use File::Path qw(make_path);
use Test::More;

my $store = new_path();
my ($one, $two) = map { write_file(new_path(), random_bytes($_, 100_000 * $_)) } 1, 2;

# --- one at a time -------------------------------------------------------------------------------

is(ctl_ok('put', $store, '--name', 'picture', $one), "1\n", 'put under a name prints the id');
ok(ctl_ok('get', $store, '--name', 'picture') eq read_file($one), 'get by name');
ok(ctl_ok('get', $store, 1) eq read_file($one), '.. or by id');
my $second = ctl_ok('put', $store, '--name', 'picture', $two);
chomp($second);
ok(ctl_ok('get', $store, '--name', 'picture', '--offset', 150_000) eq substr(read_file($two), 150_000), 'the name is set again');
is((ctl('get', $store, 1))[0], 1, '.. and its old value is gone');
like(ctl_ok('stat', $store, '--name', 'picture'), qr/^id +$second$/m, 'stat by name');
is(ctl_ok('rm', $store, '--name', 'picture'), '', 'rm by name');
for my $command (qw(get rm stat))
{
	my ($status, $out, $err) = ctl($command, $store, '--name', 'picture');
	is($status, 1, "$command of a name that is gone");
	is($err, qq(toaststorectl: $store: "picture": no such name\n), '.. which is told');
}
is(ctl_ok('ls', $store), '', 'the value is gone with its name');

# Names are bytes in their order; the empty value has a name as well; a name has its limits.
my @names = sort("a", "a/b", "a\0b", "a b", "a\nb", "\xc3\xa4", "\xff", 'ab', '--ids', 'x' x 1024);
for my $name (grep { !/\0/ } @names)
{
	ctl_ok('put', $store, "--name=$name", write_file(new_path(), $name eq 'ab' ? '' : "value of $name"));
}
@names = grep { !/\0/ } @names;
my $listed = ctl_ok('ls', $store, '--names', '-0');
is_deeply([ map { (split(/\t/, $_, 3))[2] } split(/\0/, $listed) ], \@names, 'names in order');
is_deeply([ map { (split(/\t/, $_, 3))[1] } split(/\0/, $listed) ], [ map { $_ eq 'ab' ? 0 : 9 + length } @names ], '.. with lengths');
is_deeply([ map { (split(/\t/, $_, 3))[2] } split(/\0/, ctl_ok('ls', $store, '--prefix', 'a', '--null')) ],
	[ grep { /^a/ } @names ], 'names with a prefix');
is(ctl_ok('ls', $store, '--prefix', 'zzz'), '', 'a prefix without a name');
is(ctl_ok('get', $store, '--name', $_), $_ eq 'ab' ? '' : "value of $_", 'a value comes back') for @names;
for my $name ('', 'x' x 1025)
{
	my ($status, undef, $err) = ctl('put', $store, '--name', $name, $one);
	is($status, 3, 'a name of ' . length($name) . ' bytes');
	like($err, qr/a name has 1 to 1024 bytes/, '.. is none');
}
is(ctl_ok('verify', $store), '', 'the store is healthy');

# --- trees of files ------------------------------------------------------------------------------

my $tree = new_path();
my %file = (
	'index.html' => '<html>', 'empty' => '', 'large' => random_bytes('large', 3_000_000),
	'a/b/c/d/deep' => 'deep', 'a/b2' => "text\n" x 10_000, 'odd/ blank ' => 'blank', "odd/new\nline" => 'line',
	"odd/\xff\xfe" => 'bytes', 'odd/...' => 'dots', 'odd/.hidden' => 'hidden', 'odd/-o' => 'dash',
	(map { ("many/$_" => random_bytes($_, $_)) } 1 .. 2500));
sub write_tree
{
	my ($root, $files) = @_;
	for my $name (keys %$files)
	{
		my $path = "$root/$name";
		make_path($path =~ s{/[^/]*\z}{}r);
		write_file($path, $files->{$name});
	}
	return;
}
sub read_tree
{
	my ($root) = @_;
	my @files = grep { length } split(/\0/, `find '$root' -type f -print0`);
	return { map { substr($_, 1 + length($root)) => read_file($_) } @files };
}
write_tree($tree, \%file);
symlink('index.html', "$tree/link") or die;

my $site = new_path();
my ($status, $out, $err) = ctl('import', $site, $tree);
is($status, 0, 'import makes a store');
is($out, '', '.. prints nothing');
is($err, "toaststorectl: $tree/link: is not a regular file, left out\n", '.. but what it leaves out');
is(ctl_ok('verify', $site), '', 'it is healthy');
is(scalar(split(/\0/, ctl_ok('ls', $site, '--names', '-0'))), scalar(keys %file), 'every file has a name');
ok(ctl_ok('get', $site, '--name', 'large') eq $file{large}, 'one of them');
like(ctl_ok('stat', $site), qr/^names +@{[ scalar(keys %file) ]}$/m, 'stat counts names');

my $copy = new_path();
is(ctl_ok('export', $site, $copy), '', 'export prints nothing');
is_deeply(read_tree($copy), \%file, 'every file came back as it was');

# A name of several pages of names, also when it is deep; from a directory named in another way.
$file{'index.html'} = 'new';
$file{added} = 'added';
write_tree($tree, { map { $_ => $file{$_} } 'index.html', 'added' });
unlink("$tree/link");
my $before = scalar(split(/\n/, ctl_ok('ls', $site)));
ctl_ok('import', '--compression=zstd', $site, "$tree//");
is(scalar(split(/\n/, ctl_ok('ls', $site))), $before + 1, 'import again: old values are gone, a new one is there');
like(ctl_ok('stat', $site, '--name', 'a/b2'), qr/^compression +zstd$/m, '.. compressed as wanted');
my $again = new_path();
mkdir($again) or die;
ctl_ok('export', $site, $again);
is_deeply(read_tree($again), \%file, '.. and all of it comes out again, into an empty directory');
is((ctl('export', $site, $again))[0], 3, 'a directory that is not empty is left alone');
is_deeply(read_tree($again), \%file, '.. as it is');

# A store among the files is not put into itself.
write_tree($tree, { 'inside/file' => 'beside the store' });
ctl_ok('import', "$tree/inside/store", $tree);
ctl_ok('import', "$tree/inside/store", $tree);
my @inside = split(/\0/, ctl_ok('ls', "$tree/inside/store", '--prefix', 'inside/', '-0'));
is_deeply([ map { (split(/\t/, $_, 3))[2] } @inside ], ['inside/file'], 'a store in the directory it takes in');

# A file that can't be taken in: a name that is too long. Those before it in order are there.
my $long = new_path();
my $deep = join('/', ('d' x 200) x 6);
write_tree($long, { first => 'first', "$deep/file" => 'too long', last => 'last' });
my $some = new_path();
($status, $out, $err) = ctl('import', $some, $long);
is($status, 3, 'a file whose name is too long');
like($err, qr{^toaststorectl: \Q$long\E/d+/.*: a name has 1 to 1024 bytes$}, '.. is named');
is((ctl('import', new_path(), new_path()))[0], 3, 'a directory that is not there');
is((ctl('import', new_path(), $one))[0], 3, 'a file where a directory should be');

# --- what can't be a file ------------------------------------------------------------------------

my $bad = new_path();
my $outside = new_path();
my @evil = ('../' . ($outside =~ s{.*/}{}r), $outside, 'a//b', 'a/./b', 'a/../b', '..', '.', 'a/', '/', './x');
ctl_ok('put', $bad, '--name', $_, $one) for @evil, 'fine', 'both', 'both/too';
ctl_ok('put', $bad, $two);
my $exported = new_path();
($status, $out, $err) = ctl('export', $bad, $exported);
is($status, 3, 'names that lead elsewhere');
is(scalar(() = $err =~ /^toaststorectl: ".*": can not be the name of a file$/mg), scalar(@evil), '.. are told one by one');
like($err, qr{^toaststorectl: \Q$exported\E/both/too: }m, '.. and so is a name that would be a file and a directory') or diag($err);
like($err, qr/^toaststorectl: values without a name: 1; --ids exports all$/m, '.. and what has no name');
like($err, qr/^toaststorectl: values not exported: @{[ @evil + 1 ]}$/m, '.. and how many in all');
is_deeply([ sort keys %{ read_tree($exported) } ], [ 'both', 'fine' ], 'the others are there');
ok(!-e $outside, 'and nothing is elsewhere');
my $by_id = new_path();
is(ctl_ok('export', '--ids', $bad, $by_id), '', 'by ids all of it comes out');
is_deeply([ sort { $a <=> $b } keys %{ read_tree($by_id) } ], [ 1 .. @evil + 4 ], '.. a file for each');

# A value that is damaged is passed over, and leaves no part of itself.
my $page = ctl_ok('page', $site, 'all');
my ($id) = ctl_ok('stat', $site, '--name', 'large') =~ /^id +(\d+)$/m;
my @pieces = $page =~ /^block (\d+): value page\n(?:  .*\n)*?  \d+: id $id, piece (\d+), /mg;
my %block = reverse @pieces;
flip_byte("$site/data", $block{300} * $page_bytes + 4000);
my $rescued = new_path();
($status, $out, $err) = ctl('export', $site, $rescued);
is($status, 3, 'a damaged value');
like($err, qr/^toaststorectl: "large": value bytes do not match their CRC \(block \d+\)$/m, '.. is named');
delete $file{large};
is_deeply(read_tree($rescued), \%file, '.. and all others are rescued');
is((ctl('verify', $site))[0], 1, 'verify finds it, too');

# --- the file of names ---------------------------------------------------------------------------

$page = ctl_ok('page', $site, '--names', 'all');
like($page, qr/^block 0 of names: never written\nblock 1 of names: meta page\n/, 'pages of the file of names');
like($page, qr/^block \d+ of names: inner page$/m, '.. inner ones');
my @found = $page =~ /^  \d+: "many\/(\d+)" version \d+, value \d+ put by transaction \d+$/mg;
is(scalar(keys %{ { map { $_ => 1 } @found } }), 2500, '.. and every name in a leaf');
like($page, qr/^  \d+: "odd\/new\\x0aline" version /m, '.. readable, whatever it is made of');
my ($leaf) = $page =~ /^block (\d+) of names: leaf$/m;
is(ctl_ok('page', $site, $leaf, '--names') . '', ($page =~ /^(block $leaf of names: .*?)(?=^block )/ms)[0], '.. one by itself');
for my $case ([ 1, 24, qr/page of names does not match|impossible|front of a page of names/ ], [ $leaf, 8100, qr/record of a name/ ],
	[ $leaf, 8170, qr/tail of a page of names does not match its check/ ])
{
	my ($block, $offset, $fault) = @$case;
	flip_byte("$site/names", $block * $page_bytes + $offset);
	($status, $out) = ctl('page', $site, '--names', $block);
	is($status, 1, "damage in block $block of names at $offset");
	like($out, qr/^  fault: .*$fault/m, '.. is shown');
	($status, $out) = ctl('verify', $site);
	is($status, 1, '.. and found');
	like($out, $fault, '.. as what it is');
	flip_byte("$site/names", $block * $page_bytes + $offset);
}
is((ctl('page', "$site/data", '--names', 1))[0], 3, 'a server keeps no names');

srand(2);
my $names = read_file("$site/names");
for my $round (1 .. 30)
{
	my $block = 1 + int(rand(length($names) / $page_bytes - 1));
	flip_byte("$site/names", $block * $page_bytes + int($_ % 2 ? rand($page_bytes) : 8152 + rand(40))) for 1 .. 1 + rand(20);
	my ($status) = ctl('page', $site, '--names', $block);
	like($status, qr/^[01]\z/, "round $round: looking at a damaged block $block of names");
	write_file("$site/names", $names);
}

done_testing();
