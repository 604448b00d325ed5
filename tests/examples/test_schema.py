"""The sample pipeline really has what a backup must survive: each thing is looked up in the server's own catalogs."""

from __future__ import annotations

import pytest

from holdfast.postgres.connection import DatabaseUrl
from tests.examples.conftest import ask

_OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'extensions')"
_CLASS = f"SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE {_OURS} AND"
_COLUMN = f"""SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_type t ON t.oid = atttypid WHERE {_OURS} AND relkind IN ('r', 'p') AND attnum > 0 AND"""
_DATABASE = "SELECT count(*) FROM pg_database d"
_DROPPED = "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE attisdropped AND relkind = 'r' AND"
_TYPE = f"SELECT count(*) FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE {_OURS} AND"
_PROC = f"SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE {_OURS} AND"
_CONSTRAINT = "SELECT count(*) FROM pg_constraint WHERE"
_TRIGGER = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND"
_INDEX = f"""SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_am m ON m.oid = relam WHERE {_OURS} AND"""
_ROWS_OF_VIEW = "SELECT count(*) FROM pg_depend d JOIN pg_rewrite w ON w.oid = objid JOIN pg_class v ON v.oid = refobjid WHERE"

FEATURES = {
    "partitioned tables": f"{_CLASS} relkind = 'p'",
    "partitions of partitions": f"{_CLASS} relkind = 'p' AND relispartition",
    "a default partition": "SELECT count(*) FROM pg_partitioned_table WHERE partdefid <> 0",
    "partitions whose columns lie in another order": f"{_DROPPED} relispartition",
    "inheritance": f"{_CLASS} NOT relispartition AND EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)",
    "typed tables": f"{_CLASS} reloftype <> 0",
    "stored generated columns": f"{_COLUMN} attgenerated = 's'",
    "identity columns, always": f"{_COLUMN} attidentity = 'a'",
    "identity columns, by default": f"{_COLUMN} attidentity = 'd'",
    "dropped columns": f"{_DROPPED} NOT relispartition",
    "enum columns": f"{_COLUMN} typtype = 'e'",
    "an enum value added in between": "SELECT count(*) FROM pg_enum WHERE enumsortorder <> trunc(enumsortorder)",
    "domain columns": f"{_COLUMN} typtype = 'd'",
    "domains with a check": f"{_TYPE} EXISTS (SELECT FROM pg_constraint WHERE contypid = t.oid AND contype = 'c')",
    "composite columns": f"{_COLUMN} typtype = 'c'",
    "range columns": f"{_COLUMN} typtype = 'r'",
    "multirange columns": f"{_COLUMN} typtype = 'm'",
    "range types of our own": f"{_TYPE} typtype = 'r'",
    "array columns": f"{_COLUMN} typcategory = 'A'",
    "jsonb": f"{_COLUMN} typname = 'jsonb'",
    "json": f"{_COLUMN} typname = 'json'",
    "xml": f"{_COLUMN} typname = 'xml'",
    "bytea": f"{_COLUMN} typname = 'bytea'",
    "vectors": f"{_COLUMN} typname = 'vector'",
    "network addresses": f"{_COLUMN} typname IN ('inet', 'cidr', 'macaddr')",
    "shapes": f"{_COLUMN} typname IN ('point', 'polygon')",
    "money": f"{_COLUMN} typname = 'money'",
    "large objects": "SELECT count(*) FROM pg_largeobject_metadata",
    "an empty large object": "SELECT count(*) FROM pg_largeobject_metadata WHERE oid NOT IN (SELECT loid FROM pg_largeobject)",
    "large objects with grants": "SELECT count(*) FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL",
    "materialized views": f"{_CLASS} relkind = 'm' AND relispopulated",
    "a materialized view that was never filled": f"{_CLASS} relkind = 'm' AND NOT relispopulated",
    "materialized views over materialized views": f"{_ROWS_OF_VIEW} v.relkind = 'm' AND ev_class <> v.oid",
    "views": f"{_CLASS} relkind = 'v'",
    "views over views": f"{_ROWS_OF_VIEW} v.relkind = 'v' AND ev_class <> v.oid",
    "views with options": f"{_CLASS} relkind = 'v' AND reloptions IS NOT NULL",
    "functions": f"{_PROC} prokind = 'f'",
    "functions with a parsed body": f"{_PROC} prosqlbody IS NOT NULL",
    "overloaded functions": f"{_PROC} 1 < (SELECT count(*) FROM pg_proc o WHERE o.proname = p.proname)",
    "variadic functions": f"{_PROC} provariadic <> 0",
    "security definer functions": f"{_PROC} prosecdef",
    "aggregates": f"{_PROC} prokind = 'a'",
    "procedures": f"{_PROC} prokind = 'p'",
    "operators": f"SELECT count(*) FROM pg_operator o JOIN pg_namespace n ON n.oid = oprnamespace WHERE {_OURS}",
    "triggers": f"{_TRIGGER} true",
    "triggers with a transition table": f"{_TRIGGER} tgnewtable IS NOT NULL",
    "triggers instead of": f"{_TRIGGER} tgtype & 64 > 0",
    "constraint triggers": f"{_TRIGGER} tgconstraint <> 0 AND tgdeferrable",
    "switched off triggers": f"{_TRIGGER} tgenabled = 'D'",
    "triggers that fire even in a replica": f"{_TRIGGER} tgenabled = 'A'",
    "event triggers": "SELECT count(*) FROM pg_event_trigger",
    "rules": "SELECT count(*) FROM pg_rules WHERE schemaname <> 'pg_catalog'",
    "row-level security": f"{_CLASS} relrowsecurity",
    "row-level security, forced": f"{_CLASS} relforcerowsecurity",
    "policies": "SELECT count(*) FROM pg_policy",
    "restrictive policies": "SELECT count(*) FROM pg_policy WHERE NOT polpermissive",
    "grants on tables": f"{_CLASS} relkind = 'r' AND relacl IS NOT NULL",
    "grants on columns": f"{_COLUMN} attacl IS NOT NULL",
    "grants on functions": f"{_PROC} proacl IS NOT NULL",
    "grants on types": f"{_TYPE} typacl IS NOT NULL",
    "grants on the database": f"{_DATABASE} WHERE d.datacl IS NOT NULL AND d.datname = current_database()",
    "settings of the database": f"{_DATABASE} JOIN pg_db_role_setting ON d.oid = setdatabase WHERE datname = current_database()",
    "default privileges": "SELECT count(*) FROM pg_default_acl",
    "default privileges for every schema": "SELECT count(*) FROM pg_default_acl WHERE defaclnamespace = 0",
    "tables of another owner": f"{_CLASS} pg_get_userbyid(relowner) <> current_user",
    "comments": "SELECT count(*) FROM pg_description WHERE objoid = 'content.documents'::regclass",
    "a comment on the database": f"{_DATABASE} JOIN pg_shdescription ON d.oid = objoid WHERE datname = current_database()",
    "extensions": "SELECT count(*) FROM pg_extension WHERE extname = 'vector'",
    "exclusion constraints": f"{_CONSTRAINT} contype = 'x'",
    "deferred foreign keys in a circle": f"""{_CONSTRAINT} contype = 'f' AND condeferred AND
        (conrelid, confrelid) IN (SELECT confrelid, conrelid FROM pg_constraint WHERE contype = 'f')""",
    "foreign keys that were never checked": f"{_CONSTRAINT} contype = 'f' AND NOT convalidated",
    "foreign keys to oneself": f"{_CONSTRAINT} contype = 'f' AND conrelid = confrelid",
    "unlogged tables": f"{_CLASS} relkind = 'r' AND relpersistence = 'u'",
    "tables without columns": f"{_CLASS} relkind = 'r' AND relnatts = 0",
    "tables whose columns are all gone": f"""{_CLASS} relkind = 'r' AND relnatts > 0
        AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)""",
    "sequences that were never called": "SELECT count(*) FROM pg_sequences WHERE last_value IS NULL",
    "sequences that go down": "SELECT count(*) FROM pg_sequences WHERE increment_by < 0 AND cycle",
    "sequences at their end": "SELECT count(*) FROM pg_sequences WHERE last_value = max_value",
    "gin indexes": f"{_INDEX} amname = 'gin'",
    "gist indexes": f"{_INDEX} amname = 'gist'",
    "hnsw indexes": f"{_INDEX} amname = 'hnsw'",
    "brin indexes": f"{_INDEX} amname = 'brin'",
    "hash indexes": f"{_INDEX} amname = 'hash'",
    "partial indexes": f"{_INDEX} indpred IS NOT NULL",
    "expression indexes": f"{_INDEX} indexprs IS NOT NULL",
    "covering indexes": f"{_INDEX} indnatts > indnkeyatts",
    "clustered tables": f"{_INDEX} indisclustered",
    "a replica identity": f"{_INDEX} indisreplident",
    "extended statistics": "SELECT count(*) FROM pg_statistic_ext",
    "collations": "SELECT count(*) FROM pg_collation WHERE collnamespace = 'content'::regnamespace",
    "text search configurations": "SELECT count(*) FROM pg_ts_config WHERE cfgnamespace = 'content'::regnamespace",
    "a name with a space": f"{_CLASS} relname LIKE '% %'",
    "a name with a double quote": f"{_CLASS} relname LIKE '%\"%'",
    "a name with a single quote": f"{_CLASS} relname LIKE '%''%'",
    "a name with a dot": f"{_CLASS} relname LIKE '%.%'",
    "a name with a backslash": f"{_COLUMN} strpos(attname, chr(92)) > 0",
    "names beyond ASCII": f"{_CLASS} relname ~ '[^\\x01-\\x7f]'",
    "a name that begins with a space": f"{_COLUMN} attname LIKE ' %'",
    "not a number": "SELECT count(*) FROM ops.measurements WHERE reading = 'NaN' AND exact = 'NaN'",
    "infinities": "SELECT count(*) FROM ops.measurements WHERE abs(reading) = 'Infinity' AND NOT isfinite(day)",
    "dates before Christ": "SELECT count(*) FROM ops.measurements WHERE at < '0001-01-01'",
    "empty ranges": "SELECT count(*) FROM ops.measurements WHERE isempty(span)",
    "text that looks like the end of a COPY": "SELECT count(*) FROM ops.hard_text WHERE value = chr(92) || '.'",
    "line breaks of all kinds": "SELECT count(*) FROM ops.hard_text WHERE value LIKE '%' || chr(13) || chr(10) || '%'",
    "empty arrays, and arrays that begin at 0": "SELECT count(*) FROM content.authors WHERE array_lower(fees, 1) = 0",
    "arrays of two dimensions": "SELECT count(*) FROM pipeline.prompts WHERE array_ndims(examples) = 2",
    "rows without columns": "SELECT count(*) FROM ops.pulse",
}


@pytest.mark.parametrize("feature", FEATURES)
def test_the_sample_has(pipeline: DatabaseUrl, feature: str) -> None:
    assert ask(pipeline, FEATURES[feature])[0][0] > 0


def test_one_table_is_empty_and_stays_so(pipeline: DatabaseUrl) -> None:
    assert ask(pipeline, "SELECT count(*) FROM ops.nothing_yet") == [(0,)]


def test_the_parts_work_together(pipeline: DatabaseUrl) -> None:
    """Views, functions and row-level security answer as a user of the pipeline would expect."""
    assert ask(pipeline, "SELECT count(*) > 0 FROM content.front_page WHERE place = 1") == [(True,)]
    assert ask(pipeline, "SELECT (content.newest_revision(1)).number >= 1") == [(True,)]
    assert len(ask(pipeline, "SELECT content.nearest(embedding) FROM content.embeddings WHERE document_id = 1 AND part = 0")) == 5
    assert ask(pipeline, "SELECT ARRAY['b', 'a']::content.labels OPERATOR(content.|+|) ARRAY['a']::content.labels") == [
        (["a", "b"],)
    ]
    assert ask(pipeline, "SELECT DISTINCT tableoid::regclass::text FROM pipeline.jobs WHERE queued_at < '2025-01-01'") == [
        ("pipeline.jobs_other",)
    ]
    states = ask(pipeline, "SET ROLE pipeline_reader; SELECT DISTINCT state::text FROM content.documents ORDER BY 1")
    assert states == [("editor's pick",), ("published",)]
