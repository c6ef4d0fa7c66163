# What the TAP tests share: bytes that both a client and a server can make from a seed, and what a
# store holds, told by SHA-256.
package Toaststore;

use strict;
use warnings;

use Digest::SHA qw(sha256 sha256_hex);
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(random_bytes create_random_bytes create_media media_contents write_repeated digests verify_store same_store
  relation_file start_again wait_until_up);

# Bytes that do not compress: always the same for one seed.
sub random_bytes
{
	my ($seed, $length) = @_;
	my $blocks = int(($length + 31) / 32);
	return substr(join('', map { sha256("$seed:$_") } 1 .. $blocks), 0, $length);
}

# The same as a function in the server.
sub create_random_bytes
{
	my ($node, $database) = @_;
	$node->safe_psql($database // 'postgres', q[
		CREATE FUNCTION random_bytes(seed bigint, length int) RETURNS bytea
		LANGUAGE sql IMMUTABLE STRICT AS $$
		    SELECT coalesce(substr(string_agg(sha256((seed || ':' || i)::bytea), ''::bytea ORDER BY i),
		                           1, length), ''::bytea)
		      FROM generate_series(1, (length + 31) / 32) i
		$$]);
	return;
}

# A procedure make_media() that begins the store media anew: so many values of about a kilobyte and of
# 300 kB, some of a transaction that rolled back, and all but every n-th deleted. Their bytes are never
# compressed, for the store does not.
sub create_media
{
	my ($node, %of) = @_;
	$node->safe_psql('postgres', qq[
		CREATE FUNCTION bytes(seed int, length int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
		\$\$ SELECT substr(decode(repeat(md5(seed::text), length / 16 + 1), 'hex'), 1, length) \$\$;
		CREATE PROCEDURE make_media() LANGUAGE plpgsql AS \$\$
		BEGIN
		    DROP TABLE IF EXISTS media;
		    PERFORM toaststore.create_store('media', compression => 'none');
		    INSERT INTO media (value) SELECT bytes(n, 700 + n % 900) FROM generate_series(1, $of{small}) n;
		    INSERT INTO media (value) SELECT bytes(n, 300000 + n) FROM generate_series(1, $of{large}) n;
		    BEGIN
		        INSERT INTO media (value) SELECT bytes(n, 9000) FROM generate_series(1, 100) n;
		        RAISE division_by_zero;
		    EXCEPTION WHEN division_by_zero THEN
		    END;
		    DELETE FROM media WHERE id % $of{kept} <> 0;
		END \$\$]);
	return;
}

# SQL that tells what is in media.
sub media_contents
{
	return q[SELECT count(*), md5(string_agg(id || md5(value), ' ' ORDER BY id)) FROM media];
}

# Writes a file of so many bytes, which repeat a block.
sub write_repeated
{
	my ($file, $block, $length) = @_;
	my $times = 1 + int((1 << 24) / length($block));
	my $part = $block x $times;
	open(my $handle, '>:raw', $file) or die "$file: $!";
	for (my $left = $length; $left > 0; $left -= length($part))
	{
		print $handle $left < length($part) ? substr($part, 0, $left) : $part or die "$file: $!";
	}
	close($handle) or die "$file: $!";
	return;
}

# Each id of a store with the SHA-256 of its value, as a hash.
sub digests
{
	my ($node, $store, $database) = @_;
	my $sql = "SELECT id, encode(sha256(value), 'hex') FROM $store";
	return { map { split /\|/ } split(/\n/, $node->safe_psql($database // 'postgres', $sql)) };
}

# What toaststore.verify() finds: nothing in a healthy store.
sub verify_store
{
	my ($node, $store, $database) = @_;
	return $node->safe_psql($database // 'postgres',
		"SELECT * FROM toaststore.verify('$store', exact => NOT pg_is_in_recovery())");
}

# Tests that a store holds exactly the values that digests() told once, and is sound.
sub same_store
{
	my ($node, $store, $expected, $what, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $here = digests($node, $store, $database);
	my %ids = (%$here, %$expected);
	my @other = grep { ($here->{$_} // 'none') ne ($expected->{$_} // 'none') } sort { $a <=> $b } keys %ids;
	my $count = keys %$expected;
	is("@other", '', "$what: $store holds the same $count values");
	is(verify_store($node, $store, $database), '', "$what: $store is sound");
	return;
}

# The path of a relation's file, below its server's data directory.
sub relation_file
{
	my ($node, $relation, $database) = @_;
	return $node->safe_psql($database // 'postgres', "SELECT pg_relation_filepath('$relation')");
}

# Starts a server whose postmaster was killed, maybe by itself. Orphaned backends go when they
# notice; until then the shared memory is still in use.
sub start_again
{
	my ($node) = @_;
	undef $node->{_pid};
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if $node->start(fail_ok => 1);
		usleep(100_000);
		$node->stop('fast', fail_ok => 1);
	}
	BAIL_OUT('the server does not start any more');
}

# Waits until a server that lost a backend takes queries again. The query is an argument: a psql that
# is refused reads no input, and writing to it would break the test.
sub wait_until_up
{
	my ($node) = @_;
	my @psql = ('psql', '-X', '-A', '-t', '-d', $node->connstr('postgres'), '-c', 'SELECT pg_is_in_recovery()');
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($out, $err) = ('', '');
		return if IPC::Run::run(\@psql, '<', \undef, '>', \$out, '2>', \$err) && $out eq "f\n";
		usleep(100_000);
	}
	BAIL_OUT('the server does not recover');
}

1;
