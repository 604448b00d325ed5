"""A restored copy takes the live database's place: whole, proven, in one step, and the live one is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest

from holdfast.errors import BusyError, NotFoundError, NotProvenError, RefusedError, SettingsError
from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.promote import free_name, promote, swap, swap_back
from tests.postgres import oracle
from tests.postgres.restoring import TOOLS, back_up, databases, dropped_at_end, make_database, restore, rows
from tests.postgres.servers import drop_database


@pytest.fixture
def live(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """A live database with one table, and nothing left of its successors."""
    url = make_database(server.url(), "live")
    rows(url, "CREATE TABLE notes AS SELECT i AS id, 'note ' || i AS text FROM generate_series(1, 100) AS i")
    rows(url, "COMMENT ON DATABASE live IS 'x'")
    yield url
    for name in databases(url):
        if name.startswith("live"):
            drop_database(url.with_database(name))


def test_the_live_database_is_replaced_and_kept(live: DatabaseUrl, tmp_path: Path) -> None:
    backup = back_up(live)
    with dropped_at_end(live.with_database("as_it_was")) as as_it_was:
        restore(backup, as_it_was, tmp_path)
        rows(live, "DELETE FROM notes WHERE id > 10; INSERT INTO notes VALUES (1000, 'new'); CREATE TABLE later AS SELECT 1")
        before = databases(live)
        report = restore(backup, live, tmp_path, mode="promote")
        assert report.kept is not None
        assert databases(live) == before | {report.kept}
        oracle.assert_same(TOOLS, as_it_was.without_password(), live.without_password())
    kept = live.with_database(report.kept)
    assert rows(kept, "SELECT count(*), max(id) FROM notes") == [(11, 1000)]
    assert rows(kept, "SELECT count(*) FROM later") == [(1,)]


def test_sessions_see_the_old_or_the_new_and_nothing_between(live: DatabaseUrl) -> None:
    new = make_database(live, "live_new")
    rows(new, "CREATE TABLE notes AS SELECT 1 AS id")
    seen: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            with (
                suppress(psycopg2.Error),
                closing(psycopg2.connect(live.without_password())) as connection,
                connection.cursor() as cursor,
            ):
                while not stop.is_set():
                    cursor.execute("SELECT count(*) FROM notes")
                    seen.append(int((cursor.fetchone() or (0,))[0]))
                    time.sleep(0.001)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    while len(seen) < 20:
        time.sleep(0.01)
    promote(live, new)
    promoted_at = len(seen)
    while len(seen) < promoted_at + 20:
        time.sleep(0.01)
    stop.set()
    for client in clients:
        client.join()
    assert sorted(set(seen)) == [1, 100]
    assert seen[-1] == 1


def test_a_copy_that_is_not_the_source_is_not_promoted(live: DatabaseUrl, tmp_path: Path) -> None:
    def one_more(truth: dict[str, list[dict[str, int]]]) -> None:
        truth["tables"][0]["content_hash"] = "1"  # type: ignore[assignment]

    backup = back_up(live, tamper=one_more)
    rows(live, "INSERT INTO notes VALUES (1000, 'new')")
    before = databases(live)
    with pytest.raises(NotProvenError, match=r"the rows of public\.notes are not those of the source"):
        restore(backup, live, tmp_path, mode="promote")
    assert databases(live) == before
    assert rows(live, "SELECT count(*) FROM notes") == [(101,)]


def test_a_swap_that_fails_changes_nothing(live: DatabaseUrl) -> None:
    new = make_database(live, "live_new")
    before = databases(live)
    with closing(connect_to_server(live)) as connection, pytest.raises(RefusedError, match="appeared meanwhile"):
        swap(connection, live, [("live", "live_kept"), ("live_new", "postgres")], end_sessions=True)
    assert databases(live) == before
    assert rows(live, "SELECT count(*) FROM notes") == [(100,)]
    assert rows(new, "SELECT 1") == [(1,)]


def test_sessions_that_may_not_be_ended_make_it_give_up(live: DatabaseUrl) -> None:
    with (
        closing(connect(live)),
        closing(connect_to_server(live)) as connection,
        pytest.raises(BusyError, match="'live' is in use"),
    ):
        swap(connection, live, [("live", "live_kept")], end_sessions=False)
    assert "live" in databases(live)


def test_prepared_transactions_are_told(own_server: EmbeddedServer) -> None:
    own_server.start()
    rows(own_server.url(), "ALTER SYSTEM SET max_prepared_transactions = 2")
    own_server.stop()
    own_server.start()
    live, new = own_server.create_database("live"), own_server.create_database("new")
    rows(live, "CREATE TABLE t (i integer)")
    with closing(connect(live)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO t VALUES (1)")
        cursor.execute("PREPARE TRANSACTION 'waiting'")
    with pytest.raises(RefusedError, match="1 prepared transaction"):
        promote(live, new)
    assert rows(live, "SELECT count(*) FROM t") == [(0,)]


def test_long_names_are_cut_so_that_postgresql_keeps_all_of_them(server: EmbeddedServer) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with closing(connect_to_server(server.url())) as connection:
        assert free_name(connection, "app", "before", moment) == "app_before_20260102T030405Z"
        long = free_name(connection, "ä" * 31, "before", moment)
        assert len(long.encode()) <= 63
        assert long.endswith("_before_20260102T030405Z")
        with dropped_at_end(make_database(server.url(), "app_before_20260102T030405Z")):
            assert free_name(connection, "app", "before", moment) == "app_before_20260102T030405Z_2"


def test_there_must_be_something_to_replace(live: DatabaseUrl, tmp_path: Path) -> None:
    backup = back_up(live)
    with pytest.raises(NotFoundError, match="no database 'live_nowhere'"):
        restore(backup, live.with_database("live_nowhere"), tmp_path, mode="promote")
    with pytest.raises(SettingsError, match="single tables can't be promoted"):
        restore(backup, live, tmp_path, mode="promote", tables=["notes"])


def test_a_promote_is_undone_while_people_are_connected(live: DatabaseUrl) -> None:
    new = make_database(live, "live_new")
    kept = promote(live, new)
    with closing(connect(live)):
        undone = swap_back(live, kept)
    assert undone is not None
    assert undone.startswith("live_undone_")
    with dropped_at_end(live.with_database(undone)):
        assert rows(live, "SELECT count(*) FROM notes") == [(100,)]
        assert kept not in databases(live)
        with pytest.raises(NotFoundError, match="renamed or dropped"):
            swap_back(live, kept)


def test_what_was_made_where_nothing_was_loses_its_name_and_stays(live: DatabaseUrl) -> None:
    undone = swap_back(live, None)
    assert undone is not None
    assert {"live", undone} & databases(live) == {undone}
    assert swap_back(live, None) is None, "a second time there is nothing left to do"
    assert swap_back(live, undone) is None
    assert rows(live, "SELECT count(*) FROM notes") == [(100,)]


def test_what_a_restore_did_not_wait_for_is_on_disk_when_the_database_has_its_name(live: DatabaseUrl) -> None:
    with closing(connect_to_server(live)) as connection, connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")  # as the server's or the role's settings may say
        cursor.execute("SELECT pg_current_wal_insert_lsn()")
        (before,) = cursor.fetchone() or ("",)
        swap(connection, live, [(live.database, "live_renamed")], end_sessions=True)
        cursor.execute("SELECT pg_current_wal_flush_lsn() > %s::pg_lsn, current_setting('synchronous_commit')", (before,))
        assert cursor.fetchone() == (True, "off")
