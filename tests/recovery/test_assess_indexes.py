"""A damaged index is found where amcheck is installed, and nobody restores a database for what REINDEX mends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.system_server import SystemServer
from tests.postgres.restoring import rows
from tests.recovery.assessed import AssessedWorld, look
from tests.recovery.debian_server import debian_server


@pytest.fixture(scope="module")
def server() -> Iterator[SystemServer]:
    with debian_server() as running:
        rows(running.url(), "CREATE TABLE articles AS SELECT g AS id, 'text ' || g AS body FROM generate_series(1, 20000) AS g")
        rows(running.url(), "CREATE INDEX by_id ON articles (id)")
        yield running


def test_a_damaged_index_is_named_beside_its_table_and_a_person_is_asked(server: SystemServer, tmp_path: Path) -> None:
    world = AssessedWorld(tmp_path, database=server.url())
    assert look(world, "database").evidence["structures"] == {"amcheck": "not installed, so indexes were not looked at"}
    rows(server.url(), "CREATE EXTENSION amcheck")
    sound = look(world, "database")
    assert (sound.state, sound.evidence["structures"]["amcheck"]) == ("healthy", "used")
    assert sound.evidence["structures"]["notLookedAt"] == []
    (path,) = rows(server.url(), "SELECT pg_relation_filepath('by_id')")[0]
    server.stop()
    with (server.data_dir / path).open("r+b") as file:
        file.seek(8192 + 5000)
        file.write(b"spoilt")
    server.start()
    damaged = look(world, "database")
    assert (damaged.state, damaged.affected) == ("damaged", ("public.articles",))
    assert list(damaged.evidence["structures"]["indexes"]) == ["public.articles (index by_id)"]
    assert "damaged" not in damaged.evidence
    assert damaged.ask is not None
    assert "REINDEX" in damaged.ask
    rows(server.url(), "REINDEX INDEX by_id")
    assert look(world, "database").state == "healthy"


def test_an_index_that_does_not_fit_its_table_is_found_though_its_pages_are_whole(server: SystemServer, tmp_path: Path) -> None:
    rows(
        server.url(), "CREATE EXTENSION IF NOT EXISTS amcheck; CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) AS g"
    )
    rows(server.url(), "CREATE INDEX stale ON t (id)")
    rows(server.url(), "UPDATE pg_index SET indisready = false, indisvalid = true WHERE indexrelid = 'stale'::regclass")
    rows(server.url(), "INSERT INTO t SELECT g FROM generate_series(101, 200) AS g")
    rows(server.url(), "UPDATE pg_index SET indisready = true WHERE indexrelid = 'stale'::regclass")
    verdict = look(AssessedWorld(tmp_path, database=server.url()), "database")
    assert (verdict.state, verdict.affected) == ("damaged", ("public.t",))
    assert "lacks matching index tuple" in verdict.evidence["structures"]["indexes"]["public.t (index stale)"]
