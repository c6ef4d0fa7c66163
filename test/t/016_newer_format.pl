# A store was written by a newer version of the extension. Every function and every statement that
# looks into it answers 0A000 and says what to do, and none changes a byte of it. The stores beside it
# go on. Where a single page is newer, what is not in it is still read.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreFile;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q[
autovacuum = off
log_statement = none
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);
my @newer = ('format', 'meta_page', 'leaf');
for my $store (@newer, 'beside')
{
	$node->safe_psql('postgres', qq[
		SELECT toaststore.create_store('$store');
		SELECT toaststore.put('$store', random_bytes(n, n * 20)) FROM generate_series(1, 300) n;
		SELECT toaststore.put('$store', random_bytes(n, n * 500)) FROM generate_series(301, 310) n]);
}
$node->safe_psql('postgres', q[CREATE TABLE taken AS SELECT * FROM beside LIMIT 0]);
my %values = map { $_ => digests($node, $_) } @newer, 'beside';
my %files = map { $_ => $node->data_dir . '/' . relation_file($node, $_) } @newer;
$node->stop;

# The version is changed where docs/format.md has it, and the check made right.
my %offsets = (format => [ 1, 24 + 4 ], meta_page => [ 1, $StoreFile::tail + 2 ]);
my %written;
my ($leaf, $low, $high);
for my $store (@newer)
{
	my $file = StoreFile->new($files{$store});
	if ($store eq 'leaf')
	{
		# That of the ids in the middle.
		$leaf = $file->entry(200)->{leaf};
		($low, $high) = $file->range($leaf);
		$offsets{leaf} = [ $leaf, $StoreFile::tail + 2 ];
	}
	my ($block, $offset) = @{ $offsets{$store} };
	is(unpack('C', $file->get($block, $offset, 1)), 1, "$store: this is version 1");
	$file->put($block, $offset, pack('C', 2));
	$file->seal($block);
	$file->save;
	$written{$store} = $file->get(0, 0, $file->blocks * $StoreFile::page_bytes);
}
$node->start;

# How a statement ends.
sub outcome_of
{
	my ($sql) = @_;
	my (undef, undef, $errors) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql;");
	return $errors =~ /ERROR:  (.*)\nHINT:  (.*)/ ? "$1\n$2" : $errors;
}

sub refusal
{
	my ($store) = @_;
	return "0A000: toaststore \"$store\" has a format that this version does not know\n"
	  . 'Install the version of toaststore that wrote it, or a newer one.';
}

my %statements = (
	put => q[SELECT toaststore.put('STORE', 'x')],
	put_many => q[SELECT toaststore.put_many('STORE', ARRAY['x', 'y']::bytea[])],
	get => q[SELECT toaststore.get('STORE', 200)],
	'get of no value' => q[SELECT toaststore.get('STORE', 100000)],
	get_slice => q[SELECT toaststore.get_slice('STORE', 200, 10, 10)],
	length => q[SELECT toaststore.length('STORE', 200)],
	delete => q[SELECT toaststore.delete('STORE', 200)],
	info => q[SELECT * FROM toaststore.info('STORE', 200)],
	verify => q[SELECT * FROM toaststore.verify('STORE')],
	alter_store => q[SELECT toaststore.alter_store('STORE', 'none')],
	INSERT => q[INSERT INTO STORE (value) VALUES ('x')],
	'INSERT of an id' => q[INSERT INTO STORE VALUES (200, 'x')],
	SELECT => q[SELECT id FROM STORE],
	'SELECT by ctid' => q[SELECT id FROM STORE WHERE ctid = '(0,201)'],
	DELETE => q[DELETE FROM STORE WHERE id = 200],
	'COPY FROM' => "COPY STORE FROM STDIN;\n200\t\\\\x61\n\\.\n",
	'COPY TO' => q[COPY STORE TO STDOUT],
	'CREATE TABLE AS' => q[CREATE TABLE copied AS SELECT * FROM STORE],
	ANALYZE => q[ANALYZE STORE]);
for my $store ('format', 'meta_page')
{
	is(outcome_of($statements{$_} =~ s/STORE/$store/r), refusal($store), "$store: $_ is refused") for sort keys %statements;
}

# What is in the leaf, or has to go through it, is refused.
my %elsewhere = map { $_ => 1 } 'put', 'put_many', 'get of no value', 'alter_store', 'INSERT';
for my $statement (grep { !$elsewhere{$_} } sort keys %statements)
{
	is(outcome_of($statements{$statement} =~ s/STORE/leaf/r), refusal('leaf'), "leaf: $statement is refused");
}
$node->stop;
for my $store (@newer)
{
	my $file = StoreFile->new($files{$store});
	ok($file->get(0, 0, $file->blocks * $StoreFile::page_bytes) eq $written{$store}, "$store: no byte of it has changed");
}
$node->start;
my @others = grep { $_ < $low || $_ >= $high } sort { $a <=> $b } keys %{ $values{leaf} };
cmp_ok(scalar(@others), '>', 100, 'leaf: there are others');
is($node->safe_psql('postgres', 'SELECT string_agg(encode(sha256(toaststore.get(\'leaf\', id)), \'hex\'), \' \' ORDER BY id)'
		  . ' FROM unnest(ARRAY[' . join(', ', @others) . ']::bigint[]) id'),
	join(' ', map { $values{leaf}{$_} } @others), 'leaf: they are read');
is($node->safe_psql('postgres', q[SELECT toaststore.put('leaf', random_bytes(1, 30000))]), 311, 'leaf: a put goes elsewhere');

# Those beside it, and the way out.
same_store($node, 'beside', $values{beside}, 'beside');
is($node->safe_psql('postgres', q[SELECT toaststore.put('beside', 'x')]), 311, 'beside: puts go on');
$node->safe_psql('postgres', q[
	TRUNCATE format;
	SELECT toaststore.put('format', random_bytes(n, n * 1000)) FROM generate_series(1, 20) n;
	DROP TABLE meta_page]);
is($node->safe_psql('postgres', q[SELECT count(*), bool_and(value = random_bytes(id, id::int * 1000)) FROM format]), '20|t',
	'a store of a newer format can be emptied, and another dropped');
is(verify_store($node, 'format'), '', 'the emptied one is sound');
$node->stop;

done_testing();
