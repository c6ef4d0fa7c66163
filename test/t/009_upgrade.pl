# pg_upgrade takes a cluster's stores into a new cluster, by copying their files and by linking them:
# values by SHA-256, options, rights, comments and ids are what they were, and puts go on.

use strict;
use warnings;

use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init(extra => ['--data-checksums']);
$old->append_conf('postgresql.conf', q[
autovacuum = off
log_statement = none
]);
$old->start;

sub run { return $old->safe_psql('postgres', $_[0]) }

run('CREATE EXTENSION toaststore');
create_random_bytes($old);
run(q[
	CREATE SCHEMA "Other Schema";
	CREATE ROLE reader;
	CREATE ROLE keeper;
	SELECT toaststore.create_store('media');
	SELECT toaststore.create_store('"Other Schema"."Tuned"', 100, 8000, 8192, 'zstd:5');
	SELECT toaststore.create_store('altered', compression => 'none');
	SELECT toaststore.create_store('empty', 100, 1000, 8192, 'none');
	SELECT toaststore.create_store('emptied');
	-- The columns that a table once had stay in the catalogue.
	CREATE TABLE changed (id bigint, value bytea, note text);
	ALTER TABLE changed DROP COLUMN note;
	ALTER TABLE changed SET ACCESS METHOD toaststore_values;
	CREATE TABLE bare (id bigint, value bytea) USING toaststore_values;
	CREATE UNLOGGED TABLE unlogged (id bigint, value bytea,
	    CONSTRAINT toaststore_options CHECK (toaststore.options(10, 1000, 8192, 'none')))
	    USING toaststore_values;
	GRANT SELECT, INSERT ON media TO reader;
	GRANT USAGE ON SCHEMA "Other Schema" TO reader;
	ALTER TABLE altered OWNER TO keeper;
	COMMENT ON TABLE media IS 'kept';
	CREATE TABLE documents (name text PRIMARY KEY, content bigint)]);
my @filled = ('media', '"Other Schema"."Tuned"', 'altered', 'emptied', 'changed', 'bare', 'unlogged');
for my $store (@filled)
{
	run(qq[
		SELECT toaststore.put('$store', random_bytes(n, (n * n * n) % 200000)) FROM generate_series(1, 40) n;
		SELECT toaststore.put('$store', convert_to(repeat(n || ' says this; ', n * 50), 'UTF8'))
		  FROM generate_series(1, 40) n;
		BEGIN;
		SELECT toaststore.put('$store', random_bytes(n, 9000)) FROM generate_series(1, 30) n;
		ROLLBACK;
		INSERT INTO $store VALUES (100000, 'an id of its own'), ((1::bigint << 40), random_bytes(1, 100000));
		SELECT toaststore.delete('$store', id) FROM $store WHERE id % 10 = 3]);
}
run(q[
	SELECT toaststore.alter_store('altered', 'lz4');
	DELETE FROM emptied;
	INSERT INTO documents SELECT 'document ' || id, id FROM media]);

my @stores = (@filled, 'empty');
my %values = map { $_ => digests($old, $_) } @stores;
cmp_ok(scalar(keys %{ $values{media} }), '>', 60, 'there is something to upgrade');

# What the catalogue says of the stores, and what a put of theirs comes to.
my $catalogue = q[
	SELECT c.oid::regclass, c.relfilenode, c.relpersistence, c.relowner::regrole, c.relacl, c.relfrozenxid,
	       pg_get_constraintdef(o.oid), o.convalidated, obj_description(c.oid, 'pg_class')
	  FROM pg_class c LEFT JOIN pg_constraint o ON o.conrelid = c.oid AND o.conname = 'toaststore_options'
	 WHERE c.relam = (SELECT oid FROM pg_am WHERE amname = 'toaststore_values')
	 ORDER BY c.oid];
my $layouts = join(';', map { "SELECT id, (toaststore.info('$_', id)).* FROM $_" } @stores);
my $before = run($catalogue);
my $laid_out = run($layouts);
is(scalar(split(/\n/, $before)), scalar(@stores), 'the catalogue knows the stores');
$old->stop;

sub upgrade
{
	my ($mode) = @_;
	my $new = PostgreSQL::Test::Cluster->new("new_$mode");
	$new->init(extra => ['--data-checksums']);
	$new->append_conf('postgresql.conf', q[
autovacuum = off
log_statement = none
]);
	# It writes into the directory that it is run in.
	my $here = File::Spec->rel2abs('.');
	chdir PostgreSQL::Test::Utils::tempdir_short() or die "chdir: $!";
	my $bin = $new->config_data('--bindir');
	command_ok(
		[
			'pg_upgrade', ($mode eq 'link' ? '--link' : ()), '--no-sync', '--old-datadir', $old->data_dir, '--new-datadir', $new->data_dir,
			'--old-bindir', $bin, '--new-bindir', $bin, '--old-port', $old->port, '--new-port', $new->port,
			'--socketdir', $new->host
		],
		"pg_upgrade, $mode");
	chdir $here or die "chdir: $!";

	$new->start;
	is($new->safe_psql('postgres', $catalogue), $before, "$mode: names, files, owners, rights and options are kept");
	is($new->safe_psql('postgres', $layouts), $laid_out, "$mode: values lie as they lay");
	same_store($new, $_, $values{$_}, $mode) for @stores;
	is($new->safe_psql('postgres', q[
			SELECT count(*) FROM documents
			 WHERE sha256(toaststore.get('media', content))
			       IS DISTINCT FROM (SELECT sha256(value) FROM media WHERE id = content)
			    OR toaststore.get('media', content) IS NULL]), 0, "$mode: what refers to an id finds its value");
	is($new->safe_psql('postgres', q[
			SET ROLE reader;
			SELECT toaststore.length('media', 1) IS NOT NULL, toaststore.put('media', 'x') IS NOT NULL]), 't|t',
		"$mode: who could read and put still can");

	for my $store (@stores)
	{
		my $most = (sort { $b <=> $a } keys %{ $values{$store} }, $store eq 'emptied' ? 1 << 40 : 0)[0];
		cmp_ok($new->safe_psql('postgres', "SELECT toaststore.put('$store', random_bytes(1, 3000))"), '>', $most,
			"$mode: the ids of $store go on");
		$new->safe_psql('postgres', qq[
			SELECT toaststore.put('$store', random_bytes(n, n * 1000)) FROM generate_series(1, 30) n;
			SELECT toaststore.put_many('$store', array_agg(random_bytes(n, n * 20))) FROM generate_series(1, 200) n;
			SELECT toaststore.delete('$store', id) FROM $store WHERE id % 10 = 4]);
	}
	is($new->safe_psql('postgres', q[
			SELECT toaststore.put(store, convert_to(repeat('much the same ', 3000), 'UTF8')) IS NOT NULL
			  FROM unnest(ARRAY['"Other Schema"."Tuned"', 'empty']::regclass[]) store;
			SELECT layout, compression, chunks FROM toaststore.info('"Other Schema"."Tuned"',
			    (SELECT max(id) FROM "Other Schema"."Tuned"));
			SELECT layout, compression, chunks FROM toaststore.info('empty', (SELECT max(id) FROM empty))]),
		"t\nt\nchunked|zstd|6\nchunked|none|6", "$mode: options are obeyed");
	my %after = map { $_ => digests($new, $_) } @stores;
	for my $store (@stores)
	{
		my @kept = grep { ($after{$store}{$_} // '') eq $values{$store}{$_} } keys %{ $values{$store} };
		is(scalar(@kept), scalar(grep { $_ % 10 != 4 } keys %{ $values{$store} }),
			"$mode: what is put in $store takes the place of nothing");
	}
	# Logged as ever.
	$new->stop('immediate');
	$new->start;
	same_store($new, $_, $_ eq 'unlogged' ? {} : $after{$_}, "$mode, after a crash") for @stores;
	is($new->safe_psql('postgres', q[SELECT toaststore.put('unlogged', random_bytes(1, 5000))]), 1,
		"$mode: an unlogged store is empty after a crash, and usable");
	$new->stop;
	command_ok([ 'pg_checksums', '--check', '-D', $new->data_dir ], "$mode: every checksum is right");
	return;
}

upgrade('copy');
# The old cluster's files become the new one's.
upgrade('link');

done_testing();
