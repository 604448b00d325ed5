-- Everything PostgreSQL has that a backup must bring back, in one database. Load it with psql as a superuser:
--     psql -X -v ON_ERROR_STOP=1 -f everything.sql DATABASE
-- It loads on PostgreSQL 16 and later; what came with 17 and 18 is added where the server has it. Roles belong to the whole
-- server, so they are made only where missing. Nothing here depends on a time, a random number or the machine.

SET client_encoding = 'UTF8';
SET client_min_messages = 'warning';
SET timezone = 'UTC';
SELECT current_setting('server_version_num')::int >= 170000 AS pg17, current_setting('server_version_num')::int >= 180000 AS pg18 \gset
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') AS has_vector,
       EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i' AND collname = 'de-x-icu') AS has_icu,
       getdatabaseencoding() = 'UTF8' AS is_utf8 \gset

-- Roles, some with names that need care -------------------------------------------------------------------------------------
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['everything_owner', 'everything_reader', 'everything writer', 'Everything "Quoted" Röle', 'everything''s;--role', 'everything_group'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I', wanted);
        END IF;
    END LOOP;
END $$;
ALTER ROLE everything_owner WITH LOGIN CREATEDB CONNECTION LIMIT 7 VALID UNTIL '2099-01-01';
ALTER ROLE everything_reader WITH NOINHERIT LOGIN PASSWORD 'canary-role-password';
ALTER ROLE everything_reader SET search_path = 'odd names', public;
ALTER ROLE everything_reader SET statement_timeout = '1h';
GRANT everything_group TO everything_reader, "everything writer";
GRANT everything_group TO "Everything ""Quoted"" Röle" WITH ADMIN OPTION;
COMMENT ON ROLE everything_group IS 'a group; with a semicolon and a ''quote''';

-- The database's own properties ---------------------------------------------------------------------------------------------
DO $$
BEGIN
    EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), E'everything, with a ''quote'', a \\ and a\nnew line');
    EXECUTE format('ALTER DATABASE %I SET work_mem = %L', current_database(), '5MB');
    EXECUTE format('ALTER DATABASE %I SET search_path = public, %I', current_database(), 'odd names');
    EXECUTE format('ALTER DATABASE %I SET datestyle = %L', current_database(), 'SQL, DMY');
    EXECUTE format('ALTER DATABASE %I SET intervalstyle = %L', current_database(), 'sql_standard');
    EXECUTE format('ALTER DATABASE %I SET extra_float_digits = %L', current_database(), '-3');
    EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Kathmandu');
    EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 90', current_database());
    EXECUTE format('ALTER ROLE everything_owner IN DATABASE %I SET work_mem = %L', current_database(), '6MB');
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO everything_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I WITH GRANT OPTION', current_database(), 'Everything "Quoted" Röle');
END $$;

-- Extensions and schemas ----------------------------------------------------------------------------------------------------
CREATE SCHEMA kinds;
CREATE SCHEMA "odd names";
CREATE SCHEMA "dot.ted ""schema"" ünïcödé" AUTHORIZATION "Everything ""Quoted"" Röle";
CREATE SCHEMA "EMPTY schema";
COMMENT ON SCHEMA kinds IS 'one of each kind';
GRANT USAGE ON SCHEMA kinds TO everything_group;
GRANT CREATE ON SCHEMA kinds TO everything_owner WITH GRANT OPTION;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO "everything's;--role";
\if :has_vector
CREATE EXTENSION vector WITH SCHEMA kinds;
\endif

-- Types ---------------------------------------------------------------------------------------------------------------------
CREATE TYPE kinds.mood AS ENUM ('sad', 'ok', 'happy', 'it''s "complicated"', 'größer');
ALTER TYPE kinds.mood ADD VALUE 'between' BEFORE 'ok';
CREATE TYPE kinds.mood_in_another_order AS ENUM ('z', 'a');
CREATE DOMAIN kinds.positive AS integer DEFAULT 7 NOT NULL CONSTRAINT above_zero CHECK (VALUE > 0);
ALTER DOMAIN kinds.positive ADD CONSTRAINT below_much CHECK (VALUE < 1000000) NOT VALID;
CREATE DOMAIN kinds.email AS text COLLATE "C" CHECK (VALUE ~ '^[^@]+@[^@]+$');
CREATE DOMAIN kinds.domain_over_domain AS kinds.email CHECK (length(VALUE) < 100);
CREATE TYPE kinds.address AS (street text, "Number ""x""" integer, mail kinds.email);
CREATE TYPE kinds.nested AS (home kinds.address, moods kinds.mood[]);
CREATE TYPE kinds.float_range AS RANGE (subtype = double precision, subtype_diff = float8mi, multirange_type_name = kinds.float_ranges);
CREATE TYPE kinds.shell_type;
COMMENT ON TYPE kinds.mood IS 'how it feels';
COMMENT ON CONSTRAINT above_zero ON DOMAIN kinds.positive IS 'no zero';
GRANT USAGE ON TYPE kinds.mood TO everything_group;
REVOKE USAGE ON TYPE kinds.address FROM PUBLIC;
CREATE COLLATION kinds.plain FROM "C";
CREATE COLLATION kinds.posix_like (provider = libc, locale = 'POSIX');
\if :has_icu
CREATE COLLATION kinds.german_phone_book (provider = icu, locale = 'de-u-co-phonebk');
CREATE COLLATION kinds.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
\endif
\if :pg17
\if :is_utf8
CREATE COLLATION kinds.built_in (provider = builtin, locale = 'C.UTF-8');
\endif
\endif

-- Functions, procedures, aggregates, operators, casts -----------------------------------------------------------------------
CREATE FUNCTION kinds.add_one(x integer, OUT result integer) LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 3 AS 'SELECT x + 1';
CREATE FUNCTION kinds.add_one(x text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT x || '1; -- $fn$ not the end' $$;
CREATE FUNCTION kinds.standard_body(a integer, b integer DEFAULT 2, VARIADIC more integer[] DEFAULT '{}') RETURNS integer
    LANGUAGE sql STABLE BEGIN ATOMIC SELECT a + b + cardinality(more); END;
CREATE FUNCTION kinds.rows_of_mood() RETURNS TABLE (mood kinds.mood, n bigint) LANGUAGE plpgsql SECURITY DEFINER ROWS 5
    SET search_path = kinds, pg_temp SET work_mem = '3MB' AS $$ BEGIN RETURN QUERY SELECT 'ok'::kinds.mood, 1::bigint; END $$;
CREATE FUNCTION kinds.any_of(anyelement, anyarray) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = ANY ($2)';
CREATE PROCEDURE kinds.do_nothing(INOUT a integer, b kinds.mood DEFAULT 'ok') LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
CREATE FUNCTION kinds."function with ""odd"" näme; --"("arg ""x""" integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
SET check_function_bodies = false;
CREATE FUNCTION kinds.refers_to_a_later_table() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.authors';
RESET check_function_bodies;
ALTER FUNCTION kinds.refers_to_a_later_table() OWNER TO everything_owner;
COMMENT ON FUNCTION kinds.add_one(integer) IS 'adds one';
COMMENT ON PROCEDURE kinds.do_nothing(integer, kinds.mood) IS 'does nothing';
REVOKE EXECUTE ON FUNCTION kinds.rows_of_mood() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kinds.rows_of_mood() TO everything_reader;
CREATE FUNCTION kinds.mood_to_integer(kinds.mood) RETURNS integer LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE $1 WHEN 'sad' THEN 0 WHEN 'happy' THEN 2 ELSE 1 END $$;
CREATE CAST (kinds.mood AS integer) WITH FUNCTION kinds.mood_to_integer(kinds.mood) AS ASSIGNMENT;
COMMENT ON CAST (kinds.mood AS integer) IS 'a mood has a number';
CREATE FUNCTION kinds.sum_of_squares(state double precision, x double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, 0) + $2 * $2';
CREATE AGGREGATE kinds.squares(double precision) (SFUNC = kinds.sum_of_squares, STYPE = double precision, INITCOND = '0', PARALLEL = SAFE);
CREATE AGGREGATE kinds.middle(double precision ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
COMMENT ON AGGREGATE kinds.squares(double precision) IS 'a sum of squares';
CREATE FUNCTION kinds.mood_lt(kinds.mood, kinds.mood) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < $2';
CREATE OPERATOR kinds.<<< (LEFTARG = kinds.mood, RIGHTARG = kinds.mood, FUNCTION = kinds.mood_lt, COMMUTATOR = OPERATOR(kinds.>>>));
CREATE OPERATOR kinds.@+ (RIGHTARG = integer, FUNCTION = kinds.add_one);
COMMENT ON OPERATOR kinds.<<< (kinds.mood, kinds.mood) IS 'sadder than';
CREATE FUNCTION kinds.by_length(text, text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT length($1) - length($2)';
CREATE FUNCTION kinds.shorter(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT length($1) < length($2)';
CREATE FUNCTION kinds.as_long(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT length($1) = length($2)';
CREATE OPERATOR kinds.#< (LEFTARG = text, RIGHTARG = text, FUNCTION = kinds.shorter);
CREATE OPERATOR kinds.#= (LEFTARG = text, RIGHTARG = text, FUNCTION = kinds.as_long, MERGES, HASHES);
CREATE OPERATOR FAMILY kinds.lengths USING btree;
CREATE OPERATOR CLASS kinds.length_ops FOR TYPE text USING btree FAMILY kinds.lengths AS
    OPERATOR 1 kinds.#<, OPERATOR 3 kinds.#=, FUNCTION 1 kinds.by_length(text, text);
CREATE FUNCTION kinds.transform_in(internal) RETURNS internal LANGUAGE internal AS 'prsd_lextype';

-- Text search ---------------------------------------------------------------------------------------------------------------
CREATE TEXT SEARCH DICTIONARY kinds.short_words (TEMPLATE = simple, accept = false);
CREATE TEXT SEARCH CONFIGURATION kinds.english_and_simple (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION kinds.english_and_simple ALTER MAPPING FOR asciiword WITH kinds.short_words, english_stem;
COMMENT ON TEXT SEARCH CONFIGURATION kinds.english_and_simple IS 'for searching';

-- Ordinary tables with every ordinary type ----------------------------------------------------------------------------------
CREATE TABLE public.authors (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 7 CACHE 5) PRIMARY KEY,
    name text NOT NULL,
    email kinds.email UNIQUE,
    mood kinds.mood DEFAULT 'ok' NOT NULL,
    born date,
    home kinds.address,
    tags text[] DEFAULT ARRAY['a', 'b']::text[],
    profile jsonb DEFAULT '{}'::jsonb NOT NULL,
    name_upper text GENERATED ALWAYS AS (upper(name)) STORED,
    CONSTRAINT "name is not empty" CHECK (name <> '')
);
ALTER TABLE public.authors OWNER TO everything_owner;
COMMENT ON TABLE public.authors IS E'who writes; with a tab\t, a quote '' and a \\ backslash';
COMMENT ON COLUMN public.authors.name IS 'the name';
COMMENT ON CONSTRAINT "name is not empty" ON public.authors IS 'never empty';
INSERT INTO public.authors (name, email, mood, born, home, tags, profile)
SELECT 'author ' || i, 'a' || i || '@example.com', (enum_range(NULL::kinds.mood))[1 + i % 6], date '1950-01-01' + i * 37,
       ROW('street ' || i, i, 's@t')::kinds.address, ARRAY['tag' || i % 5, NULL, 'with "quote", comma', E'tab\tand\nline'], jsonb_build_object('i', i, 'text', repeat('x', i % 50), 'none', NULL)
FROM generate_series(1, 500) AS i;

CREATE TABLE kinds.every_type (
    id integer GENERATED BY DEFAULT AS IDENTITY,
    b boolean, i2 smallint, i4 integer, i8 bigint, n numeric, n_fixed numeric(20, 5), n_negative_scale numeric(5, -2), f4 real, f8 double precision, m money,
    c "char", ch character(10), vc character varying(20), t text, nm name, by bytea,
    d date, ti time(3), ttz time with time zone, ts timestamp, tstz timestamp(0) with time zone, iv interval, iv_day interval day to second(2),
    u uuid, j json, jb jsonb, jp jsonpath, x xml,
    ip inet, net cidr, mac macaddr, mac8 macaddr8, bits bit(5), vbits bit varying,
    pt point, ln line, seg lseg, bx box, pa path, pg polygon, ci circle,
    tsv tsvector, tsq tsquery, l pg_lsn, snap pg_snapshot, xid8 xid8, o oid, rc regclass, rp regprocedure, rt regtype, acl aclitem[],
    r4 int4range, r8 int8range, nr numrange, dr daterange, tr tstzrange, mr int4multirange, fr kinds.float_range, frs kinds.float_ranges,
    md kinds.mood, po kinds.positive, ad kinds.address, ne kinds.nested, arr integer[][], marr kinds.mood[], domarr kinds.email[], boxes box[], comp kinds.address[]
);
INSERT INTO kinds.every_type (b, i2, i4, i8, n, n_fixed, n_negative_scale, f4, f8, m, c, ch, vc, t, nm, by, d, ti, ttz, ts, tstz, iv, iv_day, u, j, jb, jp,
    ip, net, mac, mac8, bits, vbits, pt, ln, seg, bx, pa, pg, ci, tsv, tsq, l, snap, xid8, o, rc, rp, rt, acl, r4, r8, nr, dr, tr, mr, fr, frs, md, po, ad, ne, arr, marr, domarr, boxes, comp)
VALUES
    (true, -32768, -2147483648, -9223372036854775808, 'NaN', 123456789012345.12345, 12300, 'NaN', 'Infinity', '-$1,234.56', 'x', 'padded', 'vary', E'\\N', 'nm', '\x00ff5c0a',
     '-infinity', '23:59:59.999', '12:00:00+05:45', 'infinity', '0044-03-15 12:00:00+00 BC', '1 year -2 mons 3 days -04:05:06.789', '1 02:03:04.56', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
     '{"a" :  1, "a": 2}', '{"a": [1, 2.50, null, "\u00e9"]}', '$.a[*] ? (@ > 1)', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'10101', B'1',
     '(1.5,-0)', '{1,2,3}', '[(0,0),(1,1)]', '(2,2),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(0,0),1e300>', 'a:1A cat:2,3', 'fat & (rat | ''odd word'') <-> x:*A', '16/B374D848',
     '10:20:10,14,15', '18446744073709551615', 4294967295, 'public.authors', 'kinds.add_one(integer)', 'kinds.mood', '{postgres=r/postgres}',
     'empty', '[1,10)', '(,5.5]', '[2020-01-01,infinity)', '["2020-01-01 00:00:00+00",)', '{[1,3),[5,8)}', '[-1.5e-300,Infinity]', '{[1,2],(3,4)}', 'it''s "complicated"', 999, '("a ""q"", b\\c",,x@y)',
     '("(s,1,a@b)","{sad,ok}")', '[0:1][5:6]={{1,2},{3,NULL}}', '{sad,NULL}', '{a@b}', '{(1,1),(0,0);(2,2),(1,1)}', '{"(s,1,a@b)",NULL}'),
    (false, 32767, 2147483647, 9223372036854775807, 'Infinity', -0.00001, -99900, '-Infinity', '-0', '$0.00', E'\\', '', '', '', '', '', '5874897-12-31', '24:00:00', '00:00:00-15:59', '294276-12-31 23:59:59.999999',
     'infinity', '-178000000 years', '-1 day +00:00:00.01', '00000000-0000-0000-0000-000000000000', '[]', '"\\u0022"', 'strict $', '192.168.0.1', '::/0', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff', B'00000', B'',
     '(NaN,Infinity)', '{0,-1,0.1}', '[(1e-300,0),(1,1e300)]', '(1,1),(1,1)', '((0,0))', '((0,0))', '<(1,1),0>', '', '', '0/0', '1:1:', '0', 0, NULL, NULL, 'integer[]', '{}',
     '(,)', 'empty', '[NaN,NaN]', '(,)', 'empty', '{}', '(,)', '{}', 'größer', 1, '(,,)', '(,)', '{}', '{}', '{}', '{}', '{}'),
    (NULL, 0, 0, 0, '-Infinity', 0, 0, 1e-38, 4.9e-324, '0', 'é'::"char", 'ünïcödé', 'line' || chr(10), E'tab\t cr\r nl\n bs\b vt\v ff\f \\. \\x41 bell\u0007 del\u007f', repeat('x', 63), decode(repeat('00', 1000), 'hex'),
     '4713-01-01 BC', '00:00', '24:00:00+15:59', '4713-01-01 00:00:00 BC', '2020-02-29 23:59:59+14', '0', '0', NULL, NULL, 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'sad', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO kinds.every_type (f8, f4, n, t, po) SELECT i / 7.0, i / 7.0, i / 7.0, repeat('ж' || chr(9) || '\', i), i + 1 FROM generate_series(1, 200) AS i;

CREATE TABLE public.posts (
    id serial PRIMARY KEY,
    author_id bigint NOT NULL REFERENCES public.authors (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    title character varying(200),
    body text COLLATE "C",
    published timestamp with time zone,
    words tsvector GENERATED ALWAYS AS (to_tsvector('pg_catalog.english', coalesce(body, ''))) STORED
);
ALTER TABLE public.posts ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE public.posts ALTER COLUMN title SET STATISTICS 500;
ALTER TABLE public.posts ALTER COLUMN title SET (n_distinct = -0.5);
ALTER TABLE public.posts SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_enabled = false);
INSERT INTO public.posts (author_id, title, body, published)
SELECT 100 + 7 * (i % 500), 'title ' || i, repeat('word' || i || ' ', i % 400), timestamptz '2020-01-01 00:00:00+00' + i * interval '1 hour' FROM generate_series(1, 2000) AS i;
CREATE INDEX posts_by_time ON public.posts USING btree (published DESC NULLS LAST) INCLUDE (title) WHERE published IS NOT NULL;
CREATE INDEX posts_words ON public.posts USING gin (words);
CREATE INDEX "posts by ""expression""" ON public.posts (lower(title) text_pattern_ops, (author_id % 10));
CREATE INDEX posts_by_length ON public.posts USING btree (title kinds.length_ops);
CREATE INDEX posts_brin ON public.posts USING brin (id) WITH (pages_per_range = 4);
CREATE INDEX posts_hash ON public.posts USING hash (title);
ALTER INDEX public."posts by ""expression""" ALTER COLUMN 2 SET STATISTICS 300;
CREATE UNIQUE INDEX posts_nulls ON public.posts (id, title) NULLS NOT DISTINCT;
ALTER TABLE public.posts CLUSTER ON posts_pkey;
ALTER TABLE public.posts REPLICA IDENTITY FULL;
COMMENT ON INDEX public.posts_by_time IS 'newest first';
CREATE STATISTICS public.posts_statistics (ndistinct, dependencies, mcv) ON author_id, title FROM public.posts;
CREATE STATISTICS kinds."expression statistics" ON (lower(title)), (id % 7) FROM public.posts;
ALTER STATISTICS public.posts_statistics SET STATISTICS 50;
COMMENT ON STATISTICS public.posts_statistics IS 'extended';

-- What PostgreSQL prints in another way once it was restored
CREATE TABLE kinds.choices (
    kind varchar(20) DEFAULT 'a' CONSTRAINT known CHECK (kind IN ('a', 'it''s; b')), fixed char(3) CHECK (fixed NOT IN ('x', 'y')), label text CHECK (label IN ('c', 'd')));
INSERT INTO kinds.choices VALUES ('a', 'z', 'c'), ('it''s; b', NULL, 'd');
CREATE VIEW kinds.some_choices AS SELECT * FROM kinds.choices WHERE kind IN ('a', 'b');
CREATE INDEX choices_some ON kinds.choices (kind) WHERE kind IN ('a', 'b');

-- Circular, deferred, self-referring and unvalidated constraints ------------------------------------------------------------
CREATE TABLE public.hen (id integer PRIMARY KEY, egg_id integer NOT NULL);
CREATE TABLE public.egg (id integer PRIMARY KEY, hen_id integer NOT NULL REFERENCES public.hen DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE public.hen ADD CONSTRAINT hen_egg FOREIGN KEY (egg_id) REFERENCES public.egg DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO public.hen SELECT i, i % 50 + 1 FROM generate_series(1, 50) AS i;
INSERT INTO public.egg SELECT i, 51 - i FROM generate_series(1, 50) AS i;
COMMIT;
CREATE TABLE public.tree (a integer, id integer, parent integer, PRIMARY KEY (a, id),
    CONSTRAINT tree_parent FOREIGN KEY (a, parent) REFERENCES public.tree (a, id) ON DELETE SET NULL (parent) ON UPDATE CASCADE);
INSERT INTO public.tree SELECT 1, i, nullif(i / 2, 0) FROM generate_series(1, 100) AS i;
INSERT INTO public.tree SELECT 2, 201 - i, CASE WHEN i > 1 THEN 202 - i END FROM generate_series(1, 100) AS i;
CREATE TABLE public.unchecked (id integer UNIQUE DEFERRABLE INITIALLY IMMEDIATE, author bigint, amount integer);
INSERT INTO public.unchecked VALUES (1, 1, -1), (2, 100, 1);
ALTER TABLE public.unchecked ADD CONSTRAINT unchecked_author FOREIGN KEY (author) REFERENCES public.authors (id) NOT VALID;
ALTER TABLE public.unchecked ADD CONSTRAINT unchecked_amount CHECK (amount > 0) NO INHERIT NOT VALID;
COMMENT ON CONSTRAINT unchecked_author ON public.unchecked IS 'old rows are wrong';

-- Exclusion constraints -----------------------------------------------------------------------------------------------------
CREATE TABLE kinds.bookings (
    room int4range NOT NULL,
    during tstzrange NOT NULL,
    cancelled boolean DEFAULT false NOT NULL,
    area circle,
    CONSTRAINT "no double booking" EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (NOT cancelled) DEFERRABLE INITIALLY DEFERRED,
    EXCLUDE USING gist (area WITH &&)
);
INSERT INTO kinds.bookings SELECT int4range(i, i, '[]'), tstzrange(timestamptz '2024-01-01 00:00:00+00' + i * interval '1 day', NULL), i % 3 = 0, circle(point(i * 10, 0), 1)
FROM generate_series(1, 60) AS i;

-- Partition trees, two deep, each kind, with a default and keys to and from ---------------------------------------------------
CREATE TABLE public.events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    happened date NOT NULL,
    region text NOT NULL,
    author_id bigint REFERENCES public.authors (id),
    amount numeric DEFAULT 1.0,
    twice numeric GENERATED ALWAYS AS (amount * 2) STORED,
    PRIMARY KEY (id, happened, region)
) PARTITION BY RANGE (happened);
CREATE TABLE public.events_2023 PARTITION OF public.events FOR VALUES FROM (MINVALUE) TO ('2024-01-01') PARTITION BY LIST (region);
CREATE TABLE public.events_2023_eu PARTITION OF public.events_2023 (amount DEFAULT 2.0) FOR VALUES IN ('eu', 'größe''s "r"');
CREATE TABLE public.events_2023_us PARTITION OF public.events_2023 FOR VALUES IN ('us');
CREATE TABLE public.events_2023_rest PARTITION OF public.events_2023 DEFAULT;
-- A leaf whose columns lie in another order and that once had one more.
CREATE TABLE public.events_2024 (amount numeric, dropped_one text, region text NOT NULL, author_id bigint, id bigint NOT NULL, happened date NOT NULL, twice numeric GENERATED ALWAYS AS (amount * 2) STORED);
ALTER TABLE public.events_2024 DROP COLUMN dropped_one;
ALTER TABLE public.events ATTACH PARTITION public.events_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE public.events_default PARTITION OF public.events DEFAULT PARTITION BY HASH (id);
CREATE TABLE public.events_default_0 PARTITION OF public.events_default FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE public.events_default_1 PARTITION OF public.events_default FOR VALUES WITH (MODULUS 2, REMAINDER 1) WITH (fillfactor = 90);
INSERT INTO public.events (happened, region, author_id, amount)
SELECT date '2023-01-01' + i, (ARRAY['eu', 'us', 'asia', 'größe''s "r"'])[1 + i % 4], 100 + 7 * (i % 500), i / 3.0 FROM generate_series(1, 1500) AS i;
CREATE INDEX events_by_author ON public.events (author_id, happened);
CREATE INDEX events_only ON ONLY public.events (amount);
CREATE INDEX events_2024_amount ON public.events_2024 (amount);
ALTER INDEX public.events_only ATTACH PARTITION public.events_2024_amount;
CREATE INDEX events_2023_eu_alone ON public.events_2023_eu (amount);
CREATE TABLE public.event_notes (event_id bigint, happened date, region text, note text,
    FOREIGN KEY (event_id, happened, region) REFERENCES public.events (id, happened, region));
INSERT INTO public.event_notes SELECT id, happened, region, 'note ' || id FROM public.events WHERE id % 10 = 0;
CREATE TABLE kinds.partitioned_by_expression (a integer, b text) PARTITION BY RANGE (((a % 10)), b COLLATE "C");
CREATE TABLE kinds.partition_of_expression PARTITION OF kinds.partitioned_by_expression FOR VALUES FROM (MINVALUE, MINVALUE) TO (5, 'm');
CREATE TABLE kinds.partitioned_without_partitions (a integer) PARTITION BY LIST (a);
INSERT INTO kinds.partitioned_by_expression SELECT i, 'b' FROM generate_series(1, 4) AS i;

-- Inheritance, typed tables, LIKE ---------------------------------------------------------------------------------------------
CREATE TABLE kinds.parent (id integer NOT NULL, note text DEFAULT 'parent', CONSTRAINT positive_id CHECK (id > 0));
CREATE TABLE kinds.other_parent (note text, extra integer);
CREATE TABLE kinds.child (own integer, note text DEFAULT 'child') INHERITS (kinds.parent, kinds.other_parent);
INSERT INTO kinds.parent VALUES (1);
INSERT INTO kinds.child (id, own) SELECT i, i * i FROM generate_series(2, 20) AS i;
CREATE TABLE kinds.typed OF kinds.address ("Number ""x""" WITH OPTIONS DEFAULT 5 NOT NULL);
INSERT INTO kinds.typed VALUES ('a', 1, 'x@y'), ('b', 2, NULL);

-- Unlogged, empty, zero columns, dropped columns, only generated columns -----------------------------------------------------
CREATE UNLOGGED TABLE kinds.unlogged (id integer PRIMARY KEY, t text);
INSERT INTO kinds.unlogged SELECT i, 'u' || i FROM generate_series(1, 100) AS i;
CREATE TABLE kinds.empty (id integer PRIMARY KEY, t text);
CREATE TABLE kinds.zero_columns ();
INSERT INTO kinds.zero_columns SELECT FROM generate_series(1, 17);
CREATE TABLE kinds.all_columns_dropped (a integer, b text);
INSERT INTO kinds.all_columns_dropped VALUES (1, 'x'), (2, 'y');
ALTER TABLE kinds.all_columns_dropped DROP COLUMN a, DROP COLUMN b;
CREATE TABLE kinds.dropped_columns (first integer, gone_1 text, middle text, gone_2 integer[], last integer);
INSERT INTO kinds.dropped_columns SELECT i, 'gone', 'middle' || i, ARRAY[i], -i FROM generate_series(1, 30) AS i;
ALTER TABLE kinds.dropped_columns DROP COLUMN gone_1, DROP COLUMN gone_2;
ALTER TABLE kinds.dropped_columns ADD COLUMN added_later text DEFAULT 'fast default' NOT NULL;
INSERT INTO kinds.dropped_columns (first, middle, last) VALUES (31, NULL, NULL);
CREATE TABLE kinds.only_generated (g text GENERATED ALWAYS AS ('const'::text || 1) STORED);
INSERT INTO kinds.only_generated SELECT FROM generate_series(1, 5);
CREATE TABLE kinds.one_null_text (t text);
INSERT INTO kinds.one_null_text VALUES (NULL), (''), ('NULL'), ('\N'), ('\.'), (E'\n'), ('\');
CREATE TABLE kinds.duplicates (i integer, t text);
INSERT INTO kinds.duplicates SELECT i % 3, 'same' FROM generate_series(1, 30) AS i;
CREATE TABLE kinds.compressed (t text COMPRESSION pglz, plain text STORAGE PLAIN, main bytea STORAGE MAIN);
INSERT INTO kinds.compressed SELECT repeat('compress me ', 1000), 'short', decode(repeat('ab', 3000), 'hex') FROM generate_series(1, 5);
CREATE TABLE kinds.wide AS SELECT i AS id, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 3000) AS j) AS long FROM generate_series(1, 4) AS i;

-- What came with 17 and 18 ----------------------------------------------------------------------------------------------------
\if :pg18
CREATE TABLE kinds.virtual_columns (a integer CONSTRAINT "a is ""there""" NOT NULL, b integer GENERATED ALWAYS AS (a * 2) VIRTUAL, c integer GENERATED ALWAYS AS (a + 1) STORED, d text);
INSERT INTO kinds.virtual_columns (a, d) SELECT i, 'd' FROM generate_series(1, 10) AS i;
CREATE TABLE kinds.temporal (room int4range, valid daterange, PRIMARY KEY (room, valid WITHOUT OVERLAPS));
CREATE TABLE kinds.temporal_use (room int4range, valid daterange, FOREIGN KEY (room, PERIOD valid) REFERENCES kinds.temporal (room, PERIOD valid));
INSERT INTO kinds.temporal VALUES ('[1,2)', '[2020-01-01,2021-01-01)'), ('[1,2)', '[2021-01-01,)');
INSERT INTO kinds.temporal_use VALUES ('[1,2)', '[2020-06-01,2022-01-01)');
CREATE TABLE kinds.not_enforced (a integer, author bigint REFERENCES public.authors (id) NOT ENFORCED, CONSTRAINT ignored CHECK (a > 0) NOT ENFORCED);
INSERT INTO kinds.not_enforced VALUES (-1, -1);
ALTER TABLE kinds.not_enforced ADD CONSTRAINT later_not_null NOT NULL a NOT VALID;
\endif

-- Names -----------------------------------------------------------------------------------------------------------------------
CREATE TABLE "odd names"."a ""quoted"" table" ("column ""one""" integer PRIMARY KEY, "column.two" text, "Größe 大きさ" integer, "select" integer, "%s $1 :x \n" text);
INSERT INTO "odd names"."a ""quoted"" table" SELECT i, 'x', i, i, 'y' FROM generate_series(1, 20) AS i;
CREATE TABLE "odd names"."dot.ted" (id integer);
CREATE TABLE "odd names"."odd names.dot.ted" (id integer);
CREATE TABLE "dot.ted ""schema"" ünïcödé"."dot.ted" (id integer);
CREATE TABLE "odd names"."SPACE d" (id integer);
CREATE TABLE "odd names"."space d" (id integer);
CREATE TABLE "odd names"." leading and trailing " (id integer);
CREATE TABLE "odd names"."it's; DROP TABLE authors; --" (id integer, CONSTRAINT "it's; a ""check"" -- x" CHECK (id > -5));
CREATE TABLE "odd names"."pattern*?|[a-z](x)+^$\d" (id integer);
CREATE TABLE "odd names"."pattern" (id integer);
CREATE TABLE "odd names"."-dash" (id integer);
CREATE TABLE "odd names"."%70ercent/slash\back" (id integer);
CREATE TABLE "odd names"."new
line	and tab" (id integer, "column
two" text);
CREATE TABLE "odd names"."漢字 ünïçødé 😀" (id integer);
CREATE TABLE "odd names"."select" (id integer);
CREATE TABLE "odd names"."$$" (id integer);
CREATE TABLE "odd names"."sixty-three bytes long, which is as long as a name can ever be." (id serial);
CREATE TABLE "odd names"."SECTION: data" (id integer);
DO $$
DECLARE
    t regclass;
BEGIN
    FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('odd names', 'dot.ted "schema" ünïcödé')) ORDER BY relname LOOP
        BEGIN
            EXECUTE format('INSERT INTO %s (id) SELECT i FROM generate_series(1, 5 + length(%L)) AS i', t, t::text);
        EXCEPTION WHEN undefined_column THEN NULL;
        END;
        EXECUTE format('COMMENT ON TABLE %s IS %L', t, 'about ' || t);
    END LOOP;
END $$;
GRANT SELECT ON "odd names"."a ""quoted"" table" TO "Everything ""Quoted"" Röle", "everything's;--role";
GRANT SELECT ("column ""one"""), UPDATE ("Größe 大きさ") ON "odd names"."a ""quoted"" table" TO everything_reader;
ALTER TABLE "odd names"."dot.ted" OWNER TO "Everything ""Quoted"" Röle";

-- Sequences at odd positions --------------------------------------------------------------------------------------------------
CREATE SEQUENCE kinds.never_used START WITH 42;
CREATE SEQUENCE kinds.down INCREMENT BY -3 MINVALUE -1000 MAXVALUE 10 START WITH 10 CYCLE CACHE 4;
SELECT nextval('kinds.down'), nextval('kinds.down') \g /dev/null
CREATE SEQUENCE kinds.at_its_end AS smallint MAXVALUE 32767;
SELECT setval('kinds.at_its_end', 32767, true) \g /dev/null
CREATE SEQUENCE kinds.reset_not_called;
SELECT setval('kinds.reset_not_called', 77, false) \g /dev/null
CREATE SEQUENCE "odd names"."seq ""uence""" AS integer OWNED BY "odd names"."a ""quoted"" table"."column ""one""";
SELECT setval('"odd names"."seq ""uence"""', 5) \g /dev/null
CREATE UNLOGGED SEQUENCE kinds.unlogged_sequence;
ALTER TABLE "odd names"."a ""quoted"" table" ALTER COLUMN "select" SET DEFAULT nextval('"odd names"."seq ""uence"""');
SELECT setval('public.posts_id_seq', 1000000007) \g /dev/null
GRANT USAGE ON SEQUENCE kinds.never_used TO everything_reader;
COMMENT ON SEQUENCE kinds.down IS 'goes down';

-- Views, views over views, recursive views, materialized views -----------------------------------------------------------------
CREATE VIEW public.recent_posts WITH (security_barrier = true, security_invoker = true) AS
    SELECT p.id, p.title, a.name AS "author's name" FROM public.posts AS p JOIN public.authors AS a ON a.id = p.author_id WHERE p.published > '2020-02-01';
CREATE VIEW public.over_recent AS SELECT "author's name", count(*) AS n FROM public.recent_posts GROUP BY 1 ORDER BY 2 DESC;
CREATE VIEW public.over_over_recent AS SELECT * FROM public.over_recent WHERE n > 1;
CREATE VIEW public.happy_authors AS SELECT id, name, mood FROM public.authors WHERE mood = 'happy' WITH CASCADED CHECK OPTION;
CREATE RECURSIVE VIEW public.numbers (n) AS SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10;
CREATE VIEW "odd names"."view ""of"" ödd.things" AS SELECT "Größe 大きさ" AS "ö ""x""", 'it''s' AS "a;b" FROM "odd names"."a ""quoted"" table";
CREATE VIEW public.grouped_by_key AS SELECT p.id, p.title, count(a.id) AS n FROM public.posts AS p LEFT JOIN public.authors AS a ON a.id = p.author_id GROUP BY p.id;
-- Two views that need each other: PostgreSQL can dump them only with a stand-in.
CREATE VIEW kinds.circular_a AS SELECT 1 AS x;
CREATE VIEW kinds.circular_b AS SELECT x FROM kinds.circular_a;
CREATE OR REPLACE VIEW kinds.circular_a AS SELECT 1 AS x WHERE EXISTS (SELECT FROM kinds.empty);
ALTER VIEW public.happy_authors ALTER COLUMN mood SET DEFAULT 'happy';
COMMENT ON VIEW public.recent_posts IS 'newer ones';
COMMENT ON COLUMN public.recent_posts.title IS 'a column of a view';
CREATE MATERIALIZED VIEW public.post_counts AS SELECT author_id, count(*) AS n FROM public.posts GROUP BY author_id;
CREATE UNIQUE INDEX post_counts_author ON public.post_counts (author_id);
CREATE MATERIALIZED VIEW public.over_counts AS SELECT n, count(*) AS authors FROM public.post_counts GROUP BY n;
CREATE MATERIALIZED VIEW public.never_filled AS SELECT id FROM public.posts WITH NO DATA;
CREATE VIEW public.view_of_materialized AS SELECT * FROM public.over_counts;
ALTER MATERIALIZED VIEW public.post_counts OWNER TO everything_owner;
GRANT SELECT ON public.authors, public.posts TO everything_owner;

-- Triggers, rules, event triggers ------------------------------------------------------------------------------------------------
CREATE TABLE kinds.audit (at_table text, what text, n integer);
CREATE FUNCTION kinds.note_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kinds.audit VALUES (TG_TABLE_NAME, TG_OP, TG_NARGS);
    RETURN coalesce(NEW, OLD);
END $$;
CREATE FUNCTION kinds.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trigger fired while restoring'; END $$;
CREATE TRIGGER "note ""it""" AFTER INSERT OR UPDATE OF title ON public.posts FOR EACH ROW WHEN (NEW.title IS NOT NULL) EXECUTE FUNCTION kinds.note_it('an "argument"', 'it''s');
CREATE TRIGGER note_statement AFTER DELETE ON public.posts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION kinds.note_it();
CREATE TRIGGER refuse_all BEFORE INSERT OR UPDATE OR DELETE ON kinds.wide FOR EACH ROW EXECUTE FUNCTION kinds.refuse();
CREATE TRIGGER disabled_one BEFORE INSERT ON public.authors FOR EACH ROW EXECUTE FUNCTION kinds.refuse();
ALTER TABLE public.authors DISABLE TRIGGER disabled_one;
CREATE TRIGGER on_replica BEFORE INSERT ON public.authors FOR EACH ROW EXECUTE FUNCTION kinds.refuse();
ALTER TABLE public.authors ENABLE REPLICA TRIGGER on_replica;
CREATE TRIGGER of_the_tree BEFORE INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION kinds.note_it();
ALTER TABLE public.events_2024 DISABLE TRIGGER of_the_tree;
CREATE CONSTRAINT TRIGGER constraint_one AFTER INSERT ON public.hen DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kinds.note_it();
CREATE TRIGGER instead_one INSTEAD OF INSERT ON public.recent_posts FOR EACH ROW EXECUTE FUNCTION kinds.note_it();
COMMENT ON TRIGGER refuse_all ON kinds.wide IS 'nothing may change';
CREATE RULE "rule ""one""" AS ON INSERT TO public.over_over_recent DO INSTEAD NOTHING;
CREATE RULE protect AS ON DELETE TO kinds.parent WHERE old.id = 1 DO INSTEAD (INSERT INTO kinds.audit VALUES ('parent', 'rule', 0); INSERT INTO kinds.audit VALUES ('parent', 'rule; again', 2));
CREATE RULE also AS ON UPDATE TO kinds.duplicates DO ALSO INSERT INTO kinds.audit VALUES ('duplicates', 'rule', 1);
ALTER TABLE kinds.duplicates DISABLE RULE also;
COMMENT ON RULE protect ON kinds.parent IS 'the first stays';

-- Row-level security ---------------------------------------------------------------------------------------------------------------
CREATE TABLE kinds.secrets (owner text, secret text);
INSERT INTO kinds.secrets SELECT 'everything_owner', 'secret ' || i FROM generate_series(1, 40) AS i;
ALTER TABLE kinds.secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE kinds.secrets OWNER TO everything_owner;
CREATE POLICY "own ""rows""" ON kinds.secrets AS PERMISSIVE FOR SELECT TO everything_reader, "everything's;--role" USING (owner = CURRENT_USER);
CREATE POLICY never ON kinds.secrets AS RESTRICTIVE FOR ALL USING (false) WITH CHECK (false);
COMMENT ON POLICY never ON kinds.secrets IS 'closed';

-- Grants and default privileges ---------------------------------------------------------------------------------------------------
GRANT SELECT, INSERT (name, mood), UPDATE (name) ON public.authors TO everything_reader;
GRANT ALL ON public.posts TO "everything writer" WITH GRANT OPTION;
SET ROLE "everything writer";
GRANT SELECT ON public.posts TO everything_group;
RESET ROLE;
GRANT TRIGGER, TRUNCATE, REFERENCES ON kinds.parent TO PUBLIC;
REVOKE ALL ON kinds.empty FROM CURRENT_USER;
ALTER DEFAULT PRIVILEGES IN SCHEMA kinds GRANT SELECT ON TABLES TO everything_group;
ALTER DEFAULT PRIVILEGES FOR ROLE everything_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE everything_owner IN SCHEMA "odd names" GRANT USAGE ON SEQUENCES TO "Everything ""Quoted"" Röle" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO everything_reader;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO everything_reader;

-- Large objects ---------------------------------------------------------------------------------------------------------------------
SELECT lo_from_bytea(900001, 'a large object') \g /dev/null
SELECT lo_from_bytea(900002, decode(repeat('00ff5c', 100000), 'hex')) \g /dev/null
SELECT lo_create(900003) \g /dev/null
ALTER LARGE OBJECT 900002 OWNER TO everything_owner;
GRANT SELECT ON LARGE OBJECT 900001 TO everything_reader;
COMMENT ON LARGE OBJECT 900002 IS 'three hundred thousand bytes';
CREATE TABLE kinds.refers_to_large_objects (id integer, data oid);
INSERT INTO kinds.refers_to_large_objects VALUES (1, 900001), (2, 900002);

-- Foreign data, publications, languages, access methods ------------------------------------------------------------------------------
CREATE FOREIGN DATA WRAPPER "wrapper ""of"" nothing" NO HANDLER OPTIONS (debug 'true');
CREATE SERVER elsewhere TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER "wrapper ""of"" nothing" OPTIONS (host 'it''s far');
CREATE USER MAPPING FOR everything_reader SERVER elsewhere OPTIONS (username 'someone');
CREATE FOREIGN TABLE kinds.far_away (id integer OPTIONS (column_name 'x') NOT NULL, t text) SERVER elsewhere OPTIONS (table_name 'far "t"');
GRANT USAGE ON FOREIGN SERVER elsewhere TO everything_owner;
COMMENT ON SERVER elsewhere IS 'not here';
CREATE FUNCTION kinds.language_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE TRUSTED LANGUAGE "odd ""language""" HANDLER kinds.language_handler;
COMMENT ON LANGUAGE "odd ""language""" IS 'plpgsql by another name';
CREATE ACCESS METHOD another_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE kinds.on_another_heap (id integer) USING another_heap;
INSERT INTO kinds.on_another_heap SELECT generate_series(1, 10);
CREATE CONVERSION kinds.my_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE PUBLICATION some_tables FOR TABLE public.hen, public.egg WHERE (id > 10), TABLES IN SCHEMA "odd names" WITH (publish = 'insert, update');
CREATE PUBLICATION "some ""columns""" FOR TABLE public.authors (id, name) WITH (publish_via_partition_root = true);
CREATE PUBLICATION everything_there_is FOR ALL TABLES WITH (publish = 'delete');
COMMENT ON PUBLICATION some_tables IS 'a few';

-- pgvector ---------------------------------------------------------------------------------------------------------------------------
\if :has_vector
CREATE TABLE kinds.embeddings (id integer PRIMARY KEY, v kinds.vector(3) NOT NULL, h kinds.halfvec(2), s kinds.sparsevec(5));
INSERT INTO kinds.embeddings SELECT i, format('[%s,%s,%s]', i / 3.0, -i, 1.0 / i)::kinds.vector, format('[%s,1]', i)::kinds.halfvec, format('{1:%s,5:2}/5', i)::kinds.sparsevec FROM generate_series(1, 200) AS i;
CREATE INDEX embeddings_near ON kinds.embeddings USING hnsw (v kinds.vector_l2_ops) WITH (m = 8);
CREATE INDEX embeddings_lists ON kinds.embeddings USING ivfflat (v kinds.vector_cosine_ops) WITH (lists = 3);
COMMENT ON EXTENSION vector IS 'changed comment';
\endif

-- Event triggers come last: they would fire on everything above ------------------------------------------------------------------------
CREATE FUNCTION kinds.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'ddl: %', tg_tag;
END $$;
CREATE FUNCTION kinds.no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tg_tag = 'CREATE SEQUENCE' THEN RAISE EXCEPTION 'an event trigger fired while restoring'; END IF;
END $$;
CREATE EVENT TRIGGER "log ""ddl""" ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION kinds.on_ddl();
CREATE EVENT TRIGGER no_sequences ON ddl_command_start EXECUTE FUNCTION kinds.no_ddl();
CREATE EVENT TRIGGER disabled_trigger ON sql_drop EXECUTE FUNCTION kinds.on_ddl();
ALTER EVENT TRIGGER disabled_trigger DISABLE;
COMMENT ON EVENT TRIGGER no_sequences IS 'none of them';
