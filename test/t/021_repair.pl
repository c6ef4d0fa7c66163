# The SQL of docs/operations.md does what it says there. Then a byte of a value goes bad on disk: the
# value is found, taken from a standby, put back, and the damage written out of the file, as that page
# says. Nobody is given wrong bytes meanwhile, not even where ignore_checksum_failure lets the page in.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
$primary->append_conf('postgresql.conf', q[
autovacuum = off
log_statement = none
wal_keep_size = 256MB
]);
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($primary);
# Stored as they are: no codec would notice.
$primary->safe_psql('postgres', q[
	SELECT toaststore.create_store('media', compression => 'none');
	SELECT toaststore.put('media', random_bytes(n, 20000)) FROM generate_series(1, 100) n]);
my $before = digests($primary, 'media');

# All blocks of SQL on that page, in their order.
$primary->safe_psql('postgres', q[
	CREATE TABLE document (name text PRIMARY KEY, content bigint NOT NULL);
	INSERT INTO document SELECT 'document ' || id, id FROM media;
	CREATE TABLE old_docs AS SELECT id, value FROM media]);
$primary->safe_psql('postgres', 'CREATE DATABASE mydb');
my @blocks = slurp_file('docs/operations.md') =~ /^```sql\n(.*?)^```$/msg;
cmp_ok(scalar(@blocks), '>=', 9, 'there is SQL in docs/operations.md');
is(join('', map { ($primary->psql('postgres', $_, on_error_stop => 1))[2] } @blocks), '', 'all of it runs');
is_deeply(digests($primary, 'media'), $before, 'and leaves the values as they were');
is_deeply(digests($primary, 'media_saved'), $before, 'or saves them all');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM media_lost'), 0, 'with none lost');
is($primary->safe_psql('postgres', q[SELECT encode(sha256(document_content('document 7')), 'hex')]),
	$before->{7}, 'the function with rights of its own reads a value');
my ($saving) = grep { /media_saved/ } @blocks;
$primary->safe_psql('postgres', 'DROP TABLE media_saved, media_lost');

$primary->backup('start');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'start', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

# One bit in the middle of value 42.
my $file = $primary->data_dir . '/'
  . $primary->safe_psql('postgres', q[SELECT pg_relation_filepath('media')]);
$primary->stop;
my $bytes = slurp_file($file);
my $place = index($bytes, substr(random_bytes(42, 20000), 10000, 64));
cmp_ok($place, '>', 0, 'the value is in the file');
open(my $handle, '+<:raw', $file) or die "could not open $file: $!";
seek($handle, $place, 0);
print $handle chr(ord(substr($bytes, $place, 1)) ^ 16);
close($handle);
$primary->start;

# SQLSTATE and message of what a statement fails with.
sub error_of
{
	my ($sql, $settings) = @_;
	my (undef, undef, $errors) =
	  $primary->psql('postgres', "\\set VERBOSITY verbose\n$settings;\n$sql;");
	return $errors;
}

my $block = int($place / 8192);
like(error_of(q[SELECT toaststore.get('media', 42)], ''),
	qr/ERROR:  XX001: invalid page in block $block /, 'the server refuses the page');
like(error_of(q[SELECT * FROM toaststore.verify('media')], ''),
	qr/ERROR:  XX001: invalid page in block $block /, 'verify stops there, too');

my $ignore = 'SET ignore_checksum_failure = on';
is($primary->safe_psql('postgres', "$ignore; SELECT id, fault FROM toaststore.verify('media')"),
	'42|value bytes do not match their CRC', 'with the checksum ignored, verify names the value');
like(error_of(q[SELECT toaststore.get('media', 42)], $ignore),
	qr/ERROR:  XX001: value 42 of toaststore "media" is corrupted/, 'get refuses the bytes');
like(error_of(q[SELECT toaststore.get_slice('media', 42, 0, 10)], $ignore),
	qr/ERROR:  XX001: value 42 /, 'get_slice refuses them, also elsewhere in the value');
like(error_of(q[SELECT sha256(value) FROM media WHERE id = 42], $ignore),
	qr/ERROR:  XX001: value 42 /, 'SELECT refuses them');
$primary->restart;

$primary->safe_psql('postgres', $saving);
is_deeply([ sort { $a <=> $b } keys %{ digests($primary, 'media_saved') } ],
	[ grep { $_ != 42 } 1 .. 100 ], 'all values but the damaged one can be saved');
like($primary->safe_psql('postgres', 'SELECT id, error FROM media_lost'),
	qr/^42\|invalid page in block $block [^\n]*$/, 'which is named');

# From the standby, as a file.
my $copy = $primary->basedir . '/value';
$standby->safe_psql('postgres',
	"COPY (SELECT 42::bigint, toaststore.get('media', 42)) TO '$copy' (FORMAT binary)");
is($primary->safe_psql('postgres', q[SELECT toaststore.delete('media', 42)]),
	't', 'the damaged value can be deleted');
$primary->safe_psql('postgres', "COPY media FROM '$copy' (FORMAT binary)");
is_deeply(digests($primary, 'media'), $before, 'and put back under its id');
is(verify_store($primary, 'media'), '', 'the store is sound');

# The page is still in the file, and a base backup still finds it.
my @backup = ('pg_basebackup', '--no-sync', '--checkpoint', 'fast',
	'--host', $primary->host, '--port', $primary->port, '--pgdata');
command_fails_like([ @backup, $primary->basedir . '/refused' ],
	qr/checksum verification failed in file "[^"]*", block $block:/,
	'a base backup meets the damaged page');
$primary->safe_psql('postgres', q[ALTER TABLE media ALTER value TYPE bytea USING value || ''::bytea]);
command_ok([ @backup, $primary->basedir . '/taken' ], 'and none once the store is written anew');
is_deeply(digests($primary, 'media'), $before, 'with the same values');
is(verify_store($primary, 'media'), '', 'in a sound store');
$primary->wait_for_catchup($standby);
is_deeply(digests($standby, 'media'), $before, 'on the standby as well');

done_testing();
