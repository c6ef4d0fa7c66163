-- Every kind of type that may be long, and what the server does inside of it.
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE part AS (number int, words text, bytes bytea);
CREATE TYPE whole AS (name text, parts part[]);
CREATE DOMAIN long_text AS text CHECK (length(VALUE) < 200000);
CREATE DOMAIN whole_domain AS whole CHECK ((VALUE).name IS NOT NULL);
CREATE TYPE text_range AS RANGE (SUBTYPE = text, COLLATION = "C");
CREATE TABLE typed (id int PRIMARY KEY, words varchar, fixed char(5000), plain json, binary_json jsonb, markup xml, mask bit varying,
                    list text[], nested int[], composite whole, limited long_text, checked whole_domain, span text_range,
                    spans text_multirange, vector tsvector, shape polygon, amount numeric, named name);
INSERT INTO typed (id, words, fixed, plain, binary_json, mask, list, nested, composite, limited, checked, span, spans, vector, shape, amount)
SELECT n, w, left(w, 4000), json_build_object('w', w), jsonb_build_object('w', w, 'list', to_jsonb(string_to_array(w, 'A'))),
       (SELECT string_agg(get_bit(b, i)::text, '') FROM generate_series(0, 4000) i)::varbit, ARRAY[w, NULL, 'short', w],
       ARRAY(SELECT i * n FROM generate_series(1, 5000) i), ROW(n, ARRAY[ROW(n, w, b)::part, NULL, ROW(2, w || w, NULL)::part])::whole,
       w, ROW(w, NULL)::whole_domain, text_range('a', 'b' || w), text_multirange(text_range('a', 'b' || w), text_range('c', 'd' || w)),
       (SELECT string_agg('w' || i || ':' || i, ' ') FROM generate_series(1, 100 * n) i)::tsvector,
       (SELECT polygon(array_agg(x)::text::path) FROM (SELECT point(i, i * n)::text FROM generate_series(1, 1) i) p (x) WHERE false),
       (SELECT string_agg((get_byte(b, i) % 10)::text, '') FROM generate_series(0, 9000) i)::numeric
  FROM generate_series(1, 4) n, oracle.value(n, 3000 * n * n + 6000, 'noise') w, oracle.noise(n, 20000) b;
SELECT id, md5(words), md5(fixed), md5(plain::text), md5(binary_json::text), md5(mask::text), md5(list::text), md5(nested::text) FROM typed ORDER BY id;
SELECT id, md5(composite::text), md5(limited), md5(checked::text), md5(span::text), md5(spans::text), md5(vector::text), md5(amount::text)
  FROM typed ORDER BY id;
SELECT id, (composite).name, md5(((composite).parts)[1].bytes), md5(((composite).parts)[3].words), ((composite).parts)[2] IS NULL AS none,
       md5((checked).name), md5(binary_json ->> 'w'), jsonb_array_length(binary_json -> 'list'), md5(list[4]), nested[5000], md5(upper(span))
  FROM typed ORDER BY id;
-- Changed inside.
UPDATE typed SET list[2] = words, nested[7000] = 1, binary_json = jsonb_set(binary_json, '{added}', to_jsonb(words)),
                 composite.parts[2] = ROW(7, words, NULL)::part, checked.name = words || 'x', amount = amount * 2, vector = vector || 'added:1'
 WHERE id < 4;
UPDATE typed SET limited = repeat(limited, 10) WHERE id = 4;
UPDATE typed SET checked = ROW(NULL, NULL) WHERE id = 4;
UPDATE typed SET composite.name = 'renamed';
SELECT id, md5(list::text), md5(nested::text), md5(binary_json::text), md5(composite::text), md5(checked::text), md5(amount::text), length(vector)
  FROM typed ORDER BY id;
-- A value inside of another, moved from table to table.
CREATE TABLE composites AS SELECT id, composite, ROW(id, words, NULL)::part AS part, ARRAY[words, limited::text] AS list FROM typed;
CREATE TABLE rows_of AS SELECT id, typed AS r, array_agg(typed) OVER () AS all_of_them FROM typed;
DROP TABLE typed CASCADE;
SELECT id, md5(composite::text), md5(part::text), md5(list::text) FROM composites ORDER BY id;
CREATE TABLE typed AS SELECT (composite).*, (part).words AS w FROM composites;
DROP TABLE composites;
SELECT name, md5(parts::text), md5(w) FROM typed ORDER BY md5(w);
ALTER TYPE part ADD ATTRIBUTE added text CASCADE;
SELECT name, md5(parts::text), md5(w) FROM typed ORDER BY md5(w);

-- Types of extensions that are there (contrib has hstore; so may this server).
SELECT count(*) > 0 AS has_hstore FROM pg_available_extensions WHERE name = 'hstore' \gset
\if :has_hstore
CREATE EXTENSION hstore;
CREATE TABLE stores (id int, h hstore);
INSERT INTO stores SELECT n, hstore('key', oracle.value(n, 30000, 'noise')) || hstore('other', repeat('z', 9000)) FROM generate_series(1, 5) n;
UPDATE stores SET h = h || hstore('third', h -> 'key') WHERE id > 2;
SELECT id, md5(h::text), md5(h -> 'key'), h ? 'third' AS third FROM stores ORDER BY id;
CREATE INDEX ON stores USING gist (h);
SET enable_seqscan = off;
SELECT id FROM stores WHERE h ? 'third' ORDER BY id;
RESET enable_seqscan;
\endif

-- Generated columns and defaults.
CREATE TABLE generated (id int PRIMARY KEY, body text DEFAULT repeat('default', 5000), twice text GENERATED ALWAYS AS (body || body) STORED,
                        hash text GENERATED ALWAYS AS (md5(body)) STORED);
INSERT INTO generated (id) VALUES (1);
INSERT INTO generated (id, body) SELECT n, oracle.value(n, 12000, 'noise') FROM generate_series(2, 4) n RETURNING id, hash, length(twice);
UPDATE generated SET body = left(body, 5000) WHERE id = 2 RETURNING hash, md5(twice);
UPDATE generated SET id = id + 10 RETURNING id, hash = md5(body) AS right_hash, twice = body || body AS right_twice;
UPDATE generated SET twice = 'x';
ALTER TABLE generated ADD COLUMN late text DEFAULT repeat('late', 3000);
UPDATE generated SET id = id + 1;
SELECT id, hash, md5(late) FROM generated ORDER BY id;
ALTER TABLE generated ALTER late SET DEFAULT 'other', DROP COLUMN hash;
INSERT INTO generated (id, body) VALUES (50, 'short');
UPDATE generated SET body = body || '.' WHERE id > 12;
SELECT id, md5(body), md5(twice), md5(late) FROM generated ORDER BY id;
