# Every way to call the tool wrongly, and everything that keeps it from working, ends with the exit
# status and the message that the manual promises; help and manual know every command and option.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Ctl;
use Test::More;

# --- help and manual -----------------------------------------------------------------------------

my $help = ctl_ok('--help');
my @commands = $help =~ /^  ([a-z]+) STORE/mg;
is_deeply([ sort @commands ], [ sort qw(put get ls rm stat verify page import export compact checkpoint) ], 'the help shows every command');
my @options = sort { $a cmp $b } $help =~ /--([a-z]+)/g;
for my $command (@commands)
{
	my $one = ctl_ok($command, '--help');
	like($one, qr/\AUsage:\n  $command STORE/, "the help of $command");
	my ($section) = $help =~ /^(  $command STORE.*?)(?=^  \S)/ms;
	is($one, "Usage:\n$section", '.. is what the whole help says of it');
}
like(ctl_ok('--version'), qr/\Atoaststorectl \d+\.\d+\n\z/, 'the version');
unlike($help, qr/^.{101}/m, 'no line of the help is too long');

my $path = "$FindBin::Bin/../../man/toaststorectl.1";
my $manual = read_file($path);
my ($described) = $manual =~ /^(\.Sh DESCRIPTION.*?)^\.Sh FILES/ms;
my ($synopsis) = $manual =~ /^(\.Sh SYNOPSIS.*?)^\.Sh DESCRIPTION/ms;
is_deeply([ $described =~ /^\.It Cm ([a-z]+) Ar STORE/mg ], \@commands, 'the manual describes every command, in the same order');
my %seen;
is_deeply([ grep { !$seen{$_}++ } $synopsis =~ /^\.Cm ([a-z]+)$/mg ], \@commands, '.. and shows how to call it');
my %known = map { $_ => 1 } @options;
my @letters = $help =~ /-([a-z0-9]), --/g;
like($described, qr/Fl $_ /, "the manual describes -$_") for @letters;
like($synopsis, qr/Fl $_\b/, ".. and shows it") for @letters;
my %manual = map { $_ => 1 } $described =~ /Fl -([a-z]+)/g;
is_deeply(\%manual, \%known, 'the manual describes every option of the help, and no other');
my %shown = map { $_ => 1 } $synopsis =~ /Fl -([a-z]+)/g;
delete @known{qw(output null)};  # shown by their letters
is_deeply(\%shown, \%known, '.. and shows them all');

SKIP:
{
	my $lint = `mandoc -Tlint -Wwarning "$path" 2>&1`;
	$lint = `LC_ALL=C.UTF-8 man --warnings --local-file "$path" 2>&1 >/dev/null` if $? == -1 || $? >> 8 == 127;
	skip 'there is neither mandoc nor man', 1 if $? == -1 || $? >> 8 == 127;
	is($lint, '', 'the manual is sound');
}

# --- wrong usage ---------------------------------------------------------------------------------

my $store = new_path();
my $file = write_file(new_path(), 'a value');
is(ctl_ok('put', $store, $file), "1\n", 'a store to work on');

my $missing = new_path();
for my $case (
	[ [], qr/no command/ ],
	[ ['frobnicate'], qr/no command 'frobnicate'/ ],
	[ ['-x'], qr/no command '-x'/ ],
	(map { [ [$_], qr/$_: no store is named; see toaststorectl $_ --help/ ] } @commands),
	(map { [ [ $_, $store ], qr/$_: missing / ] } qw(put page import export)),
	(map { [ [ $_, $store ], qr/give either an ID or --name/ ] } qw(get rm)),
	(map { [ [ $_, $store, 1, '--name', 'x' ], qr/give either an ID or --name/ ] } qw(get rm stat)),
	[ [ 'put', $store, '--name', 'x', $file, $file ], qr/--id and --name are for one file/ ],
	[ [ 'put', $store, '--name', 'x', '--id', 3, $file ], qr/gets its id from the store/ ],
	[ [ 'ls', $store, '--names', '--from', 3 ], qr/--from and --to are ids/ ],
	[ [ 'import', $store, $file, $file ], qr/import: there is no place for/ ],
	[ [ 'get', $store, 1, 2 ], qr/get: there is no place for '2'/ ],
	[ [ 'ls', $store, 1 ], qr/ls: there is no place for '1'/ ],
	[ [ 'verify', $store, 'x' ], qr/verify: there is no place for 'x'/ ],
	[ [ 'get', $store, 1, '--compression', 'lz4' ], qr/get: no option --compression/ ],
	[ [ 'get', $store, '-x', 1 ], qr/get: no option -x/ ],
	[ [ 'get', $store, 1, '--offset' ], qr/get: --offset takes an argument/ ],
	[ [ 'get', $store, 1, '-o' ], qr/get: -o takes an argument/ ],
	[ [ 'get', $store, 'one' ], qr/an id must be a number, not 'one'/ ],
	[ [ 'get', $store, '' ], qr/an id must be a number, not ''/ ],
	[ [ 'get', $store, '1 ' ], qr/an id must be a number/ ],
	[ [ 'get', $store, '18446744073709551616' ], qr/an id must be a number/ ],
	[ [ 'get', $store, 1, '--offset', '-1' ], qr/--offset must be a number, not '-1'/ ],
	[ [ 'get', $store, 1, '--length', '1k' ], qr/--length must be a number/ ],
	[ [ 'ls', $store, '--from', 'a' ], qr/--from must be a number/ ],
	[ [ 'rm', $store, 1, 'x' ], qr/an id must be a number/ ],
	[ [ 'page', $store, 'first' ], qr/a block must be a number/ ],
	[ [ 'stat', $store, 'x' ], qr/an id must be a number/ ],
	[ [ 'put', $store, $file, '--id', 'x' ], qr/--id must be a number/ ],
	[ [ 'put', $store, '--id', 5, $file, $file ], qr/--id and --name are for one file/ ],
	(map { [ [ 'put', '--compression', $_, $store, $file ], qr/no compression '$_'|the level of zstd must be/ ] }
		  qw(gzip LZ4 lz4:1 zstd:0 zstd:20 zstd: zstd:x)))
{
	my ($arguments, $message) = @$case;
	my ($status, $out, $err) = ctl(@$arguments);
	is($status, 2, "wrong: @$arguments");
	is($out, '', '.. nothing is printed');
	like($err, qr/\Atoaststorectl: .*\n\z/, '.. one line says');
	like($err, $message, '.. what is wrong');
}
is(ctl_ok('ls', $store), "1\t7\n", 'none of them did anything');

# --- what is not there, and what does not work ---------------------------------------------------

my $directory = new_path();
mkdir($directory) or die;
write_file("$directory/file", 'something else');
for my $case (
	[ 1, [ 'get', $store, 2 ], qr/value 2: no such value/ ],
	[ 1, [ 'get', $store, 0 ], qr/value 0: no such value/ ],
	[ 1, [ 'get', $store, '18446744073709551615' ], qr/no such value/ ],
	[ 1, [ 'rm', $store, 2 ], qr/value 2: no such value/ ],
	[ 1, [ 'stat', $store, 2 ], qr/value 2: no such value/ ],
	[ 1, [ 'page', $store, 1_000_000 ], qr/there is no block 1000000, but \d+ blocks/ ],
	[ 1, [ 'page', $store, 4_294_967_297 ], qr/there is no block 4294967297/ ],
	(map { [ 3, [ $_, $missing ], qr/$missing: there is no store/ ] } qw(ls stat verify compact checkpoint)),
	[ 3, [ 'export', $missing, "$missing.too" ], qr/$missing: there is no store/ ],
	[ 3, [ 'import', $missing, "$missing.too" ], qr/$missing.too: No such file or directory/ ],
	(map { [ 3, [ $_, $missing, 1 ], qr/$missing: there is no store/ ] } qw(get rm stat)),
	[ 3, [ 'page', $missing, 1 ], qr/$missing: file does not exist/ ],
	(map { [ 3, [ $_, $directory ], qr/$directory: there is no store/ ] } qw(ls stat verify)),
	(map { [ 3, [ $_, $file ], qr/$file: file is not a store/ ] } qw(ls stat verify)),
	[ 3, [ 'put', $directory, $file ], qr/$directory: is a directory of something else/ ],
	[ 3, [ 'import', $directory, $directory ], qr/$directory: is a directory of something else/ ],
	[ 3, [ 'export', $store, $directory ], qr/$directory: is not empty/ ],
	[ 3, [ 'put', $store, $missing ], qr/$missing: No such file or directory/ ],
	[ 3, [ 'put', $store, $directory ], qr/$directory: Is a directory/ ],
	[ 3, [ 'put', $missing, "$missing.too" ], qr/No such file or directory/ ],
	[ 3, [ 'put', "$missing/store", $file ], qr/could not make directory: No such file or directory/ ],
	[ 3, [ 'put', $store, '--id', 1, $file ], qr/taken \(value 1\)/ ],
	[ 3, [ 'put', $store, '--id', 0, $file ], qr/out of range/ ],
	[ 3, [ 'put', $store, '--id', 2**47, $file ], qr/out of range/ ],
	[ 3, [ 'put', "$store/data", $file ], qr/a server's store can only be read/ ],
	[ 3, [ 'rm', "$store/data", 1 ], qr/a server's store can only be read/ ],
	[ 3, [ 'compact', "$store/data" ], qr/a server's store can only be read/ ],
	[ 3, [ 'checkpoint', "$store/data" ], qr/a server's store can only be read/ ],
	[ 3, [ 'get', $store, 1, '-o', "$missing/file" ], qr{$missing/file: No such file or directory} ])
{
	my ($expected, $arguments, $message) = @$case;
	my ($status, $out, $err) = ctl(@$arguments);
	is($status, $expected, "@$arguments");
	is($out, '', '.. nothing is printed');
	like($err, qr/\Atoaststorectl: .*\n\z/, '.. one line says');
	like($err, $message, '.. what is wrong');
}
ok(!-e $missing, 'nothing was made for what failed');
is_deeply([ glob("$directory/*") ], ["$directory/file"], 'nor in a directory of something else');
is(ctl_ok('ls', $store), "1\t7\n", 'the store is as it was');

# A directory that is empty can become a store.
my $empty = new_path();
mkdir($empty) or die;
is(ctl_ok('put', $empty, $file), "1\n", 'a store in an empty directory');

# What does not get through is not taken for printed.
my $program = $ENV{TOASTSTORECTL} || 'toaststorectl';
for my $command ("get $store 1", "ls $store", "stat $store", "page $store all", '--help')
{
	my $err = `$program $command 2>&1 >/dev/full`;
	is($? >> 8, 3, "a full disk: $command");
	is($err, "toaststorectl: standard output: No space left on device\n", '.. is told');
}
my ($status, undef, $err) = ctl('get', $store, 1, '-o', '/dev/full');
is($status, 3, 'a full disk: get -o');
is($err, "toaststorectl: /dev/full: No space left on device\n", '.. is told');

# Options stand anywhere; two dashes end them, and a file may have any name.
my $odd = new_path();
mkdir($odd) or die;
chdir($odd) or die;
write_file('--id', 'odd');
is(ctl_ok('put', $store, '--', '--id'), "2\n", 'a file with the name of an option');
is(ctl_ok('get', $store, '--', 2), 'odd', '.. was read');
chdir('/') or die;

done_testing();
