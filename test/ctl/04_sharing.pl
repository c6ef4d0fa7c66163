# A store has one writer or any number of readers, whoever comes too early is told so, and what a
# crash leaves behind is recovered by the next command, also by one that only reads.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Ctl;
use Symbol qw(gensym);
use Test::More;

my $store = new_path();
my $bytes = random_bytes(1, 1_000_000);
is(ctl_ok('put', $store, write_file(new_path(), $bytes)), "1\n", 'a store');

sub snapshot { return { map { $_ => read_file($_) } glob("$store/*") } }

# --- readers -------------------------------------------------------------------------------------

# A reader that cannot get rid of its bytes keeps the store open: more than a pipe holds.
my ($in, $out) = (gensym, gensym);
my $before = snapshot();
my $reader = start_ctl($in, $out, 'get', $store, 1);
my $start = '';
read($out, $start, 1) or fail('the reader reads');
is(ctl_ok('ls', $store), "1\t1000000\n", 'another reader beside it');
is(ctl_ok('verify', $store), '', '.. and another');
for my $command ([ 'put', '-' ], [ 'rm', 1 ], ['checkpoint'])
{
	my ($name, @rest) = @$command;
	my ($status, $printed, $err) = ctl($name, $store, @rest);
	is($status, 3, "$name has to wait until they are done");
	is($err, "toaststorectl: $store: store is open in another process\n", '.. and says so');
}
binmode($out);
my $all = do { local $/ = undef; $start . <$out> };
close($in);
close($out);
ok($reader->finish, 'the reader ends well');
ok($all eq $bytes, '.. and has read all');
is_deeply(snapshot(), $before, 'readers and those who were sent away have changed nothing');

SKIP:
{
	skip 'root may write everywhere', 4 if $> == 0;
	chmod(0555, $store);
	chmod(0444, glob("$store/*"));
	is(ctl_ok('ls', $store), "1\t1000000\n", 'a store that is write-protected can be read');
	is(ctl_ok('verify', $store), '', '.. and verified');
	chmod(0755, $store);
	chmod(0644, glob("$store/*"));
}

# A copy without its lock file, as of a backup.
my $copy = new_path();
system('cp', '-r', $store, $copy) == 0 or die;
unlink("$copy/lock") or die;
is(ctl_ok('ls', $copy), "1\t1000000\n", 'a store without a lock file can be read');
ok(!-e "$copy/lock", '.. and gets none by that');

# --- a writer, and its crash ---------------------------------------------------------------------

# A writer that waits for its input keeps the store open. By then it has put so much that its pages
# lie in the file when it is killed, and so many that there is something in the log.
my $large = write_file(new_path(), random_bytes(2, 1 << 20) x 24);
my $small = write_file(new_path(), random_bytes(3, 6000));
($in, $out) = (gensym, gensym);
my $writer = start_ctl($in, $out, 'put', $store, ($small) x 400, $large, '-');
wait_until('a writer has put a lot', sub { -s "$store/data" > 24 << 20 });
for my $command ([ 'get', 1 ], ['stat'], ['verify'], [ 'put', $large ])
{
	my ($name, @rest) = @$command;
	my ($status, $printed, $err) = ctl($name, $store, @rest);
	is($status, 3, "$name has to wait until it is done");
	is($err, "toaststorectl: $store: store is open in another process\n", '.. and says so');
}
is((ctl('page', $store, 1))[0], 0, 'pages can be looked at');
$writer->kill_kill(grace => 0, coup_d_grace => 'KILL');
close($in);
close($out);

my ($status, $printed, $err) = ctl('ls', $store);
is($status, 0, 'after a crash of the writer the store can be read');
is($err, "toaststorectl: $store: was not closed properly, recovering it\n", '.. once it is recovered');
is($printed, "1\t1000000\n", '.. and is as it was before that command');
is(ctl_ok('ls', $store), $printed, 'the next one finds it closed');
ok(ctl_ok('get', $store, 1) eq $bytes, 'the value is what it was');
is(ctl_ok('verify', $store), '', 'the store is healthy');
my $id = ctl_ok('put', $store, write_file(new_path(), 'after'));
chomp($id);
is(ctl_ok('get', $store, $id), 'after', 'and takes values again');
is(ctl_ok('checkpoint', $store), '', 'checkpoint of a store that is in order');

# --- progress ------------------------------------------------------------------------------------

# Nobody wants it in a file; on a terminal it is wiped away at the end.
SKIP:
{
	skip 'there is no pseudo terminal', 2 unless eval { require IO::Pty; 1 };
	my $shown = '';
	my $program = $ENV{TOASTSTORECTL} || 'toaststorectl';
	IPC::Run::run([ $program, 'verify', $store ], '<', \undef, '>', \my $plain, '2>pty>', \$shown);
	is($?, 0, 'verify on a terminal');
	like($shown, qr/verifying: \d+% of \d+ MB.*\r\x1b\[K\z/s, '.. shows how far it is, and wipes it away');
}

done_testing();
