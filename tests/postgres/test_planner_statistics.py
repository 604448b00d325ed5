"""A restored database plans as the one that was lost: what the source's planner knew comes along, and the rest is gathered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.postgres import archive
from holdfast.postgres.archive import STATISTICS, Archive, read_statistics
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.planner_statistics import analyze_lacking
from holdfast.repository import Manifest, Repository
from tests.postgres.restoring import (
    ALL_IN_BASE,
    ALL_STREAMED,
    TOOLS,
    back_up,
    dropped_at_end,
    load_sql,
    make_database,
    restore,
    rows,
)

Backup = tuple[Repository, Manifest]

# Autovacuum gathers no statistics of these, so that all that is known of them came along.
SOURCE = rb"""
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE kinds (id integer PRIMARY KEY, word text, moods mood[], span int4range, spans int4multirange, document jsonb,
  words tsvector, doubled integer GENERATED ALWAYS AS (id * 2) VIRTUAL) WITH (autovacuum_enabled = off);
INSERT INTO kinds SELECT i, E'it''s \\ ' || i % 7, ARRAY['sad', 'glad']::mood[], int4range(i, i + i % 9),
  int4multirange(int4range(i, i + 3)), jsonb_build_object('n', i), to_tsvector('simple', 'word' || i % 5)
  FROM generate_series(1, 2000) AS i;
CREATE INDEX by_expression ON kinds (id, lower(word), (length(word)));
CREATE SCHEMA "it's; a (schema);";
CREATE TABLE "it's; a (schema);"."a');
\table" (n integer) WITH (autovacuum_enabled = off);
INSERT INTO "it's; a (schema);"."a');
\table" SELECT i % 10 FROM generate_series(1, 500) AS i;
CREATE TABLE by_region (region text, n integer) PARTITION BY LIST (region);
CREATE TABLE by_region_eu PARTITION OF by_region FOR VALUES IN ('eu') WITH (autovacuum_enabled = off);
CREATE TABLE by_region_us PARTITION OF by_region FOR VALUES IN ('us') WITH (autovacuum_enabled = off);
INSERT INTO by_region SELECT CASE WHEN i % 3 = 0 THEN 'eu' ELSE 'us' END, i FROM generate_series(1, 900) AS i;
CREATE TABLE parent (n integer) WITH (autovacuum_enabled = off);
CREATE TABLE child () INHERITS (parent) WITH (autovacuum_enabled = off);
INSERT INTO child SELECT generate_series(1, 300);
CREATE MATERIALIZED VIEW summary AS SELECT word, count(*) AS number FROM kinds GROUP BY word;
CREATE TABLE bloated (n integer, filler text) WITH (autovacuum_enabled = off);
INSERT INTO bloated SELECT i, repeat('x', 100) FROM generate_series(1, 10000) AS i;
DELETE FROM bloated WHERE n > 1000;
INSERT INTO bloated VALUES (0, 'last');
DELETE FROM bloated WHERE n = 500;
ANALYZE;
"""
# Beside it small tables are worth setting statistics of.
LARGE = b"CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 1000); ANALYZE large;"
KNOWN = """
SELECT to_jsonb(s) - 'tableid' FROM pg_stats AS s WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema'
ORDER BY schemaname, tablename, attname, inherited
"""


@pytest.fixture(scope="module")
def source(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """A database that was analyzed."""
    with dropped_at_end(make_database(server.url(), "analyzed")) as url:
        load_sql(url, SOURCE)
        yield url


@pytest.fixture
def target(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    with dropped_at_end(server.url("planned")) as url:
        yield url


def base_of(backup: Backup) -> bytes:
    repository, manifest = backup
    return b"".join(repository.read(manifest.entry("base")))


def lacking(url: DatabaseUrl) -> list[str]:
    with closing(connect(url)) as connection:
        return analyze_lacking(connection, 18)


@pytest.mark.parametrize("threshold_bytes", [ALL_STREAMED, ALL_IN_BASE], ids=["each table a stream", "all in the base"])
def test_what_the_planner_knew_at_the_source_it_knows_after_the_restore(
    source: DatabaseUrl, target: DatabaseUrl, tmp_path: Path, threshold_bytes: int
) -> None:
    report = restore(back_up(source, threshold_bytes=threshold_bytes), target, tmp_path, analyze=False)
    known = rows(source, KNOWN)
    assert {(one["tablename"], one["inherited"]) for (one,) in known} >= {
        ("by_expression", False), ("by_region", True), ("parent", True), ("summary", False), ("a');\n\\table", False)
    }  # fmt: skip
    assert rows(target, KNOWN) == known
    assert lacking(target) == []
    assert report.proof is not None
    assert report.proof.problems == []
    assert [note for note in report.notes if "that the backup does not have were not gathered" in note] == report.notes


def test_a_table_that_was_nearly_empty_is_not_taken_for_a_tenth_of_its_rows(
    source: DatabaseUrl, target: DatabaseUrl, tmp_path: Path
) -> None:
    restore(back_up(source), target, tmp_path, analyze=False)
    pages, number = rows(target, "SELECT relpages, reltuples FROM pg_class WHERE relname = 'bloated'")[0]
    assert rows(source, "SELECT relpages FROM pg_class WHERE relname = 'bloated'")[0][0] > 5 * pages
    assert (number, rows(target, "SELECT count(*) FROM bloated")) == (1000, [(1000,)])
    (plan,) = rows(target, "EXPLAIN (FORMAT JSON) SELECT FROM bloated")[0]
    assert plan[0]["Plan"]["Plan Rows"] == 1000


def test_tables_that_are_read_sooner_than_their_statistics_are_set_are_analyzed(
    database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path
) -> None:
    load_sql(
        database,
        b"CREATE TABLE small (n integer) WITH (autovacuum_enabled = off); INSERT INTO small VALUES (1), (1); ANALYZE small;"
        b"UPDATE small SET n = 2;"
        # One that is large makes the many no larger.
        b"DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format('CREATE TABLE small_%s AS SELECT 1 AS n', i); END LOOP; END $$;"
        b"CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 10000)",
    )
    restore(back_up(database, threshold_bytes=ALL_IN_BASE, proof="counts"), target, tmp_path)
    assert rows(target, "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'small'") == [("{2}",)]


def test_only_what_has_no_statistics_is_analyzed(database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path) -> None:
    load_sql(
        database,
        LARGE
        + b"""
        CREATE TABLE never (n integer) WITH (autovacuum_enabled = off);
        CREATE TABLE known (n integer) WITH (autovacuum_enabled = off);
        CREATE TABLE together (a integer, b integer, wide text) WITH (autovacuum_enabled = off);
        CREATE TABLE widened (n integer) WITH (autovacuum_enabled = off);
        CREATE TABLE few_ranges (span int4range) WITH (autovacuum_enabled = off);
        INSERT INTO never SELECT generate_series(1, 100);
        INSERT INTO known SELECT generate_series(1, 100);
        INSERT INTO together SELECT i % 10, i % 10, 'same' FROM generate_series(1, 1000) AS i;
        INSERT INTO widened SELECT generate_series(1, 100);
        INSERT INTO few_ranges VALUES ('[1,5)');
        CREATE STATISTICS of_two ON a, b FROM together;
        ANALYZE known, together, widened, few_ranges;
        ALTER TABLE widened ADD COLUMN later integer DEFAULT 5;
        CREATE TABLE parent (n integer) WITH (autovacuum_enabled = off);
        CREATE TABLE child () INHERITS (parent) WITH (autovacuum_enabled = off);
        INSERT INTO child SELECT generate_series(1, 100);
        ANALYZE child;
        """,
    )
    # Statistics that tell of rows as they were before came along; those that tell of these rows were gathered anew.
    rows(database, "UPDATE known SET n = 7; UPDATE child SET n = 7; UPDATE together SET wide = 'other'")
    restore(back_up(database), target, tmp_path)
    assert rows(target, "SELECT count(*) FROM pg_stats WHERE tablename = 'never'") == [(1,)]
    assert rows(target, "SELECT n_distinct FROM pg_stats WHERE tablename = 'known'") == [(-1,)]
    family = "SELECT n_distinct, inherited FROM pg_stats WHERE tablename IN ('parent', 'child')"
    assert sorted(rows(target, family)) == [(-1, False), (1, True)]
    assert rows(target, "SELECT most_common_vals::text FROM pg_stats WHERE attname = 'wide'") == [("{same}",)]
    assert rows(target, "SELECT attname FROM pg_stats WHERE tablename = 'widened' ORDER BY 1") == [("later",), ("n",)]
    assert rows(target, "SELECT count(*) FROM pg_stats WHERE tablename = 'few_ranges'") == [(1,)]
    assert rows(target, "SELECT dependencies::text FROM pg_stats_ext") == [('{"1 => 2": 1.000000, "2 => 1": 1.000000}',)]
    assert lacking(target) == ["ANALYZE ONLY public.together (a, b)"]


def test_statistics_that_the_server_refuses_are_gathered_and_nothing_of_them_is_told(
    database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path, server: EmbeddedServer
) -> None:
    load_sql(
        database,
        LARGE + b"CREATE DOMAIN allowed AS text; CREATE TABLE judged (word allowed, n integer) WITH (autovacuum_enabled = off);"
        b"INSERT INTO judged SELECT 'unmentionable', i FROM generate_series(1, 50) AS i;"
        b"INSERT INTO judged SELECT 'good', i FROM generate_series(1, 50) AS i; ANALYZE judged;"
        b"DELETE FROM judged WHERE word = 'unmentionable';"
        b"CREATE FUNCTION judge(word text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN "
        b"IF word ^@ ''un'' THEN RAISE EXCEPTION ''% is not allowed'', word; END IF; RETURN true; END';"
        b"ALTER DOMAIN allowed ADD CHECK (judge(VALUE));",
    )
    backup = back_up(database)
    values = "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'judged' AND attname = 'word'"
    report = restore(backup, target, tmp_path)
    assert (rows(target, values), report.notes) == ([("{good}",)], [])
    with dropped_at_end(target.with_database("planned again")) as other:
        report = restore(backup, other, tmp_path, analyze=False)
        assert rows(other, "SELECT tablename FROM pg_stats WHERE schemaname = 'public'") == [("large",)]
    assert any("of 1 tables or indexes were refused" in note for note in report.notes)
    assert not any("unmentionable" in note for note in report.notes)
    assert b"unmentionable" not in (server.data_dir / "log").read_bytes()


def test_statistics_that_would_take_much_memory_are_gathered(
    database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_sql(
        database,
        LARGE + b"CREATE TABLE wide (word text) WITH (autovacuum_enabled = off);"
        b"INSERT INTO wide SELECT 'good' || i % 50 || repeat('x', 500) FROM generate_series(1, 500) AS i; ANALYZE wide;"
        b"UPDATE wide SET word = 'good'",
    )
    backup = back_up(database, proof="counts")
    monkeypatch.setattr(archive, "_MOST_STATISTICS_BYTES", 20_000)
    restore(backup, target, tmp_path)
    assert rows(target, "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'wide'") == [("{good}",)]
    with dropped_at_end(target.with_database("planned again")) as other:
        report = restore(backup, other, tmp_path, analyze=False)
    assert any("of 1 tables or indexes were refused, or are too large" in note for note in report.notes)


def test_damaged_statistics_cost_no_backup(
    database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_sql(
        database,
        b"CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE moods (mood mood) WITH (autovacuum_enabled = off);"
        b"INSERT INTO moods SELECT unnest(ARRAY['sad', 'glad', 'sad', 'glad']::mood[]); ANALYZE moods;"
        b"DELETE FROM moods WHERE mood = 'glad'; SET allow_system_table_mods = on; DELETE FROM pg_enum WHERE enumlabel = 'glad';",
    )
    backup = back_up(database, proof="counts")
    assert "without the planner's statistics, with which it failed" in caplog.text
    assert STATISTICS.encode() not in base_of(backup)
    report = restore(backup, target, tmp_path)
    assert report.proof is not None
    assert report.proof.problems == []
    assert rows(target, "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'moods'") == [("{sad}",)]


def test_a_user_who_may_not_look_at_statistics_can_back_up(database: DatabaseUrl) -> None:
    load_sql(
        database,
        b"CREATE TABLE own (n integer); INSERT INTO own VALUES (1), (1); ANALYZE own;"
        b"CREATE ROLE unlooking LOGIN; REVOKE SELECT ON pg_stats FROM PUBLIC; GRANT SELECT ON own TO unlooking;",
    )
    try:
        repository, manifest = back_up(replace(database, user="unlooking"), proof="counts")
    finally:
        rows(database, "DROP OWNED BY unlooking; DROP ROLE unlooking")
    assert STATISTICS.encode() not in base_of((repository, manifest))


def test_a_parent_restored_without_its_children_knows_nothing_of_their_rows(
    source: DatabaseUrl, target: DatabaseUrl, tmp_path: Path
) -> None:
    restore(back_up(source, proof="counts"), target, tmp_path, tables=["parent", "kinds"], analyze=False)
    assert rows(target, "SELECT tablename FROM pg_stats WHERE inherited") == []
    assert rows(target, "SELECT EXISTS (SELECT FROM pg_stats WHERE tablename = 'kinds')") == [(True,)]


def test_statistics_tell_nothing_of_rows_that_are_not_in_the_backup(database: DatabaseUrl) -> None:
    load_sql(
        database,
        b"CREATE TABLE own (word text) WITH (autovacuum_enabled = off);"
        b"INSERT INTO own SELECT 'ours' FROM generate_series(1, 50); ANALYZE own;"
        b"CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER away FOREIGN DATA WRAPPER nothing;"
        b"CREATE FOREIGN TABLE theirs (word text) SERVER away; CREATE VIEW of_theirs AS SELECT * FROM theirs;"
        b"CREATE MATERIALIZED VIEW drawn AS SELECT * FROM of_theirs WITH NO DATA;"
        b"UPDATE pg_class SET relispopulated = true WHERE relname = 'drawn';"  # as if there were a way to read them
        b"CREATE TABLE parts (word text) PARTITION BY LIST (word);"
        b"CREATE FOREIGN TABLE parts_away PARTITION OF parts FOR VALUES IN ('a') SERVER away;"
        b"CREATE MATERIALIZED VIEW filled AS SELECT 'elsewhere'::text AS word FROM own; ANALYZE filled;",
    )
    set_known = (
        "SELECT pg_restore_attribute_stats('schemaname', 'public', 'relname', '{0}', 'attname', 'word', 'inherited', {1}, "
        "'most_common_vals', '{{elsewhere}}'::text, 'most_common_freqs', '{{1}}'::real[])"
    )
    forget = "SELECT pg_clear_attribute_stats('public', '{0}', 'word', {1})"

    def told() -> bool:
        return b"'most_common_vals', '{ours}'" in base_of(back_up(database, proof="counts"))

    assert told()
    for name, inherited in (("theirs", False), ("parts", True), ("drawn", False)):
        rows(database, set_known.format(name, inherited))
        base = base_of(back_up(database, proof="counts"))
        assert STATISTICS.encode() not in base, name
        rows(database, forget.format(name, inherited))
    assert told()
    rows(database, "REFRESH MATERIALIZED VIEW filled WITH NO DATA")
    assert not told()


def test_statistics_tell_nothing_of_the_rows_of_an_extension(database: DatabaseUrl) -> None:
    load_sql(
        database,
        b"CREATE EXTENSION vector; CREATE TABLE own (word text) WITH (autovacuum_enabled = off);"
        b"CREATE TABLE its (word text) WITH (autovacuum_enabled = off); ALTER EXTENSION vector ADD TABLE its;"
        b"INSERT INTO own SELECT 'ours' FROM generate_series(1, 50); INSERT INTO its SELECT 'its' FROM generate_series(1, 50);"
        b"ANALYZE own, its;",
    )
    base = base_of(back_up(database, proof="counts"))
    assert (b"{ours}" in base, b"{its}" in base) == (True, False)
    rows(database, "CREATE MATERIALIZED VIEW of_its AS SELECT * FROM its")
    rows(database, "ANALYZE of_its")
    assert b"{its}" not in base_of(back_up(database, proof="counts"))


def test_statistics_come_from_an_older_server_and_an_older_server_gathers_its_own(
    old_server: EmbeddedServer, target: DatabaseUrl, tmp_path: Path
) -> None:
    with (
        dropped_at_end(make_database(old_server.url(), "older")) as source,
        dropped_at_end(old_server.url("older again")) as again,
    ):
        load_sql(
            source,
            LARGE + b"CREATE TABLE spans (word text, span int4range) WITH (autovacuum_enabled = off);"
            b"INSERT INTO spans SELECT i % 5, int4range(i, i + i % 9) FROM generate_series(1, 500) AS i;"
            b"CREATE TABLE known (word text) WITH (autovacuum_enabled = off);"
            b"INSERT INTO known SELECT 'a' FROM generate_series(1, 9); ANALYZE; UPDATE known SET word = 'b';",
        )
        backup = back_up(source, tools=TOOLS)
        restore(backup, target, tmp_path)
        known = "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'known'"
        assert rows(target, known) == [("{a}",)]
        assert rows(target, "SELECT range_bounds_histogram IS NULL FROM pg_stats WHERE attname = 'span'") == [(False,)]
        report = restore(backup, again, tmp_path, tools=TOOLS)
        assert (rows(again, known), report.notes) == ([("{b}",)], [])
        # Its own pg_dump brings none.
        with dropped_at_end(target.with_database("planned again")) as other:
            restore(back_up(source), other, tmp_path)
            assert rows(other, known) == [("{b}",)]


@pytest.mark.parametrize("clauses", ["ENCODING 'LATIN1' LOCALE 'C'", "ENCODING 'SQL_ASCII' LOCALE 'C'"], ids=["LATIN1", "bytes"])
def test_statistics_come_in_every_encoding_and_way_to_write_texts(
    server: EmbeddedServer, target: DatabaseUrl, tmp_path: Path, clauses: str
) -> None:
    with dropped_at_end(make_database(server.url(), "encoded", f"TEMPLATE template0 {clauses}")) as source:
        rows(source, "ALTER DATABASE encoded SET standard_conforming_strings = off")
        load_sql(
            source,
            b"SET client_encoding = 'SQL_ASCII'; SET escape_string_warning = off;"
            b'CREATE TABLE "t\xe9" ("c\xe4" text) WITH (autovacuum_enabled = off);'
            b"INSERT INTO \"t\xe9\" SELECT E'gr\xf6\xdfe \\\\ ''' || i % 4 FROM generate_series(1, 100) AS i; ANALYZE;",
        )
        bytes_known = "SELECT most_common_freqs, most_common_vals::text::bytea FROM pg_stats WHERE schemaname = 'public'"
        restore(back_up(source), target, tmp_path, analyze=False)
        known = rows(source, "SET standard_conforming_strings = on; " + bytes_known)
        assert len(known) == 1
        assert rows(target, "SET standard_conforming_strings = on; " + bytes_known) == known


def test_statistics_of_texts_that_were_sorted_otherwise_are_not_set(
    source: DatabaseUrl, target: DatabaseUrl, tmp_path: Path
) -> None:
    def sort_otherwise(truth: dict[str, Any]) -> None:
        truth["database"]["collation_version"] = "of another system"

    report = restore(back_up(source, proof="counts", tamper=sort_otherwise), target, tmp_path, analyze=False)
    assert rows(target, KNOWN) == []
    assert any("statistics were not gathered" in note for note in report.notes)


def test_single_tables_bring_their_own_statistics_alone(source: DatabaseUrl, target: DatabaseUrl, tmp_path: Path) -> None:
    report = restore(back_up(source, proof="counts"), target, tmp_path, tables=["kinds"], analyze=False)
    assert rows(target, "SELECT DISTINCT tablename FROM pg_stats WHERE schemaname = 'public' ORDER BY 1") == [
        ("by_expression",),
        ("kinds",),
    ]
    assert not any("refused" in note for note in report.notes)


def test_statistics_are_read_one_by_one_and_kept_by_no_table_of_contents(source: DatabaseUrl, tmp_path: Path) -> None:
    path = tmp_path / "base"
    path.write_bytes(base_of(back_up(source, proof="counts")))
    contents = Archive.read(path)
    held = {entry.id for entry in contents.entries if entry.kind == STATISTICS}
    texts = dict(read_statistics(path))
    assert texts.keys() == held
    assert all(b"pg_restore_relation_stats" in text for text in texts.values())
    assert not any(contents.by_id[number].definition for number in held)
