"""One backup of one database, from the lease to the manifest, without Prefect.

The steps are methods, so that a flow can run each as a task and `back_up_database` can run the same steps by itself. Each
storing step may run in a thread of its own; `commit` comes last, and without it there is no backup.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from holdfast.errors import DatabaseUnreachableError, SnapshotLostError
from holdfast.jobs import new_job_id
from holdfast.postgres.dump import BASE, GLOBALS, TRUTH, DatabaseDump, DumpOptions, entry_name
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.tables import Table
from holdfast.postgres.url import DatabaseUrl
from holdfast.repository import Compression, Entry, Lease, Manifest, Repository
from holdfast.turn import require_first

if TYPE_CHECKING:
    from holdfast.settings import Settings

TellProgress = Callable[[str], Callable[[int], None]]
"""Given the name of a stream, returns what is told the bytes of it that were read so far."""


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """How to back a database up."""

    compression: Compression
    dump: DumpOptions = field(default_factory=DumpOptions)
    writer_threads: int = 2
    tools: Path | None = None
    lease_ttl_seconds: float = 120

    @classmethod
    def of(cls, settings: Settings) -> BackupOptions:
        """Take them from the settings."""
        dump = DumpOptions(
            lock_timeout_seconds=settings.lock_timeout_seconds,
            time_limit_seconds=settings.dump_time_limit_minutes * 60,
            table_stream_threshold_bytes=settings.table_stream_threshold_bytes,
            proof=settings.proof,
            readers=settings.readers,
        )
        return cls(settings.compression, dump, settings.writer_threads, settings.postgres_tools, settings.lease_ttl_seconds)


def purpose(source: DatabaseUrl) -> str:
    """Say what the lease of a backup of this database is for; the same for every run, whoever is the user."""
    return f"backup database {source.host or 'local'}:{source.port}/{source.database}"


class DatabaseBackup:
    """A backup on its way; a context manager. Leaving it by an exception stops whatever still reads the source.

    Raises on entering BusyError where another run backs the same database up, and what `Snapshot` raises.
    """

    def __init__(
        self,
        repository: Repository,
        lease: Lease,
        source: DatabaseUrl,
        options: BackupOptions,
        *,
        job_id: str,
        tell_progress: TellProgress | None = None,
    ) -> None:
        self._repository = repository
        self._lease = lease
        self._source = source
        self._options = options
        self._job_id = job_id
        self._tell_progress = tell_progress or (lambda _: lambda _: None)
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._tables: dict[str, Table] = {}

    def __enter__(self) -> Self:
        require_first(self._repository, self._lease)
        with ExitStack() as held:
            self._snapshot = held.enter_context(
                Snapshot(self._source, lock_timeout_seconds=self._options.dump.lock_timeout_seconds)
            )
            self._writer = held.enter_context(
                self._repository.writer(self._lease, compression=self._options.compression, threads=self._options.writer_threads)
            )
            self._dump = DatabaseDump(self._source, self._snapshot, self._writer, self._options.tools, self._options.dump)
            held.callback(self._dump.close)
            self._held = held.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.stop()
        self._held.__exit__(kind, error, trace)

    def plan(self) -> list[str]:
        """Decide which tables become streams of their own, and name them, the largest first."""
        self._tables = {entry_name(table).removeprefix("table/"): table for table in self._dump.plan().streamed}
        return list(self._tables)

    @property
    def expected_bytes(self) -> int:
        """About how much there is to read."""
        plan = self._dump.plan()
        return plan.base_bytes + sum(table.size_bytes for table in plan.streamed)

    def store_roles(self) -> Entry:
        """Store the roles."""
        return self._stored(GLOBALS, self._dump.store_globals)

    def store_base(self) -> Entry:
        """Store all definitions, and the rows of the small tables."""
        return self._stored(BASE, self._dump.store_base)

    def store_table(self, name: str) -> Entry:
        """Store the rows of one table of the plan."""
        table = self._tables[name]
        return self._stored(entry_name(table), lambda tell: self._dump.store_table(table, tell))

    def count_rows(self) -> None:
        """Count the rows of the small tables, as the source has them."""
        with self._explaining_loss():
            self._dump.count_rest()

    def store_truth(self) -> Entry:
        """Store what the source knew of itself; all tables come before."""
        tables = [self._entries[entry_name(table)] for table in self._tables.values()]
        return self._stored(TRUTH, lambda _: self._dump.store_truth(tables))

    def commit(self) -> Manifest:
        """Make the backup exist. Raises LeaseLostError."""
        names = (GLOBALS, BASE, *(entry_name(table) for table in self._tables.values()), TRUTH)
        return self._writer.commit(self._dump.draft(self._job_id, [self._entries[name] for name in names]))

    def stop(self) -> None:
        """End whatever reads the source now, in any thread."""
        self._dump.stop()

    def run(self) -> Manifest:
        """Do all steps, of those that read rows as many at once as there are readers.

        What needs no reader begins while the readers are still started.
        """
        with (
            ThreadPoolExecutor(self._options.dump.readers, "holdfast-dump") as pool,
            ThreadPoolExecutor(1, "holdfast-dump-aside") as aside,
        ):
            self._dump.decide()
            steps: list[Future[Any]] = [pool.submit(self.store_base), aside.submit(self.store_roles)]
            try:
                steps += [pool.submit(self.store_table, table) for table in self.plan()]
                steps.append(aside.submit(self.count_rows))
                for step in as_completed(steps):
                    step.result()
            except BaseException:
                for one in (pool, aside):
                    one.shutdown(wait=False, cancel_futures=True)
                self.stop()
                raise
        self.store_truth()
        return self.commit()

    def _stored(self, name: str, store: Callable[[Callable[[int], None]], Entry]) -> Entry:
        with self._explaining_loss():
            entry = store(self._tell_progress(name))
        with self._lock:
            self._entries[name] = entry
        return entry

    @contextmanager
    def _explaining_loss(self) -> Iterator[None]:
        """Say of a lost database whether the snapshot went with it: then no second try can succeed."""
        try:
            yield
        except DatabaseUnreachableError as error:
            try:
                self._snapshot.check()
            except DatabaseUnreachableError as lost:
                raise SnapshotLostError(
                    "the connection that held the source's snapshot was lost",
                    reason=lost.reason or str(error),
                    next_step="Start the backup again; what was stored already is not sent again",
                ) from error
            raise


def back_up_database(
    repository: Repository,
    source: DatabaseUrl,
    options: BackupOptions,
    *,
    job_id: str | None = None,
    tell_progress: TellProgress | None = None,
) -> Manifest:
    """Back a database up from beginning to end. Raises what the steps raise, and BusyError."""
    job_id = job_id or new_job_id("backup")
    with (
        repository.lease(purpose(source), ttl_seconds=options.lease_ttl_seconds) as lease,
        DatabaseBackup(repository, lease, source, options, job_id=job_id, tell_progress=tell_progress) as backup,
    ):
        return backup.run()
