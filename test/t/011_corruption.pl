# Bytes go bad in a store's file: in values, chunk tables, leaves, the map, the meta page; pages are
# lost, misplaced, cut off. Whoever asks for what is damaged gets XX001 with the store, the block and
# the reason, never other bytes and never a null. Everything else is read as before, and verify() lists
# the damage. So it is without data checksums; with them the server refuses a page before toaststore
# sees it, unless ignore_checksum_failure tells it not to.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreFile;
use Test::More;
use Toaststore;

# What the values are: small ones, several in a page; one of many pages; a compressed one; chunked
# ones; enough small ones for three leaves.
my ($extent, $compressed, $chunked, $middle, $empty, $gone, $last) = (21, 22, 23, 150, 301, 299, 303);
my $chunk_bytes = 65536;
my $fill = qq[
	SELECT toaststore.put('sound', random_bytes(n, 1000)) FROM generate_series(1, 20) n;
	SELECT toaststore.put('sound', random_bytes($extent, 30000));
	SELECT toaststore.put('sound', convert_to(repeat(encode(random_bytes($compressed, 500), 'hex'), 60), 'UTF8'));
	SELECT toaststore.put('sound', random_bytes($chunked, 300000));
	SELECT toaststore.put('sound', convert_to(repeat(encode(random_bytes($chunked, 500), 'hex'), 300), 'UTF8'));
	SELECT toaststore.put('sound', random_bytes(n, 60)) FROM generate_series(25, 300) n;
	SELECT toaststore.put('sound', '');
	SELECT toaststore.put('sound', random_bytes(n, 30000)) FROM generate_series(302, $last) n;
	SELECT toaststore.delete('sound', $gone)];

my $not_crc = 'value bytes do not match their CRC';

# Each damages a file and says what comes of it: `broken` is the block and the reason for each value
# that cannot be read, `faults` what verify() lists, `scan` the error that a scan of the ids meets,
# `put` that of a put, `page` the page whose checksum is wrong, `neighbours` the ids with bytes there.
my %damages = (
	bytes => sub {
		my ($file) = @_;
		my $entry = $file->entry(5);
		$file->flip($entry->{block}, $file->piece($entry->{block}, $entry->{item})->{bytes} + 100);
		my $page = $entry->{block};
		return { broken => { 5 => [ $page, $not_crc ] }, page => $page, neighbours => [ $file->ids_on($page) ] };
	},
	compressed_bytes => sub {
		my ($file) = @_;
		my $entry = $file->entry($compressed);
		$file->flip($entry->{block}, $file->piece($entry->{block}, $entry->{item})->{bytes} + 100);
		return { broken => { $compressed => [ $entry->{block}, $not_crc ] } };
	},
	foreign_piece => sub {
		my ($file) = @_;
		my $entry = $file->entry(7);
		$file->put($entry->{block}, $file->piece($entry->{block}, $entry->{item})->{id}, pack('Q', 8));
		return { broken => { 7 => [ $entry->{block}, 'piece belongs to another value' ] } };
	},
	other_piece => sub {
		my ($file) = @_;
		my $block = $file->entry($extent)->{block} + 1;
		$file->put($block, $file->piece($block, 1)->{sequence}, pack('L', 2));
		return { broken => { $extent => [ $block, 'piece is another part of its value' ] } };
	},
	item_pointer => sub {
		my ($file) = @_;
		my $entry = $file->entry(9);
		$file->flip($entry->{block}, $file->piece($entry->{block}, $entry->{item})->{pointer} + 3);
		return { broken => { 9 => [ $entry->{block}, 'piece is not of the length it must have' ] } };
	},
	lost_value_page => sub {
		my ($file) = @_;
		my $block = $file->entry($extent)->{block} + 2;
		$file->put($block, 0, "\0" x $StoreFile::page_bytes);
		return { broken => { $extent => [ $block, 'page is not a value page' ] } };
	},
	chunk_table => sub {
		my ($file) = @_;
		my $chunk = $file->chunk($chunked, 3);
		$file->flip($chunk->{table}, $chunk->{offset} + 8);
		return {
			broken => { $chunked => [ $chunk->{table}, 'chunk table entry does not match its check' ] },
			faults => ["$chunk->{table}|$chunked|chunk table does not match its CRC"],
			chunk => 3
		};
	},
	chunk => sub {
		my ($file) = @_;
		my $chunk = $file->chunk($chunked, 2);
		$file->flip($chunk->{block} + 1, $file->piece($chunk->{block} + 1, 1)->{bytes});
		my $page = $chunk->{block} + 1;
		return { broken => { $chunked => [ $chunk->{block}, $not_crc ] }, chunk => 2, page => $page, neighbours => [] };
	},
	# The entries on both sides of a search's end prove its answer: the next id has lost its neighbour.
	leaf_entry => sub {
		my ($file) = @_;
		my $entry = $file->entry(50);
		$file->flip($entry->{leaf}, $entry->{offset} + 41);
		my @fault = ($entry->{leaf}, 'leaf entry does not match its check');
		return { broken => { map { $_ => \@fault } 50, 51 }, faults => ["$fault[0]||$fault[1]"], scan => \@fault };
	},
	leaf_tail => sub {
		my ($file) = @_;
		my $leaf = $file->entry($middle)->{leaf};
		my ($low, $high) = $file->range($leaf);
		$file->flip($leaf, $StoreFile::tail + 10);
		return unreachable($leaf, $low, $high, 'page tail does not match its check');
	},
	misplaced_leaf => sub {
		my ($file) = @_;
		my $leaf = $file->entry($middle)->{leaf};
		my ($low, $high) = $file->range($leaf);
		$file->put($leaf, 0, $file->get($file->entry(1)->{leaf}, 0, $StoreFile::page_bytes));
		return unreachable($leaf, $low, $high, 'page belongs to another block');
	},
	unknown_page => sub {
		my ($file) = @_;
		my $leaf = $file->entry($middle)->{leaf};
		my ($low, $high) = $file->range($leaf);
		$file->put($leaf, $StoreFile::tail, pack('S', 0x7399));
		$file->seal($leaf);
		return unreachable($leaf, $low, $high, 'page is of an unknown kind');
	},
	lost_leaf => sub {
		my ($file) = @_;
		my $leaf = $file->entry($middle)->{leaf};
		my ($low, $high) = $file->range($leaf);
		$file->put($leaf, 0, "\0" x $StoreFile::page_bytes);
		return unreachable($leaf, $low, $high, 'page was never initialised');
	},
	# As with the entries of a leaf: what is left of it has lost its neighbour.
	inner_entry => sub {
		my ($file) = @_;
		my ($inner) = $file->pages_of('inner');
		my (undef, $high) = $file->range($file->entry($middle)->{leaf});
		$file->flip($inner, 24 + 16 + 8);
		return unreachable($inner, 1, $high, 'inner entry does not match its check');
	},
	meta => sub {
		my ($file) = @_;
		$file->flip(1, 24 + 100);
		return without_meta('meta page does not match its check');
	},
	lost_meta => sub {
		my ($file) = @_;
		$file->put(1, 0, "\0" x $StoreFile::page_bytes);
		return without_meta('meta page is blank in a store that is not empty');
	},
	map_entry => sub {
		my ($file) = @_;
		my ($map) = $file->pages_of('map');
		# Of an extent that is free.
		$file->flip($map, 24 + 200 * 32 + 9);
		my @fault = ($map, 'map entry does not match its check');
		return { broken => {}, faults => ["$fault[0]||$fault[1]"], put => \@fault };
	},
	journal_record => sub {
		my ($file) = @_;
		my ($journal) = $file->pages_of('journal');
		$file->flip($journal, 24 + 5 * 16);
		return { broken => {}, faults => ["$journal||chain records do not match their CRC"] };
	},
	journal_tail => sub {
		my ($file) = @_;
		my ($journal) = $file->pages_of('journal');
		$file->flip($journal, $StoreFile::tail + 10);
		my @fault = ($journal, 'page tail does not match its check');
		return { broken => {}, faults => ["$fault[0]||$fault[1]"], put => \@fault, delete => \@fault };
	},
	cut_in_a_value => sub {
		my ($file) = @_;
		my $cut = $file->entry($last)->{block} + 1;
		$file->truncate_to($cut);
		return { broken => { $last => [ $cut, 'block lies beyond the end of the file' ] } };
	},
	cut_to_the_meta_page => sub {
		my ($file) = @_;
		my ($root) = $file->pages_of('inner');
		my ($journal) = $file->pages_of('journal');
		$file->truncate_to(2);
		my $reason = 'block lies beyond the end of the file';
		my $outcome = unreachable($root, 1, $last + 1, $reason);
		$outcome->{put} = [ $journal, 'a chain does not lead to its last page' ];
		# Chains, the tree, the map.
		$outcome->{faults} = [ map { "$_||$reason" } $journal, $root, 2 ];
		return $outcome;
	});

# Ids from $low to below $high are out of reach.
sub unreachable
{
	my ($block, $low, $high, $reason) = @_;
	$high = $last + 1 if $high > $last;
	return {
		broken => { map { $_ => [ $block, $reason ] } ($low || 1) .. $high - 1 },
		faults => ["$block||$reason"],
		scan => [ $block, $reason ],
		page => $block,
		neighbours => []
	};
}

# The same for all ids, and for puts.
sub without_meta
{
	my ($reason) = @_;
	my $outcome = unreachable(1, 1, $last + 1, $reason);
	$outcome->{put} = $outcome->{scan};
	return $outcome;
}

# A cluster with a store for each damage, all of them copies of one that is sound.
my @stores = sort keys %damages;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q[
autovacuum = off
log_statement = none
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);
$node->safe_psql('postgres', q[
	-- The digest of a value, or the error that came instead.
	CREATE FUNCTION digest_of(store regclass, id bigint) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
	    RETURN encode(sha256(toaststore.get(store, id)), 'hex');
	EXCEPTION WHEN OTHERS THEN
	    RETURN sqlstate || ' ' || sqlerrm;
	END
	$$]);
$node->safe_psql('postgres', "SELECT toaststore.create_store('$_')") for 'sound', @stores;
$node->safe_psql('postgres', $fill);
my $values = digests($node, 'sound');
is(join(' ', sort { $a <=> $b } keys %$values), join(' ', grep { $_ != $gone } 1 .. $last), 'there is something to damage');

# Damages all stores, stops the server meanwhile, and says what comes of it.
sub damage_all
{
	my ($before) = @_;
	my %files = map { $_ => $node->data_dir . '/' . relation_file($node, $_) } 'sound', @stores;
	$node->stop;
	$before->() if $before;
	my %outcomes;
	for my $store (@stores)
	{
		my $file = StoreFile->new($files{sound});
		$outcomes{$store} = $damages{$store}->($file);
		$file->save($files{$store});
	}
	$node->start;
	return \%outcomes;
}

# The error of a statement, with its SQLSTATE; nothing where there is none.
sub error_of
{
	my ($sql) = @_;
	my (undef, undef, $errors) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql;");
	return $errors =~ /ERROR:  (.*)/ ? $1 =~ s/^(\w+): /$1 /r : '';
}

sub corrupted
{
	my ($what, $fault) = @_;
	return defined $fault ? "XX001 $what is corrupted in block $fault->[0]: $fault->[1]" : '';
}

# Each value by its digest, or by the error that it gives.
sub read_all
{
	my ($store) = @_;
	return { map { split /\|/, $_, 2 } split /\n/,
		  $node->safe_psql('postgres', "SELECT id, digest_of('$store', id) FROM generate_series(1, $last) id") };
}

# What is damaged is refused, the rest is read.
sub read_as_told
{
	my ($store, $broken, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $read = read_all($store);
	my @wrong;
	for my $id (1 .. $last)
	{
		my $told = $broken->{$id} ? corrupted("value $id of toaststore \"$store\"", $broken->{$id}) : $values->{$id} // '';
		push @wrong, "$id: $read->{$id}, not $told" if $read->{$id} ne $told;
	}
	my $count = keys %$broken;
	is(join("\n", @wrong), '', "$what: $store: $count values are refused, the rest is read");
	return;
}

# Reads, a scan of the ids, verify.
sub as_told
{
	my ($store, $outcome, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $broken = $outcome->{broken};
	read_as_told($store, $broken, $what);
	my $faults = $outcome->{faults} // [ map { "$broken->{$_}[0]|$_|$broken->{$_}[1]" } keys %$broken ];
	is(verify_store($node, $store), join("\n", @$faults), "$what: $store: verify lists it");
	is(error_of("SELECT count(*) FROM $store"), corrupted("toaststore \"$store\"", $outcome->{scan}),
		"$what: $store: a scan counts all ids or none");
	return;
}

my $outcomes = damage_all();
as_told($_, $outcomes->{$_}, 'damaged') for @stores;

# What of a chunked value is not damaged is read.
for my $store ('chunk', 'chunk_table')
{
	my $bad = $outcomes->{$store}{chunk};
	for my $chunk (0 .. 4)
	{
		my $slice = "toaststore.get_slice('$store', $chunked, $chunk * $chunk_bytes + 100, 5000)";
		my $fault = $chunk == $bad ? $outcomes->{$store}{broken}{$chunked} : undef;
		is(error_of("SELECT $slice"), corrupted("value $chunked of toaststore \"$store\"", $fault), "$store: a slice of chunk $chunk");
		next if $fault;
		is($node->safe_psql('postgres', "SELECT $slice = substr(random_bytes($chunked, 300000), $chunk * $chunk_bytes + 101, 5000)"),
			't', "$store: has the bytes it should");
	}
}

# A put finds its way round the damage or is refused; what was there stays as it is.
for my $store (@stores)
{
	my $put = $outcomes->{$store}{put};
	is(error_of("SELECT toaststore.put('$store', random_bytes(1000, 30000))"), corrupted("toaststore \"$store\"", $put),
		"$store: a put is " . ($put ? 'refused' : 'done'));
	is($node->safe_psql('postgres', "SELECT toaststore.get('$store', $last + 1) = random_bytes(1000, 30000)"), 't',
		"$store: and reads back")
	  if !$put;
	# Where the file was cut off there are blank pages by now.
	my %broken = %{ $outcomes->{$store}{broken} };
	$broken{$last} = [ $broken{$last}[0], 'page is not a value page' ] if $store eq 'cut_in_a_value';
	read_as_told($store, \%broken, 'after a put');
}

# A damaged value can be deleted: a reader of the whole store meets it no more.
for my $store (grep { !$outcomes->{$_}{scan} } @stores)
{
	my @broken = keys %{ $outcomes->{$store}{broken} };
	like(error_of("SELECT sum(length(value || '')) FROM $store"), qr/^XX001 value $broken[0] of /, "$store: read whole") if @broken;
	is($node->safe_psql('postgres', "SELECT toaststore.delete('$store', $_)"), 't', "$store: its damaged value is deleted")
	  for @broken;
	my %rest = %$values;
	delete @rest{@broken};
	my $here = digests($node, $store);
	delete $here->{ $last + 1 };
	is_deeply($here, \%rest, "$store: the rest is read whole");
}

# TRUNCATE makes any of them as good as new.
for my $store (@stores)
{
	$node->safe_psql('postgres', qq[
		TRUNCATE $store;
		SELECT toaststore.put('$store', random_bytes(n, n * 2000)) FROM generate_series(1, 30) n]);
	is($node->safe_psql('postgres', "SELECT count(*), bool_and(value = random_bytes(id, id::int * 2000)) FROM $store"), '30|t',
		"$store: truncated and filled again");
	is(verify_store($node, $store), '', "$store: and sound");
}

# With data checksums the server refuses the page, and with it all that lies there.
$outcomes = damage_all(
	sub {
		command_ok([ 'pg_checksums', '--enable', '--no-sync', '-D', $node->data_dir ], 'checksums are enabled');
	});
for my $store ('bytes', 'chunk', 'leaf_tail', 'inner_entry', 'meta')
{
	my $outcome = $outcomes->{$store};
	my $invalid = qr/^XX001 invalid page in block $outcome->{page} of relation base\/\S+$/;
	my $read = read_all($store);
	my %hit = map { $_ => 1 } keys %{ $outcome->{broken} }, @{ $outcome->{neighbours} };
	# All leaves are below one page.
	%hit = %$read if $store eq 'inner_entry';
	my @wrong = grep { $hit{$_} ? $read->{$_} !~ $invalid : $read->{$_} ne ($values->{$_} // '') } keys %$read;
	is("@wrong", '', "checksums: $store: the server refuses what lies in the page, the rest is read");
	like(error_of("SELECT * FROM toaststore.verify('$store')"), $invalid, "checksums: $store: verify stops there");
}
# Told to look at it all the same, toaststore proves what it reads.
{
	local $ENV{PGOPTIONS} = '-c ignore_checksum_failure=on -c client_min_messages=error';
	as_told($_, $outcomes->{$_}, 'checksums ignored') for @stores;
}
$node->stop;

done_testing();
