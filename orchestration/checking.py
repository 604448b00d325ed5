"""What a check of the repository needs beside its tasks: the lease, and how its outcome is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from holdfast import figures
from holdfast.checking import PURPOSE, Checking, CheckOptions, told
from holdfast.errors import CheckFailedError
from holdfast.repository import Repository
from holdfast.turn import require_first
from orchestration import artifacts
from orchestration.bad_backups import note_level, tell_of_bad
from orchestration.job import Job
from orchestration.opening import repository_to_heal
from orchestration.rows import Json


def heal(storage: str, key: str) -> Callable[[Job], AbstractContextManager[Repository]]:
    """Open the primary and nothing in its stead, with the replicas at hand to heal it."""
    return lambda job: repository_to_heal(storage, key, job.settings)


@contextmanager
def checking(job: Job, repository: Repository) -> Iterator[Checking]:
    """Hold a lease on the repository while it is checked. Raises BusyError where another run is at it."""
    with job.leased(repository, PURPOSE) as lease:
        require_first(repository, lease)
        yield Checking(repository, job.id, CheckOptions.of(job.settings))


def concluded(job: Job, check: Checking) -> Json:
    """Tell what was found: in the rows of the backups, as events, in the UI. Raises CheckFailedError."""
    for backup_id, level in check.levels.items():
        note_level(job, backup_id, level, ok=backup_id not in check.damaged)
    found = check.document()
    tell_of_bad(job, check.bad, found["problems"])
    _show(job, check, found)
    if check.ok:
        return job.completed(found)
    bad = found["bad"]
    error = CheckFailedError(
        f"{len(bad)} of {found['backups']} stored backups are damaged" if bad else "what is stored beside the backups is damaged",
        reason="; ".join(figures.first(found["problems"], 5, len(check.problems))),
        next_step="A fresh backup heals what its source still has: holdfast backup all. "
        "With replicas, holdfast repo check --repair heals from them",
    )
    raise job.failure(error, found)


def _show(job: Job, check: Checking, found: Json) -> None:
    facts = {
        "Outcome": "all is there" if check.ok else "damage was found",
        "Backups": found["backups"],
        "Bad": ", ".join(found["bad"][:20]) or None,
        "Chunks": found["chunks"],
        "Read now": f"part {', '.join(found['parts'])}: {found['chunksRead']} chunks, {figures.size(found['bytesRead'])}",
        "All was read since": check.parts.whole_since() or "not yet",
        "Healed from replicas": found["objectsHealed"] or None,
    }
    artifacts.summary("check-summary", f"Check {job.id}", facts, found["healed"])
    if check.problems:
        artifacts.table("check-problems", f"Problems found by {job.id}", _rows(check))


def _rows(check: Checking) -> list[Json]:
    return [
        {"object": one.object, "what": told(one).removeprefix(f"{one.object}: "), "backups": len(one.backups)}
        for one in list(check.problems.values())[:1000]
    ]
