"""What reads more than another, or less, would be compared with it wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from benchmarks.readers import PSQL, Reading, as_section
from benchmarks.ways_of_reading import WAYS
from holdfast.postgres.connection import DatabaseUrl, connect
from tests.postgres.servers import running_server

ALL_ROWS = sum(len(f"{i}\tnote {i}\n") for i in range(1, 5001))


@pytest.fixture(scope="module")
def database() -> Iterator[DatabaseUrl]:
    with running_server(18) as server:
        url = server.create_database("read")
        with closing(connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE notes AS SELECT i, 'note ' || i AS text FROM generate_series(1, 5000) AS i")
        yield url


def test_each_way_reads_every_byte_of_each_statement(database: DatabaseUrl) -> None:
    halves = [f"COPY (SELECT * FROM ONLY notes WHERE ctid {side} '(9,0)') TO STDOUT" for side in ("<", ">=")]
    for name, way in WAYS.items():
        if not name.startswith("pg_dump"):
            assert way(database, ["COPY notes TO STDOUT", *halves]) == 2 * ALL_ROWS, name
    assert WAYS["pg_dump for each table"](database, ["COPY notes TO STDOUT"]) > ALL_ROWS  # statements stand around the rows


def test_the_tables_show_medians_and_rates_of_what_was_measured() -> None:
    alone = [Reading(PSQL, 1, 1, 1, False, number, wall, 0.1, 0.2, 0.3) for number, wall in ((1, 2.0), (2, 4.0), (3, 3.0))]
    ranges = [Reading(PSQL, 2, 1, 2, False, 1, 1.5, 0.1, 0.2, 0.3)]
    backups = [Reading(way, 2, 1, 1, True, 1, 5.0, 6.0, 0.0, 1.0) for way in (PSQL, "asyncpg")]
    costs, engines, rates, by_engine = as_section([*alone, *ranges, *backups], 300e6).tables
    assert costs.rows == [
        [PSQL, "3.00 (2.00–4.00)", *(f"{value} ({value}–{value})" for value in ("0.10", "0.20", "0.30", "0.60"))]
    ]
    assert engines.rows == [[way, "5.00", "6.00", "1.00", "7.00"] for way in (PSQL, "asyncpg")]
    assert rates.header == ["readers", "1 table", "2 tables", "4 tables", "1 table in ranges"]
    assert rates.rows == [["1", "100", "", "", "100"], ["2", "", "", "", "200"], ["4", "", "", "", ""]]
    assert by_engine.rows[1] == ["2", "60", "", ""]
