"""One backup of functions, configuration or secrets metadata, from the lease to the manifest, without Prefect.

The steps are methods, so that a flow can run each as a task. Each part may be stored in a thread of its own; what of the source
can't be read is left out by name and costs nothing else; `commit` comes last, and without it there is no backup.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from holdfast.errors import (
    BusyError,
    DamagedError,
    HoldfastError,
    LeaseLostError,
    SourceEmptyError,
    StorageDeniedError,
    StorageFullError,
    StorageUnreachableError,
    TimeLimitError,
)
from holdfast.repository import BackupWriter, Compression, Entry, Lease, Manifest, ManifestDraft, Repository, canonical
from holdfast.sources.contract import Content, LeftOut, Part, Source
from holdfast.sources.tar import TarStream
from holdfast.sources.truth import TRUTH, PartTruth, SourceTruth
from holdfast.turn import require_first

if TYPE_CHECKING:
    from holdfast.settings import Settings

TellProgress = Callable[[str], Callable[[int], None]]
_NAMED_IN_MANIFEST = 100
_OURS = (BusyError, DamagedError, LeaseLostError, StorageDeniedError, StorageFullError, StorageUnreachableError, TimeLimitError)
_MEDIA = {"tar": "application/x-tar", "json": "application/json"}


@dataclass(frozen=True, slots=True)
class SourceBackupOptions:
    """How to back a source up."""

    compression: Compression
    writer_threads: int = 2
    allow_empty: bool = False
    time_limit_seconds: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> SourceBackupOptions:
        """Take them from the settings."""
        limit = settings.dump_time_limit_minutes * 60
        return cls(settings.compression, settings.writer_threads, settings.allow_empty, limit)


def purpose(source: Source) -> str:
    """Say what the lease of a backup of this source is for; the same for every run."""
    return f"backup {source.type} {source.description['kind']}:{source.description['name']}"


class SourceBackup:
    """A backup on its way; a context manager. Raises on entering BusyError where another run backs the same source up."""

    def __init__(
        self,
        repository: Repository,
        lease: Lease,
        source: Source,
        options: SourceBackupOptions,
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
        self._parts: dict[str, Part] = {}
        self._entries: dict[str, Entry] = {}
        self._truth = SourceTruth()
        self._lock = threading.Lock()
        self._held = ExitStack()
        self.started_at = datetime.now(UTC)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        require_first(self._repository, self._lease)
        options = self._options
        with ExitStack() as held:
            self._writer: BackupWriter = held.enter_context(
                self._repository.writer(self._lease, compression=options.compression, threads=options.writer_threads)
            )
            self._held = held.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._held.__exit__(kind, error, trace)

    @property
    def left_out(self) -> list[LeftOut]:
        """What should have been in the backup and is not, by name."""
        with self._lock:
            return sorted(self._truth.left_out, key=lambda one: one.name)

    def plan(self) -> list[str]:
        """Look at the source and name its parts. Raises SourceEmptyError where it holds nothing and that is not allowed."""
        self._parts = {part.name: part for part in self._source.parts()}
        if not self._parts and not self._options.allow_empty:
            raise SourceEmptyError(
                f"The source {self._source.description['name']} holds nothing to back up",
                reason="a backup of nothing looks good, and brings nothing back",
                next_step="Check that it is the right one; BACKUP_ALLOW_EMPTY=true makes a backup of nothing all the same",
            )
        return list(self._parts)

    def store(self, name: str) -> Entry:
        """Read one part from the source and store it."""
        self._require_time()
        part = self._parts[name]
        content = self._source.read(part)
        tell = self._tell_progress(name)

        def told(done_bytes: int) -> None:
            self._require_time()
            tell(done_bytes)

        stream = _stream_of(part, content)
        entry = self._writer.store(name, part.kind, stream, on_progress=told, media=_MEDIA[part.kind])
        files = stream.records if isinstance(stream, TarStream) else []
        with self._lock:
            self._entries[name] = entry
            self._truth.parts[name] = PartTruth(part.kind, list(files), content.facts)
            self._truth.left_out += content.left_out
        return entry

    def leave_out(self, failures: dict[str, HoldfastError]) -> None:
        """Go on without the parts whose reading failed, and name them.

        Raises the first failure where none is left of what is to be protected: what functions share is worth nothing without one.
        """
        protected = [name for name in self._parts if "/" in name] or list(self._parts)
        if failures and not self._entries.keys() & protected:
            raise next(iter(failures.values()))
        with self._lock:
            self._truth.left_out += [LeftOut(name, error.what_and_why) for name, error in failures.items()]

    def store_truth(self) -> Entry:
        """Store what the source was; all parts come before."""
        self._truth.left_out = self.left_out
        entry = self._writer.store(TRUTH, TRUTH, io.BytesIO(self._truth.to_bytes()), media=_MEDIA["json"])
        self._entries[TRUTH] = entry
        return entry

    def commit(self) -> Manifest:
        """Make the backup exist. Raises LeaseLostError."""
        entries = [self._entries[name] for name in (*self._parts, TRUTH) if name in self._entries]
        return self._writer.commit(
            ManifestDraft(
                id=self._job_id,
                type=self._source.type,
                source=self._source.description,
                snapshot_at=self.started_at,
                entries=entries,
                tools={},
                server={},
                parameters={
                    "left_out": [str(one) for one in self.left_out[:_NAMED_IN_MANIFEST]],
                    "left_out_count": len(self.left_out),
                },
                started_at=self.started_at,
            )
        )

    def run(self) -> Manifest:
        """Do all steps, one after the other."""
        failures: dict[str, HoldfastError] = {}
        for name in self.plan():
            try:
                self.store(name)
            except HoldfastError as error:
                if not may_be_left_out(error):
                    raise
                failures[name] = error
        self.leave_out(failures)
        self.store_truth()
        return self.commit()

    def _require_time(self) -> None:
        limit = self._options.time_limit_seconds
        if limit is not None and time.monotonic() - self._began > limit:
            raise TimeLimitError(
                f"the backup of {self._source.description['name']} did not end within {limit:g} seconds and was stopped",
                next_step="Raise BACKUP_DUMP_TIME_LIMIT_MINUTES",
            )


def may_be_left_out(error: HoldfastError) -> bool:
    """Tell whether a backup goes on without a part that failed so: the source's fault, not the repository's or the clock's."""
    return not isinstance(error, _OURS)


def _stream_of(part: Part, content: Content) -> TarStream | io.BytesIO:
    if part.kind == "tar":
        return TarStream(content.files or (), content.left_out)
    return io.BytesIO(canonical.to_bytes(content.document))
