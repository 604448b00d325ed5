"""One check of everything that is stored, without Prefect: each backup is there, and a part of all chunks is read.

Chunks are shared, so each is read once, however many backups need it. What was read when is kept in the repository, for whoever
reads next. A backup gets a proof only when there is something new to say of it: it is bad, it is whole again, or all of it was
read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.bad_backups import BadBackups, Known
from holdfast.errors import DamagedError, NotFoundError, TimeLimitError
from holdfast.repository import CheckReport, Healed, Level, Manifest, Problem, ReadParts, Repository, names

if TYPE_CHECKING:
    from holdfast.settings import Settings

PURPOSE = "check"
"""What the lease of a check is for: of two at once the second steps back."""

PROBLEMS_TOLD_MAX = 100
PROBLEMS_PROVEN_MAX = 20
_COMMIT_TAKES = timedelta(hours=1)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How to check: so often, so that every byte is read within that time."""

    interval: timedelta
    within: timedelta
    threads: int = 2
    time_limit_seconds: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> CheckOptions:
        """Take them from the settings."""
        return cls(
            interval=timedelta(hours=settings.verification_interval),
            within=timedelta(days=settings.read_within_days),
            threads=settings.readers,
            time_limit_seconds=settings.verify_time_limit_minutes * 60,
        )

    @property
    def parts(self) -> int:
        """In how many parts all chunks are read, one a run."""
        return max(1, int(self.within / self.interval))


@dataclass(slots=True)
class Checking:
    """A check on its way: `due` are the parts to read, each by `read`; then `mark` writes down what was found."""

    repository: Repository
    job_id: str
    options: CheckOptions
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    problems: dict[str, Problem] = field(default_factory=dict)
    healed: list[Healed] = field(default_factory=list)
    backups: list[str] = field(default_factory=list)
    read_parts: list[int] = field(default_factory=list)
    chunks: int = 0
    chunks_read: int = 0
    bytes_read: int = 0
    objects_healed: int = 0
    levels: dict[str, Level | None] = field(default_factory=dict)
    """What the backups of which there was something new to say are proven to now."""
    bad: tuple[BadBackups, ...] = ()
    _started: float = field(default_factory=time.monotonic)
    _parts: ReadParts | None = None
    _known: Known | None = None

    def due(self) -> list[int]:
        """Learn what was read when, and number the parts to read now: one, and more where runs were missed."""
        now = self.repository.now
        parts = self.repository.checks.parts() or ReadParts.none(self.options.parts, now)
        self._known = Known(self.repository, bad=parts.bad)
        self._parts = parts.divided(self.options.parts).as_of(now)
        return self._parts.due(now, within=self.options.within, interval=self.options.interval)

    def read(self, part: int, on_progress: Progress | None = None) -> CheckReport:
        """See that everything is there, and read one part of the chunks; what is damaged is healed, or set aside."""

        def told(done: int, whole: int) -> None:
            self._require_time()
            if on_progress is not None:
                on_progress(done, whole)

        self._require_time()
        began, count = self.repository.now, self.parts.count
        report = self.repository.check(
            level="read", subset=(part, count), set_aside=True, threads=self.options.threads, on_progress=told
        )
        self._take(report)
        self.read_parts.append(part)
        self._parts = self.parts.with_read(part, began)
        self.repository.checks.put(self.parts)
        return report

    def mark(self) -> None:
        """Write a proof of each backup of which there is something new to say, and remember which ones are bad."""
        damaged = self.damaged
        self.bad = tuple(self.known.judge(self._types_of(damaged)))
        for summary in self.repository.backups():
            if summary.intact is not None and summary.id in self.backups:
                self._mark(summary.intact, summary.stored_at, damaged=summary.id in damaged)
        if set(self.parts.bad) != damaged:
            self._parts = replace(self.parts, bad=tuple(sorted(damaged)))
            self.repository.checks.put(self.parts)

    @property
    def ok(self) -> bool:
        """Whether nothing that is stored is damaged, as far as was looked."""
        return not self.problems

    @property
    def damaged(self) -> set[str]:
        """The backups that can't be read in full, as far as was looked."""
        return {backup_id for one in self.problems.values() if one.harms_content for backup_id in one.backups}

    @property
    def parts(self) -> ReadParts:
        if self._parts is None:
            raise ValueError("due comes first")
        return self._parts

    @property
    def known(self) -> Known:
        """What was known before."""
        if self._known is None:
            raise ValueError("due comes first")
        return self._known

    def document(self) -> dict[str, Any]:
        """Describe what was found, as the flow's document does."""
        read = [f"{part}/{self.parts.count}" for part in self.read_parts]
        return {
            "ok": self.ok,
            "backups": len(self.backups),
            "bad": sorted(self.damaged),
            "problems": figures.first([told(one) for one in self.problems.values()], PROBLEMS_TOLD_MAX),
            "chunks": self.chunks,
            "chunksRead": self.chunks_read,
            "bytesRead": self.bytes_read,
            "part": read[0] if read else None,
            "parts": read,
            "healed": figures.first([str(one) for one in self.healed], PROBLEMS_TOLD_MAX, self.objects_healed),
            "objectsHealed": self.objects_healed,
        }

    def _take(self, report: CheckReport) -> None:
        self.backups = list(dict.fromkeys([*self.backups, *report.backups]))
        self.problems |= {one.object: one for one in report.problems if not self._is_of_a_commit(one)}
        self.healed += report.healed
        self.objects_healed += report.objects_healed
        self.chunks = report.chunks
        self.chunks_read += report.chunks_read
        self.bytes_read += report.bytes_read

    def _is_of_a_commit(self, problem: Problem) -> bool:
        """A backup that was just being committed had no receipt yet; a check writes it, too."""
        if problem.harms_content or not problem.object.startswith("proofs/"):
            return False
        made = [one.stored_at for one in self.repository.backups() if one.id in problem.backups]
        return bool(made) and min(made) > self.repository.now - _COMMIT_TAKES

    def _types_of(self, damaged: set[str]) -> dict[str, str]:
        """Tell the types of these backups; of one that is lost its name tells, if that is known."""
        known = {one.id: one.type for one in self.known.summaries}
        lost = [names.manifest_parts(one) for one in self.problems]
        known |= {parts[1]: parts[0] for parts in lost if parts is not None}
        return {backup_id: known[backup_id] for backup_id in sorted(damaged) if backup_id in known}

    def _mark(self, manifest: Manifest, stored_at: datetime, *, damaged: bool) -> None:
        index = self.known.index
        was_bad = index.is_bad(manifest)
        if damaged:
            if not was_bad:
                self._prove(manifest, "read", ok=False)
        elif was_bad:
            if _chunks_were_bad(index.proofs(manifest)[0].level, index.proofs(manifest)[0].figures):
                self._prove(manifest, "stored", ok=True)
        elif index.level(manifest) in (None, "stored") and self._all_was_read(manifest, stored_at):
            self._prove(manifest, "read", ok=True)

    def _all_was_read(self, manifest: Manifest, stored_at: datetime) -> bool:
        """Whether every part was read since the backup was stored, and since it was last found bad."""
        since = self.parts.whole_since()
        bad = [proof.finished_at for proof in self.known.index.proofs(manifest) if not proof.ok]
        return since is not None and since > max([stored_at, *bad])

    def _prove(self, manifest: Manifest, level: Level, *, ok: bool) -> None:
        problems = [one for one in self.problems.values() if one.harms_content and manifest.id in one.backups]
        about: dict[str, Any] = {"check": self.job_id, "parts": f"{len(self.read_parts)} of {self.parts.count}"}
        try:
            self.repository.add_proof(
                manifest.id,
                level,
                ok=ok,
                problems=figures.first([told(one, manifest.id) for one in problems], PROBLEMS_PROVEN_MAX),
                figures=about,
                started_at=self.started_at,
            )
        except (NotFoundError, DamagedError):
            return  # forgotten meanwhile, or its manifest has just been damaged: the next check says so
        self.levels[manifest.id] = self.repository.verified_level(manifest.id)

    def _require_time(self) -> None:
        limit = self.options.time_limit_seconds
        if limit is not None and time.monotonic() > self._started + limit:
            raise TimeLimitError(
                f"the check of {self.repository.location} did not end within {limit:g} seconds",
                next_step="Raise BACKUP_VERIFY_TIME_LIMIT_MINUTES, or BACKUP_READ_WITHIN_DAYS, so that a run reads less",
            )


def told(problem: Problem, backup_id: str | None = None) -> str:
    """Tell a problem in one line, of one backup or of all that it concerns, however many those are."""
    concerned = [] if backup_id is not None else list(_some_ids(problem.backups))
    if problem.entries and (backup_id is not None or len(problem.backups) == 1):
        concerned.append(f"entry {', '.join(problem.entries[:5])}")
    return f"{problem.object}: {problem.what}" + (f" ({'; '.join(concerned)})" if concerned else "")


def _some_ids(ids: tuple[str, ...]) -> Iterator[str]:
    if len(ids) > 3:
        yield f"{len(ids)} backups, {ids[-1]} among them"
    elif ids:
        yield f"backup {', '.join(ids)}"


def _chunks_were_bad(level: Level, figures: dict[str, Any]) -> bool:
    """Whether what was bad was stored data, which a check can see mended; what a restore found it can't."""
    return figures.get("failedAt", level) in ("stored", "read")
