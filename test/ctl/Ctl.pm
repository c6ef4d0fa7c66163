# What the tests of toaststorectl share: running it, files of known bytes, and pages of a store.
package Ctl;

use strict;
use warnings;

use Digest::SHA qw(sha256);
use Exporter 'import';
use File::Temp;
use IPC::Run;
use Test::More;
use Time::HiRes qw(sleep);

our @EXPORT = qw(ctl ctl_ok start_ctl wait_until new_path write_file read_file flip_byte write_page
  random_bytes crc32c $page_bytes);

our $page_bytes = 8192;
my $program = $ENV{TOASTSTORECTL} || 'toaststorectl';
my $scratch = File::Temp->newdir('toaststorectl.XXXXXX', TMPDIR => 1);
my $paths = 0;

# Runs the tool; an array reference among the arguments is its standard input. Returns exit status,
# what it printed, and what it complained about.
sub ctl
{
	my @arguments = grep { !ref } @_;
	my ($input) = map { $$_[0] } grep { ref } @_;
	$input //= '';
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, @arguments ], '<', \$input, '>', \$out, '2>', \$err);
	return ($? & 127 ? 'signal ' . ($? & 127) : $? >> 8, $out, $err);
}

# The same where it must work and have nothing to complain about; returns what it printed.
sub ctl_ok
{
	my ($status, $out, $err) = ctl(@_);
	my $name = join(' ', grep { !ref } @_);
	is($status, 0, substr($name, 0, 100)) or diag($err);
	is($err, '', '.. without a complaint');
	return $out;
}

# Starts the tool with pipes at both ends, and goes on.
sub start_ctl
{
	my ($in, $out, @arguments) = @_;
	my $err = '';
	return IPC::Run::start([ $program, @arguments ], '<pipe', $in, '>pipe', $out, '2>', \$err);
}

# Waits for something that will come; fails the test if it does not.
sub wait_until
{
	my ($what, $condition) = @_;
	for (1 .. 1800)
	{
		return pass($what) if $condition->();
		sleep(0.1);
	}
	return fail($what);
}

# A path at which there is nothing yet.
sub new_path { return $scratch . '/' . ++$paths }

sub write_file
{
	my ($path, $bytes) = @_;
	open(my $file, '>:raw', $path) or die "$path: $!";
	print $file $bytes or die "$path: $!";
	close($file) or die "$path: $!";
	return $path;
}

sub read_file
{
	my ($path) = @_;
	open(my $file, '<:raw', $path) or die "$path: $!";
	local $/ = undef;
	return scalar(<$file>) // '';
}

# Changes one bit of a file.
sub flip_byte
{
	my ($path, $offset) = @_;
	open(my $file, '+<:raw', $path) or die "$path: $!";
	seek($file, $offset, 0);
	read($file, my $byte, 1) == 1 or die "$path has no byte $offset";
	seek($file, $offset, 0);
	print $file chr(ord($byte) ^ 1);
	close($file) or die "$path: $!";
	return;
}

sub write_page
{
	my ($path, $block, $page) = @_;
	length($page) == $page_bytes or die 'a page of ' . length($page) . ' bytes';
	open(my $file, '+<:raw', $path) or die "$path: $!";
	seek($file, $block * $page_bytes, 0);
	print $file $page;
	close($file) or die "$path: $!";
	return;
}

# Bytes that do not compress: always the same for one seed.
sub random_bytes
{
	my ($seed, $length) = @_;
	return substr(join('', map { sha256("$seed:$_") } 1 .. ($length + 31) / 32), 0, $length);
}

# CRC-32C, bit by bit.
sub crc32c
{
	my ($bytes) = @_;
	my $crc = 0xffffffff;
	for my $byte (unpack('C*', $bytes))
	{
		$crc ^= $byte;
		$crc = $crc & 1 ? ($crc >> 1) ^ 0x82f63b78 : $crc >> 1 for 1 .. 8;
	}
	return $crc ^ 0xffffffff;
}

1;
