"""Backups to restore from, and what is left on a server after a restore."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from holdfast.jobs import new_job_id
from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server, quote_identifier
from holdfast.postgres.dump import DatabaseDump, DumpOptions
from holdfast.postgres.process import run_tool
from holdfast.postgres.restore import DatabaseRestore, RestoreOptions, RestoreReport
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.tools import bundled_folder, find_tool
from holdfast.repository import Compression, Manifest, Repository
from holdfast.storage import Storage
from holdfast.storage.memory import MemoryStorage
from tests.postgres.servers import drop_database

EVERYTHING = Path(__file__).with_name("everything.sql")
TOOLS = bundled_folder(18)
ALL_STREAMED, ALL_IN_BASE = 0, 1 << 60


def back_up(
    url: DatabaseUrl,
    *,
    storage: Storage | None = None,
    threshold_bytes: int = ALL_STREAMED,
    proof: str = "content",
    tools: Path | None = None,
    tamper: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[Repository, Manifest]:
    """Back a database up into a repository of its own; `tamper` may change the truth before it is stored."""
    repository = Repository.create(storage or MemoryStorage(), key=None, encrypt=False)
    options = DumpOptions(table_stream_threshold_bytes=threshold_bytes, proof=proof)  # type: ignore[arg-type]
    with (
        Snapshot(url) as snapshot,
        repository.lease("a test") as lease,
        repository.writer(lease, compression=Compression("zstd", 1)) as writer,
        closing(DatabaseDump(url, snapshot, writer, tools, options)) as dump,
    ):
        tables = [dump.store_table(table) for table in dump.plan().streamed]
        truth = dump.store_truth(tables)
        if tamper:
            value = json.loads(b"".join(repository.read(truth)))
            tamper(value)
            truth = writer.store("truth", "truth", BytesIO(json.dumps(value).encode()))
        entries = [dump.store_globals(), dump.store_base(), *tables, truth]
        return repository, writer.commit(dump.draft(new_job_id("backup"), entries))


def restore(backup: tuple[Repository, Manifest], target: DatabaseUrl, spool_dir: Path, **options: Any) -> RestoreReport:
    """Restore a backup; the spool folder must be empty again whatever happens."""
    try:
        return DatabaseRestore(*backup, target, replace(RestoreOptions(spool_dir=spool_dir), **options)).run()
    finally:
        assert not list(spool_dir.glob("*/*")), "a restore left something in its spool folder"


@contextmanager
def dropped_at_end(url: DatabaseUrl) -> Iterator[DatabaseUrl]:
    """Lend an address where a restore may make a database."""
    try:
        yield url
    finally:
        drop_database(url)


def load_sql(url: DatabaseUrl, script: bytes | Path) -> None:
    """Run a script of psql's."""
    arguments = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script) if isinstance(script, Path) else "-"]
    with run_tool(find_tool("psql", at_least_major=18), arguments, url=url, stdin=script if isinstance(script, bytes) else None):
        pass


def rows(url: DatabaseUrl, query: str) -> list[tuple[Any, ...]]:
    """Ask a database."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall() if cursor.description else []


def databases(url: DatabaseUrl) -> set[str]:
    """List the databases of a server."""
    with closing(connect_to_server(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname::text FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


def make_database(server: DatabaseUrl, name: str, clauses: str = "") -> DatabaseUrl:
    """Make a database; any that has its name is dropped before."""
    url = server.with_database(name)
    drop_database(url)
    with closing(connect_to_server(server)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {quote_identifier(name)} {clauses}")
    return url
