-- The operations: each is timed on the server with its commit, and what it left or found is
-- compared with the source. To be loaded after prepare.sql.

SET search_path = bench, public;

-- Is the subject what its contender says? A benchmark of the wrong thing is worse than none.
CREATE FUNCTION check_subject(c contender) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  method name := (SELECT amname FROM pg_class JOIN pg_am a ON a.oid = relam
                  WHERE pg_class.oid = 'subject'::regclass);
BEGIN
  IF method IS DISTINCT FROM c.method THEN
    RAISE EXCEPTION '%: the access method is %, not %', c.name, method, c.method;
  END IF;
END $$;

-- Do the subject's values, or the slices of them, have the hashes of the source's?
CREATE FUNCTION compare(c contender, cell cell, got text, expected text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  different bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM %I s LEFT JOIN key k USING (n)
                  WHERE sha256(%s) IS DISTINCT FROM %s', cell.source, got, expected)
  INTO different;
  IF different > 0 THEN
    RAISE EXCEPTION '%, % of %: % values differ', c.name, cell.label, cell.data, different;
  END IF;
END $$;

-- Runs and notes one statement that touches so many values.
CREATE PROCEDURE measure(round int, c contender, cell cell, operation text, touched bigint,
                         statement text) LANGUAGE plpgsql AS $$
DECLARE
  lsn pg_lsn := pg_current_wal_insert_lsn();
  started timestamptz := clock_timestamp();
  ended timestamptz;
  written numeric;
BEGIN
  EXECUTE statement;
  COMMIT;
  ended := clock_timestamp();
  written := pg_current_wal_insert_lsn() - lsn;
  INSERT INTO measurement
  SELECT round, cell.data, cell.bytes, c.name, operation, touched,
         1e6 * extract(epoch FROM ended - started), written,
         pg_total_relation_size(to_regclass('subject'));
  COMMIT;
END $$;

-- Insert, cached read, cached slice of one contender on one cell.
CREATE PROCEDURE run_cell(round int, c contender, cell cell) LANGUAGE plpgsql AS $$
DECLARE
  slice_bytes CONSTANT int := 1000;
  -- Enough of them to be measured; a slice of a small value is short.
  reads CONSTANT int := 4;
  slices CONSTANT int := ceil(5000.0 / cell.n);
  -- Offsets all over the value, the same for every contender.
  place CONSTANT text := format('((k.n::bigint * 7919 + pass * 104729) %% %s)::int',
                                cell.bytes - slice_bytes);
  read_all CONSTANT text := 'SELECT sum(get_byte(%s, 0)) FROM generate_series(1, %s) AS pass, key k';
BEGIN
  DROP TABLE IF EXISTS subject;
  EXECUTE c.setup;
  PERFORM check_subject(c);
  COMMIT;

  CHECKPOINT;
  CALL measure(round, c, cell, 'insert', cell.n, format(c.put, cell.source));

  TRUNCATE key;
  INSERT INTO key SELECT row_number() OVER (ORDER BY id), id FROM subject;
  COMMIT;
  -- This warms the cache, too.
  PERFORM compare(c, cell, c.get, 's.sha');

  CALL measure(round, c, cell, 'read', cell.n * reads, format(read_all, c.get, reads));
  PERFORM compare(c, cell, c.get, 's.sha');

  CALL measure(round, c, cell, 'slice', cell.n * slices,
               format(read_all, format(c.slice, place, slice_bytes), slices));
  PERFORM compare(c, cell, format(c.slice, replace(place, 'pass', '1'), slice_bytes),
                  format('sha256(substr(s.value, %s + 1, %s))', replace(place, 'pass', '1'),
                         slice_bytes));
  DROP TABLE subject;
  COMMIT;
END $$;

-- One round: on each cell all contenders in turn, so that they share the state of the machine;
-- odd rounds go the other way round.
CREATE PROCEDURE run_round(round int) LANGUAGE plpgsql AS $$
DECLARE
  cell cell;
  c contender;
BEGIN
  FOR cell IN SELECT * FROM cell ORDER BY data, bytes LOOP
    FOR c IN SELECT * FROM contender WHERE data = cell.data
             ORDER BY CASE WHEN round % 2 = 0 THEN nr ELSE -nr END LOOP
      CALL run_cell(round, c, cell);
    END LOOP;
    c := NULL;
    c.name := '(reading the source)';
    CALL measure(round, c, cell, 'insert', cell.n,
                 format('SELECT sum(get_byte(value, 0)) FROM %I', cell.source));
  END LOOP;
END $$;
