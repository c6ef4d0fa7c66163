# A store's file as docs/format.md describes it: finds where things are, and puts bytes of one's own
# there. The server is stopped meanwhile, or has made a checkpoint and changes nothing.
package StoreFile;

use strict;
use warnings;

our $page_bytes = 8192;
our $tail = 8152;
our %kinds = (meta => 0x7301, leaf => 0x7302, inner => 0x7303, map => 0x7304, journal => 0x7305);

my $header_bytes = 24;
my $entry_bytes = 64;
my $meta_body_bytes = 1000;
# Of every piece of a run but the first and the last.
my $piece_bytes = 8120;
# From the start of an item: id, sequence, bytes.
my ($id_at, $sequence_at, $bytes_at) = (24, 32, 40);

my @crc_table;
for my $byte (0 .. 255)
{
	my $crc = $byte;
	$crc = $crc & 1 ? ($crc >> 1) ^ 0x82F63B78 : $crc >> 1 for 1 .. 8;
	push @crc_table, $crc;
}

sub crc32c
{
	my ($bytes) = @_;
	my $crc = 0xFFFFFFFF;
	$crc = ($crc >> 8) ^ $crc_table[ ($crc ^ $_) & 0xFF ] for unpack('C*', $bytes);
	return $crc ^ 0xFFFFFFFF;
}

sub new
{
	my ($class, $path) = @_;
	open(my $handle, '<:raw', $path) or die "$path: $!";
	local $/;
	my $bytes = <$handle>;
	close $handle;
	return bless { path => $path, bytes => $bytes }, $class;
}

sub save
{
	my ($self, $path) = @_;
	open(my $handle, '>:raw', $path // $self->{path}) or die "$self->{path}: $!";
	print $handle $self->{bytes};
	close $handle or die "$self->{path}: $!";
	return;
}

sub blocks { my ($self) = @_; return length($self->{bytes}) / $page_bytes; }

sub get
{
	my ($self, $block, $offset, $length) = @_;
	return substr($self->{bytes}, $block * $page_bytes + $offset, $length);
}

sub put
{
	my ($self, $block, $offset, $bytes) = @_;
	substr($self->{bytes}, $block * $page_bytes + $offset, length $bytes) = $bytes;
	return;
}

# One bit goes bad.
sub flip
{
	my ($self, $block, $offset) = @_;
	$self->put($block, $offset, chr(ord($self->get($block, $offset, 1)) ^ 0x10));
	return;
}

sub truncate_to
{
	my ($self, $blocks) = @_;
	$self->{bytes} = substr($self->{bytes}, 0, $blocks * $page_bytes);
	return;
}

# Blocks of the pages of a kind, in order. Value pages have no tail.
sub pages_of
{
	my ($self, $kind) = @_;
	return grep {
		unpack('S', $self->get($_, 16, 2)) == $tail && unpack('S', $self->get($_, $tail, 2)) == $kinds{$kind}
	} 0 .. $self->blocks - 1;
}

# The entries of a leaf: where they are, and what they say.
sub entries
{
	my ($self, $leaf) = @_;
	my @entries;
	for my $index (0 .. unpack('S', $self->get($leaf, $tail + 28, 2)) - 1)
	{
		my $offset = $header_bytes + $index * $entry_bytes;
		my %entry = (leaf => $leaf, offset => $offset);
		@entry{qw(id raw_bytes stored_bytes block item layout codec first_bytes)} =
		  (unpack('Q L4 Q2 L S C2 L2 S', $self->get($leaf, $offset, $entry_bytes)))[ 0, 5 .. 10, 13 ];
		push @entries, \%entry;
	}
	return @entries;
}

sub entry
{
	my ($self, $id) = @_;
	my ($entry) = grep { $_->{id} == $id } map { $self->entries($_) } $self->pages_of('leaf');
	return $entry // die "no entry of $id";
}

# Values with bytes in a page, but for chunked ones.
sub ids_on
{
	my ($self, $block) = @_;
	my @ids;
	for my $entry (map { $self->entries($_) } $self->pages_of('leaf'))
	{
		next if $entry->{layout} == 3 || $entry->{stored_bytes} == 0;
		my $more = $entry->{stored_bytes} - $entry->{first_bytes};
		my $end = $entry->{block} + 1 + int(($more + $piece_bytes - 1) / $piece_bytes);
		push @ids, $entry->{id} if $entry->{block} <= $block && $block < $end;
	}
	return @ids;
}

# Lowest key of a leaf, and the first above it.
sub range
{
	my ($self, $leaf) = @_;
	return unpack('Q2', $self->get($leaf, $tail + 8, 16));
}

# Where in its page the parts of an item are.
sub piece
{
	my ($self, $block, $item) = @_;
	my $pointer = $header_bytes + ($item - 1) * 4;
	my $at = unpack('L', $self->get($block, $pointer, 4)) & 0x7fff;
	return {
		pointer => $pointer,
		id => $at + $id_at,
		sequence => $at + $sequence_at,
		bytes => $at + $bytes_at
	};
}

# The record of a chunk in the table of a chunked value, whose table is one piece: where it is, and
# what it says.
sub chunk
{
	my ($self, $id, $number) = @_;
	my $entry = $self->entry($id);
	my $offset = $self->piece($entry->{block}, $entry->{item})->{bytes} + $number * 28;
	my %chunk = (table => $entry->{block}, offset => $offset);
	@chunk{qw(block sequence stored_bytes crc item first_bytes)} =
	  unpack('L4 S2', $self->get($entry->{block}, $offset, 20));
	return \%chunk;
}

# The first block of an extent, and the one behind its last.
sub extent
{
	my ($extent) = @_;
	return map { 1986 + ($extent - 80 + $_) * 128 } 0, 1 if $extent >= 80;
	my $size = int($extent / 16);
	return map { 2 + 64 * ((1 << $size) - 1) + ($extent % 16 + $_) * (4 << $size) } 0, 1;
}

sub meta
{
	my ($self, $offset, $template) = @_;
	return unpack($template, $self->get(1, $header_bytes + $offset, 8));
}

# The entries that the root leads to.
sub all_entries
{
	my ($self) = @_;
	my $block = $self->meta(20, 'L');
	$block = unpack('L', $self->get($block, $header_bytes + 8, 4))
	  while unpack('S', $self->get($block, $tail, 2)) == $kinds{inner};
	my @entries;
	for (; $block != 0; $block = unpack('L', $self->get($block, $tail + 24, 4)))
	{
		my $moved = unpack('S', $self->get($block, $tail + 30, 2)) & 2;
		push @entries, $self->entries($block) unless $moved;
	}
	return @entries;
}

# The pieces of a run: block and length of each.
sub run
{
	my ($block, $first_bytes, $left) = @_;
	my @pieces;
	for (my $bytes = $first_bytes; $left > 0; $bytes = $piece_bytes)
	{
		$bytes = $left if $bytes > $left;
		push @pieces, [ $block++, $bytes ];
		$left -= $bytes;
	}
	return @pieces;
}

# Those of a value, with its chunks and the table of them, which may have several pieces.
sub pieces
{
	my ($self, $entry) = @_;
	return run(@$entry{qw(block first_bytes stored_bytes)}) if $entry->{layout} != 3;
	my $chunks = int(($entry->{raw_bytes} + 65535) / 65536);
	my @pieces = run($entry->{block}, $entry->{first_bytes}, 28 * $chunks);
	my ($item, $table) = ($entry->{item}, '');
	for (@pieces)
	{
		$table .= $self->get($_->[0], $self->piece($_->[0], $item)->{bytes}, $_->[1]);
		$item = 1;
	}
	return (@pieces, map {
			my ($block, undef, $bytes, undef, undef, $first_bytes) = unpack('L4 S2', substr($table, 28 * $_, 20));
			run($block, $first_bytes, $bytes)
		} 0 .. $chunks - 1);
}

# Bytes of pieces in a page, whoever they belong to.
sub piece_bytes
{
	my ($self, $block) = @_;
	my ($lower, undef, $special) = unpack('S3', $self->get($block, 12, 6));
	return 0 if $special != $page_bytes;
	my $bytes = 0;
	$bytes += ($_ >> 17) - $bytes_at for unpack('L*', $self->get($block, $header_bytes, $lower - $header_bytes));
	return $bytes;
}

# Of each extent that has been counted, the live and the dead bytes that the map tells, and those that
# are found when all values, of chunks of 64 kB, and all pages are looked at.
sub accounts
{
	my ($self) = @_;
	my (%told, %found, @extent_of);
	for my $extent (0 .. 254 * $self->meta(32, 'L') - 1)
	{
		my ($map) = extent($extent - $extent % 254);
		my ($kind, undef, undef, $stored, $dead, $flags) =
		  unpack('C2 S L3', $self->get($map, $header_bytes + $extent % 254 * 32, 16));
		next if $kind != 2 || $flags != 1;
		my ($from, $to) = extent($extent);
		$told{$extent} = [ $stored - $dead, $dead ];
		$found{$extent} = [ 0, 0 ];
		for my $block ($from .. $to - 1)
		{
			$extent_of[$block] = $extent;
			$found{$extent}[1] += $self->piece_bytes($block) if $block < $self->blocks;
		}
	}
	for (map { $self->pieces($_) } $self->all_entries)
	{
		my ($block, $bytes) = @$_;
		my $extent = $extent_of[$block] // next;
		$found{$extent}[0] += $bytes;
		$found{$extent}[1] -= $bytes;
	}
	return (\%told, \%found);
}

# Makes the check of a page right again.
sub seal
{
	my ($self, $block) = @_;
	my $meta = unpack('S', $self->get($block, $tail, 2)) == $kinds{meta};
	my $body = $meta ? $self->get($block, $header_bytes, $meta_body_bytes) : '';
	$self->put($block, $tail + 36, pack('L', crc32c($body . $self->get($block, $tail, 36))));
	return;
}

1;
