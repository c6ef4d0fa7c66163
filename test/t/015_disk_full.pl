# Where the disk is full a put fails with disk_full and its transaction rolls back: everything else
# is there, can be read and is sound, before and after a crash, and with space again puts go on. A
# file system without fallocate() gets zeros.
#
# The disk is played by a library (disk.c) that is preloaded into the server: that needs no rights.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $long = $ENV{TOASTSTORE_LONG};

my $node = PostgreSQL::Test::Cluster->new('disk');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
wal_level = replica
log_statement = none
log_min_error_statement = panic
autovacuum = off
]);

my ($library, $faults) = ($node->basedir . '/disk.so', $node->basedir . '/faults');
mkdir $faults or die "$faults: $!";
if (system('cc', '-shared', '-fPIC', '-o', $library, "$ENV{TESTDIR}/t/disk.c") != 0)
{
	plan skip_all => 'no C compiler';
}

sub start
{
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{DISK_FAULTS} = $faults;
	$node->start;
	return;
}

# What is wrong with the disk from now on: full (after so many growths), partly, no_fallocate.
sub disk
{
	my (%wrong) = @_;
	unlink glob("$faults/*");
	# The file that names the fault comes last.
	for my $name (reverse sort keys %wrong)
	{
		open(my $handle, '>', "$faults/$name") or die "$name: $!";
		print $handle 'x' x $wrong{$name};
		close $handle;
	}
	return;
}

# The SQLSTATE that statements end with; 00000 where all goes well.
sub state_of
{
	my ($sql) = @_;
	my ($status, undef, $errors) =
	  $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	return $errors =~ /ERROR:  (\w+)/ ? $1 : $status == 0 ? '00000' : "status $status";
}

start();
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore; CREATE TABLE plain (bytes bytea)');
# Bytes that do not compress: parts of a file, which begin at a byte of one's choice.
my $bytes = random_bytes(1, 1000003) x 4;
write_repeated($node->basedir . '/bytes', $bytes, length($bytes));
$node->safe_psql('postgres', "CREATE FUNCTION part(start int, bytes int) RETURNS bytea LANGUAGE sql AS"
	  . " \$\$ SELECT pg_read_binary_file('" . $node->basedir . "/bytes', start, bytes) \$\$");

my $fill = q[
	SELECT toaststore.put('%1$s', part(n, n * n * n)) FROM generate_series(1, 40) n;
	SELECT toaststore.delete('%1$s', 7)];
sub new_store
{
	my ($name) = @_;
	$node->safe_psql('postgres', "SELECT toaststore.create_store('$name');" . sprintf($fill, $name));
	return digests($node, $name);
}

# The store is sound, and holds what it held.
sub unharmed
{
	my ($store, $expected, $when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(verify_store($node, $store), '', "$when: the store is sound");
	is_deeply(digests($node, $store), $expected, "$when: and holds what it held");
	return;
}

# The library does what it is there for.
disk(full => 0);
is(state_of(q[INSERT INTO plain SELECT part(n, 1000) FROM generate_series(1, 20) n]), '53100',
	'the disk is full for a plain table');
disk();
is(state_of(q[INSERT INTO plain SELECT part(n, 1000) FROM generate_series(1, 20) n]), '00000', 'or is not');

# -------------------------------------------------------------------------------------------------
# What does not fit fails, and nothing else.

my %writes = (
	put => q[SELECT toaststore.put('%s', part(1, 3000000))],
	put_many => q[SELECT toaststore.put_many('%s', array_agg(part(n, 30000))) FROM generate_series(1, 100) n],
	insert => q[INSERT INTO %s SELECT n + 1000, part(n, 30000) FROM generate_series(1, 100) n],
	rewrite => q[VACUUM FULL %s]);

for my $wrong ({ full => 0 }, { full => 0, partly => 1 }, { full => 0, no_fallocate => 1 })
{
	my $how = join(', ', sort keys %$wrong);
	my $store = join('_', 'media', sort keys %$wrong);
	my $held = new_store($store);
	for my $name (sort keys %writes)
	{
		my $sql = sprintf($writes{$name}, $store);
		disk(%$wrong);
		is(state_of($sql), '53100', "$name, $how: it fails with disk_full");
		unharmed($store, $held, "$name, $how");
		is($node->safe_psql('postgres', "BEGIN; SELECT toaststore.delete('$store', 3); ROLLBACK"), 't',
			"$name, $how: a value can be deleted meanwhile");
		disk();
		is(state_of($sql), '00000', "$name, $how: with space again it works");
		$held = digests($node, $store);
		is(verify_store($node, $store), '', "$name, $how: and leaves the store sound");
	}
	is($node->safe_psql('postgres', "SELECT pg_relation_size('$store') % 8192"),
		0, "$how: the file has whole pages");
}

my (undef, undef, $errors) = do {
	disk(full => 0);
	$node->psql('postgres', sprintf($writes{put}, 'media_full'));
};
like($errors,
	qr/could not extend file "base\S+" by \d+ blocks: No space left on device\s+HINT:  Check free disk space\./,
	'the error says what to do');
disk();

# -------------------------------------------------------------------------------------------------
# The disk fills up at each growth of the file in turn, from an empty store on.

my $work = q[
	BEGIN;
	SELECT toaststore.put('%1$s', part(n, n * 11)) FROM generate_series(1, 300) n;
	SELECT toaststore.delete('%1$s', id) FROM %1$s WHERE id %% 7 = 0;
	SELECT toaststore.put('%1$s', part(1, 400000));
	INSERT INTO %1$s SELECT n::bigint << 33, 'far' FROM generate_series(1, 300) n;
	COMMIT];
for my $no_fallocate ([], [ no_fallocate => 1 ])
{
	my ($growths, $failures, @wrong) = (0, 0);
	for (;; $growths += @$no_fallocate ? 11 : 1)
	{
		my $store = "growing_$growths";
		$node->safe_psql('postgres', "SELECT toaststore.create_store('$store')");
		disk(full => $growths, @$no_fallocate);
		my $state = state_of(sprintf($work, $store));
		disk(@$no_fallocate);
		push @wrong, "$growths: $state" if $state !~ /^(00000|53100)$/;
		my $count = $node->safe_psql('postgres', "SELECT count(*) FROM $store");
		push @wrong, "$growths: $count values" if $state eq '53100' && $count != 0;
		push @wrong, "$growths: " . verify_store($node, $store) if verify_store($node, $store) ne '';
		push @wrong, "$growths: it does not go on" if state_of(sprintf($fill, $store)) ne '00000';
		push @wrong, "$growths: afterwards " . verify_store($node, $store) if verify_store($node, $store) ne '';
		$node->safe_psql('postgres', "DROP TABLE $store");
		last if $state ne '53100';
		$failures++;
	}
	my $how = @$no_fallocate ? ', without fallocate()' : '';
	is(join("\n", @wrong), '', "nothing is wrong where one of $failures growths fails$how");
	cmp_ok($failures, '>', 5, 'there were several');
}
disk();

# -------------------------------------------------------------------------------------------------
# VACUUM needs space before it makes some: for copies, where no extent is free, and for what it notes.
# It fails at each growth of the file in turn, loses nothing, and comes to its end with space again. A
# VACUUM that finds room within the file needs none.

sub mostly_dead
{
	my ($store) = @_;
	$node->safe_psql('postgres', qq[
		SELECT toaststore.create_store('$store', compression => 'none');
		SELECT toaststore.put('$store', part(n, 9000)) FROM generate_series(1, 1200) n;
		DELETE FROM $store WHERE id % 5 > 1]);
	return;
}
my ($growths, $failures, @wrong) = (0, 0);
for (;; $growths++)
{
	my $store = "vacuumed_$growths";
	mostly_dead($store);
	my $before = digests($node, $store);
	disk(full => $growths);
	my $state = state_of("VACUUM $store");
	disk();
	push @wrong, "$growths: $state" if $state !~ /^(00000|53100)$/;
	same_store($node, $store, $before, "growth $growths");
	push @wrong, "$growths: it does not go on" if state_of("VACUUM $store") ne '00000';
	same_store($node, $store, $before, "growth $growths, after another VACUUM");
	push @wrong, "$growths: something is left to be done"
	  if $node->safe_psql('postgres', q[
		SELECT count(*) FROM toaststore.stat_stores
		 WHERE store::text ~ 'vacuumed' AND (unprocessed_changes > 0 OR dead_bytes > live_bytes)]) ne '0';
	$node->safe_psql('postgres', "DROP TABLE $store");
	last if $state ne '53100';
	$failures++;
}
is(join("\n", @wrong), '', "nothing is wrong where VACUUM does not get one of $failures growths");
cmp_ok($failures, '>', 0, 'there were some');

mostly_dead('roomy');
$node->safe_psql('postgres', 'DELETE FROM roomy WHERE id < 300');
disk(full => 0);
is(state_of('VACUUM roomy'), '00000', 'VACUUM makes room of its own on a full disk');
is($node->safe_psql('postgres', q[SELECT pg_relation_size('roomy') < 10000000]), 't', 'and gives it back');
disk();
is(verify_store($node, 'roomy'), '', 'in a sound store');

# -------------------------------------------------------------------------------------------------
# Puts go on until nothing fits. What was put stays, also when the server then crashes.

$node->safe_psql('postgres', q[
	CREATE FUNCTION fill_up(store regclass) RETURNS TABLE (n int, id bigint) LANGUAGE plpgsql AS $$
	DECLARE
	    failures int := 0;
	BEGIN
	    FOR n IN 1 .. 100000 LOOP
	        BEGIN
	            RETURN QUERY SELECT n, toaststore.put(store, part(n, 500));
	        EXCEPTION WHEN disk_full THEN
	            failures := failures + 1;
	            EXIT WHEN failures = 3;
	        END;
	    END LOOP;
	END $$]);
# Recovery must not have to write files again that are gone by now.
$node->safe_psql('postgres', 'CHECKPOINT');
my $held = new_store('brim');
disk(full => 0, partly => 1);
my @put = split /\n/, $node->safe_psql('postgres', q[SELECT n, id FROM fill_up('brim')]);
cmp_ok(scalar(@put), '>', 0, @put . ' values fitted');
for (@put)
{
	my ($n, $id) = split /\|/;
	$held->{$id} = sha256_hex(substr($bytes, $n, 500));
}
unharmed('brim', $held, 'on a full disk');
$node->stop('immediate');
# But for the three pages of a free space map, which core's redo of heap pages begins.
disk(full => 3);
start();
unharmed('brim', $held, 'after a crash on a full disk');
is(state_of(q[SELECT toaststore.put('brim', part(1, 3000000))]), '53100', 'it is still full');
disk();
is(state_of(sprintf($fill, 'brim')), '00000', 'with space again puts go on');
$node->stop('immediate');
start();
is(scalar(keys %{ digests($node, 'brim') }), keys(%$held) + 40, 'and outlive a crash');
is(verify_store($node, 'brim'), '', 'in a sound store');

# -------------------------------------------------------------------------------------------------
# Without fallocate() everything works.

disk(no_fallocate => 1);
$held = new_store('zeros');
my $size = $node->safe_psql('postgres', q[SELECT pg_relation_size('zeros')]);
cmp_ok($size, '>', 500000, 'a file grows without fallocate()');
is($size % 8192, 0, 'by whole pages');
unharmed('zeros', $held, 'without fallocate()');
if ($long)
{
	# Across the border of the file's segments.
	$node->safe_psql('postgres', q[
		SELECT toaststore.alter_store('zeros', 'none');
		SELECT toaststore.put('zeros', part(n, 1000000)) FROM generate_series(1, 1200) n;
		DELETE FROM zeros WHERE id > 1000]);
	cmp_ok($node->safe_psql('postgres', q[SELECT pg_relation_size('zeros')]), '>', 1 << 30, 'also beyond 1 GB');
	$held = digests($node, 'zeros');
	unharmed('zeros', $held, 'beyond 1 GB');
}
$node->stop('immediate');
start();
unharmed('zeros', $held, 'after a crash');

# -------------------------------------------------------------------------------------------------
# A limit on the size of files (ulimit -f), which the kernel sets: an error of the put, not the end
# of the session.

disk();
$held = new_store('limited');
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query_safe('SELECT pg_backend_pid()');
# More than a segment of the log has.
system('prlimit', '--pid', $pid, '--fsize=' . (20 << 20) . ':') == 0 or die 'prlimit failed';
$session->query(q[SELECT toaststore.put('limited', part(n, 1000000)) FROM generate_series(1, 30) n]);
like($session->{stderr}, qr/ERROR:  could not extend file .*: File too large/, 'a file that may not grow is an error');
$session->{stderr} = '';
is($session->query('SELECT 42'), 42, 'and the session goes on');
$session->quit;
unharmed('limited', $held, 'after it');
is(state_of(q[SELECT toaststore.put('limited', part(n, 1000000)) FROM generate_series(1, 30) n]),
	'00000', 'without the limit it works');
is(verify_store($node, 'limited'), '', 'and leaves the store sound');

unlike(slurp_file($node->logfile), qr/PANIC|is corrupted/, 'nothing in the log speaks of damage');
$node->stop;
done_testing();
