"""What people do to a living database in an ordinary week starts no recovery that nobody was asked about."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.recovery.triggers import trigger_of
from tests.postgres.restoring import back_up, rows
from tests.postgres.servers import drop_database, running_server
from tests.recovery.assessed import AssessedWorld, look

_numbers = itertools.count(1)
SHOP = """
CREATE TABLE orders AS SELECT g AS id, repeat('line ' || g, 20) AS lines FROM generate_series(1, 2000) AS g;
ALTER TABLE orders ADD PRIMARY KEY (id);
CREATE TABLE people AS SELECT g AS id, 'name ' || g AS name FROM generate_series(1, 50) AS g;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with running_server(18) as embedded:
        yield embedded


@pytest.fixture
def shop(server: EmbeddedServer, tmp_path: Path) -> Iterator[tuple[AssessedWorld, DatabaseUrl]]:
    url = server.create_database(f"shop_{next(_numbers)}")
    rows(url, SHOP)
    repository, _ = back_up(url)
    yield AssessedWorld(tmp_path, repository=repository, database=url), url
    drop_database(url)


@pytest.mark.parametrize(
    "migration",
    [
        "CREATE TABLE carts AS SELECT 1 AS id; ALTER TABLE people ADD COLUMN mail text",
        "ALTER TABLE people DROP COLUMN name; ALTER TABLE orders RENAME COLUMN lines TO items",
        "ALTER TABLE orders ALTER COLUMN id TYPE bigint; CREATE INDEX ON people (name); DROP INDEX people_name_idx",
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey; ALTER TABLE orders ADD PRIMARY KEY (id, lines)",
        "ALTER TABLE orders RENAME TO orders_old; CREATE VIEW orders AS SELECT * FROM orders_old",
        "ALTER TABLE orders RENAME TO o1; CREATE TABLE orders (id int, lines text) PARTITION BY RANGE (id); "
        "ALTER TABLE orders ATTACH PARTITION o1 DEFAULT",
        "TRUNCATE people; DELETE FROM orders WHERE id > 10",
        "CREATE ROLE newcomer LOGIN PASSWORD 'not a secret'; GRANT SELECT ON people TO newcomer; DROP OWNED BY newcomer; "
        "DROP ROLE newcomer",
    ],
)
def test_a_migration_that_takes_no_table_away_is_nobodys_trouble(shop: tuple[AssessedWorld, DatabaseUrl], migration: str) -> None:
    world, url = shop
    rows(url, migration)
    for thorough in (False, True):
        verdict = look(world, "database", thorough=thorough)
        assert (verdict.state, trigger_of(verdict)) == ("healthy", None)


@pytest.mark.parametrize(
    "migration",
    [
        "ALTER TABLE people RENAME TO persons",
        "DROP TABLE people",
        "CREATE SCHEMA app; ALTER TABLE people SET SCHEMA app; ALTER TABLE orders SET SCHEMA app",
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
    ],
)
def test_where_a_table_has_gone_a_person_is_asked_for_it_may_be_a_migration(
    shop: tuple[AssessedWorld, DatabaseUrl], migration: str
) -> None:
    world, url = shop
    rows(url, migration)
    for thorough in (False, True):
        verdict = look(world, "database", thorough=thorough)
        assert verdict.state == "incomplete"
        assert verdict.ask is not None


def test_a_table_that_is_rewritten_again_and_again_is_never_damaged(shop: tuple[AssessedWorld, DatabaseUrl]) -> None:
    world, url = shop
    stop = threading.Event()

    def rewrite() -> None:
        with closing(connect(url)) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("VACUUM FULL orders")
                cursor.execute("ALTER TABLE orders ALTER COLUMN lines TYPE varchar, ALTER COLUMN id TYPE bigint")
                cursor.execute("ALTER TABLE orders ALTER COLUMN lines TYPE text, ALTER COLUMN id TYPE int; REINDEX TABLE orders")

    rewriter = threading.Thread(target=rewrite)
    rewriter.start()
    try:
        found = [look(world, "database") for _ in range(6)]
    finally:
        stop.set()
        rewriter.join()
    assert [(one.state, one.reason) for one in found if one.is_to_be_recovered] == []
