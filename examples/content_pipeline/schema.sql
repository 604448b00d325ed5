-- A content pipeline: sources are polled through feeds, what they bring becomes documents and revisions, which are tagged,
-- embedded, rewritten by prompts and published; around them lie a queue, events, prices, an audit log and what every real
-- database collects over the years. It uses all that PostgreSQL has which a backup can get wrong, each thing where it fits.
--
-- `psql -f` runs the whole file. The generator runs the first section, loads rows, then runs the second: as a restore does.
-- PostgreSQL 16 or newer, the `vector` extension, and a superuser (event trigger, roles).

-- ## Section: before the rows ######################################################################################

SET client_min_messages = warning;
SET check_function_bodies = true;

-- Roles belong to the server: they may be there from another database, or be made by another session just now.
DO $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY[
        'CREATE ROLE pipeline_owner NOLOGIN',
        'CREATE ROLE pipeline_editor NOLOGIN',
        'CREATE ROLE pipeline_reader NOLOGIN',
        'CREATE ROLE "pipeline.analyst" NOLOGIN CONNECTION LIMIT 5',
        'GRANT pipeline_reader TO pipeline_editor',
        'GRANT pipeline_reader TO "pipeline.analyst" WITH ADMIN OPTION',
        'COMMENT ON ROLE pipeline_editor IS ''People who write; they''''re few''',
        'ALTER ROLE pipeline_reader SET statement_timeout = ''1min'''
    ] LOOP
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN duplicate_object OR unique_violation OR internal_error THEN
            NULL;
        END;
    END LOOP;
    EXECUTE format('COMMENT ON DATABASE %I IS ''The sample content pipeline''', current_database());
    EXECUTE format('ALTER DATABASE %I SET timezone TO ''UTC''', current_database());
    EXECUTE format('ALTER DATABASE %I SET "pipeline.tenant" TO ''main''', current_database());
    EXECUTE format('ALTER ROLE "pipeline.analyst" IN DATABASE %I SET work_mem TO ''32MB''', current_database());
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO pipeline_reader', current_database());
END
$$;

CREATE SCHEMA extensions;
CREATE EXTENSION vector SCHEMA extensions;
COMMENT ON EXTENSION vector IS 'Embeddings and their nearest neighbours';

CREATE SCHEMA content;
CREATE SCHEMA pipeline;
CREATE SCHEMA commerce;
CREATE SCHEMA ops;
CREATE SCHEMA "Archiv – 2019" AUTHORIZATION pipeline_owner;
COMMENT ON SCHEMA content IS 'What is collected, written and published';
GRANT USAGE ON SCHEMA content, pipeline, commerce TO pipeline_reader;
GRANT ALL ON SCHEMA content TO pipeline_editor WITH GRANT OPTION;

ALTER DEFAULT PRIVILEGES IN SCHEMA content GRANT SELECT ON TABLES TO pipeline_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA content GRANT USAGE ON SEQUENCES TO pipeline_editor;
ALTER DEFAULT PRIVILEGES FOR ROLE pipeline_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE pipeline_owner IN SCHEMA "Archiv – 2019" GRANT SELECT ON TABLES TO "pipeline.analyst";

-- Types -------------------------------------------------------------------------------------------------------------

CREATE TYPE content.document_state AS ENUM ('draft', 'in review', 'published', 'withdrawn');
ALTER TYPE content.document_state ADD VALUE 'editor''s pick' AFTER 'in review';
CREATE TYPE content.media_kind AS ENUM ('image', 'audio', 'video', 'attachment');
CREATE TYPE pipeline.job_state AS ENUM ('queued', 'running', 'done', 'failed', 'dead');
CREATE TYPE pipeline.severity AS ENUM ('debug', 'info', 'warning', 'error');
COMMENT ON TYPE content.document_state IS 'A document''s way from the first draft to the archive';

CREATE DOMAIN content.slug AS text
    CONSTRAINT slug_is_readable CHECK (VALUE ~ '^[a-z0-9][a-z0-9-]*$');
CREATE DOMAIN content.language_code AS varchar(8) COLLATE "C" DEFAULT 'en' NOT NULL;
CREATE DOMAIN content.labels AS text[]
    CONSTRAINT not_too_many CHECK (cardinality(VALUE) <= 32);
CREATE DOMAIN commerce.amount AS numeric(14, 4)
    CONSTRAINT not_negative CHECK (VALUE >= 0);
COMMENT ON DOMAIN content.slug IS 'The readable part of a URL';

CREATE TYPE content.provenance AS (source_name text, url text, fetched_at timestamptz, confidence numeric(5, 4));
CREATE TYPE content.postal_address AS (street text, "zip code" text, city text COLLATE "C");
ALTER TYPE content.postal_address ADD ATTRIBUTE country char(2);
COMMENT ON COLUMN content.provenance.confidence IS 'From 0 to 1';

CREATE FUNCTION ops.minutes_between(later time, earlier time) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN extract(epoch FROM later - earlier) / 60;
CREATE TYPE ops.day_part AS RANGE (
    subtype = time,
    subtype_diff = ops.minutes_between,
    multirange_type_name = ops.day_parts
);
GRANT USAGE ON TYPE ops.day_part TO pipeline_reader;

CREATE COLLATION content.by_bytes FROM "C";
CREATE TEXT SEARCH DICTIONARY content.short_words (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION content.prose (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION content.prose ALTER MAPPING FOR asciiword WITH content.short_words;

-- Functions that tables need ------------------------------------------------------------------------------------------

CREATE FUNCTION content.reading_minutes(words integer, per_minute integer DEFAULT 220) RETURNS numeric
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN round(words::numeric / per_minute, 1);
CREATE FUNCTION content.host_of(url text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog
    AS $$ SELECT lower(substring(url FROM '^[a-z]+://([^/:]+)')) $$;
COMMENT ON FUNCTION content.host_of(text) IS 'The host of a URL; NULL where there is none';

-- Sequences at odd positions --------------------------------------------------------------------------------------------

CREATE SEQUENCE commerce.invoice_number START WITH 1000 INCREMENT BY 7;
SELECT setval('commerce.invoice_number', 1234567, false);
CREATE SEQUENCE ops.countdown INCREMENT BY -5 MINVALUE -1000 MAXVALUE 500 START WITH 500 CYCLE;
SELECT setval('ops.countdown', -995, true);
CREATE SEQUENCE ops.never_called AS smallint MINVALUE 3 START WITH 12 CACHE 20;
CREATE SEQUENCE ops.exhausted AS smallint MAXVALUE 32767;
SELECT setval('ops.exhausted', 32767, true);
CREATE SEQUENCE "Archiv – 2019"."laufende Nr." MINVALUE 0 START WITH 0;
COMMENT ON SEQUENCE commerce.invoice_number IS 'Sevens, so that a typing error is seen';

-- Content -------------------------------------------------------------------------------------------------------------

CREATE TABLE content.sources (
    id smallint GENERATED BY DEFAULT AS IDENTITY (START WITH 100 INCREMENT BY 10) PRIMARY KEY,
    name text NOT NULL CONSTRAINT one_source_a_name UNIQUE,
    homepage text,
    host text GENERATED ALWAYS AS (content.host_of(homepage)) STORED,
    trust numeric,
    contact jsonb NOT NULL DEFAULT '{}',
    known_since date,
    active boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE content.sources IS 'Where content comes from';
COMMENT ON COLUMN content.sources.trust IS 'From 0 to 1; NaN: never judged';

CREATE TABLE content.feeds (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id smallint NOT NULL,
    url text NOT NULL,
    poll_every interval NOT NULL DEFAULT '15 minutes',
    quiet ops.day_part,
    quiet_on_sundays ops.day_parts,
    headers json,
    last_polled timestamptz NOT NULL DEFAULT '-infinity',
    health real NOT NULL DEFAULT 'NaN'
);

CREATE TABLE content.authors (
    id bigint GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START WITH 0) PRIMARY KEY,
    name text NOT NULL,
    "e-mail" text,
    address content.postal_address,
    fees numeric(8, 2)[],
    shifts time[][],
    featured_document_id bigint,
    joined date NOT NULL,
    "left" date DEFAULT 'infinity'
);
COMMENT ON COLUMN content.authors.featured_document_id IS 'Points at a document, which points back: both are checked at commit';

CREATE TABLE content.documents (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    legacy_number integer,
    guid uuid NOT NULL,
    feed_id integer,
    lead_author_id bigint,
    slug content.slug NOT NULL,
    language content.language_code,
    state content.document_state NOT NULL DEFAULT 'draft',
    title text NOT NULL,
    legacy_body text,
    summary text NOT NULL DEFAULT '',
    labels content.labels NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    origin content.provenance,
    word_count integer NOT NULL DEFAULT 0,
    reading_minutes numeric GENERATED ALWAYS AS (content.reading_minutes(word_count)) STORED,
    quality double precision,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    search tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('content.prose', title), 'A') || setweight(to_tsvector('content.prose', summary), 'B')
    ) STORED
);
-- The old system's columns went after the move; their places in the rows are still there.
ALTER TABLE content.documents DROP COLUMN legacy_number, DROP COLUMN legacy_body;
COMMENT ON TABLE content.documents IS E'One a piece of content; its text is in revisions.\nSecond line: "quotes", \\backslash, größer → ≥';

CREATE TABLE content.revisions (
    id bigint GENERATED ALWAYS AS IDENTITY,
    document_id bigint NOT NULL,
    number integer NOT NULL,
    author_id bigint,
    body text NOT NULL,
    body_length integer GENERATED ALWAYS AS (length(body)) STORED,
    note text,
    created_at timestamptz NOT NULL
);
ALTER TABLE content.revisions ALTER COLUMN number SET STATISTICS 500;

CREATE TABLE content.tags (
    id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    parent_id integer,
    label text COLLATE content.by_bytes NOT NULL UNIQUE
);
CREATE TABLE content.document_tags (
    document_id bigint NOT NULL,
    tag_id integer NOT NULL,
    weight real NOT NULL DEFAULT 1
);

CREATE TABLE content.embeddings (
    document_id bigint NOT NULL,
    part smallint NOT NULL,
    model text NOT NULL,
    evergreen boolean NOT NULL,
    embedding extensions.vector(64) NOT NULL
);
ALTER TABLE content.embeddings ALTER COLUMN embedding SET STORAGE PLAIN;

CREATE TABLE content.media (
    id uuid PRIMARY KEY,
    document_id bigint,
    kind content.media_kind NOT NULL,
    bytes bytea NOT NULL,
    size_bytes integer GENERATED ALWAYS AS (octet_length(bytes)) STORED,
    original oid,
    exif jsonb
);
ALTER TABLE content.media ALTER COLUMN bytes SET STORAGE EXTERNAL;
COMMENT ON COLUMN content.media.original IS 'A large object, where the original was too big for a column';

CREATE TABLE content.publications (
    document_id bigint NOT NULL,
    channel content.slug NOT NULL,
    visible tstzrange NOT NULL,
    seen_by int4multirange NOT NULL DEFAULT '{}',
    clicks bigint NOT NULL DEFAULT 0,
    CONSTRAINT visible_for_a_while CHECK (NOT isempty(visible))
);

-- Pipeline: the queue by month, events by quarter and then by severity ------------------------------------------------

CREATE TABLE pipeline.jobs (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    queued_at timestamptz NOT NULL,
    kind text NOT NULL,
    state pipeline.job_state NOT NULL DEFAULT 'queued',
    document_id bigint,
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 20),
    payload jsonb NOT NULL,
    took interval,
    error text
) PARTITION BY RANGE (queued_at);

CREATE PROCEDURE pipeline.add_month(month date)
    LANGUAGE plpgsql
    AS $$
BEGIN
    EXECUTE format(
        'CREATE TABLE pipeline.%I PARTITION OF pipeline.jobs FOR VALUES FROM (%L) TO (%L)',
        'jobs_' || to_char(month, 'YYYY_MM'), month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
    );
END
$$;
COMMENT ON PROCEDURE pipeline.add_month(date) IS 'Makes room in the queue for one more month';
CALL pipeline.add_month('2025-11-01');
CALL pipeline.add_month('2025-12-01');
CALL pipeline.add_month('2026-01-01');
CALL pipeline.add_month('2026-02-01');
CALL pipeline.add_month('2026-03-01');
CALL pipeline.add_month('2026-04-01');
CREATE TABLE pipeline.jobs_other PARTITION OF pipeline.jobs DEFAULT;

CREATE TABLE pipeline.events (
    id bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    severity pipeline.severity NOT NULL,
    name text NOT NULL,
    document_id bigint,
    trace uuid,
    payload jsonb NOT NULL
) PARTITION BY RANGE (occurred_at);
CREATE TABLE pipeline.events_2025_q4 PARTITION OF pipeline.events
    FOR VALUES FROM (MINVALUE) TO ('2026-01-01 00:00+00') PARTITION BY LIST (severity);
CREATE TABLE pipeline.events_2025_q4_quiet PARTITION OF pipeline.events_2025_q4 FOR VALUES IN ('debug', 'info');
CREATE TABLE pipeline.events_2025_q4_loud PARTITION OF pipeline.events_2025_q4 FOR VALUES IN ('warning', 'error');
CREATE TABLE pipeline.events_2026_q1 PARTITION OF pipeline.events
    FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-04-01 00:00+00') PARTITION BY LIST (severity);
CREATE TABLE pipeline.events_2026_q1_quiet PARTITION OF pipeline.events_2026_q1 FOR VALUES IN ('debug', 'info');
CREATE TABLE pipeline.events_2026_q1_loud PARTITION OF pipeline.events_2026_q1 DEFAULT;
-- This one was a table of its own before it was attached: its columns lie in another order, with a hole.
CREATE TABLE pipeline."events 2026 Q2" (
    payload jsonb NOT NULL,
    shard integer,
    trace uuid,
    document_id bigint,
    name text NOT NULL,
    severity pipeline.severity NOT NULL,
    occurred_at timestamptz NOT NULL,
    id bigint NOT NULL
);
ALTER TABLE pipeline."events 2026 Q2" DROP COLUMN shard;
ALTER TABLE pipeline.events ATTACH PARTITION pipeline."events 2026 Q2" FOR VALUES FROM ('2026-04-01 00:00+00') TO (MAXVALUE);
COMMENT ON TABLE pipeline.events IS 'What happened; written once, never changed';

CREATE TABLE pipeline.prompts (
    name content.slug NOT NULL,
    version integer NOT NULL DEFAULT 1,
    template text NOT NULL,
    examples text[][] NOT NULL DEFAULT '{}',
    parameters jsonb NOT NULL DEFAULT '{"temperature": 0.2}',
    PRIMARY KEY (name, version)
);
CREATE TABLE pipeline.generations (
    id uuid NOT NULL,
    prompt content.slug NOT NULL,
    prompt_version integer NOT NULL,
    document_id bigint,
    input text NOT NULL,
    output text,
    tokens_in integer NOT NULL,
    tokens_out integer NOT NULL,
    tokens integer GENERATED ALWAYS AS (tokens_in + tokens_out) STORED,
    cost numeric(12, 8),
    took interval,
    created_at timestamptz NOT NULL
);

-- Commerce ----------------------------------------------------------------------------------------------------------------

CREATE TABLE commerce.products (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    retired boolean NOT NULL DEFAULT false,
    size int4range CHECK (lower_inc(size))
);
CREATE TABLE commerce.prices (
    product_id integer NOT NULL,
    valid daterange NOT NULL,
    price commerce.amount NOT NULL,
    CONSTRAINT one_price_a_day EXCLUDE USING gist (int4range(product_id, product_id, '[]') WITH =, valid WITH &&)
        DEFERRABLE INITIALLY IMMEDIATE
);
COMMENT ON CONSTRAINT one_price_a_day ON commerce.prices IS 'Two prices never hold on the same day';

-- Operations: audit, measurements, and what collects over the years ---------------------------------------------------------

CREATE TABLE ops.audit (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    actor name NOT NULL DEFAULT current_user,
    relation regclass,
    action char(1) NOT NULL CHECK (action IN ('I', 'U', 'D', 'T')),
    row_key text,
    changes jsonb
);
CREATE TABLE ops.ddl_log (at timestamptz NOT NULL DEFAULT now(), command text NOT NULL, object text);
CREATE TABLE ops.settings (key text PRIMARY KEY, value jsonb NOT NULL, "order" smallint UNIQUE NULLS NOT DISTINCT);
CREATE TABLE ops.measurements (
    id integer PRIMARY KEY,
    reading double precision,
    exact numeric,
    at timestamp,
    day date,
    span tsrange,
    address inet,
    network cidr,
    device macaddr,
    flags bit varying(16),
    place point,
    area polygon,
    letter "char",
    fee money,
    document xml,
    position_in_log pg_lsn
);
CREATE TABLE ops.hard_text (id integer PRIMARY KEY, value text);
COMMENT ON TABLE ops.hard_text IS 'Text that a careless copy would break';
CREATE TABLE ops.nothing_yet (id bigint PRIMARY KEY, value text);
CREATE TABLE ops.pulse ();
COMMENT ON TABLE ops.pulse IS 'No columns: each row is one beat';
CREATE UNLOGGED TABLE ops.page_cache (url text PRIMARY KEY, body text, expires timestamptz);
CREATE TABLE ops.all_gone (a integer, b text);
ALTER TABLE ops.all_gone DROP COLUMN a, DROP COLUMN b;
CREATE TYPE ops.shift AS (who text, since timestamptz);
CREATE TABLE ops.shifts OF ops.shift (PRIMARY KEY (who, since));
CREATE TABLE ops.notes (id integer GENERATED ALWAYS AS IDENTITY, written date NOT NULL, note text);
CREATE TABLE ops.incident_notes (severity pipeline.severity DEFAULT 'error', CHECK (note IS NOT NULL)) INHERITS (ops.notes);
CREATE TABLE ops.secret_notes (owner name NOT NULL DEFAULT current_user, note text);

CREATE TABLE "Archiv – 2019"."Leser Rückmeldung" (
    "Nr." integer DEFAULT nextval('"Archiv – 2019"."laufende Nr."') PRIMARY KEY,
    "wörtlich ""zitiert""" text,
    "path\raw" text,
    "Größe (m²)" numeric
);
ALTER SEQUENCE "Archiv – 2019"."laufende Nr." OWNED BY "Archiv – 2019"."Leser Rückmeldung"."Nr.";
CREATE TABLE "Archiv – 2019"."weekly.report v2" ("select" integer, "from" text, " leading space" text, "日本語" text);
CREATE TABLE "Archiv – 2019"."editor's ""picks""" ("a.b" integer PRIMARY KEY, "C" text, c text);
ALTER TABLE "Archiv – 2019"."Leser Rückmeldung" OWNER TO pipeline_owner;
ALTER TABLE "Archiv – 2019"."weekly.report v2" OWNER TO pipeline_owner;
COMMENT ON COLUMN "Archiv – 2019"."Leser Rückmeldung"."path\raw" IS 'As it came: \N, \., ''quoted''';

-- ## Section: after the rows #######################################################################################

SET client_min_messages = warning;

-- Keys ------------------------------------------------------------------------------------------------------------------

ALTER TABLE content.documents ADD PRIMARY KEY (id);
ALTER TABLE content.documents ADD CONSTRAINT one_document_a_guid UNIQUE (guid);
ALTER TABLE content.revisions ADD PRIMARY KEY (id);
ALTER TABLE content.revisions ADD CONSTRAINT revisions_in_order UNIQUE (document_id, number) INCLUDE (created_at);
ALTER TABLE content.document_tags ADD PRIMARY KEY (document_id, tag_id);
ALTER TABLE content.embeddings ADD PRIMARY KEY (document_id, part);
ALTER TABLE content.publications ADD PRIMARY KEY (document_id, channel);
ALTER TABLE pipeline.jobs ADD PRIMARY KEY (id, queued_at);
ALTER TABLE pipeline.events ADD PRIMARY KEY (id, occurred_at, severity);
ALTER TABLE pipeline.generations ADD PRIMARY KEY (id);
ALTER TABLE ops.audit ADD PRIMARY KEY (id);
ALTER TABLE ops.audit CLUSTER ON audit_pkey;
ALTER TABLE content.revisions REPLICA IDENTITY USING INDEX revisions_pkey;

ALTER TABLE content.feeds ADD FOREIGN KEY (source_id) REFERENCES content.sources ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE content.documents ADD FOREIGN KEY (feed_id) REFERENCES content.feeds ON DELETE SET NULL;
-- An author's featured document and a document's lead author refer to each other.
ALTER TABLE content.documents ADD FOREIGN KEY (lead_author_id) REFERENCES content.authors DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE content.authors ADD FOREIGN KEY (featured_document_id) REFERENCES content.documents DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE content.revisions ADD FOREIGN KEY (document_id) REFERENCES content.documents ON DELETE CASCADE;
ALTER TABLE content.revisions ADD FOREIGN KEY (author_id) REFERENCES content.authors NOT VALID;
ALTER TABLE content.tags ADD FOREIGN KEY (parent_id) REFERENCES content.tags;
ALTER TABLE content.document_tags ADD FOREIGN KEY (document_id) REFERENCES content.documents ON DELETE CASCADE;
ALTER TABLE content.document_tags ADD FOREIGN KEY (tag_id) REFERENCES content.tags;
ALTER TABLE content.embeddings ADD FOREIGN KEY (document_id) REFERENCES content.documents ON DELETE CASCADE;
ALTER TABLE content.media ADD FOREIGN KEY (document_id) REFERENCES content.documents ON DELETE SET NULL;
ALTER TABLE content.publications ADD FOREIGN KEY (document_id) REFERENCES content.documents;
ALTER TABLE pipeline.jobs ADD FOREIGN KEY (document_id) REFERENCES content.documents;
ALTER TABLE pipeline.generations ADD FOREIGN KEY (prompt, prompt_version) REFERENCES pipeline.prompts MATCH FULL;
ALTER TABLE commerce.prices ADD FOREIGN KEY (product_id) REFERENCES commerce.products;

-- Indexes ---------------------------------------------------------------------------------------------------------------

CREATE INDEX documents_search ON content.documents USING gin (search);
CREATE INDEX documents_metadata ON content.documents USING gin (metadata jsonb_path_ops);
CREATE INDEX documents_labels ON content.documents USING gin (labels);
CREATE INDEX documents_slug ON content.documents (lower(slug) text_pattern_ops);
CREATE INDEX documents_recent ON content.documents (published_at DESC NULLS LAST) WHERE state = 'published';
CREATE INDEX documents_created ON content.documents USING brin (created_at);
CREATE INDEX documents_language ON content.documents USING hash (language);
CREATE INDEX embeddings_evergreen ON content.embeddings USING hnsw (embedding extensions.vector_cosine_ops)
    WITH (m = 8, ef_construction = 32) WHERE evergreen;
CREATE INDEX media_document ON content.media (document_id);
CREATE INDEX publications_visible ON content.publications USING gist (visible);
CREATE INDEX jobs_waiting ON pipeline.jobs (kind, queued_at) WHERE state IN ('queued', 'running');
CREATE INDEX events_document ON pipeline.events (document_id, occurred_at);
CREATE INDEX generations_prompt ON pipeline.generations (prompt, created_at) INCLUDE (cost);
CREATE INDEX audit_row ON ops.audit (relation, row_key);
CREATE UNIQUE INDEX "one note a day, says ""Ω""" ON ops.notes (written, (upper(note)));
COMMENT ON INDEX content.embeddings_evergreen IS 'Only what stays worth reading is searched by likeness';

CREATE STATISTICS content.state_and_language (dependencies, mcv) ON state, language FROM content.documents;
COMMENT ON STATISTICS content.state_and_language IS 'Languages differ in how much is published';

-- Functions and procedures ------------------------------------------------------------------------------------------------

CREATE FUNCTION content.newest_revision(document bigint) RETURNS content.revisions
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT r FROM content.revisions r WHERE r.document_id = document ORDER BY r.number DESC LIMIT 1;
    END;
CREATE FUNCTION content.nearest(wanted extensions.vector, how_many integer DEFAULT 5)
    RETURNS TABLE (document_id bigint, distance double precision)
    LANGUAGE sql STABLE ROWS 5 SET search_path = extensions, pg_catalog
    AS $$ SELECT e.document_id, e.embedding <=> wanted FROM content.embeddings e WHERE e.evergreen ORDER BY 2 LIMIT how_many $$;
CREATE FUNCTION content.join_labels(VARIADIC parts text[]) RETURNS content.labels
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT array_agg(DISTINCT part ORDER BY part)::content.labels FROM unnest(parts) part $$;
CREATE FUNCTION content.join_labels(one content.labels, two content.labels) RETURNS content.labels
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT content.join_labels(VARIADIC one::text[] || two::text[]) $$;
CREATE FUNCTION content.longer(a text, b text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN length(b) > coalesce(length(a), -1) THEN b ELSE a END;
CREATE AGGREGATE content.longest(text) (SFUNC = content.longer, STYPE = text, COMBINEFUNC = content.longer, PARALLEL = safe);
CREATE OPERATOR content.|+| (LEFTARG = content.labels, RIGHTARG = content.labels, FUNCTION = content.join_labels, COMMUTATOR = OPERATOR(content.|+|));
CREATE FUNCTION ops.only_for_owner() RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp COST 1000
    AS $body$
BEGIN
    -- A body with every quote that there is: ' " $$ \ and ; in one line
    RETURN $$it's "done"; \$$ || current_user;
END
$body$;
REVOKE EXECUTE ON FUNCTION ops.only_for_owner() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.only_for_owner() TO pipeline_editor;
ALTER FUNCTION ops.only_for_owner() OWNER TO pipeline_owner;

CREATE PROCEDURE pipeline.requeue(INOUT moved integer, older_than interval DEFAULT '1 hour')
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE pipeline.jobs SET state = 'queued', attempts = attempts + 1
    WHERE state = 'running' AND queued_at < now() - older_than AND attempts < 20;
    GET DIAGNOSTICS moved = ROW_COUNT;
    COMMIT;
END
$$;

-- Triggers ----------------------------------------------------------------------------------------------------------------

CREATE FUNCTION ops.touch() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
CREATE FUNCTION ops.record_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$
BEGIN
    INSERT INTO ops.audit (relation, action, row_key, changes)
    VALUES (TG_RELID, left(TG_OP, 1), coalesce(to_jsonb(NEW), to_jsonb(OLD)) ->> TG_ARGV[0], to_jsonb(NEW) - 'search');
    RETURN NULL;
END
$$;
CREATE FUNCTION ops.count_changes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO ops.audit (relation, action, changes) SELECT TG_RELID, left(TG_OP, 1), jsonb_build_object('rows', count(*)) FROM changed;
    RETURN NULL;
END
$$;
CREATE FUNCTION ops.price_is_known() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM commerce.prices WHERE product_id = NEW.id) THEN
        RAISE EXCEPTION 'product % has no price', NEW.id USING HINT = 'Insert the price in the same transaction.';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER touch BEFORE UPDATE ON content.documents
    FOR EACH ROW WHEN (OLD.updated_at = NEW.updated_at) EXECUTE FUNCTION ops.touch();
CREATE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF title, state ON content.documents
    FOR EACH ROW EXECUTE FUNCTION ops.record_change('guid');
CREATE TRIGGER count_updates AFTER UPDATE ON content.publications
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ops.count_changes();
CREATE TRIGGER audit AFTER UPDATE ON pipeline.jobs
    FOR EACH ROW WHEN (NEW.state = 'dead') EXECUTE FUNCTION ops.record_change('id');
CREATE CONSTRAINT TRIGGER price_is_known AFTER INSERT ON commerce.products
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ops.price_is_known();
CREATE TRIGGER "switched off, kept" BEFORE UPDATE ON ops.secret_notes FOR EACH ROW EXECUTE FUNCTION ops.touch();
ALTER TABLE ops.secret_notes DISABLE TRIGGER "switched off, kept";
CREATE TRIGGER always AFTER INSERT ON ops.settings FOR EACH ROW EXECUTE FUNCTION ops.record_change('key');
ALTER TABLE ops.settings ENABLE ALWAYS TRIGGER always;
COMMENT ON TRIGGER touch ON content.documents IS 'updated_at is the database''s business';

-- Views, views over views, materialized views ---------------------------------------------------------------------------------

CREATE VIEW content.published AS
    SELECT d.id, d.slug, d.language, d.title, d.summary, d.published_at, d.reading_minutes, a.name AS author
    FROM content.documents d LEFT JOIN content.authors a ON a.id = d.lead_author_id
    WHERE d.state IN ('published', 'editor''s pick');
CREATE VIEW content.front_page WITH (security_barrier) AS
    SELECT *, row_number() OVER (PARTITION BY language ORDER BY published_at DESC) AS place FROM content.published;
CREATE VIEW content.drafts WITH (security_invoker = true) AS
    SELECT id, slug, title, state, lead_author_id FROM content.documents WHERE state = 'draft' WITH CASCADED CHECK OPTION;
CREATE RECURSIVE VIEW content.tag_paths (id, path) AS
    SELECT id, ARRAY[label] FROM content.tags WHERE parent_id IS NULL
    UNION ALL
    SELECT t.id, p.path || t.label FROM content.tags t JOIN tag_paths p ON p.id = t.parent_id;
CREATE VIEW content.inbox AS SELECT slug, title FROM content.documents WHERE state = 'draft';
CREATE VIEW "Archiv – 2019"."Übersicht" AS
    SELECT "Nr.", "path\raw" AS "Pfad", f.place FROM "Archiv – 2019"."Leser Rückmeldung"
    LEFT JOIN content.front_page f ON f.id = "Nr.";
COMMENT ON VIEW content.front_page IS 'The order in which the front page shows what is published';

CREATE FUNCTION content.receive() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO content.documents (guid, slug, title) VALUES (gen_random_uuid(), NEW.slug, NEW.title);
    RETURN NEW;
END
$$;
CREATE TRIGGER receive INSTEAD OF INSERT ON content.inbox FOR EACH ROW EXECUTE FUNCTION content.receive();

CREATE MATERIALIZED VIEW content.activity AS
    SELECT date_trunc('day', created_at AT TIME ZONE 'UTC')::date AS day, state, count(*) AS documents, sum(word_count) AS words
    FROM content.documents GROUP BY 1, 2;
CREATE UNIQUE INDEX activity_day ON content.activity (day, state);
CREATE MATERIALIZED VIEW content.activity_by_month AS
    SELECT date_trunc('month', day::timestamp)::date AS month, sum(documents) AS documents FROM content.activity GROUP BY 1;
CREATE MATERIALIZED VIEW content.not_yet_counted AS
    SELECT prompt, sum(cost) AS cost FROM pipeline.generations GROUP BY 1 WITH NO DATA;
CREATE VIEW content.busiest_months AS SELECT * FROM content.activity_by_month WHERE documents > 10;

-- Rules ---------------------------------------------------------------------------------------------------------------------

CREATE RULE retire_instead AS ON DELETE TO commerce.products
    DO INSTEAD UPDATE commerce.products SET retired = true WHERE id = OLD.id;
CREATE RULE note_beats AS ON UPDATE TO ops.settings WHERE OLD.key = 'pulse' DO ALSO INSERT INTO ops.pulse DEFAULT VALUES;
COMMENT ON RULE retire_instead ON commerce.products IS 'Invoices refer to products for ever';

-- Who may see what ------------------------------------------------------------------------------------------------------------

ALTER TABLE content.documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody_reads_published ON content.documents FOR SELECT TO pipeline_reader
    USING (state IN ('published', 'editor''s pick'));
CREATE POLICY editors_write ON content.documents TO pipeline_editor USING (true) WITH CHECK (state <> 'withdrawn');
CREATE POLICY never_the_future ON content.documents AS RESTRICTIVE FOR SELECT TO PUBLIC
    USING (published_at IS NULL OR published_at < 'infinity');
ALTER TABLE ops.secret_notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_notes ON ops.secret_notes USING (owner = current_user);
COMMENT ON POLICY own_notes ON ops.secret_notes IS 'Not even the owner of the table reads them all';

GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA content TO pipeline_editor;
GRANT SELECT (id, kind, state), UPDATE (state) ON pipeline.jobs TO pipeline_editor;
GRANT SELECT ON content.front_page TO PUBLIC;
GRANT USAGE ON SEQUENCE commerce.invoice_number TO pipeline_editor WITH GRANT OPTION;
REVOKE SELECT ON content.media FROM pipeline_reader;

-- The event trigger comes last, so that it logs what people do from here on ---------------------------------------------------

CREATE FUNCTION ops.log_ddl() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$
BEGIN
    INSERT INTO ops.ddl_log (command, object)
    SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands() WHERE schema_name <> 'pg_temp';
END
$$;
CREATE EVENT TRIGGER log_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'DROP TABLE') EXECUTE FUNCTION ops.log_ddl();
COMMENT ON EVENT TRIGGER log_ddl IS 'Who changed which table';
