# VACUUM and compact() stop, or the server dies, after each of the steps that they are made of. The
# values are those that were there, the store is sound, and the same work then comes to its end: the
# file is as small as promised, and what is looked after again stays as it is.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreFile;
use Test::More;
use Toaststore;

my $node = PostgreSQL::Test::Cluster->new('upkeep');
$node->init(extra => ['--data-checksums']);
# A killed process leaves its writes to the operating system, so none needs to be synced.
$node->append_conf('postgresql.conf', q[
restart_after_crash = on
fsync = off
log_statement = none
autovacuum = off
]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION toaststore');
create_media($node, small => 7000, large => 8, kept => 20);

my $contents = media_contents();
# 1.1 for headers and pages, 128 bytes of tree a value, and the constant of a small store.
my $within = q[
	SELECT pg_relation_size('media') < 4000000 + 2.2 * sum(length(value)) + 128 * count(*) FROM media];

sub run_until
{
	my ($stop_at) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<' => \"SET toaststore.stop_at = '$stop_at';\nVACUUM media;\nCALL toaststore.compact('media');\n\\echo all\n",
		'>' => \$out, '2>' => \$err);
	return ($out, $err);
}

my @steps = qw(clean_leaf absorb_page consume_journal unlink_chain_page charge_dead trim_lane free_extent
	count_extent move_value move_page unlink_moved note_upkeep clean count_page move_run give_back
	take_run write_piece open_page_extent link_chain_page);
my @actions = qw(kill error kill_postmaster);
my $number = 0;
for my $step (@steps)
{
	# The first time it comes to the step, and in the middle of the work.
	for my $skip (0, $step =~ /^(move_value|clean_leaf|charge_dead|write_piece|move_run)$/ ? 17 : ())
	{
		$node->safe_psql('postgres', 'CALL make_media()');
		my $before = $node->safe_psql('postgres', $contents);
		my $action = $actions[ $number++ % @actions ];
		my ($out, $err) = run_until("$step:$action:$skip");
		unlike($out, qr/all/, "$action after $step, $skip: it was reached");
		if ($action ne 'error')
		{
			like($err, qr/server closed the connection|connection to server was lost/, 'and killed');
			start_again($node) if $action eq 'kill_postmaster';
			wait_until_up($node);
		}
		is($node->safe_psql('postgres', $contents), $before, 'the values are the same');
		is(verify_store($node, 'media'), '', 'and sound');
		($out, $err) = run_until("$step:error:1000000");
		like($out, qr/all/, "the work comes to its end") or diag($err);
		is($node->safe_psql('postgres', $contents), $before, 'with the same values');
		is(verify_store($node, 'media'), '', 'and sound');
		is($node->safe_psql('postgres', $within), 't', 'in a small file');
		$node->safe_psql('postgres', 'CHECKPOINT');
		my ($told, $found) = StoreFile->new($node->data_dir . '/' . relation_file($node, 'media'))->accounts;
		is_deeply($told, $found, 'of which each live and dead byte is accounted for');
		my $size = $node->safe_psql('postgres', q[SELECT pg_relation_size('media')]);
		run_until('grow_map:error');
		is($node->safe_psql('postgres', q[SELECT pg_relation_size('media')]), $size, 'which stays as it is');
	}
}
$node->safe_psql('postgres', q[INSERT INTO media (value) SELECT bytes(n, 5000) FROM generate_series(1, 500) n]);
is(verify_store($node, 'media'), '', 'what was given back can be taken again');
$node->stop;

done_testing();
