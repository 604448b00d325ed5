"""`python -m benchmarks.ways_of_reading WAY URL STATEMENTS`: read tables by COPY, do nothing with them, and say what it cost.

The statements are JSON: a list for each reader, which does them one after the other; readers read at once. Only the reading is
measured, not the start of this process. `child` is what other programs spent that read for us.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

import psutil

from benchmarks.driver_reader import FILL_SECONDS, DriverStream, closed, connected
from holdfast.postgres.connection import connect
from holdfast.postgres.process import Child, run_tool
from holdfast.postgres.tools import find_tool
from holdfast.postgres.url import DatabaseUrl

Way = Callable[[DatabaseUrl, Sequence[str]], int]
_BUFFER_BYTES = 4 << 20
_JOINED_BYTES = 1 << 20
_BY_ITSELF = "SET effective_io_concurrency = 0"  # as `reading_settings` has it
_TOLD = {"PGOPTIONS": "-c effective_io_concurrency=0"}
_PSQL = ("-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-")


def drained(stream: DriverStream | Child) -> int:
    """Read to the end, and tell how many bytes there were."""
    readinto = stream.readinto if isinstance(stream, DriverStream) else stream.stdout.readinto
    buffer, total = memoryview(bytearray(_BUFFER_BYTES)), 0
    while count := readinto(buffer):
        total += count
    return total


def by_psql(url: DatabaseUrl, statements: Sequence[str], *, settings: Sequence[str] = (_BY_ITSELF,)) -> int:
    """As the product does it: the child is left to itself until its pipe has filled."""
    script = "".join(f"{statement};\n" for statement in (*settings, *statements))
    with run_tool(find_tool("psql", at_least_major=18), _PSQL, url=url, stdin=script.encode(), stdout="pipe") as child:
        return drained(child)


def by_pg_dump(url: DatabaseUrl, statements: Sequence[str]) -> int:
    """One pg_dump a table."""
    total = 0
    for statement in statements:
        arguments = ["--data-only", "-t", statement.split()[1]]
        with run_tool(find_tool("pg_dump", at_least_major=18), arguments, url=url, stdout="pipe", env_extra=_TOLD) as child:
            total += drained(child)
    return total


def by_pg_dump_into_nothing(url: DatabaseUrl, statements: Sequence[str]) -> int:
    """`pg_dump -Fc -Z0 > /dev/null`, which all is compared with; what it wrote is not known."""
    tables = [part for statement in statements for part in ("-t", statement.split()[1])]
    with run_tool(find_tool("pg_dump", at_least_major=18), ["-Fc", "-Z0", *tables], url=url, env_extra=_TOLD):
        return 0


def by_copy_expert(url: DatabaseUrl, statements: Sequence[str], *, joined: bool) -> int:
    """psycopg2, which calls us for each row."""
    sink = _Joined() if joined else _Counted()
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(_BY_ITSELF)
        for statement in statements:
            cursor.copy_expert(statement, sink)
    return sink.total


def by_asyncpg(url: DatabaseUrl, statements: Sequence[str], *, fill_seconds: float) -> int:
    """asyncpg, whose parser is compiled."""
    loop, connection = connected(url)
    try:
        loop.run_until_complete(connection.execute(_BY_ITSELF))
        return sum(drained(DriverStream(loop, connection, statement, fill_seconds)) for statement in statements)
    finally:
        closed(loop, connection)


WAYS: dict[str, Way] = {
    "pg_dump -Fc -Z0 > /dev/null": by_pg_dump_into_nothing,
    "pg_dump for each table": by_pg_dump,
    "psql": by_psql,
    "psql, reads are handed to the server's workers": partial(by_psql, settings=()),
    "copy_expert, rows only counted": partial(by_copy_expert, joined=False),
    "copy_expert, rows joined": partial(by_copy_expert, joined=True),
    "asyncpg, read at once": partial(by_asyncpg, fill_seconds=0.0),
    "asyncpg, socket left to fill": partial(by_asyncpg, fill_seconds=FILL_SECONDS),
}


class _Counted:
    def __init__(self) -> None:
        self.total = 0

    def write(self, part: bytes) -> None:
        self.total += len(part)


class _Joined:
    def __init__(self) -> None:
        self.total = self._held_bytes = 0
        self._held: list[bytes] = []

    def write(self, part: bytes) -> None:
        self._held.append(part)
        self.total += len(part)
        self._held_bytes += len(part)
        if self._held_bytes >= _JOINED_BYTES:
            b"".join(self._held)
            self._held, self._held_bytes = [], 0


def main(arguments: Sequence[str]) -> None:
    """Read, and print bytes, wall time and processor time."""
    way, url, lists = WAYS[arguments[0]], DatabaseUrl.parse(arguments[1]), json.loads(arguments[2])
    read: list[int] = []
    readers = [threading.Thread(target=lambda one=one: read.append(way(url, one))) for one in lists]
    started, own, child = time.monotonic(), _spent(resource.RUSAGE_SELF), _spent(resource.RUSAGE_CHILDREN)
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    wall = time.monotonic() - started
    own, child = _spent(resource.RUSAGE_SELF) - own, _spent(resource.RUSAGE_CHILDREN) - child
    if len(read) != len(lists) or psutil.Process(os.getpid()).children():
        sys.exit("a reader failed")
    print(json.dumps({"bytes": sum(read), "wall": wall, "own": own, "child": child}))


def _spent(whose: int) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(sys.argv[1:])
