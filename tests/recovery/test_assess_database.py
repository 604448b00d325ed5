"""A database that is well is left alone, a slow one is called slow, and what is lost or damaged is told apart and named."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.recovery.assessing import connecting
from holdfast.recovery.assessing.table_reading import read_tables
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.triggers import trigger_of
from holdfast.recovery.verdict import Verdict
from tests.postgres.restoring import back_up, rows
from tests.postgres.servers import drop_database, running_server
from tests.recovery.assessed import AssessedWorld, look

_numbers = itertools.count(1)
CANARY = "canary-9fK2xQ7w"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """A server with checksums, which the tests of this file may kill."""
    with running_server(18) as embedded:
        yield embedded


@pytest.fixture
def database(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    server.start()
    url = server.create_database(f"looked_at_{next(_numbers)}")
    rows(url, "CREATE TABLE articles AS SELECT g AS id, repeat('text ' || g, 20) AS body FROM generate_series(1, 4000) AS g")
    rows(
        url,
        "ALTER TABLE articles ADD PRIMARY KEY (id); CREATE TABLE tags AS SELECT 'tag ' || g FROM generate_series(1, 50) AS g",
    )
    yield url
    server.start()
    drop_database(url)


@pytest.fixture
def world(database: DatabaseUrl, tmp_path: Path) -> AssessedWorld:
    """The database with a good backup of it."""
    repository, _ = back_up(database)
    return AssessedWorld(tmp_path, repository=repository, database=database)


def test_a_healthy_database_is_left_alone_and_unchanged(world: AssessedWorld, database: DatabaseUrl) -> None:
    before = rows(database, "SELECT oid, relname, xmin FROM pg_class ORDER BY 1")
    quick, thorough = look(world, "database", thorough=False), look(world, "database")
    assert (quick.state, thorough.state) == ("healthy", "healthy")
    assert not thorough.is_to_be_recovered
    assert trigger_of(thorough) is None
    assert thorough.evidence["tables"] == 2
    assert thorough.evidence["rows"] == 4050
    assert "amcheck" in thorough.evidence["structures"]
    assert rows(database, "SELECT oid, relname, xmin FROM pg_class ORDER BY 1") == before


def test_a_fresh_empty_database_without_any_backup_is_healthy(server: EmbeddedServer, tmp_path: Path) -> None:
    server.start()
    url = server.create_database(f"empty_{next(_numbers)}")
    try:
        for thorough in (False, True):
            verdict = look(AssessedWorld(tmp_path, database=url), "database", thorough=thorough)
            assert verdict.state == "healthy"
            assert "no good database backup" in verdict.evidence["notCompared"]
    finally:
        drop_database(url)


def test_a_table_that_is_being_written_to_and_grows_is_healthy(world: AssessedWorld, database: DatabaseUrl) -> None:
    stop = threading.Event()

    def write() -> None:
        with closing(connect(database)) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute(
                    "INSERT INTO tags SELECT 'more' FROM generate_series(1, 100); UPDATE articles SET body = body WHERE id < 50"
                )
                cursor.execute("CREATE TABLE short_lived AS SELECT 1 AS one; DROP TABLE short_lived")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert {look(world, "database").state for _ in range(5)} == {"healthy"}
    finally:
        stop.set()
        writer.join()


def test_without_a_database_there_is_nothing_to_judge(tmp_path: Path) -> None:
    verdict = look(AssessedWorld(tmp_path), "database")
    assert verdict.state == "unknown"


def test_a_killed_server_is_unreachable_and_told_by_the_guides_event(world: AssessedWorld, server: EmbeddedServer) -> None:
    postmaster = psutil.Process(int((server.data_dir / "postmaster.pid").read_text().splitlines()[0]))
    processes = [postmaster, *postmaster.children(recursive=True)]
    os.kill(postmaster.pid, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=20)
    verdict = look(world, "database")
    assert (verdict.state, verdict.evidence["cause"]) == ("unreachable", "refused")
    assert trigger_of(verdict) == "database_unavailable"
    server.start()
    assert look(world, "database").state == "healthy"


def test_a_database_that_was_dropped_is_lost(world: AssessedWorld, database: DatabaseUrl) -> None:
    drop_database(database)
    verdict = look(world, "database")
    assert (verdict.state, verdict.evidence["cause"]) == ("lost", "missing")
    assert trigger_of(verdict) == "database_unavailable"


@pytest.mark.parametrize("cause", ["refused", "name", "timeout", "lost"])
def test_why_a_server_does_not_answer_is_told_apart(cause: str, tmp_path: Path) -> None:
    host, port = {"name": ("nowhere.invalid", 5432)}.get(cause, ("127.0.0.1", 1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        if cause in {"timeout", "lost"}:
            port = listening.getsockname()[1]
        if cause == "lost":

            def hang_up() -> None:
                listening.accept()[0].close()

            threading.Thread(target=hang_up).start()
        url = DatabaseUrl("content", host, port, "somebody", SecretStr(CANARY))
        verdict = look(AssessedWorld(tmp_path, database=url), "database", seconds=2)
    assert (verdict.state, verdict.evidence["cause"]) == ("unreachable", cause)
    assert CANARY not in json.dumps(verdict.document())


def test_a_server_that_hangs_after_it_took_the_connection_is_unreachable(
    world: AssessedWorld, server: EmbeddedServer, database: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.recovery.assessing import database_look

    monkeypatch.setattr(database_look, "_LEAST_STATEMENT_SECONDS", 0.3)
    world = AssessedWorld(Path(world.settings.home), database=database, BACKUP_SLOW_SECONDS=0.2)
    asked = database_look.rows_of

    def frozen(connection: Any, statement: str) -> Any:
        os.kill(connection.info.backend_pid, signal.SIGSTOP)
        stopped.append(connection.info.backend_pid)
        return asked(connection, statement)

    stopped: list[int] = []
    monkeypatch.setattr(database_look, "rows_of", frozen)
    try:
        verdict = look(world, "database", thorough=False)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert (verdict.state, verdict.evidence["cause"]) == ("unreachable", "silent")


def test_a_password_that_is_refused_is_no_loss_and_not_shown(
    server: EmbeddedServer, database: DatabaseUrl, tmp_path: Path
) -> None:
    rules = server.data_dir / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("local all locked_out scram-sha-256\nlocal all all trust\n")
    rows(database, "SELECT pg_reload_conf()")
    rows(database, "DROP ROLE IF EXISTS locked_out; CREATE ROLE locked_out LOGIN PASSWORD 'another'")
    try:
        url = replace(database, user="locked_out", password=SecretStr(CANARY))
        verdict = look(AssessedWorld(tmp_path, database=url), "database")
    finally:
        rules.write_text(before)
        rows(database, "SELECT pg_reload_conf(); DROP ROLE locked_out")
    assert (verdict.state, verdict.evidence["cause"]) == ("unknown", "authentication")
    assert not verdict.is_to_be_recovered
    assert CANARY not in json.dumps(verdict.document())


def test_a_server_without_a_free_connection_is_slow_and_not_lost(database: DatabaseUrl, tmp_path: Path) -> None:
    rows(database, "DROP ROLE IF EXISTS crowded; CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    verdict = look(AssessedWorld(tmp_path, database=replace(database, user="crowded")), "database")
    rows(database, "DROP ROLE crowded")
    assert (verdict.state, verdict.evidence["cause"]) == ("slow", "connections")
    assert not verdict.is_to_be_recovered


def test_a_dropped_table_is_named_and_a_person_is_asked(world: AssessedWorld, database: DatabaseUrl) -> None:
    rows(database, "DROP TABLE tags; CREATE TABLE new_one AS SELECT 1 AS one")
    for thorough in (False, True):
        verdict = look(world, "database", thorough=thorough)
        assert (verdict.state, verdict.affected) == ("incomplete", ("public.tags",))
        assert verdict.ask is not None
        assert "on purpose" in verdict.ask
        assert trigger_of(verdict) == "database_corruption"


def test_a_database_in_which_nothing_is_left_is_incomplete_as_a_whole(world: AssessedWorld, database: DatabaseUrl) -> None:
    rows(database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    verdict = look(world, "database")
    assert (verdict.state, verdict.affected, verdict.evidence["empty"]) == ("incomplete", (), True)


def test_emptied_tables_are_told_and_are_no_loss(world: AssessedWorld, database: DatabaseUrl) -> None:
    rows(database, "TRUNCATE tags; DELETE FROM articles WHERE id > 1000")
    verdict = look(world, "database")
    assert verdict.state == "healthy"
    assert verdict.evidence["fewerRows"] == {"public.articles": [1000, 4000], "public.tags": [0, 50]}
    assert "far fewer rows" in verdict.reason


def test_a_table_that_had_no_rows_and_old_partitions_may_go(database: DatabaseUrl, tmp_path: Path) -> None:
    rows(database, 'CREATE SCHEMA "odd one"; CREATE TABLE "odd one"."the log" (at int) PARTITION BY RANGE (at)')
    rows(
        database,
        'CREATE TABLE "odd one".old PARTITION OF "odd one"."the log" FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (at)',
    )
    rows(database, 'CREATE TABLE "odd one".oldest PARTITION OF "odd one".old FOR VALUES FROM (0) TO (5)')
    rows(database, 'CREATE TABLE "odd one".now PARTITION OF "odd one"."the log" FOR VALUES FROM (10) TO (20)')
    rows(database, 'INSERT INTO "odd one"."the log" VALUES (1), (12); CREATE TABLE never_used (id int)')
    repository, _ = back_up(database)
    world = AssessedWorld(tmp_path, repository=repository, database=database)
    rows(database, 'DROP TABLE "odd one".old, never_used')
    verdict = look(world, "database")
    assert verdict.state == "healthy"
    assert verdict.evidence["droppedPartitions"] == ["odd one.oldest"]
    rows(database, 'DROP TABLE "odd one"."the log"')
    assert look(world, "database").affected == ("odd one.now", "odd one.oldest")


def test_the_backup_of_another_database_says_nothing_of_this_one(
    world: AssessedWorld, server: EmbeddedServer, tmp_path: Path
) -> None:
    url = server.create_database(f"other_{next(_numbers)}")
    try:
        verdict = look(AssessedWorld(tmp_path, repository=world.repository, database=url), "database")
    finally:
        drop_database(url)
    assert verdict.state == "healthy"
    assert "another database" in verdict.evidence["notCompared"]


def test_flipped_bytes_in_a_table_are_found_by_reading_it_and_by_the_next_quick_look(
    world: AssessedWorld, server: EmbeddedServer, database: DatabaseUrl
) -> None:
    flip_bytes(server, database, "articles", block=3)
    verdict = look(world, "database")
    assert (verdict.state, verdict.affected, verdict.ask) == ("damaged", ("public.articles",), None)
    assert "invalid page in block 3" in verdict.evidence["damaged"]["public.articles"]
    assert trigger_of(verdict) == "database_corruption"
    quick = look(world, "database", thorough=False)
    assert (quick.state, quick.affected) == ("damaged", ())
    assert "thorough" in str(quick.ask), "a counter alone has a database replaced"
    assert "failure of its checksums" in quick.reason or "failures of its checksums" in quick.reason


def test_a_disk_that_failed_for_a_moment_is_no_damage(server: EmbeddedServer, database: DatabaseUrl) -> None:
    flip_bytes(server, database, "articles", block=3)
    path, connected = file_of(server, database, "articles"), 0

    @contextmanager
    def connects() -> Iterator[Any]:
        nonlocal connected
        if (connected := connected + 1) == 2:
            flip(path, 3)
        with closing(connect(database)) as connection:
            yield connection

    found = read_tables(connects, database, Deadline(60, "It"))
    assert (found.damaged, found.rows["public.articles"], connected) == ({}, 4000, 2)
    assert "invalid page" in found.not_read["public.articles"]


def test_a_value_that_is_too_large_to_be_read_as_text_is_no_damage(world: AssessedWorld, database: DatabaseUrl) -> None:
    # Made up when it is read, so that no test has to store it: a bytea of 600 MB gets the same answer.
    large = "int GENERATED ALWAYS AS (length(quote_literal(repeat('x', 540000000 + id)))) VIRTUAL"
    rows(database, f"CREATE TABLE large (id int, found {large}); INSERT INTO large VALUES (1)")
    verdict = look(world, "database")
    assert (verdict.state, list(verdict.evidence["notRead"])) == ("healthy", ["public.large"])
    assert "invalid memory alloc request size" in verdict.evidence["notRead"]["public.large"]


def test_failures_that_were_counted_before_the_newest_good_backup_are_over(
    world: AssessedWorld, server: EmbeddedServer, database: DatabaseUrl, tmp_path: Path
) -> None:
    flip_bytes(server, database, "tags", block=0)
    with pytest.raises(Exception, match="invalid page"):
        rows(database, "SELECT * FROM tags")
    assert wait_for(lambda: look(world, "database", thorough=False).state == "damaged")
    rows(database, "DROP TABLE tags")
    repository, _ = back_up(database)
    verdict = look(AssessedWorld(tmp_path, repository=repository, database=database), "database")
    assert (verdict.state, verdict.evidence["checksumFailures"]["count"]) == ("healthy", 1)


def test_a_table_whose_file_is_gone_is_damaged(world: AssessedWorld, server: EmbeddedServer, database: DatabaseUrl) -> None:
    (path,) = rows(database, "SELECT pg_relation_filepath('tags')")[0]
    server.stop()
    (server.data_dir / path).unlink()
    server.start()
    verdict = look(world, "database")
    assert (verdict.state, verdict.affected) == ("damaged", ("public.tags",))
    assert "No such file or directory" in verdict.evidence["damaged"]["public.tags"]


def test_a_tablespace_that_is_not_mounted_is_asked_about(
    world: AssessedWorld, server: EmbeddedServer, database: DatabaseUrl
) -> None:
    place = server.data_dir.parent / "space"
    place.mkdir()
    shutil.chown(place, server.data_dir.stat().st_uid)
    rows(database.maintenance(), f"CREATE TABLESPACE away LOCATION '{place}'")
    rows(database, "ALTER TABLE tags SET TABLESPACE away")
    server.stop()
    place.rename(place.with_name("unmounted"))
    place.mkdir()
    server.start()
    verdict = look(world, "database")
    assert (verdict.state, verdict.affected) == ("damaged", ("public.tags",))
    assert "may only not be mounted" in str(verdict.ask)
    place.rmdir()
    place.with_name("unmounted").rename(place)
    assert look(world, "database").state == "healthy", "and mounted again it is whole"
    rows(database, "DROP TABLE tags")
    rows(database.maintenance(), "DROP TABLESPACE away")


def test_a_catalog_that_can_not_be_read_is_damage_though_nobody_gets_in(
    world: AssessedWorld, server: EmbeddedServer, database: DatabaseUrl
) -> None:
    (path,) = rows(database, "SELECT pg_relation_filepath('pg_class')")[0]
    server.stop()
    (server.data_dir / path).unlink()
    server.start()
    for thorough in (False, True):
        verdict = look(world, "database", thorough=thorough)
        assert (verdict.state, verdict.affected) == ("damaged", ())


def test_a_standby_is_left_alone_whatever_is_wrong_with_it(
    world: AssessedWorld, server: EmbeddedServer, database: DatabaseUrl, tmp_path: Path
) -> None:
    rows(database, "DROP TABLE tags")
    server.stop()
    signal_file = server.data_dir / "standby.signal"
    signal_file.touch()
    server.start()
    gone = AssessedWorld(tmp_path, repository=world.repository, database=database.with_database("gone"))
    try:
        found = [look(world, "database"), look(gone, "database")]
    finally:
        server.stop()
        signal_file.unlink()
    assert [one.state for one in found] == ["unknown", "unknown"]
    assert "standby" in found[0].reason
    assert "public.tags is gone" in found[0].reason


def test_a_database_that_only_its_pooler_does_not_know_is_not_lost(
    world: AssessedWorld, database: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = connecting.connect

    def through_a_pooler(url: DatabaseUrl, **more: Any) -> Any:
        return known(url.with_database("no_such") if url == database else url, **more)

    monkeypatch.setattr(connecting, "connect", through_a_pooler)
    found = look(world, "database")
    assert found.state == "unknown"
    assert "its server has it" in found.reason


def test_a_database_that_is_read_only_or_closed_is_not_lost(world: AssessedWorld, database: DatabaseUrl) -> None:
    rows(database.maintenance(), f"ALTER DATABASE {database.database} SET default_transaction_read_only = on")
    assert look(world, "database").state == "healthy"
    rows(database.maintenance(), f"ALTER DATABASE {database.database} WITH ALLOW_CONNECTIONS false")
    assert look(world, "database").state == "unknown"
    rows(database.maintenance(), f"ALTER DATABASE {database.database} WITH ALLOW_CONNECTIONS true")


def test_a_locked_table_is_slow_never_damaged_and_its_blocker_is_named(
    world: AssessedWorld, database: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.recovery.assessing.connecting._LOCK_SECONDS", 0.2)
    with locking(database, f"LOCK TABLE articles IN ACCESS EXCLUSIVE MODE; SELECT '{CANARY}'") as pid:
        verdict = look(world, "database")
        assert verdict.state == "slow"
        assert not verdict.is_to_be_recovered
        assert "articles" in verdict.reason
        assert {"relation": "public.articles", "pid": pid} in verdict.evidence["exclusiveLocks"]
        assert CANARY not in json.dumps(verdict.document())
    assert look(world, "database").state == "healthy"


def test_who_waits_for_whom_is_the_evidence_of_a_slow_database(database: DatabaseUrl, tmp_path: Path) -> None:
    world = AssessedWorld(tmp_path, database=database, BACKUP_SLOW_SECONDS=0.5)
    with locking(database, "UPDATE articles SET body = '' WHERE id = 1") as pid:
        waiter = threading.Thread(target=lambda: rows(database, f"UPDATE articles SET body = '{CANARY}' WHERE id = 1"))
        waiter.start()
        assert wait_for(lambda: look(world, "database", thorough=False).state == "slow")
        verdict = look(world, "database", thorough=False)
    waiter.join()
    assert verdict.reason.startswith("a session has waited for a lock for ")
    (waiting,), (blocking,) = verdict.evidence["waiting"], verdict.evidence["blocking"]
    assert (waiting["blockedBy"], waiting["command"], blocking["pid"]) == ([pid], "UPDATE", pid)
    assert any(f"behind session {pid}" in line for line in verdict.evidence["inWords"])
    assert verdict.evidence["connections"]["idleInTransaction"] == 1
    assert verdict.evidence["disk"]["freeBytes"] > 0
    assert verdict.evidence["notGathered"] == {}
    assert trigger_of(verdict) == "database_performance_degraded"
    assert CANARY not in json.dumps(verdict.document())


def test_what_there_is_no_time_to_read_is_named(world: AssessedWorld) -> None:
    verdict = look(world, "database", seconds=1.2)
    assert verdict.state == "healthy"
    late = "it could not be read in the time that there was"
    assert verdict.evidence["notRead"] == {"system tables": late, "public.tags": late, "public.articles": late}
    assert "not read: system tables" in verdict.reason


def test_what_may_not_be_read_is_named_and_nothing_of_it_is_damage(
    world: AssessedWorld, database: DatabaseUrl, tmp_path: Path
) -> None:
    rows(database, "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; GRANT SELECT ON tags TO reader")
    try:
        limited = AssessedWorld(tmp_path, repository=world.repository, database=replace(database, user="reader"))
        verdict = look(limited, "database")
    finally:
        rows(database, "DROP OWNED BY reader; DROP ROLE reader")
    assert (verdict.state, verdict.evidence["notRead"]) == ("healthy", {"public.articles": "we may not read it"})


@contextmanager
def locking(url: DatabaseUrl, statement: str) -> Iterator[int]:
    """Hold a transaction open in which this was done; yield its session."""
    with closing(connect(url, autocommit=False)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield connection.info.backend_pid
        connection.rollback()


def flip_bytes(server: EmbeddedServer, url: DatabaseUrl, table: str, *, block: int) -> None:
    """Change bytes of a table's file while the server is down."""
    path = file_of(server, url, table)
    server.stop()
    flip(path, block)
    server.start()


def file_of(server: EmbeddedServer, url: DatabaseUrl, table: str) -> Path:
    """Find the file that holds a table."""
    (path,) = rows(url, f"SELECT pg_relation_filepath('{table}')")[0]
    return server.data_dir / str(path)


def flip(path: Path, block: int) -> None:
    """Change bytes of a block; once more, they are what they were."""
    with path.open("r+b") as file:
        file.seek(block * 8192 + 4000)
        former = file.read(16)
        file.seek(block * 8192 + 4000)
        file.write(bytes(byte ^ 0xFF for byte in former))


def wait_for(is_so: Callable[[], bool]) -> bool:
    """Wait until it is so, ten seconds at most."""
    end = time.monotonic() + 10
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    return is_so()


def test_a_verdict_outlives_the_record_that_keeps_it(world: AssessedWorld) -> None:
    verdict = look(world, "database")
    assert Verdict.of(json.loads(json.dumps(verdict.document()))) == verdict
