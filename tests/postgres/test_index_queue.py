"""Indexes of large tables are made by all hands, the dearest first, and nobody waits for a table that somebody else has shut."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import ToolFailedError, WorkFailedError
from holdfast.postgres.archive import POST_DATA, ArchiveEntry
from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.index_queue import IndexQueue
from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
from holdfast.postgres.script import Script
from tests.postgres.restoring import back_up, databases, dropped_at_end, restore, rows

SMALL, LARGE = ("public", "small"), ("public", "large")
SIZES = {SMALL: 10, LARGE: 50}


def _index(number: int, method: str = "btree") -> ArchiveEntry:
    return ArchiveEntry(number, "INDEX", "public", "i", "", POST_DATA, f"CREATE INDEX i ON t USING {method} (id);", "", "")


def _key(number: int) -> ArchiveEntry:
    return ArchiveEntry(number, "CONSTRAINT", "public", "k", "", POST_DATA, "ALTER TABLE t ADD PRIMARY KEY (id);", "", "")


def _ids(queue: IndexQueue) -> list[int]:
    found = []
    while True:
        with queue.taken() as entry:
            if entry is None:
                return found
            found.append(entry.id)


def _refused(waiting: threading.Thread) -> ValueError:
    waiting.start()
    return ValueError("refused")


def test_the_dearest_comes_first() -> None:
    queue = IndexQueue([(SMALL, _index(1)), (LARGE, _index(2)), (SMALL, _index(3, "gin")), (LARGE, _index(4, "brin"))], SIZES)
    assert _ids(queue) == [3, 2, 4, 1]
    assert queue.made == {1, 2, 3, 4}


def test_a_key_is_made_alone_at_its_table_and_whoever_comes_meanwhile_takes_another() -> None:
    queue = IndexQueue([(LARGE, _key(1)), (LARGE, _index(2)), (SMALL, _index(3))], SIZES)
    with ExitStack() as stack:
        assert [getattr(stack.enter_context(queue.taken()), "id", None) for _ in range(2)] == [1, 3]
    assert _ids(queue) == [2]


def test_two_indexes_of_one_table_are_made_at_once() -> None:
    queue = IndexQueue([(LARGE, _index(1)), (LARGE, _index(2))], SIZES)
    with ExitStack() as stack:
        assert [getattr(stack.enter_context(queue.taken()), "id", None) for _ in range(2)] == [1, 2]


def test_an_index_that_its_table_is_told_of_is_made_alone_like_a_key() -> None:
    clustered = replace(_index(1), definition=f"{_index(1).definition}\n\nALTER TABLE public.t CLUSTER ON i;\n")
    identity = replace(
        _index(2), definition=f"{_index(2).definition}\n\nALTER TABLE ONLY public.t REPLICA IDENTITY USING INDEX i;\n"
    )
    queue = IndexQueue([(LARGE, clustered), (LARGE, identity), (LARGE, _index(3)), (SMALL, _index(4))], SIZES)
    with ExitStack() as stack:
        assert [getattr(stack.enter_context(queue.taken()), "id", None) for _ in range(2)] == [1, 4]
    with ExitStack() as stack:
        assert getattr(stack.enter_context(queue.taken()), "id", None) == 2
    queue = IndexQueue([(LARGE, _index(3)), (LARGE, clustered), (SMALL, _index(4))], SIZES)
    with ExitStack() as stack:
        assert [getattr(stack.enter_context(queue.taken()), "id", None) for _ in range(2)] == [3, 4]


def test_who_waits_for_a_table_goes_on_when_it_is_free_and_ends_when_another_fails() -> None:
    found: list[int] = []
    queue = IndexQueue([(LARGE, _key(1)), (LARGE, _key(2)), (LARGE, _key(3))], SIZES)
    waiting = threading.Thread(target=lambda: found.extend(_ids(queue)))
    with queue.taken():
        waiting.start()
    waiting.join(10)
    assert found == [2, 3]

    queue = IndexQueue([(LARGE, _key(1)), (LARGE, _key(2))], SIZES)
    waiting = threading.Thread(target=lambda: found.extend(_ids(queue)))
    with pytest.raises(ValueError, match="refused"), queue.taken():
        raise _refused(waiting)
    waiting.join(10)
    assert not waiting.is_alive()
    assert found == [2, 3]
    assert queue.made == set()


def test_an_index_that_the_server_refuses_ends_the_restore_with_its_reason(database: DatabaseUrl, tmp_path: Path) -> None:
    """An index whose function sees other rows now: what was unique at the source is not so here."""
    rows(
        database,
        "CREATE TABLE pages AS SELECT i AS id FROM generate_series(1, 500) AS i; CREATE INDEX by_id ON pages (id);"
        "CREATE FUNCTION place(int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT CASE current_database() "
        f"WHEN '{database.database}' THEN $1 ELSE 1 END $$; CREATE UNIQUE INDEX by_place ON pages (place(id))",
    )
    with dropped_at_end(database.with_database(f"{database.database}_back")) as target:
        with pytest.raises(ToolFailedError, match="could not create unique index"):
            restore(back_up(database), target, tmp_path)
        assert target.database not in databases(database)


def test_whoever_is_told_to_stop_between_two_indexes_begins_no_other(
    database: DatabaseUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no statement to be cancelled then."""
    rows(
        database,
        "CREATE TABLE pages AS SELECT i AS id FROM generate_series(1, 500) AS i; CREATE INDEX by_id ON pages (id);"
        "CREATE INDEX by_negative ON pages ((-id))",
    )
    target = database.with_database(f"{database.database}_back")
    with dropped_at_end(target), DatabaseRestore(*back_up(database), target, RestoreOptions(tmp_path, jobs=1)) as work:
        work.preflight()
        work.create_database()
        work.restore_schema()
        work.restore_base_data()
        work.restore_table(work.streams[0].entry)  # nobody else is filling, so its indexes are left
        execute = Script.execute

        def stopped_after(script: Script, sql: str | bytes) -> None:
            execute(script, sql)
            work.stop()

        monkeypatch.setattr(Script, "execute", stopped_after)
        with pytest.raises(WorkFailedError, match="was stopped"):
            work.restore_indexes()
        assert rows(work.working, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'") == [(1,)]


@pytest.mark.parametrize("partitioned", [False, True], ids=["plain", "beside a partitioned table"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_index_on_a_function_that_needs_a_key_comes_back(
    database: DatabaseUrl, tmp_path: Path, partitioned: bool, jobs: int
) -> None:
    """The key comes after the rows, so pg_dump puts the function after the key, and the index comes after both."""
    rows(
        database,
        "CREATE TABLE names (id int PRIMARY KEY, name text);"
        "INSERT INTO names SELECT i, 'n' || i FROM generate_series(1, 500) AS i;"
        "CREATE FUNCTION name_of(int) RETURNS text IMMUTABLE LANGUAGE sql"
        " BEGIN ATOMIC SELECT name FROM names WHERE id = $1 GROUP BY id; END;"
        "CREATE TABLE pages AS SELECT i AS id, i AS author FROM generate_series(1, 500) AS i;"
        "CREATE INDEX by_name ON pages (name_of(author)); CREATE UNIQUE INDEX by_id ON pages (id);"
        "ALTER TABLE pages CLUSTER ON by_id; ALTER TABLE pages ALTER id SET NOT NULL;"
        "ALTER TABLE pages REPLICA IDENTITY USING INDEX by_id",
    )
    if partitioned:
        rows(
            database,
            "CREATE TABLE days (day int, author int, PRIMARY KEY (day)) PARTITION BY LIST (day);"
            "CREATE TABLE day_1 PARTITION OF days FOR VALUES IN (1); INSERT INTO days VALUES (1, 1);"
            "CREATE INDEX by_author ON days (name_of(author))",
        )
    backup = back_up(database, threshold_bytes=1)
    with dropped_at_end(database.with_database(f"{database.database}_back")) as target:
        report = restore(backup, target, tmp_path, jobs=jobs)
        found = rows(target, "SET enable_seqscan = off; SELECT id FROM pages WHERE name_of(author) = 'n7'")
    assert found == [(7,)]
    assert report.proof is not None
    assert report.proof.problems == []
