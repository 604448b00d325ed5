"""How the source is best read: ways to copy a table out of PostgreSQL, numbers of readers and tables, and one table in ranges.

First alone, with nobody who takes the bytes; then within the engine's whole backup, where readers share the processor with those
who compress and encrypt. Which way was chosen, and why: docs/decisions/0001-copy-reader.md.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import engine_readers
from benchmarks.compare import tell
from benchmarks.contenders.holdfast import engine_command
from benchmarks.figures import seconds, spread
from benchmarks.measure import MB, cpu_of_server, measured
from benchmarks.section import Section, Table
from benchmarks.stage import Stage, open_stage
from benchmarks.ways_of_reading import WAYS
from holdfast.postgres.connection import DatabaseUrl, connect

MEGABYTES, ROUNDS = 400, 3
COUNTS = (1, 2, 4)  # of readers, and of tables
PSQL = "psql"
_ROW_BYTES = 224  # about what a row is in COPY's text
_ROOT = str(Path(__file__).parent.parent)
_ROWS = """
CREATE TABLE part_1 AS
SELECT i AS id, timestamptz '2026-01-01' + i * interval '7 s' AS created_at,
  (ARRAY['draft', 'published', 'withdrawn'])[1 + i % 3] AS state, i % 1000 AS source, md5(i::text) AS digest,
  jsonb_build_object('kind', i % 17, 'score', i * 7919 % 1000, 'tag', substr(md5((i * 3)::text), 1, 8)) AS facts,
  repeat(substr(md5((i / 2)::text), 1, 12) || ' ', (4 + i % 9)::int) AS body
FROM generate_series(1::bigint, {rows}) AS i
"""


@dataclass(frozen=True)
class Reading:
    """One run, and what it cost in seconds: a way, by how many readers, of how many tables in how many ranges each.

    `engine` tells a whole backup from readers alone.
    """

    way: str
    readers: int
    tables: int
    ranges: int
    engine: bool
    round: int
    wall: float
    own: float
    child: float
    server: float

    @property
    def cpu(self) -> float:
        return self.own + self.child + self.server

    @property
    def what(self) -> tuple[str, int, int, int, bool]:
        return (self.way, self.readers, self.tables, self.ranges, self.engine)


def section(folder: Path, megabytes: int = MEGABYTES, rounds: int = ROUNDS) -> Section:
    """Measure in rounds, each way once a round."""
    with open_stage(folder) as stage:
        for tables in COUNTS:
            _build(stage, tables, megabytes)
        copy_bytes = _alone(stage, PSQL, [[f"COPY {name} TO STDOUT"] for name in _names(1)])["bytes"]
        found: list[Reading] = []
        for number in range(1, rounds + 1):
            tell(f"  round {number}: readers")
            found += [*_each_way(stage, number), *_counts(stage, number), *_engines(stage, number)]
    return as_section(found, copy_bytes)


def as_section(found: Sequence[Reading], copy_bytes: float) -> Section:
    """Tables and notes of what was found."""
    groups: dict[tuple[str, int, int, int, bool], list[Reading]] = defaultdict(list)
    for reading in found:
        groups[reading.what].append(reading)
    alone = {what[0]: runs for what, runs in groups.items() if what[1:] == (1, 1, 1, False)}
    engines = {what[0]: runs for what, runs in groups.items() if what[1:] == (2, 1, 1, True)}
    by_counts = {what[1:4]: runs for what, runs in groups.items() if what[0] == PSQL and not what[4]}
    of_engine = {what[1:4]: runs for what, runs in groups.items() if what[0] == PSQL and what[4]}
    rounds = max(one.round for one in found)
    notes = [
        f"The same {copy_bytes / MB:,.0f} MB of COPY text in each run, in 1, 2 or 4 tables of equal size; the server is on this "
        f"machine, its files are in memory. Medians of {rounds} rounds in turn, with the least and the most.",
        "Readers alone do nothing with what they read. 'Own' is this program's CPU, 'child' that of the tools it "
        "started, 'server' PostgreSQL's.",
        "A backup by the engine compresses (zstd), encrypts and stores besides; its own CPU includes the tools'. "
        "A table in ranges is read as `COPY (SELECT … WHERE ctid …)`, a range for each reader.",
    ]
    return Section(
        "Reading the source",
        [
            _costs("One table, one reader, nobody who takes the bytes", alone),
            _costs("A backup of one table by the engine, two readers", engines, by_engine=True),
            _rates("psql alone, MB/s", by_counts, copy_bytes),
            _rates("A backup by the engine, MB/s", of_engine, copy_bytes),
        ],
        notes=notes,
        figures={"copy_bytes": copy_bytes, "readings": [asdict(reading) for reading in found]},
    )


def _costs(title: str, groups: dict[str, list[Reading]], *, by_engine: bool = False) -> Table:
    parts = ["wall", "own", "server", "cpu"] if by_engine else ["wall", "own", "child", "server", "cpu"]
    names = {"wall": "wall s", "own": "own CPU s", "child": "child's CPU s", "server": "server's CPU s", "cpu": "CPU s in all"}
    rows = [[way, *(spread([getattr(run, part) for run in runs], seconds) for part in parts)] for way, runs in groups.items()]
    return Table(title, ["way", *(names[part] for part in parts)], rows)


def _rates(title: str, groups: dict[tuple[int, int, int], list[Reading]], copy_bytes: float) -> Table:
    def rate(readers: int, tables: int, ranges: int) -> str:
        runs = groups.get((readers, tables, ranges))
        return f"{copy_bytes / MB / statistics.median(run.wall for run in runs):,.0f}" if runs else ""

    rows = [[str(readers), *(rate(readers, tables, 1) for tables in COUNTS)] for readers in COUNTS]
    ranged = any(ranges > 1 for _, _, ranges in groups)
    if ranged:
        for row, readers in zip(rows, COUNTS, strict=True):
            row.append(rate(readers, 1, readers))
    header = ["readers", *(f"{tables} table{'s' if tables > 1 else ''}" for tables in COUNTS)]
    return Table(title, header + (["1 table in ranges"] if ranged else []), rows)


# What is run


def _each_way(stage: Stage, number: int) -> Iterator[Reading]:
    for way in WAYS:
        yield _reading(stage, way, [["COPY part_1 TO STDOUT"]], number)


def _counts(stage: Stage, number: int) -> Iterator[Reading]:
    for tables in COUNTS:
        statements = [f"COPY {name} TO STDOUT" for name in _names(tables)]
        for readers in COUNTS:
            if (readers, tables) != (1, 1):  # that is one of the ways
                shares = [statements[first::readers] for first in range(readers)]
                yield _reading(stage, PSQL, shares, number, tables=tables)
    for ranges in COUNTS[1:]:
        yield _reading(stage, PSQL, [[statement] for statement in _in_ranges(stage, ranges)], number, ranges=ranges)


def _reading(stage: Stage, way: str, shares: list[list[str]], number: int, *, tables: int = 1, ranges: int = 1) -> Reading:
    """Read by as many readers as there are shares; those of an empty share have nothing to do."""
    server = cpu_of_server(stage.server_pid())
    cost = _alone(stage, way, [share for share in shares if share], tables)
    server = cpu_of_server(stage.server_pid()) - server
    return Reading(way, len(shares), tables, ranges, False, number, cost["wall"], cost["own"], cost["child"], server)


def _alone(stage: Stage, way: str, shares: list[list[str]], tables: int = 1) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.ways_of_reading", way, str(_database(stage, tables)), json.dumps(shares)]
    said = stage.folder / "said.json"
    measured(command, environment=stage.environment() | {"PYTHONPATH": _ROOT}, folder=stage.folder, stdout=said)
    answer: dict[str, float] = json.loads(said.read_text())
    return answer


def _engines(stage: Stage, number: int) -> Iterator[Reading]:
    for way in engine_readers.WAYS:
        yield _engine(stage, way, number, readers=2, tables=1)
    for tables in COUNTS:
        for readers in COUNTS:
            if (readers, tables) != (2, 1):
                yield _engine(stage, PSQL, number, readers=readers, tables=tables)


def _engine(stage: Stage, way: str, number: int, *, readers: int, tables: int) -> Reading:
    name = "readers"
    stage.forget_repository(name)
    command = engine_command("backup") if way == PSQL else (sys.executable, "-m", "benchmarks.engine_readers", way)
    url = str(_database(stage, tables))
    environment = stage.environment(name) | {"PYTHONPATH": _ROOT, "BACKUP_DATABASE_URL": url, "BACKUP_READERS": str(readers)}
    stage.settle()
    server = cpu_of_server(stage.server_pid())
    cost = measured(command, environment=environment, folder=stage.folder)
    server = cpu_of_server(stage.server_pid()) - server
    return Reading(way, readers, tables, 1, True, number, cost.wall_seconds, cost.cpu_seconds, 0.0, server)


# What is read


def _build(stage: Stage, tables: int, megabytes: int) -> None:
    url = stage.server.create_database(_database(stage, tables).database)
    rows = megabytes * MB // _ROW_BYTES
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(_ROWS.format(rows=rows))
        for number, name in enumerate(_names(tables)[1:], 1):
            first, last = rows * number // tables, rows * (number + 1) // tables
            cursor.execute(f"CREATE TABLE {name} AS SELECT * FROM part_1 WHERE id > {first} AND id <= {last}")
        cursor.execute(f"DELETE FROM part_1 WHERE id > {rows // tables}")
        cursor.execute("VACUUM FULL part_1")
        cursor.execute("VACUUM ANALYZE")  # so that no reader is the one who marks rows as seen by all


def _database(stage: Stage, tables: int) -> DatabaseUrl:
    return stage.server.url(f"readers_{tables}")


def _names(tables: int) -> list[str]:
    return [f"part_{number}" for number in range(1, tables + 1)]


def _in_ranges(stage: Stage, ranges: int) -> list[str]:
    with closing(connect(_database(stage, 1))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('part_1') / current_setting('block_size')::int")
        (blocks,) = cursor.fetchone() or (0,)
    edges = [blocks * number // ranges for number in range(ranges)]
    limits = [
        f"ctid >= '({edge},0)'" + (f" AND ctid < '({end},0)'" if end else "")
        for edge, end in zip(edges, [*edges[1:], 0], strict=True)
    ]
    return [f"COPY (SELECT * FROM ONLY part_1 WHERE {limit}) TO STDOUT" for limit in limits]
