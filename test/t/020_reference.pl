# docs/reference.md says what there is: its signatures are the catalog's, each function raises the
# errors listed for it, and the SQL commands in its tables do what the tables say.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $reference = slurp_file('docs/reference.md');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
create_random_bytes($node);
$node->safe_psql('postgres', q[
	CREATE EXTENSION toaststore;
	CREATE TABLE plain (id bigint, value bytea);
	CREATE ROLE stranger;
	CREATE SCHEMA closed;
	SELECT toaststore.create_map('map');
	SELECT toaststore.create_store('guarded');
	ALTER TABLE guarded ADD CHECK (id < 1000);
	SELECT toaststore.create_store('secured');
	GRANT ALL ON secured TO stranger;
	ALTER TABLE secured ENABLE ROW LEVEL SECURITY]);

# Makes the store media with values 1 to 3, and nothing of what a command before has made.
sub fresh_media
{
	$node->safe_psql('postgres', q[
		SET client_min_messages = warning;
		DROP TABLE IF EXISTS media, renamed, copy_of_it, another, child, scratch;
		SELECT toaststore.create_store('media', compression => 'none');
		INSERT INTO media (value)
		SELECT random_bytes(n, n * 10000) FROM generate_series(1, 3) n]);
	return;
}

# SQLSTATE of the error that a statement raises, or nothing.
sub sqlstate_of
{
	my ($sql, $settings) = @_;
	my (undef, undef, $errors) =
	  $node->psql('postgres', "\\set VERBOSITY sqlstate\n" . ($settings // '') . "\n$sql;");
	return $errors =~ /ERROR:  ([0-9A-Z]{5})/ ? $1 : $errors;
}

fresh_media();

# --- signatures ------------------------------------------------------------------------------------

my @documented;
while ($reference =~ /^```\n((?:[A-Z]+ )+toaststore.*?)^```$/msg)
{
	push @documented, $1 =~ s/\s+/ /gr =~ s/ $//r;
}
my @catalog = split /\n/, $node->safe_psql('postgres', q[
	LOAD 'toaststore';
	SELECT CASE classid
	       WHEN 'pg_proc'::regclass THEN
	         (SELECT format('%s %s(%s)%s %s%s PARALLEL %s',
	                        CASE prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END,
	                        oid::regproc, pg_get_function_arguments(oid),
	                        ' RETURNS ' || pg_get_function_result(oid),
	                        CASE provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
	                        CASE WHEN proisstrict THEN ' STRICT' END,
	                        CASE proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END)
	            FROM pg_proc WHERE oid = objid)
	       WHEN 'pg_am'::regclass THEN
	         (SELECT format('ACCESS METHOD %s TYPE %s HANDLER %s', amname,
	                        CASE amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END, amhandler)
	            FROM pg_am WHERE oid = objid)
	       WHEN 'pg_event_trigger'::regclass THEN (SELECT 'EVENT TRIGGER ' || evtname FROM pg_event_trigger WHERE oid = objid)
	       WHEN 'pg_namespace'::regclass THEN 'SCHEMA ' || objid::regnamespace
	       WHEN 'pg_class'::regclass THEN
	         (SELECT format('%s %s (%s)', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'RELATION' END, objid::regclass,
	                        (SELECT string_agg(format('%s %s', attname, format_type(atttypid, atttypmod)), ', '
	                                           ORDER BY attnum)
	                           FROM pg_attribute WHERE attrelid = objid AND attnum > 0 AND NOT attisdropped))
	            FROM pg_class WHERE oid = objid)
	       ELSE pg_describe_object(classid, objid, objsubid)
	       END
	  FROM pg_depend
	 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'toaststore')
	UNION ALL
	SELECT format('SETTING %s %s DEFAULT %L CONTEXT %s', name, vartype, boot_val, context)
	  FROM pg_settings WHERE name LIKE 'toaststore.%']);
cmp_ok(scalar(@catalog), '>', 10, 'there is something to document');
is_deeply([ sort @documented ], [ sort @catalog ], 'what is documented is what is there');

# --- errors ----------------------------------------------------------------------------------------

# How each function is called on a store.
my %call = (
	alter_store => q['STORE', 'lz4'],
	put => q['STORE', 'x'],
	put_many => q['STORE', ARRAY['x']::bytea[]],
	get => q['STORE', 1],
	get_slice => q['STORE', 1, 0, 1],
	length => q['STORE', 1],
	delete => q['STORE', 1],
	info => q['STORE', 1],
	removable => q['STORE'],
	compact => q['STORE'],
	checkpoint => q['STORE'],
	verify => q['STORE']);
my %map_call = (
	map_set => q['MAP', 'k', 'x'],
	map_set_many => q['MAP', ARRAY['k'], ARRAY['x']::bytea[]],
	map_get => q['MAP', 'k'],
	map_delete => q['MAP', 'k'],
	map_scan => q['MAP']);
my @procedures = ('compact', 'checkpoint');
my @of_owner = ('alter_store', 'removable', 'verify', @procedures);
my @changing = ('put', 'put_many', 'delete');
my @of_values = grep { my $name = $_; !grep { $_ eq $name } @of_owner } keys %call;

sub call_on
{
	my ($function, $store) = @_;
	my $verb = (grep { $_ eq $function } @procedures) ? 'CALL' : 'SELECT';
	return "$verb toaststore.$function(" . $call{$function} =~ s/STORE/$store/r . ')';
}

sub each_on_map
{
	my ($map, @functions) = @_;
	return map { "SELECT toaststore.$_(" . $map_call{$_} =~ s/MAP/$map/r . ')' } @functions;
}

sub each_on
{
	my ($store, @functions) = @_;
	return map { call_on($_, $store) } @functions;
}

# Statements that raise each error, by heading and SQLSTATE. "STRANGER" begins those of somebody
# without rights, "READ" those in a read-only transaction, "SNAPSHOT" those that come too late.
my %raises = (
	create_store => {
		22023 => [ q[SELECT toaststore.create_store('a', direct_max => 8001)],
			q[SELECT toaststore.create_store('a', extent_max => 4095)],
			q[SELECT toaststore.create_store('a', extent_max => 262145)],
			q[SELECT toaststore.create_store('a', chunk_bytes => 8191)],
			q[SELECT toaststore.create_store('a', chunk_bytes => 262145)],
			q[SELECT toaststore.create_store('a', compression => 'zstd:20')],
			q[SELECT toaststore.create_store('a', compression => 'lz4:1')] ],
		'42P07' => [q[SELECT toaststore.create_store('plain')]],
		'3F000' => [q[SELECT toaststore.create_store('nowhere.a')]],
		42602 => [ q[SELECT toaststore.create_store('')], q[SELECT toaststore.create_store('a b')] ],
		'0A000' => [q[SELECT toaststore.create_store('elsewhere.public.a')]],
		42501 => [q[STRANGER SELECT toaststore.create_store('closed.a')]],
		25006 => [q[READ SELECT toaststore.create_store('a')]] },
	alter_store => {
		22023 => [ q[SELECT toaststore.alter_store('media', 'none:1')], q[SELECT toaststore.alter_store('media', chunk_bytes => 1)] ],
		42809 => [ q[CREATE TABLE narrow (id int) USING toaststore; SELECT toaststore.alter_store('narrow', 'lz4')],
			q[CREATE MATERIALIZED VIEW shown USING toaststore AS SELECT ''::text AS body; SELECT toaststore.alter_store('shown', 'lz4')] ],
		'42P16' => [q[CREATE TABLE parted (id int, body text, CONSTRAINT toaststore_options CHECK (toaststore.options(0, 0, 8192, 'lz4'))) PARTITION BY LIST (id);
			CREATE TABLE part PARTITION OF parted DEFAULT USING toaststore; SELECT toaststore.alter_store('part', 'lz4')]],
		25006 => [q[READ SELECT toaststore.alter_store('media', 'none')]] },
	create_map => {
		'42P07' => [q[SELECT toaststore.create_map('plain')]],
		'3F000' => [q[SELECT toaststore.create_map('nowhere.a')]],
		42602 => [ q[SELECT toaststore.create_map('')], q[SELECT toaststore.create_map('a b')] ],
		'0A000' => [q[SELECT toaststore.create_map('elsewhere.public.a')]],
		42501 => [q[STRANGER SELECT toaststore.create_map('closed.a')]],
		25006 => [q[READ SELECT toaststore.create_map('a')]] },
	map_set_many => {
		'2202E' => [q[SELECT toaststore.map_set_many('map', ARRAY['a', 'b'], ARRAY['x']::bytea[])]],
		23502 => [ q[SELECT toaststore.map_set_many('map', ARRAY['a', NULL], ARRAY['x', 'y']::bytea[])],
			q[SELECT toaststore.map_set_many('map', ARRAY['a', 'b'], ARRAY['x', NULL]::bytea[])] ] },
	estimate => {
		22023 => [ q[SELECT toaststore.estimate('plain', 0)], q[SELECT toaststore.estimate('plain', 1, 'gzip')] ],
		'42P01' => [q[SELECT toaststore.estimate('missing')]],
		42809 => [ q[SELECT toaststore.estimate('pg_stats')], q[SELECT toaststore.estimate('map_pkey')] ],
		42501 => [q[STRANGER SELECT toaststore.estimate('plain')]] },
	'Errors of maps' => {
		'42P01' => [ each_on_map('missing', keys %map_call) ],
		42809 => [ each_on_map('plain', keys %map_call) ],
		42501 => [ map { "STRANGER $_" } each_on_map('map', keys %map_call) ] },
	'Errors of changes of maps' => {
		25006 => [ map { "READ $_" } each_on_map('map', 'map_set', 'map_set_many', 'map_delete') ] },
	compact => {
		25001 => [ q[BEGIN; CALL toaststore.compact('media')] ],
		25006 => [q[READ CALL toaststore.compact('media')]],
		55006 => [ q[DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM media LOOP CALL toaststore.compact('media'); END LOOP; END $$] ] },
	checkpoint => {
		25001 => [ q[BEGIN; CALL toaststore.checkpoint('media')] ],
		25006 => [q[READ CALL toaststore.checkpoint('media')]],
		55006 => [ q[DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM media LOOP CALL toaststore.checkpoint('media'); END LOOP; END $$] ] },
	options => { 22023 => [q[SELECT toaststore.options(1, 0, 65536, 'lz4')]] },
	put_many => { 22004 => [q[SELECT toaststore.put_many('media', ARRAY['x', NULL]::bytea[])]] },
	get_slice => {
		22023 => [ q[SELECT toaststore.get_slice('media', 1, -1, 1)],
			q[SELECT toaststore.get_slice('media', 1, 1, -1)] ] },
	delete => { 40001 => [q[SNAPSHOT SELECT toaststore.delete('media', 1)]] },
	'Errors of any store' => {
		'42P01' => [ each_on('missing', keys %call) ],
		42809 => [ each_on('plain', keys %call) ],
		42501 => [ map { "STRANGER $_" } each_on('media', keys %call) ] },
	'Errors of the values' => {
		'0A000' => [ map { "STRANGER $_" } each_on('secured', @of_values) ] },
	'Errors of changes' => {
		'0A000' => [ each_on('guarded', @changing) ],
		25006 => [ map { "READ $_" } each_on('media', @changing) ] });

sub state_of_statement
{
	my ($statement) = @_;
	return sqlstate_of($statement, 'SET ROLE stranger;') if $statement =~ s/^STRANGER //;
	return sqlstate_of($statement, 'SET default_transaction_read_only = on;') if $statement =~ s/^READ //;
	return sqlstate_of($statement) if $statement !~ s/^SNAPSHOT //;
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM media');
	$node->safe_psql('postgres', $statement);
	my $state = $session->query("\\set ON_ERROR_STOP 0\n$statement;\n\\echo :SQLSTATE");
	$session->quit;
	return $state =~ /([0-9A-Z]{5})\s*$/ ? $1 : $state;
}

my %listed;
my $heading = '';
for (split /\n/, $reference)
{
	$heading = $1 if /^#+ (.*)/;
	$listed{$heading}{$1} = 1 if /^\| ([0-9A-Z]{5}) \|/;
}
is_deeply({ map { $_ => [ sort keys %{ $listed{$_} } ] } keys %listed },
	{ map { $_ => [ sort keys %{ $raises{$_} } ] } keys %raises },
	'each error that is listed is one that is tried');
for my $of (sort keys %raises)
{
	for my $state (sort keys %{ $raises{$of} })
	{
		my @wrong = grep { state_of_statement($_) ne $state } @{ $raises{$of}{$state} };
		is("@wrong", '', "$of: $state");
	}
}

# --- SQL commands ----------------------------------------------------------------------------------

my ($commands) = $reference =~ /^## SQL commands on a store\n(.*?)^## /ms;
my $commands_run = 0;
while ($commands =~ /^\| `(.*?[^\\])` \|(?: ([0-9A-Z]{5}) \|)?/mg)
{
	my ($command, $state) = ($1 =~ s/\\\|/|/gr, $2 // '');
	fresh_media();
	is(sqlstate_of($command), $state, ($state eq '' ? 'works' : $state) . ": $command");
	$commands_run++;
}
cmp_ok($commands_run, '>', 30, 'the tables of commands were found');

fresh_media();
is(sqlstate_of('CREATE TABLE unmade (id int, value bytea) USING toaststore_values'), '42P16', 'other columns');
is(sqlstate_of('ALTER TABLE media ALTER id SET NOT NULL'), '', 'an id that is NOT NULL');
is(sqlstate_of(q[INSERT INTO media (value) VALUES ('x')]), '23502', 'has to be given to INSERT');
is(sqlstate_of(q[SELECT toaststore.put('media', 'x')]), '', 'and not to put');
is(sqlstate_of(q[INSERT INTO guarded (value) VALUES ('x')]), '23502', 'nor is it known to a CHECK constraint');
is(sqlstate_of(q[CREATE EXTENSION IF NOT EXISTS toaststore; DROP EXTENSION toaststore]),
	'2BP01', 'stores keep the extension from being dropped');
is(sqlstate_of(q[SET toaststore.stop_at = 'nowhere:error'], q[LOAD 'toaststore';]), '22023', 'a wrong stop point');
is(sqlstate_of(q[SET toaststore.other = 1], q[LOAD 'toaststore';]), '42602', 'a setting that is none');

done_testing();
