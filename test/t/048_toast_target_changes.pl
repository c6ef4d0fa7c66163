# toast_tuple_target is changed while rows are on their way: core judges each row once more, and must
# not come to another result than the access method did before.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $updates = 3000;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);
# The short value fits a row where the target is the usual one, and the long one never.  An index on
# an expression has heap_update() look at the table's indexes.
$node->safe_psql('postgres', q[
CREATE TABLE documents(id int PRIMARY KEY, short bytea, long bytea) USING toaststore;
CREATE INDEX ON documents(md5(short));
ALTER TABLE documents ALTER short SET STORAGE EXTERNAL, ALTER long SET STORAGE EXTERNAL;
INSERT INTO documents SELECT n, random_bytes(n, 1200), random_bytes(n, 5000) FROM generate_series(0, 99) n]);

my $altering = $node->basedir . '/altering.sql';
append_to_file($altering,
	"ALTER TABLE documents SET (toast_tuple_target = 200);\nALTER TABLE documents RESET (toast_tuple_target);\n" x $updates);
my $updating = $node->basedir . '/updating.sql';
append_to_file($updating, join('', map {
	my ($id, $column, $bytes) = ($_ % 100, $_ % 2 ? (short => 1200) : (long => 5000));
	"BEGIN; UPDATE documents SET $column = random_bytes($_, $bytes) WHERE id = $id; COMMIT;\n"
} 1 .. $updates));

my ($altered, $errors) = ('', '');
my $alter = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', $altering ], '>', \my $nothing, '2>', \$altered);
IPC::Run::run([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', $updating ], '>', \$nothing, '2>', \$errors);
$alter->kill_kill;
is($errors, '', 'no row is refused');
is($node->safe_psql('postgres', qq[
SELECT count(*) FROM documents, LATERAL (SELECT $updates - 100 + id + (id = 0)::int * 100 AS last) update
 WHERE short = random_bytes(CASE WHEN id % 2 = 1 THEN last ELSE id END, 1200)
   AND long = random_bytes(CASE WHEN id % 2 = 0 THEN last ELSE id END, 5000)]), 100, 'each is what it was made');
is($node->safe_psql('postgres', "SELECT * FROM toaststore.verify('documents')"), '', 'the store is sound');
$node->stop;

done_testing();
