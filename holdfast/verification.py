"""One verification of one backup, without Prefect: look, restore into a scratch database or folder, compare, leave a proof.

What is found wrong with the backup becomes a bad proof. What only keeps the verification from being done (a server that does not
answer, a time limit) is raised, and proves nothing either way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from holdfast.bad_backups import BadBackups, Known
from holdfast.errors import DamagedError, NotFoundError, SettingsError, TimeLimitError, ToolFailedError, UnsafePathError
from holdfast.postgres.compare import ProofReport
from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
from holdfast.postgres.url import DatabaseUrl
from holdfast.repository import CheckLevel, CheckReport, Level, Manifest, Proof, Repository
from holdfast.source_restore import SourceRestore
from holdfast.spool import Spool

if TYPE_CHECKING:
    from holdfast.settings import Settings

_REHEARSAL = "holdfast_rehearsal"
"""The name that the scratch database would get; it never does."""

Part = tuple[int, int]


@dataclass(frozen=True, slots=True)
class VerificationOptions:
    """How to verify a backup."""

    spool_dir: Path
    jobs: int = 2
    time_limit_seconds: float | None = None
    lock_timeout_seconds: float = 30
    tools: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> VerificationOptions:
        """Take them from the settings."""
        limit = settings.verify_time_limit_minutes * 60
        return cls(settings.home / "spool", settings.readers, limit, settings.lock_timeout_seconds, settings.postgres_tools)


def find_backup(repository: Repository, backup_id: str, backup_type: str) -> Manifest:
    """Open the manifest of a backup, or of the newest of a type for `latest`. Raises NotFoundError, DamagedError."""
    if backup_id == "latest":
        return repository.latest(backup_type)
    manifest = repository.manifest(backup_id)
    if manifest.type != backup_type:
        raise NotFoundError(f"{backup_id} is a backup of the type {manifest.type!r}, not {backup_type!r}")
    return manifest


def parse_subset(text: str | None) -> Part | None:
    """Read `K/N` with 1 <= K <= N. Raises SettingsError."""
    if text is None:
        return None
    part, _, whole = text.partition("/")
    if not (part.isdecimal() and whole.isdecimal() and 1 <= int(part) <= int(whole)):
        raise SettingsError(f"{text!r} is not a part of a whole", reason="it is K/N with 1 <= K <= N, such as 1/7")
    return int(part), int(whole)


@dataclass(slots=True)
class Verification:
    """A verification on its way: what it is to reach, and what it has found so far."""

    repository: Repository
    manifest: Manifest
    level: Level
    options: VerificationOptions
    subset: Part | None = None
    drill: bool = False
    """Whether it restores as a real restore would: with the planner's statistics."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    failed: bool = False
    bad: tuple[BadBackups, ...] = ()
    """The backup, where it was found bad, and whether a fresh one is worth asking for."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _started: float = field(default_factory=time.monotonic)
    _restore_began: float = 0.0

    @property
    def restores(self) -> bool:
        """Whether the level asks for a restore."""
        return self.level in ("restored", "proven")

    def check(self, on_progress: Callable[[int, int], None] | None = None, *, level: CheckLevel | None = None) -> CheckReport:
        """Look at the backup's objects; what is damaged is healed from a replica, or set aside for the next backup to heal."""

        def told(done: int, whole: int) -> None:
            self._require_time()
            if on_progress is not None:
                on_progress(done, whole)

        wanted = level or cast("CheckLevel", "stored" if self.restores else self.level)
        part = self.subset if wanted == "read" else None
        report = self.repository.check([self.manifest.id], level=wanted, subset=part, set_aside=True, on_progress=told)
        self.problems += [str(problem) for problem in report.problems]
        self.notes += [str(healed) for healed in report.healed]
        self.failed |= not report.content_ok
        if not report.content_ok:
            self.figures["failedAt"] = wanted
        self.figures |= {"chunks": report.chunks, "chunksRead": report.chunks_read, "bytesRead": report.bytes_read}
        return report

    @contextmanager
    def rehearsal(self, server: DatabaseUrl) -> Iterator[DatabaseRestore]:
        """Restore into a scratch database of this server inside the block; at its end that database is gone.

        Problems of the backup are not raised: see `_judged`.
        """
        options = RestoreOptions(
            spool_dir=self.options.spool_dir,
            jobs=self.options.jobs,
            time_limit_seconds=self._seconds_left,
            lock_timeout_seconds=self.options.lock_timeout_seconds,
            tools=self.options.tools,
            rehearsal=True,
            any_locale=True,
            analyze=self.drill,
        )
        self._restore_began = time.monotonic()
        restore = DatabaseRestore(self.repository, self.manifest, server.with_database(_REHEARSAL), options)
        with self._judged(), restore:
            yield restore

    @contextmanager
    def folder_rehearsal(self, job_id: str) -> Iterator[SourceRestore]:
        """Restore into a scratch folder inside the block; at its end that folder is gone. Problems are not raised."""
        self._restore_began = time.monotonic()
        with (
            self._judged(),
            Spool(self.options.spool_dir) as spool,
            SourceRestore(self.repository, self.manifest, spool.folder / "restored", job_id=job_id) as restore,
        ):
            restore.require_time = self._require_time
            yield restore

    def note_restored(self) -> None:
        """Note how long the restore took that is ready now, from its opening; the comparison comes after."""
        seconds = time.monotonic() - self._restore_began
        self.figures |= {"restoreSeconds": round(seconds, 3), "restoredBytes": self.manifest.size_bytes}

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Make what keeps the backup from being restored a problem of the backup, and don't raise it.

        What only a replica could give is looked at again in this storage, and healed.
        """
        try:
            yield
            if self.repository.spared_count:
                self.check(level="read")
        except DamagedError as error:
            if self.check(level="read").ok:  # it names all that is damaged, and sets it aside
                self.problems.append(error.what_and_why)
            self.failed = True
        except (ToolFailedError, UnsafePathError) as error:
            self.problems.append(error.what_and_why)
            self.failed = True

    def judge_files(self, problems: list[str], restore: SourceRestore) -> None:
        """Take in how the restored files compare with what they were at the source."""
        self.problems += problems
        self.failed |= bool(problems)
        self.figures |= {"files": restore.report.files, "documents": restore.report.documents}
        self.notes += restore.report.notes

    def judge(self, proof: ProofReport) -> None:
        """Take in how the restored database compares with its source."""
        self.problems += proof.problems
        self.failed |= not proof.ok
        self.figures |= {"tables": proof.tables_compared, "rows": proof.rows, "contentCompared": proof.content_compared}

    def conclude(self) -> Proof:
        """Write the proof of what was found, good or bad."""
        self.figures["seconds"] = round(time.monotonic() - self._started, 3)
        if self.drill:
            self.figures["drill"] = True
        if self.subset is not None:
            self.figures["subset"] = f"{self.subset[0]}/{self.subset[1]}"
        if self.failed:
            known = Known(self.repository, bad=remembered.bad if (remembered := self.repository.checks.parts()) else ())
            self.bad = tuple(known.judge({self.manifest.id: self.manifest.type}))
        return self.repository.add_proof(
            self.manifest.id,
            self._reached,
            ok=not self.failed,
            problems=self.problems,
            figures=self.figures,
            started_at=self.started_at,
        )

    @property
    def _reached(self) -> Level:
        """A part that was read proves the whole only when the other parts were read too, since the last bad proof."""
        if self.level != "read" or self.subset is None or self.failed:
            return self.level
        part, whole = self.subset
        seen = {part}
        for proof in self.repository.proofs(self.manifest.id):
            if not proof.ok:
                break
            done, _, parts = str(proof.figures.get("subset", "")).partition("/")
            if parts == str(whole):
                seen.add(int(done))
        return "read" if len(seen) == whole else "stored"

    @property
    def _seconds_left(self) -> float | None:
        limit = self.options.time_limit_seconds
        return None if limit is None else max(0.0, self._started + limit - time.monotonic())

    def _require_time(self) -> None:
        if self._seconds_left == 0:
            raise TimeLimitError(
                f"the verification of {self.manifest.id} did not end within {self.options.time_limit_seconds:g} seconds",
                next_step="Raise BACKUP_VERIFY_TIME_LIMIT_MINUTES, or verify a part at a time: --level read --subset 1/7",
            )
