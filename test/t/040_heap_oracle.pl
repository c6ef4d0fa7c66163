# Random statements on heap tables and the same on toaststore tables, by several sessions with
# transactions, savepoints and errors of their own. After each step both have answered the same rows,
# SQLSTATE and count of rows, hold the same locks, and hold the same values.
#
# TOASTSTORE_ORACLE_SEED repeats a course, TOASTSTORE_ORACLE_STEPS is its length.

use strict;
use warnings;

use HeapOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $long = $ENV{TOASTSTORE_LONG};
my $steps = $ENV{TOASTSTORE_ORACLE_STEPS} // ($long ? 1200 : 400);
my $seed = srand($ENV{TOASTSTORE_ORACLE_SEED} // time ^ $$);
diag("TOASTSTORE_ORACLE_SEED=$seed TOASTSTORE_ORACLE_STEPS=$steps");

# A table is kept at about so many rows, and so many bytes of large values.
my $rows_wanted = 24;
# Up to this length values come often; one above it comes once in so many.
my $usual_max = 150_000;
my $large_max = 20_000_000;
my $large_every = $long ? 400 : 1500;

my $node = PostgreSQL::Test::Cluster->new('oracle');
$node->init(extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', q[
fsync = off
shared_buffers = 128MB
max_wal_size = 2GB
log_statement = none
log_min_error_statement = panic
autovacuum = off
max_prepared_transactions = 10
# Statements are run one by one: who has to wait for a lock would wait for an idle session, for ever. So it makes
# no difference how soon he gives up.
lock_timeout = 1ms
deadlock_timeout = 10s
]);
$node->start;
create_databases($node);

my @sessions = map { open_pair($node, "session$_") } 1 .. 3;
# What one of them reads, a worker reads, too, wherever that is allowed.
$sessions[1]->run(q[SET force_parallel_mode = on; SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0;
	SET parallel_tuple_cost = 0; SET max_parallel_workers_per_gather = 1]);
my $observer = open_pair($node, 'observer');
my $failed = 0;
my $course = 0;

# Two refusals are the same where one of them is for a lock: which row stands in the way first depends
# on where the rows lie.
sub both_refused
{
	my @states = map { /^([0-9A-Z]{5}) \d+$/m ? $1 : '00000' } @_;
	return (grep { $_ eq '55P03' } @states) && !(grep { $_ eq '00000' } @states);
}

# True where both answered the same. The first difference ends the course.
sub compare
{
	my ($session, $statement, $what, $heap, $other) = @_;
	$other = undef if defined $other && both_refused($heap, $other);
	if (defined $other)
	{
		$failed = 1;
		fail("$what of step $course, $session->{name}");
		diag("TOASTSTORE_ORACLE_SEED=$seed\n$statement\nheap answers:\n", substr($heap, 0, 3000),
			"\nand toaststore:\n", substr($other, 0, 3000));
	}
	$session->{answer} = $heap;
	return !defined $other;
}

# Runs a statement in both.
sub same
{
	my ($session, $statement, $what) = @_;
	return compare($session, $statement, $what, $session->run($statement));
}

sub sqlstate { return $_[0]{answer} =~ /^([0-9A-Z]{5}) \d+$/m ? $1 : die "no SQLSTATE in: $_[0]{answer}"; }

# --- tables ----------------------------------------------------------------------------------------

same($observer, q[
	CREATE TYPE pair AS (number int, words text);
	CREATE TABLE t (id int PRIMARY KEY, grp int NOT NULL, taken int UNIQUE, small text CHECK (length(small) < 100),
	                body text, data bytea, meta jsonb, list text[], comp pair, ext text, main text);
	ALTER TABLE t ALTER ext SET STORAGE EXTERNAL, ALTER main SET STORAGE MAIN;
	CREATE INDEX t_body ON t (md5(body));
	CREATE INDEX t_grp ON t (grp);
	CREATE TABLE parted (id int, grp int, body text, PRIMARY KEY (id, grp)) PARTITION BY LIST (grp);
	CREATE TABLE parted0 PARTITION OF parted FOR VALUES IN (0);
	CREATE TABLE parted1 PARTITION OF parted FOR VALUES IN (1);
	CREATE TABLE parted2 PARTITION OF parted DEFAULT;
	CREATE DOMAIN words AS text CHECK (length(VALUE) < 60000);
	CREATE TYPE words_range AS RANGE (SUBTYPE = text, COLLATION = "C");
	CREATE TABLE kinds (id int PRIMARY KEY, words words, twice text GENERATED ALWAYS AS (words || '/' || words) STORED,
	                    doc jsonb, span words_range, deep pair[]);
	CREATE TABLE history (id int, old text, new text);
	CREATE PROCEDURE pass_on(number int) LANGUAGE plpgsql AS $$
	DECLARE
	    kept text;
	    whole t;
	    list text[];
	BEGIN
	    SELECT * INTO whole FROM t WHERE id = number;
	    kept := whole.body;
	    list := ARRAY[kept, whole.ext];
	    COMMIT;
	    DELETE FROM t WHERE id = number;
	    COMMIT;
	    list := list || kept;
	    INSERT INTO history VALUES (number, list[2], list[3]);
	    ROLLBACK;
	    INSERT INTO history VALUES (number, kept, list[2]);
	    INSERT INTO t SELECT whole.* WHERE whole.id IS NOT NULL;
	END $$;
	CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
	    INSERT INTO history (id, old, new) VALUES (NEW.id, OLD.body, NEW.body);
	    RETURN NULL;
	END $$;
	CREATE TRIGGER keep AFTER UPDATE ON t FOR EACH ROW WHEN (OLD.body IS DISTINCT FROM NEW.body AND NEW.grp = 1)
	    EXECUTE FUNCTION keep()], 'the tables');
is(sqlstate($observer), '00000', 'tables are made');

my $contents = q[
	SELECT 't', id, left(encode(sha256(convert_to(t::text, 'UTF8')), 'hex'), 16) FROM t
	UNION ALL SELECT 'parted' || (tableoid::regclass), id, md5(parted::text) FROM parted
	UNION ALL SELECT 'kinds', id, md5(kinds::text) FROM kinds
	UNION ALL SELECT 'history', id, md5(history::text) FROM history ORDER BY 1, 2, 3];

my $locks = q[
	SELECT locktype, CASE WHEN c.relnamespace = 'pg_toast'::regnamespace THEN concat('TOAST ', c.relkind, ' of ', owner.relname) ELSE relation::regclass::text END,
	       page, tuple IS NOT NULL AS of_tuple, mode, granted, count(*)
	  FROM pg_locks LEFT JOIN pg_class c ON c.oid = relation
	       LEFT JOIN pg_class owner ON owner.oid = substring(c.relname FROM '^pg_toast_([0-9]+)')::oid
	 WHERE pid = pg_backend_pid() AND locktype <> 'virtualxid'
	   AND (relation IS NULL OR c.relnamespace IN ('public'::regnamespace, 'pg_toast'::regnamespace))
	   AND classid IS DISTINCT FROM 'pg_am'::regclass
	 GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6];

# --- what is random ------------------------------------------------------------------------------

my @columns = ('body', 'data', 'meta', 'list', 'comp', 'ext', 'main');
my %added;    # columns added by ALTER TABLE
my $next_column = 1;
my $next_file = 0;

sub one_of { return $_[ int(rand(@_)) ]; }
sub id { return 1 + int(rand(2 * $rows_wanted)); }

# Log-uniform: as many of 100 bytes to 1 kB as of 10 to 100 kB.
sub value_length
{
	return int(1_000_000 + rand($large_max - 1_000_000)) if rand($large_every) < 1;
	return int(100 * exp(rand(log($usual_max / 100))));
}

sub text_value
{
	return 'NULL' if rand() < 0.05;
	return sprintf("oracle.value(%d, %d, '%s')", int(rand(100_000)), value_length(), one_of('noise', 'prose', 'mixed'));
}

sub value_of
{
	my ($column) = @_;
	my $text = text_value();
	return "convert_to($text, 'UTF8')" if $column eq 'data';
	return "jsonb_build_object('key', $text, 'more', repeat('y', 100))" if $column eq 'meta';
	return "ARRAY[$text, 'short', NULL, left($text, 3000)]" if $column eq 'list';
	return "ROW(" . int(rand(100)) . ", $text)::pair" if $column eq 'comp';
	return $text;
}

# Some of the large columns, so that rows have none to all of them.
sub some_columns
{
	my @all = (@columns, keys %added);
	return grep { rand() < 0.35 } sort @all;
}

sub condition
{
	return one_of('id = ' . id(), 'id = ' . id(), 'id BETWEEN ' . id() . ' AND ' . id(), 'grp = ' . int(rand(4)),
		'length(body) > ' . value_length(), 'md5(body) < ' . one_of("'2'", "'8'"), 'taken IS NULL');
}

sub assignments
{
	my @sets = map { "$_ = " . value_of($_) } some_columns();
	push @sets, 'grp = ' . int(rand(4)) if rand() < 0.3;
	push @sets, 'taken = nullif(' . id() . ', 5)' if rand() < 0.15;
	push @sets, "small = repeat('s', " . int(rand(103)) . ')' if rand() < 0.2;
	push @sets, one_of('grp = grp + 1', 'small = small', 'body = ext', 'ext = body', "data = convert_to(ext, 'UTF8')",
		'body = left(body || body, 200000)', 'body = body', 'main = left(ext, 50000)',
		'comp.words = body', "meta = jsonb_set(meta, '{more}', to_jsonb(left(body, 9000)))", 'list[2] = left(ext, 20000)',
		"body = (SELECT ext FROM t AS other WHERE other.id <> t.id ORDER BY id LIMIT 1)")
	  if !@sets || rand() < 0.3;
	my %first;
	return join(', ', grep { !/^(\w+)/ || !$first{$1}++ } @sets);
}

sub insert_rows
{
	my ($first, $last) = @_;
	my @names = some_columns();
	my @expressions = map { value_of($_) } @names;
	my $small = rand() < 0.85 ? "'small'" : "repeat('s', 98 + (i - $first) % 4)";
	return sprintf('INSERT INTO t (%s) SELECT %s FROM generate_series(%d, %d) AS i', join(', ', 'id', 'grp', 'taken', 'small', @names),
		join(', ', 'i', 'i % 4', 'nullif(i * 7 % 61, 3)', $small, @expressions), $first, $last);
}

my $returning = "RETURNING id, length(body), md5(ext), md5(data)";

# Types that lead to values in ways of their own. The rows come in order, for which of them is refused first tells why.
sub insert_kinds
{
	my $first = id();
	my $rows = sprintf('generate_series(%d, %d) AS i', $first, $first + int(rand(3)));
	my $columns = 'INSERT INTO kinds (id, words, doc, span, deep) SELECT';
	my $words = text_value();
	return one_of("$columns i, $words, jsonb_build_object('a', jsonb_build_array($words, i)), words_range('a', 'b' || left($words, 9000)), NULL FROM $rows",
		"$columns i, left($words, 50000), NULL, NULL, ARRAY[ROW(i, $words)::pair, NULL, ROW(2, $words)::pair] FROM $rows",
		"$columns id, left(ext, 70000), meta::jsonb, words_range('a', 'b' || left(body, 3000)), ARRAY[comp, comp] FROM t WHERE " . condition() . ' ORDER BY id')
	  . one_of('', ' ON CONFLICT DO NOTHING', ' ON CONFLICT (id) DO UPDATE SET words = left(kinds.words || excluded.words, 61000), doc = excluded.doc');
}

sub update_kinds
{
	my $words = text_value();
	return 'UPDATE kinds SET ' . one_of("doc['b']['c'] = to_jsonb($words)", "doc['list'][3] = to_jsonb(left(words, 5000))", "doc['a'] = doc['b']", "deep[2].words = $words",
		'deep[3] = deep[1], words = (deep[1]).words', "words = $words", "span = words_range(lower(span), 'c' || left($words, 20000))", 'words = upper(span)',
		'id = id + 1', "doc = doc || jsonb_build_object('more', twice)")
	  . ' WHERE id = ' . id();
}

my @queries = (
	[ 14 => sub { my $first = id(); insert_rows($first, $first + (rand() < 0.5 ? 0 : int(rand(6)))) . one_of('', " $returning") } ],
	[ 8 => sub { my $first = id(); insert_rows($first, $first + int(rand(4))) . one_of(' ON CONFLICT DO NOTHING', ' ON CONFLICT (id) DO NOTHING',
			' ON CONFLICT (id) DO UPDATE SET body = excluded.body, grp = t.grp + 1',
			' ON CONFLICT (id) DO UPDATE SET ext = t.body || excluded.ext WHERE t.grp < 2',
			' ON CONFLICT (taken) DO UPDATE SET data = t.data') . one_of('', " $returning") } ],
	[ 16 => sub { 'UPDATE t SET ' . assignments() . ' WHERE ' . condition() . one_of('', " $returning") } ],
	[ 9 => sub { 'DELETE FROM t WHERE ' . condition() . one_of('', " $returning") } ],
	[ 4 => sub { sprintf('MERGE INTO t USING (SELECT i, %s AS words FROM generate_series(%d, %d) i) AS s ON t.id = s.i
		WHEN MATCHED AND t.grp = 0 THEN DELETE
		WHEN MATCHED THEN UPDATE SET body = s.words, grp = t.grp + 1
		WHEN NOT MATCHED THEN INSERT (id, grp, ext) VALUES (s.i, 2, s.words)', text_value(), (id()) x 2) } ],
	[ 3 => sub { 'INSERT INTO parted SELECT id, grp % 3, body FROM t WHERE ' . condition() . one_of('', ' ON CONFLICT DO NOTHING') } ],
	# From one partition at a time: whether a row is in another's way does not depend on which is moved first.
	[ 3 => sub { one_of('UPDATE parted SET grp = (grp + 1) % 4', "UPDATE parted SET body = body || '.', grp = 1 - grp",
			'DELETE FROM parted') . ' WHERE grp = ' . one_of(0, 0, 1, 1, 2, 3, 7) . ' AND id BETWEEN ' . one_of(id(), 0) . ' AND ' . id() } ],
	[ 2 => sub { 'MERGE INTO parted USING (SELECT id, grp, body FROM t WHERE ' . condition() . ') AS s ON parted.id = s.id AND parted.grp = s.grp
		WHEN MATCHED AND parted.grp = 1 THEN DELETE
		WHEN MATCHED THEN UPDATE SET grp = CASE parted.grp WHEN 0 THEN 1 ELSE parted.grp END, body = s.body
		WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.grp, s.body)' } ],
	[ 4 => \&insert_kinds ],
	[ 4 => \&update_kinds ],
	[ 1 => sub { 'DELETE FROM kinds WHERE ' . one_of('id % 3 = 0', 'length(twice) > ' . value_length(), 'doc IS NULL') } ],
	[ 3 => sub { 'SELECT id, md5(body), md5(substr(ext, 1000, 500)), md5(substr(data, 5000, 70000)) FROM t WHERE ' . condition() . ' ORDER BY id '
			. one_of('FOR UPDATE', 'FOR NO KEY UPDATE NOWAIT', 'FOR SHARE SKIP LOCKED', 'FOR KEY SHARE', '') } ],
	[ 3 => sub { q[SELECT sum(length(body)), count(DISTINCT md5(ext)), sum(length(data)), md5(string_agg(body, '' ORDER BY id)) FROM t] } ],
	[ 2 => sub { "WITH gone AS (DELETE FROM t WHERE " . condition() . ' RETURNING *) INSERT INTO parted SELECT id, 7, ext FROM gone' } ],
	[ 2 => sub { q[DO $$
		BEGIN
		    UPDATE t SET ext = ] . text_value() . ' WHERE ' . condition() . q[;
		    INSERT INTO t (id, grp, body, small) SELECT id, 0, body, repeat('s', 100) FROM t;
		EXCEPTION WHEN unique_violation OR check_violation THEN
		    UPDATE t SET grp = grp + 1 WHERE ] . condition() . q[;
		END $$] } ],
	[ 2 => sub { 'TRUNCATE ' . one_of('parted', 'history', 't') } ],
	[ 1 => sub { "CREATE TEMPORARY TABLE IF NOT EXISTS own AS SELECT * FROM t WITH NO DATA;
		INSERT INTO own SELECT * FROM t WHERE " . condition() . '; UPDATE own SET body = ext; SELECT count(*), sum(length(body)) FROM own; DROP TABLE own' } ],
	# A cursor sees what was there when it was opened.
	[ 2 => sub { 'DECLARE cursor_of_t ' . one_of('', 'SCROLL') . ' CURSOR ' . one_of('', 'WITH HOLD') . ' FOR SELECT id, md5(t::text) FROM t ORDER BY id' } ],
	[ 3 => sub { 'FETCH ' . one_of('2', 'ALL', 'RELATIVE 1') . ' FROM cursor_of_t' } ],
	[ 1 => sub { 'CLOSE cursor_of_t' } ]);

# Of transactions, outside and inside of one.
my @beginnings = (('BEGIN') x 4, ('BEGIN ISOLATION LEVEL REPEATABLE READ') x 2, 'COMMIT');
my @controls = (('COMMIT') x 3, ('ROLLBACK') x 2, 'SAVEPOINT a', 'SAVEPOINT a; SAVEPOINT b', 'SAVEPOINT b', 'ROLLBACK TO a',
	'ROLLBACK TO b', 'RELEASE a', 'BEGIN', "PREPARE TRANSACTION 'whole'; COMMIT PREPARED 'whole'", "PREPARE TRANSACTION 'whole'; ROLLBACK PREPARED 'whole'");

# Each outside a transaction block; where another session holds a lock they fail on both sides.
my @commands = (
	sub { one_of('VACUUM t', 'VACUUM (FREEZE) t', 'VACUUM FULL t', 'CLUSTER t USING t_pkey', 'VACUUM FULL parted', 'ANALYZE t', 'VACUUM (ANALYZE) parted') },
	sub { one_of('REINDEX TABLE t', 'REINDEX INDEX t_body', 'DROP INDEX t_body; CREATE INDEX t_body ON t (md5(body))') },
	# One that waits for a session leaves an index behind that is not valid.
	sub { q[DROP INDEX IF EXISTS t_ext, t_ext_ccnew; CREATE INDEX CONCURRENTLY t_ext ON t (md5(ext)) WHERE length(ext) > 500; REINDEX INDEX CONCURRENTLY t_ext;
		SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1::text COLLATE "C"] },
	sub { 'CALL pass_on(' . id() . ')' },
	sub { q[COPY (SELECT id, 0, body FROM t) TO :'file'; BEGIN; TRUNCATE parted0; COPY parted0 FROM :'file' (FREEZE); ] . one_of('COMMIT', 'COMMIT', 'ROLLBACK') },
	sub { q[BEGIN; ALTER TABLE parted DETACH PARTITION parted1; UPDATE parted1 SET body = left(body || body, 90000); ALTER TABLE parted ATTACH PARTITION parted1 FOR VALUES IN (1); ]
		. one_of('COMMIT', 'ROLLBACK') },
	sub { 'ALTER TABLE parted' . one_of(0, 2) . ' SET ACCESS METHOD ' . one_of('heap', ':access_method') },
	sub { 'ALTER TABLE t ALTER ' . one_of('body', 'data', 'meta', 'list', 'comp', 'ext', 'main') . ' SET STORAGE ' . one_of('EXTENDED', 'EXTERNAL', 'MAIN') },
	sub { 'ALTER TABLE t ALTER ' . one_of('body', 'data', 'ext', 'main') . ' SET COMPRESSION ' . one_of('pglz', 'lz4', 'DEFAULT') },
	sub { 'ALTER TABLE t SET (toast_tuple_target = ' . one_of(128, 500, 2000, 4080, 8000) . ')' },
	sub { 'ALTER TABLE t ALTER meta TYPE ' . one_of('json', 'jsonb') . ' USING meta::jsonb' },
	sub { "ALTER TABLE t ALTER body TYPE text USING body || ''" },
	sub { q[CREATE MATERIALIZED VIEW view_of_t AS SELECT id, body, data FROM t; SELECT count(*), md5(string_agg(body, '' ORDER BY id)) FROM view_of_t;
		REFRESH MATERIALIZED VIEW view_of_t; DROP MATERIALIZED VIEW view_of_t] },
	sub { q[BEGIN; ALTER TABLE t ADD COLUMN passing text DEFAULT repeat('passing', 1000); UPDATE t SET passing = ext WHERE grp = 1;
		VACUUM t; ROLLBACK] },
	sub { q[BEGIN; ALTER TABLE t SET ACCESS METHOD :access_method; UPDATE t SET body = ext WHERE grp = 2; ROLLBACK] },
	sub { 'ALTER TABLE t SET ACCESS METHOD heap' },
	sub { 'ALTER TABLE t SET ACCESS METHOD :access_method' },
	sub { 'COPY (SELECT id + 1000, grp, body, data, ext FROM t WHERE ' . condition() . q[) TO :'file' (FORMAT binary);
		COPY t (id, grp, body, data, ext) FROM :'file' (FORMAT binary); UPDATE t SET id = id - 500 WHERE id > 1000; DELETE FROM t WHERE id > 500] },
	sub { 'COPY (SELECT id + ' . int(rand(60)) . q[, grp, body, meta FROM t WHERE grp = 1) TO :'file'; COPY t (id, grp, body, meta) FROM :'file'] },
	sub { q[BEGIN; INSERT INTO t (id, grp, body) VALUES (900, 1, ] . text_value() . q[); PREPARE TRANSACTION 'prepared';
		] . one_of('COMMIT', 'ROLLBACK') . q[ PREPARED 'prepared'; DELETE FROM t WHERE id = 900] });

sub add_or_drop_column
{
	my ($session) = @_;
	my @names = sort keys %added;
	if (@names && rand() < 0.6)
	{
		my $name = one_of(@names);
		same($session, "ALTER TABLE t DROP COLUMN $name", 'DROP COLUMN') or return 0;
		delete $added{$name} if sqlstate($session) eq '00000';
		return 1;
	}
	my $name = 'added' . $next_column++;
	my $default = one_of('', " DEFAULT repeat('default $name', 1000)", " DEFAULT oracle.value($next_column, 5000, 'noise')");
	same($session, "ALTER TABLE t ADD COLUMN $name text$default", 'ADD COLUMN') or return 0;
	$added{$name} = 1 if sqlstate($session) eq '00000';
	return 1;
}

sub random_query
{
	my $all = 0;
	$all += $_->[0] for @queries;
	my $choice = rand($all);
	for (@queries) { return $_->[1]->() if ($choice -= $_->[0]) < 0; }
	return $queries[0][1]->();
}

# One session waits for the row that another has changed, which then commits or rolls back. No third
# one may be in a transaction, for the wait has no end but that.
sub race
{
	my ($first, $second) = @_;
	same($observer, q[SELECT id FROM t ORDER BY md5(id::text) LIMIT 1], 'a row') or return 0;
	my ($id) = $observer->{answer} =~ /^(\d+)$/m or return 1;
	my $change = sub {
		one_of('UPDATE t SET ' . assignments() . " WHERE id = $id", 'UPDATE t SET ' . assignments() . " WHERE id = $id",
			"DELETE FROM t WHERE id = $id", "SELECT id, md5(t::text) FROM t WHERE id = $id FOR UPDATE",
			"INSERT INTO t (id, grp, ext) VALUES ($id, 1, " . text_value() . ') ON CONFLICT (id) DO UPDATE SET ext = t.ext || excluded.ext');
	};
	same($first, 'BEGIN; ' . $change->(), 'the first of a race') or return 0;
	same($second, one_of('BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ') . '; SET LOCAL lock_timeout = 0; SELECT count(*) FROM t', 'the second of a race')
	  or return 0;
	my $statement = $change->();
	$second->send_statement($statement);
	same($first, one_of('COMMIT', 'ROLLBACK'), 'the end of the first of a race') or return 0;
	compare($second, $statement, "the outcome of a race", $second->receive()) or return 0;
	return same($second, one_of('COMMIT', 'ROLLBACK'), 'the end of a race');
}

# --- the course ------------------------------------------------------------------------------------

sub in_transaction
{
	my ($session) = @_;
	return ($session->{block} // '') ne '';
}

# What psql knows of the block; both sides are asked, for both must be in the same state.
sub note_block
{
	my ($session) = @_;
	same($session, "SELECT pg_current_xact_id_if_assigned() IS NOT NULL, now() <> statement_timestamp()", 'state') or return;
	$session->{block} = sqlstate($session) eq '25P02' ? 'failed' : $session->{answer} =~ /^[tf]\|t$/m ? 'open' : '';
	return;
}

my $races = 0;
my %answers;    # SQLSTATE => how often
while ($course < $steps && !$failed)
{
	$course++;
	my $session = one_of(@sessions);
	my $choice = rand();
	if (($session->{block} // '') eq 'failed' && $choice < 0.7)
	{
		same($session, one_of('ROLLBACK TO a', 'ROLLBACK TO b', 'ROLLBACK', 'COMMIT'), 'transaction control');
	}
	elsif (in_transaction($session) && $choice < 0.25 || $choice < 0.12)
	{
		same($session, in_transaction($session) ? one_of(@controls) : one_of(@beginnings), 'transaction control');
	}
	elsif (!in_transaction($session) && $choice < 0.22)
	{
		$choice < 0.14 ? add_or_drop_column($session) : same($session, one_of(@commands)->(), 'a command');
	}
	elsif ($choice > 0.85 && !grep { in_transaction($_) } @sessions)
	{
		race((grep { $_ != $session } @sessions)[ rand(2) ], $session);
		$races++;
	}
	else
	{
		same($session, random_query(), 'a query');
	}
	last if $failed;
	$answers{ sqlstate($session) }++ if defined $session->{answer};
	note_block($session);
	last if $failed;
	if ($session->{block} ne 'failed')
	{
		same($session, $locks, 'locks') or last;
		same($session, $contents, 'contents') or last;
	}
	if ($course % 40 == 0 && (my $faults = faults_beside_writers($node)))
	{
		$failed = 1;
		fail("the stores at step $course");
		diag("TOASTSTORE_ORACLE_SEED=$seed\n$faults");
	}
	if ($course % 10 == 0)
	{
		same($observer, $contents, 'committed contents') or last;
		my $rows = () = $observer->{answer} =~ /^(t|history|kinds|parted\d)\|/mg;
		same($observer, 'DELETE FROM t WHERE id % 3 = 0; DELETE FROM history; DELETE FROM parted WHERE id % 2 = 0; DELETE FROM kinds WHERE id % 2 = 1', 'making room')
		  if $rows > 2 * $rows_wanted;
	}
}
ok(!$failed, "$steps steps were answered the same");
note("$races races, SQLSTATEs: ", join(' ', map { "$_:$answers{$_}" } sort keys %answers));
cmp_ok($answers{'00000'} // 0, '>', $steps / 3, 'most of them succeeded') if $steps > 50;
cmp_ok($answers{'23505'} // 0, '>', 0, 'some met a row that was there') if $steps >= 400;

unless ($failed)
{
	same($_, 'ROLLBACK', 'the end') for @sessions;
	same($observer, $contents, 'contents at the end');
	my $all = $observer->{answer};
	$_->close_pair for splice(@sessions), $observer;
	check_stores($node);
	$observer = open_pair($node, 'observer');
	same($observer, $contents, 'contents after vacuum');
	ok(!$failed && $observer->{answer} eq $all, 'all is there');
}
$_->close_pair for @sessions, $observer;
$node->stop;
done_testing();
