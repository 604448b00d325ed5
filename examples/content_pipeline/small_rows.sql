-- The small tables, and the values that backups stumble over. Every row is a function of its number: no clock, no random().
-- The generator sets pipeline.documents and pipeline.large_object_bytes before.

INSERT INTO content.sources (id, name, homepage, trust, contact, known_since, active)
SELECT 100 + 10 * n, 'Source ' || n, CASE WHEN n % 7 > 0 THEN format('https://www.source-%s.example:8443/start', n) END,
    CASE n % 9 WHEN 0 THEN 'NaN' WHEN 1 THEN NULL WHEN 2 THEN 'Infinity' ELSE n / 40.0 END,
    jsonb_build_object('desk', n, 'phone', '+49 30 ' || n * 7919, 'languages', ARRAY['en', 'de']),
    CASE n % 5 WHEN 0 THEN '-infinity' WHEN 1 THEN '0044-03-15 BC' ELSE date '1990-01-01' + n * 97 END, n % 11 > 0
FROM generate_series(0, 39) n;

INSERT INTO content.feeds (source_id, url, poll_every, quiet, quiet_on_sundays, headers, last_polled, health)
SELECT 100 + 10 * (n % 40), format('https://feeds.source-%s.example/%s.xml?a=1&b=%%20', n % 40, n), make_interval(mins => 5 + n, secs => 0.25),
    CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'empty' ELSE ops.day_part(time '22:00', NULL) END,
    CASE WHEN n % 3 = 0 THEN '{[00:00,06:30),[23:00,23:59:59.5]}'::ops.day_parts END,
    format('{"User-Agent" :  "holdfast/%s",   "Accept": "*/*", "Accept": "text/xml"}', n)::json,
    CASE WHEN n % 13 > 0 THEN timestamptz '2026-04-30 12:00+00' - make_interval(mins => n) ELSE '-infinity' END,
    CASE n % 6 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE n / 200.0 END
FROM generate_series(1, 200) n;

INSERT INTO content.authors (name, "e-mail", address, fees, shifts, featured_document_id, joined, "left")
SELECT (ARRAY['Ada', 'Günther', 'Chloé', '美咲', 'O''Neil', 'Zoë "Zed"'])[1 + n % 6] || ' ' || n, format('author.%s@example.org', n),
    CASE WHEN n % 5 > 0 THEN ROW('Main St. ' || n || ', "rear"', lpad((n * 37)::text, 5, '0'), 'Zürich', CASE WHEN n % 2 = 0 THEN 'CH' END)::content.postal_address END,
    CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY[n, NULL, 'NaN']::numeric(8, 2)[] ELSE format('[0:1]={%s,2.50}', n)::numeric(8, 2)[] END,
    CASE WHEN n % 3 = 0 THEN '{{09:00,12:30},{13:15,17:45:30.25}}'::time[][] END,
    CASE WHEN n % 10 = 0 THEN 1 + n * 7 % current_setting('pipeline.documents')::integer END,
    date '2015-06-01' + n, CASE WHEN n % 8 = 0 THEN date '2026-01-31' - n ELSE 'infinity' END
FROM generate_series(0, 499) n;

INSERT INTO content.tags (id, parent_id, label)
SELECT n, CASE WHEN n > 20 THEN 1 + n / 21 END, (ARRAY['topic', 'Place', 'person', 'ÅNGSTRÖM', 'çedilla'])[1 + n % 5] || ' ' || n FROM generate_series(1, 600) n;

INSERT INTO pipeline.prompts (name, version, template, examples, parameters)
SELECT format('prompt-%s', lpad(n::text, 2, '0')), version,
    format(E'You are an editor.\n\nRewrite {{text}} in %s words;\r\n\tkeep names, quotes ("…", ''…'') and \\n as they are. Version %s.', 50 + n, version),
    CASE WHEN n % 2 = 0 THEN ARRAY[['in', 'out'], ['a, b', NULL], ['{x}', '"y"']] ELSE '{}' END,
    jsonb_build_object('temperature', n / 100.0, 'stop', ARRAY[E'\n\n', '###'], 'seed', 12345678901234567890.5::numeric)
FROM generate_series(0, 59) n, generate_series(1, 3) version;

INSERT INTO commerce.products (name, retired, size)
SELECT 'Licence ' || n, n % 9 = 0, CASE WHEN n % 4 > 0 THEN int4range(n, n * 10) END FROM generate_series(1, 300) n;
INSERT INTO commerce.prices (product_id, valid, price)
SELECT n, daterange(date '2022-01-01' + (quarter - 1) * 400, CASE WHEN quarter < 4 THEN date '2022-01-01' + quarter * 400 END), n * quarter * 1.0125
FROM generate_series(1, 300) n, generate_series(1, 4) quarter;

-- Large objects: text, bytes, nothing at all, and one with a hole -----------------------------------------------------------

SELECT lo_from_bytea(910001, (SELECT string_agg(decode(md5(n::text), 'hex'), '' ORDER BY n) FROM generate_series(1, current_setting('pipeline.large_object_bytes')::integer / 16) n));
SELECT lo_from_bytea(910002, convert_to(repeat(E'A letter from 1987, typed.\r\n', current_setting('pipeline.large_object_bytes')::integer / 100), 'LATIN1'));
SELECT lo_from_bytea(910003, '\x00ff5c4e0a0d5c2e0a');
SELECT lo_create(910004);
SELECT lo_create(910005);
SELECT lo_put(910005, 100000, 'after a hole');
COMMENT ON LARGE OBJECT 910002 IS 'The founder''s letter';
GRANT SELECT ON LARGE OBJECT 910002 TO pipeline_reader;
ALTER LARGE OBJECT 910003 OWNER TO pipeline_owner;
INSERT INTO content.media (id, document_id, kind, bytes, original)
SELECT ('00000000-0000-4000-8000-000000' || n)::uuid, NULL, 'attachment', '', n FROM generate_series(910001, 910005) n;

-- Odd values ------------------------------------------------------------------------------------------------------------------

INSERT INTO ops.measurements VALUES
    (1, 'NaN', 'NaN', 'infinity', 'infinity', '(,)', '10.1.2.3/8', '10.0.0.0/8', '08:00:2b:01:02:03', '', '(1e-300,-0)', '((0,0),(0,1),(1,0))', 'x', '12.34', NULL, '16/B374D848'),
    (2, 'Infinity', 'Infinity', '-infinity', '-infinity', 'empty', '::1', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff', B'1', '(Infinity,NaN)', '((1,1))', '', '-92233720368547758.08', NULL, '0/0'),
    (3, '-Infinity', '-Infinity', '4713-01-01 00:00:00 BC', '4713-01-01 BC', '[2026-01-01,2026-01-01]', 'fe80::1/64', '0.0.0.0/0', NULL, B'0101010101010101', NULL, NULL, NULL, NULL, NULL, NULL),
    (4, '-0', 0.000, '294276-12-31 23:59:59.999999', '5874897-12-31', '[2026-01-01,)', NULL, NULL, NULL, NULL, NULL, NULL, E'\\', '0', NULL, 'FFFFFFFF/FFFFFFFF'),
    (5, 5e-324, 1e-1000, '0001-01-01 00:00:00', '0001-01-01', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (6, 1.7976931348623157e308, ('1' || repeat('0', 5000) || '.' || repeat('9', 5000))::numeric, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (7, 0.1 + 0.2::float8, -0.10, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO ops.hard_text VALUES
    (1, NULL), (2, ''), (3, '\N'), (4, '\.'), (5, E'\\.\n\\.'), (6, E'tab\there, new\nline, carriage\rreturn, both\r\n'),
    (7, E'\b\f\x0b\x01\x7f'), (8, 'a "quoted" ''word'', a \ backslash and \\ two'), (9, ' leading and trailing '),
    (10, 'e' || chr(769) || ' is not é; ' || chr(65533) || chr(8238) || 'right to left'), (11, '👩🏽‍💻 🏳️‍🌈 ' || chr(1114109)),
    (12, repeat('long ', 60000)), (13, 'COPY x FROM stdin;' || chr(10) || '\.' || chr(10) || 'DROP TABLE x;'), (14, '{"json": "\u0041"}'), (15, '$$;--/*');
INSERT INTO ops.settings VALUES ('pulse', '{"every": "1s"}', 1), ('nothing', 'null', 2), ('very small', '1e-400', 3), ('nested', '[[], {}, [{"a": [null]}], "\\u"]', NULL);
INSERT INTO ops.pulse DEFAULT VALUES;
INSERT INTO ops.pulse DEFAULT VALUES;
INSERT INTO ops.pulse DEFAULT VALUES;
INSERT INTO ops.all_gone SELECT FROM generate_series(1, 5);
INSERT INTO ops.page_cache SELECT 'https://example.org/' || n, repeat('cached ', n), timestamptz '2026-05-01 00:00+00' + n * interval '1 minute' FROM generate_series(1, 50) n;
INSERT INTO ops.shifts VALUES ('Ada', '2026-01-01 06:00+00'), ('Günther', 'infinity');
INSERT INTO ops.notes (written, note) VALUES ('2026-02-01', 'parent'), ('2026-02-02', NULL);
INSERT INTO ops.incident_notes (id, written, note, severity) VALUES (77, '2026-02-03', 'child', 'warning');
INSERT INTO ops.secret_notes VALUES ('postgres', 'seen by its writer only'), ('pipeline_reader', 'so is this');

INSERT INTO "Archiv – 2019"."Leser Rückmeldung" ("wörtlich ""zitiert""", "path\raw", "Größe (m²)")
SELECT 'Brief Nr. ' || n || ' – „schön!“', 'C:\new\table\' || n, n / 3.0 FROM generate_series(1, 40) n;
INSERT INTO "Archiv – 2019"."weekly.report v2" VALUES (1, 'from', ' space ', '日本語のテキスト'), (NULL, NULL, NULL, NULL);
INSERT INTO "Archiv – 2019"."editor's ""picks""" VALUES (1, 'upper', 'lower'), (2, '''', '"');
