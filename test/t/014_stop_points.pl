# A backend, or the postmaster, is killed right after each of the steps that operations are made of
# (toaststore.stop_at), and at random ones. What was acknowledged is there with its SHA-256, what
# was not happened not at all, the store is sound, and the same work then succeeds. An error in the
# place of the crash leaves as little behind.
#
# TOASTSTORE_KILL_ROUNDS is how many kills after random steps follow; TOASTSTORE_SEED repeats their
# choice.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Toaststore;

my $rounds = $ENV{TOASTSTORE_KILL_ROUNDS} // 5;
my $choices = srand($ENV{TOASTSTORE_SEED} // time ^ $$);
note("TOASTSTORE_SEED=$choices");

my $node = PostgreSQL::Test::Cluster->new('stop');
$node->init(extra => ['--data-checksums']);
# A killed process leaves its writes to the operating system, so none needs to be synced.
$node->append_conf('postgresql.conf', q[
restart_after_crash = on
fsync = off
shared_buffers = 2MB
max_wal_size = 256MB
log_statement = none
autovacuum = off
allow_in_place_tablespaces = on
]);
$node->start;
$node->safe_psql('postgres', q[CREATE TABLESPACE elsewhere LOCATION '']);
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_random_bytes($node);

my %live;       # id => [seed, length] of the store media: acknowledged
my $free_id;    # one whose deletion was acknowledged
my $seed = 1;

sub new_media
{
	$node->safe_psql('postgres', q[
		DROP TABLE IF EXISTS media;
		SELECT toaststore.create_store('media');
		INSERT INTO media VALUES (1, 'to be deleted');
		DELETE FROM media]);
	%live = ();
	$free_id = 1;
	put_some();
	return;
}

# Values for the rounds to delete.
sub put_some
{
	my @values = map { [ $seed++, 10 + int(rand(9000)) ] } 1 .. 40;
	my $array = join(', ', map { "random_bytes($_->[0], $_->[1])" } @values);
	my @ids = split(/\n/, $node->safe_psql('postgres',
		"SELECT unnest(toaststore.put_many('media', ARRAY[$array]))"));
	$live{ $ids[$_] } = $values[$_] for 0 .. $#values;
	return;
}

# One transaction that takes every step but those that need a full map page, then what only reads
# or copies. What it acknowledges is printed.
sub workload
{
	my ($gone) = @_;
	my @new = map { [ $seed++, $_ ] } (500, 6000, 200_000, 300);
	my $values = join(', ', map { "random_bytes($_->[0], $_->[1])" } @new);
	my $reused = $seed++;
	my $next = $seed++;
	my $script = qq[
		BEGIN;
		SELECT toaststore.create_store('fresh');
		SELECT count(*) FROM toaststore.put_many('fresh',
		    (SELECT array_agg(random_bytes(n, 30)) FROM generate_series(1, 400) n));
		SELECT array_to_string(toaststore.put_many('media', ARRAY[$values]), ' ') AS ids \\gset
		SELECT toaststore.put('media', random_bytes($next, 100)) AS last_id \\gset
		INSERT INTO media VALUES (:last_id + 1, random_bytes($next, 100)) RETURNING id AS own_id \\gset
		INSERT INTO media VALUES (:last_id + 100000, random_bytes($next, 100)) RETURNING id AS far_id \\gset
		SAVEPOINT undone;
		INSERT INTO media VALUES ($free_id, random_bytes($reused, 100));
		ROLLBACK TO undone;
		INSERT INTO media VALUES ($free_id, random_bytes($reused, 5000));
		DELETE FROM media WHERE id = $gone;
		SELECT toaststore.alter_store('media', 'zstd');
		COMMIT;
		\\echo committed :ids :last_id :own_id :far_id $free_id
		SELECT count(*) FROM media WHERE toaststore.get('media', id) IS NULL;
		SELECT * FROM toaststore.verify('media');
		VACUUM FULL media;
		ALTER TABLE media SET TABLESPACE elsewhere;
		ALTER TABLE media SET TABLESPACE pg_default;
		DROP TABLE fresh;
		\\echo all\n];
	return ($script, [ @new, ([ $next, 100 ]) x 3, [ $reused, 5000 ] ]);
}

# Runs a script in a session that stops at a place; returns what it printed and its errors.
sub run_until
{
	my ($stop_at, $script) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<' => \"SET toaststore.stop_at = '$stop_at';\n$script", '>' => \$out, '2>' => \$err);
	return ($out, $err);
}

# The workload up to a stop; returns what is wrong afterwards, '' if nothing is, and whether the
# stop was reached.
sub round
{
	my ($stop_at) = @_;
	my ($gone) = sort { $a <=> $b } grep { $_ != $free_id } keys %live;
	my ($script, $does) = workload($gone);
	my ($out, $err) = run_until($stop_at, $script);
	my $reached = $out !~ /^all$/m;
	my $crashed = $stop_at =~ /:kill/ && $reached;
	my $wrong = '';
	if ($crashed)
	{
		$wrong .= " not a crash: $err" if $err !~ /server closed the connection|connection to server was lost/;
		start_again($node) if $stop_at =~ /kill_postmaster/;
		wait_until_up($node);
	}
	elsif ($reached && $err !~ /ERROR:  stopped at/) { $wrong .= " not stopped: $err"; }

	if ($out =~ /^committed (.*)$/m)
	{
		my @ids = split(' ', $1);
		$live{ $ids[$_] } = $does->[$_] for 0 .. $#ids;
		delete $live{$gone};
		$free_id = $gone;
	}
	my %expected = map { $_ => sha256_hex(random_bytes(@{ $live{$_} })) } keys %live;
	my $there = digests($node, 'media');
	my %ids = (%expected, %$there);
	for my $id (sort { $a <=> $b } keys %ids)
	{
		$wrong .= " id $id" if ($expected{$id} // 'none') ne ($there->{$id} // 'none');
	}
	$wrong .= ' ' . verify_store($node, 'media');
	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS fresh');
	return ($wrong =~ s/^ +| +$//gr, $reached);
}

# The setting itself knows all the steps.
my (undef, undef, $hint) = $node->psql('postgres', q[
	SELECT toaststore.version(); SET toaststore.stop_at = 'nowhere:kill']);
my ($list) = $hint =~ /Steps are: (.*)\./;
my @steps = split(/, /, $list // '');
cmp_ok(scalar(@steps), '>=', 20, 'the steps are known');
# Looking after a store takes these: see 022_upkeep_stop_points.pl.
my %later = map { $_ => 1 } qw(remove_entry absorb_page clean_leaf consume_journal
	unlink_chain_page charge_dead count_extent move_value drop_copy clean count_page move_run trim_lane
	free_extent move_page unlink_moved drop_map_page note_upkeep give_back);
my %apart = map { $_ => 1 } qw(grow_map);

new_media();
my $number = 0;
for my $step (grep { !$later{$_} && !$apart{$_} } @steps)
{
	put_some() if keys %live < 30;
	my ($wrong, $reached) = round("$step:error");
	is($wrong, '', "an error after $step leaves nothing behind");
	ok($reached, "$step was reached");
	my @actions = $rounds >= 100 ? qw(kill kill_postmaster) : (qw(kill kill_postmaster))[ $number++ % 2 ];
	for my $action (@actions)
	{
		($wrong, $reached) = round("$step:$action");
		is($wrong, '', "$action after $step: all that was acknowledged, and nothing else");
		ok($reached, "$step was reached");
	}
	# The place is free for the same work again.
	($wrong, $reached) = round("$step:error:1000000");
	is($wrong, '', "the same work succeeds after $step");
	ok(!$reached, 'to its end');
}

# A store whose first map page is nearly full: 254 extents are 190 MB.
for my $action ($rounds >= 100 ? qw(error kill kill_postmaster) : 'kill')
{
	$node->safe_psql('postgres', q[
		SELECT toaststore.create_store('big', compression => 'none');
		DO $$
		DECLARE
		    large bytea := decode(repeat('ab', 8000000), 'hex');
		BEGIN
		    WHILE pg_relation_size('big') < 185000000 LOOP
		        PERFORM toaststore.put('big', large);
		        COMMIT;
		    END LOOP;
		END
		$$]);
	my $count = $node->safe_psql('postgres', 'SELECT count(*), max(id) FROM big');
	my $put = q[SELECT toaststore.put('big', decode(repeat('cd', 32000000), 'hex'));];
	run_until("grow_map:$action", $put);
	start_again($node) if $action eq 'kill_postmaster';
	wait_until_up($node);
	is($node->safe_psql('postgres', 'SELECT count(*), max(id) FROM big'), $count,
		"$action after grow_map: the put is gone");
	is(verify_store($node, 'big'), '', 'and the store is sound');
	$node->safe_psql('postgres', $put);
	is(verify_store($node, 'big'), '', 'the same put succeeds across the border of the map page');
	$node->safe_psql('postgres', 'DROP TABLE big');
}

my (@wrong, %most);
my @stops = grep { !$later{$_} && !$apart{$_} } @steps;
my ($tries, $kills) = (0, 0);
while ($kills < $rounds)
{
	new_media() if $tries++ % 40 == 0;
	put_some() if keys %live < 30;
	if (rand() < 0.1)
	{
		my $full_page_writes = rand() < 0.5 ? 'on' : 'off';
		$node->safe_psql('postgres', "ALTER SYSTEM SET full_page_writes = $full_page_writes");
		$node->reload;
	}
	# How often the workload takes a step is learned.
	my $step = $stops[ rand @stops ];
	my $skip = int(rand($most{$step} // 40));
	my $stop_at = join(':', $step, rand() < 0.3 ? 'kill_postmaster' : 'kill', $skip);
	my ($wrong, $reached) = round($stop_at);
	if ($reached) { $kills++; }
	else { $most{$step} = $skip; }
	push @wrong, "try $tries, $stop_at: $wrong" if $wrong ne '';
}
is(join("\n", @wrong), '', "killed $kills times after random steps");
unlike(slurp_file($node->logfile), qr/PANIC|is corrupted/, 'nothing in the log speaks of damage');

$node->stop;
done_testing();
