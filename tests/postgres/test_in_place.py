"""A restore into the live database: all of it or nothing, and what only the live one has stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.errors import DamagedError, NotProvenError, RefusedError, TableLockedError, TimeLimitError
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
from holdfast.repository import Manifest, Repository
from holdfast.storage.local import LocalStorage
from tests.postgres import oracle
from tests.postgres.restoring import (
    ALL_IN_BASE,
    ALL_STREAMED,
    EVERYTHING,
    TOOLS,
    back_up,
    databases,
    dropped_at_end,
    load_sql,
    make_database,
    restore,
    rows,
)

Backup = tuple[Repository, Manifest]


@pytest.fixture(scope="module")
def everything(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """A database with everything that PostgreSQL has."""
    with dropped_at_end(make_database(server.url(), "everything")) as url:
        load_sql(url, EVERYTHING)
        yield url


@pytest.fixture
def live(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """A live database that was backed up and has gone on since."""
    with dropped_at_end(make_database(server.url(), "live")) as url:
        rows(
            url,
            "CREATE TABLE notes (id int PRIMARY KEY, text text); CREATE TABLE tags (note int REFERENCES notes, tag text);"
            "INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 100) AS i;"
            "INSERT INTO tags SELECT i, 'tag' FROM generate_series(1, 50) AS i",
        )
        yield url


def state(url: DatabaseUrl) -> tuple[str, dict[str, tuple[int, str]]]:
    """All that can be seen of a database."""
    return oracle.dump_text(TOOLS, url.without_password()), oracle.fingerprint(url.without_password())


@pytest.mark.parametrize("threshold_bytes", [ALL_STREAMED, ALL_IN_BASE], ids=["streams", "base"])
def test_everything_is_replaced_by_what_the_backup_has(
    server: EmbeddedServer, everything: DatabaseUrl, tmp_path: Path, threshold_bytes: int
) -> None:
    backup = back_up(everything, threshold_bytes=threshold_bytes)
    with dropped_at_end(server.url().with_database("live")) as live:
        restore(backup, live, tmp_path)
        rows(
            live,
            "DROP FUNCTION kinds.no_ddl CASCADE; DROP TABLE kinds.wide CASCADE; ALTER TABLE kinds.empty ADD COLUMN later int;"
            "ALTER TABLE public.event_notes ADD FOREIGN KEY (event_id, happened, region) REFERENCES public.events;"
            "TRUNCATE public.egg, public.hen; SELECT setval('kinds.down', -1); SELECT lo_unlink(900001);"
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO everything_reader",
        )
        report = restore(backup, live, tmp_path, mode="in_place")
        rows(live, "ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM everything_reader")
        oracle.assert_same(TOOLS, everything.without_password(), live.without_password())
    assert report.proof is not None
    assert report.proof.problems == []


def test_what_the_backup_does_not_have_stays_and_is_told(live: DatabaseUrl, tmp_path: Path) -> None:
    backup = back_up(live)
    rows(
        live, "CREATE SCHEMA more; CREATE TABLE more.own AS SELECT 7 AS n; CREATE TABLE later AS SELECT 8 AS n; DELETE FROM tags"
    )
    rows(live, "INSERT INTO notes VALUES (1000, 'newer')")
    report = restore(backup, live, tmp_path, mode="in_place")
    assert rows(live, "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM tags)") == [(100, 50)]
    assert rows(live, "SELECT (SELECT n FROM more.own), (SELECT n FROM later)") == [(7, 8)]
    assert any("TABLE more.own" in note and "TABLE public.later" in note for note in report.notes)


def test_what_would_be_lost_is_told_before(live: DatabaseUrl, tmp_path: Path) -> None:
    backup = back_up(live)
    rows(live, "CREATE TABLE later AS SELECT 8 AS n; INSERT INTO notes VALUES (1000, 'newer'), (1001, 'newer'); DELETE FROM tags")
    with DatabaseRestore(*backup, live, RestoreOptions(tmp_path, mode="in_place")) as work:
        losses = work.losses()
    assert [str(loss) for loss in losses.tables] == [
        "public.later: 1 rows, not in the backup",
        "public.notes: 2 of 102 rows are newer than the backup",
    ]
    assert losses.rows == 3


@pytest.mark.parametrize(
    ("in_the_way", "named"),
    [
        ("CREATE VIEW mine AS SELECT * FROM notes", r"view public\.mine depends on table public\.notes"),
        ("CREATE TABLE mine (note int REFERENCES notes)", r"constraint mine_note_fkey on table public\.mine"),
    ],
)
def test_what_stands_in_the_way_is_named_and_nothing_is_changed(
    live: DatabaseUrl, tmp_path: Path, in_the_way: str, named: str
) -> None:
    backup = back_up(live)
    rows(live, f"{in_the_way}; DELETE FROM tags")
    before = state(live)
    with pytest.raises(RefusedError, match=named):
        restore(backup, live, tmp_path, mode="in_place")
    assert state(live) == before


@pytest.mark.parametrize("threshold_bytes", [ALL_STREAMED, ALL_IN_BASE], ids=["in a stream", "in the base"])
def test_damage_leaves_the_live_database_untouched(live: DatabaseUrl, tmp_path: Path, threshold_bytes: int) -> None:
    rows(live, "INSERT INTO notes SELECT i, repeat(md5(i::text), 20) FROM generate_series(1000, 9000) AS i")
    storage = LocalStorage(tmp_path / "repository")
    backup = back_up(live, storage=storage, threshold_bytes=threshold_bytes)
    damaged = tmp_path / "repository" / max(storage.list("chunks"), key=lambda one: one.size_bytes).name
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    rows(live, "DELETE FROM tags; INSERT INTO notes VALUES (100000, 'newer')")
    before, there = state(live), databases(live)
    with pytest.raises(DamagedError, match=damaged.name):
        restore(backup, live, tmp_path / "spool", mode="in_place")
    assert state(live) == before
    assert databases(live) == there


def test_other_counts_than_the_source_s_are_rolled_back(live: DatabaseUrl, tmp_path: Path) -> None:
    def one_more(truth: dict[str, list[dict[str, int]]]) -> None:
        next(table for table in truth["tables"] if table["entry"] is None)["rows"] += 1

    backup = back_up(live, tamper=one_more, threshold_bytes=ALL_IN_BASE)
    rows(live, "INSERT INTO notes VALUES (1000, 'newer')")
    before = state(live)
    with pytest.raises(NotProvenError, match="has 100 of 101 rows"):
        restore(backup, live, tmp_path, mode="in_place")
    assert state(live) == before


def test_a_table_in_use_is_waited_for_only_so_long(live: DatabaseUrl, tmp_path: Path) -> None:
    backup = back_up(live)
    rows(live, "DELETE FROM tags")
    before = state(live)
    with closing(connect(live)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE notes IN ACCESS SHARE MODE")
        with pytest.raises(TableLockedError):
            restore(backup, live, tmp_path, mode="in_place", lock_timeout_seconds=0.5)
        with pytest.raises(TimeLimitError):
            restore(backup, live, tmp_path, mode="in_place", lock_timeout_seconds=60, time_limit_seconds=3)
    assert state(live) == before


def test_single_tables_are_replaced_and_the_rest_is_left_alone(live: DatabaseUrl, tmp_path: Path) -> None:
    backup = back_up(live)
    rows(live, "DELETE FROM tags; INSERT INTO notes VALUES (1000, 'newer')")
    report = restore(backup, live, tmp_path, mode="in_place", tables=["tags"])
    assert rows(live, "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM tags)") == [(101, 50)]
    assert report.tables == 1


@pytest.mark.parametrize("mode", ["in_place", "new"])
def test_the_planner_s_statistics_are_left_to_the_server_where_that_is_asked_for(
    live: DatabaseUrl, tmp_path: Path, mode: str
) -> None:
    backup = back_up(live)
    rows(live, "DROP TABLE tags")
    report = restore(backup, live, tmp_path, mode=mode, tables=["tags"], analyze=False, prove=mode != "new")
    gathered = "SELECT count(*) FROM pg_stats WHERE tablename = 'tags'"
    assert rows(live, gathered) == [(0,)]
    assert any("statistics were not gathered: ANALYZE in live" in note for note in report.notes)
    assert any("compared with the source all the same" in note for note in report.notes) == (mode == "new")
    assert report.proof is not None
    rows(live, "DROP TABLE tags")
    restore(backup, live, tmp_path, mode=mode, tables=["tags"])
    assert rows(live, gathered) != [(0,)]


def test_what_was_replaced_is_on_disk_though_the_database_does_not_wait_for_that(live: DatabaseUrl, tmp_path: Path) -> None:
    backup = back_up(live)
    rows(
        live,
        "CREATE TABLE waits (seen text); CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO public.waits VALUES (current_setting('synchronous_commit')); END $$;"
        "CREATE EVENT TRIGGER waiting ON ddl_command_end EXECUTE FUNCTION wait();"
        "ALTER DATABASE live SET synchronous_commit = off",
    )
    assert rows(live, "SHOW synchronous_commit") == [("off",)]
    restore(backup, live, tmp_path, mode="in_place")
    assert rows(live, "SELECT DISTINCT seen FROM waits") == [("on",)]


def test_default_privileges_of_the_live_database_stay(live: DatabaseUrl, tmp_path: Path) -> None:
    backup = back_up(live)
    rows(live, "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC")
    rows(live, "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    before = rows(live, "SELECT defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1")
    restore(backup, live, tmp_path, mode="in_place")
    assert rows(live, "SELECT defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1") == before
    assert rows(live, "SELECT relacl FROM pg_class WHERE relname IN ('notes', 'tags')") == [(None,), (None,)]
