# Stores are dumped and restored like tables, with their options and ids, and copied by
# pg_basebackup: the values are the same by SHA-256, and ids go on where they were.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1, extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);
$node->safe_psql('postgres', q[
	CREATE SCHEMA "Other Schema";
	CREATE ROLE reader;
	SELECT toaststore.create_store('media');
	SELECT toaststore.create_store('"Other Schema"."Tuned"', 100, 8000, 8192, 'zstd:5');
	SELECT toaststore.create_store('empty', compression => 'none');
	SELECT toaststore.create_store('altered', compression => 'none');
	CREATE UNLOGGED TABLE unlogged (id bigint, value bytea) USING toaststore_values;
	GRANT SELECT, INSERT ON media TO reader;
	GRANT USAGE ON SCHEMA "Other Schema" TO reader;
	COMMENT ON TABLE media IS 'kept';
	-- Values that refer to a store, as an application has them.
	CREATE TABLE documents (name text PRIMARY KEY, content bigint)]);
my @stores = ('media', '"Other Schema"."Tuned"', 'altered', 'unlogged');
for my $store (@stores)
{
	$node->safe_psql('postgres', qq[
		SELECT toaststore.put('$store', random_bytes(n, (n * n * n) % 200000)) FROM generate_series(1, 120) n;
		SELECT toaststore.put('$store', convert_to(repeat(n || ' says this; ', n * 50), 'UTF8'))
		  FROM generate_series(1, 120) n;
		INSERT INTO $store VALUES (100000, 'an id of its own'), ((1::bigint << 40), random_bytes(1, 100000));
		SELECT toaststore.delete('$store', id) FROM $store WHERE id % 10 = 3]);
}
$node->safe_psql('postgres', q[
	SELECT toaststore.alter_store('altered', 'lz4');
	INSERT INTO documents SELECT 'document ' || id, id FROM media]);
my $before = { map { $_ => digests($node, $_) } @stores };
cmp_ok(scalar(keys %{ $before->{media} }), '>', 200, 'there is something to dump');

my $options = q[
	SELECT conrelid::regclass, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
	 WHERE conname = 'toaststore_options' ORDER BY conrelid::regclass::text];

# The stores of a database are those dumped, and usable.
sub same_in
{
	my ($database, $what) = @_;
	for my $store (@stores, 'empty')
	{
		my $copied = { map { split /\|/ } split(/\n/,
				$node->safe_psql($database, "SELECT id, encode(sha256(value), 'hex') FROM $store")) };
		is_deeply($copied, $before->{$store} // {}, "$what: $store is the same");
		is($node->safe_psql($database, "SELECT * FROM toaststore.verify('$store')"), '', "$what: $store is sound");
	}
	is($node->safe_psql($database, $options), $node->safe_psql('postgres', $options), "$what: options are kept");
	my $chosen = q[SELECT layout, compression, chunks FROM toaststore.info('"Other Schema"."Tuned"', 220)];
	is($node->safe_psql($database, $chosen), $node->safe_psql('postgres', $chosen), "$what: and obeyed");
	is($node->safe_psql($database, q[
			SELECT count(*) FROM documents
			 WHERE sha256(toaststore.get('media', content))
			       IS DISTINCT FROM (SELECT sha256(value) FROM media WHERE id = content)
			    OR toaststore.get('media', content) IS NULL]), 0, "$what: what refers to an id finds its value");
	is($node->safe_psql($database, q[
			SELECT toaststore.put('media', 'next') > (SELECT max(id) FROM media),
			       toaststore.put('empty', 'first') >= 1,
			       has_table_privilege('reader', 'media', 'SELECT, INSERT'),
			       has_table_privilege('reader', 'empty', 'SELECT'),
			       obj_description('media'::regclass),
			       (SELECT relpersistence FROM pg_class WHERE oid = 'unlogged'::regclass)]),
		't|t|t|f|kept|u', "$what: ids go on, privileges are kept");
	return;
}

my $dump = $node->basedir . '/dump';
my @from = ('-d', $node->connstr('postgres'));
sub new_database { $node->safe_psql('postgres', "CREATE DATABASE $_[0] TEMPLATE template0"); return; }

$node->command_ok([ 'pg_dump', @from, '--file', "$dump.sql" ], 'a plain dump');
new_database('plain');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dump.sql" ],
	'is restored by psql');
same_in('plain', 'plain dump');

# The dump of the copy is the dump of the original.
$node->safe_psql('plain', q[SELECT toaststore.delete('media', max(id)) FROM media;
	SELECT toaststore.delete('empty', 1)]);
$node->command_ok([ 'pg_dump', '-d', $node->connstr('plain'), '--file', "$dump.again.sql" ], 'dumped again');
# But for the keys of \restrict, which are random.
my ($first, $again) = map { slurp_file($_) =~ s/^\\(un)?restrict .*$//mgr } ("$dump.sql", "$dump.again.sql");
ok($first eq $again, 'with the same result');

$node->command_ok([ 'pg_dump', @from, '--format=custom', '--file', "$dump.custom" ], 'a custom dump');
new_database('custom');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('custom'), "$dump.custom" ],
	'is restored by pg_restore');
same_in('custom', 'custom dump');

$node->command_ok([ 'pg_dump', @from, '--format=directory', '--jobs=2', '--file', "$dump.directory" ],
	'a directory, in parallel');
new_database('directory');
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', '--jobs=2', '-d', $node->connstr('directory'), "$dump.directory" ],
	'is restored in parallel');
same_in('directory', 'directory dump');

# Values without their table definitions, into stores of other options.
$node->command_ok(
	[ 'pg_dump', @from, '--data-only', '--table=media', '--format=custom', '--file', "$dump.data" ],
	'a dump of data only');
new_database('data');
$node->safe_psql('data', q[
	CREATE EXTENSION toaststore;
	SELECT toaststore.create_store('media', 0, 1000, 16384, 'zstd')]);
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('data'), "$dump.data" ],
	'is restored into a store of other options');
is($node->safe_psql('data', q[
		SELECT count(*), encode(sha256(string_agg(sha256(value), '' ORDER BY id)), 'hex') FROM media]),
	$node->safe_psql('postgres', q[
		SELECT count(*), encode(sha256(string_agg(sha256(value), '' ORDER BY id)), 'hex') FROM media]),
	'the values are the same');

# A physical copy.
$node->backup('copy');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'copy');
$copy->start;
for my $store (grep { $_ ne 'unlogged' } @stores)
{
	is_deeply(digests($copy, $store), $before->{$store}, "base backup: $store is the same");
	is(verify_store($copy, $store), '', "base backup: $store is sound");
	my $most = (sort { $b <=> $a } keys %{ $before->{$store} })[0];
	cmp_ok($copy->safe_psql('postgres', "SELECT toaststore.put('$store', 'next')"),
		'>', $most, "base backup: ids of $store go on");
}
is($copy->safe_psql('postgres', q[SELECT count(*), toaststore.put('unlogged', 'x') FROM unlogged]),
	'0|1', 'base backup: an unlogged store is empty and usable');
$copy->stop;
command_ok([ 'pg_checksums', '--check', '-D', $copy->data_dir ], 'base backup: every checksum is right');
$node->stop;

done_testing();
