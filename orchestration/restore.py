"""Restores of databases, as a flow of their own or as a part of a task of another: the lease, the tasks, how the outcome is told.

Whatever ends one early leaves nothing of it behind, and the live database as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from holdfast import figures
from holdfast.errors import TimeLimitError, UnreachableError, WorkFailedError
from holdfast.latest import find_to_restore
from holdfast.opening import notes_on_reading
from holdfast.postgres.losses import LossReport
from holdfast.postgres.restore import DatabaseRestore, Mode, RestoreOptions
from holdfast.postgres.restore_report import not_proven
from holdfast.postgres.url import DatabaseUrl
from holdfast.recovery.deadline import Deadline
from holdfast.repository import Manifest, Repository
from orchestration import artifacts
from orchestration.job import Job, time_text
from orchestration.opening import open_database
from orchestration.rebuilding import preflight, prove, rebuild
from orchestration.rows import Json
from orchestration.tasks import step


@dataclass(frozen=True, slots=True)
class WantedDatabase:
    """What is to be restored, how, and to where; `target` is a block's name or a URL without password, or the address itself."""

    backup_id: str
    target: str | DatabaseUrl
    mode: Mode
    tables: Sequence[str] = ()
    dry_run: bool = False
    only_proven: bool = False
    """Whether it gets its name only where it is equal to the source; promoted, always."""
    prove: bool = True
    """Whether it is compared with what the source held; a live one is, always."""
    analyze: bool = True
    """Whether the planner's statistics are gathered."""
    deadline: Deadline | None = None
    """How long it may take; None: as the settings say."""


class Restoring:
    """A restore on its way: the engine's, and which backup it is of."""

    def __init__(self, repository: Repository, manifest: Manifest, restore: DatabaseRestore) -> None:
        self.repository = repository
        self.manifest = manifest
        self.restore = restore

    def document(self) -> Json:
        """Describe what was done so far, as the commands' JSON does."""
        report = self.restore.report
        proof = report.proof
        return {
            "backupId": self.manifest.id,
            "mode": report.mode,
            "target": self.restore.target.redacted,
            "snapshotAt": time_text(self.manifest.snapshot_at),
            "sizeBytes": report.size_bytes,
            "tables": report.tables,
            "rows": report.rows,
            "kept": report.kept,
            "proven": proof.ok if proof else None,
            "problems": list(proof.problems) if proof else [],
            "readFrom": self.repository.standing_in,
            "notes": [*report.notes, *notes_on_reading(self.repository)],
            "losses": _losses(report.losses),
        }


def bring_database_back(job: Job, repository: Repository, wanted: WantedDatabase) -> Json:
    """Restore a database, or look what would be lost, and return the job's document."""
    with restoring(job, repository, wanted) as work:
        preflight(work.restore)
        if wanted.mode != "new":
            count_losses(work)
        if not wanted.dry_run:
            bring_back(work)
        return completed(job, work, dry_run=wanted.dry_run)


def bring_back(work: Restoring) -> None:
    """Build the database beside and let it take its name last; or, asked for, all in one transaction in what exists."""
    if work.restore.in_transaction:
        replace_in_place(work)
        return
    rebuild(work.restore)
    if work.restore.options.prove:
        prove(work.restore)
    take_name(work)


@step("count what would be lost")
def count_losses(work: Restoring) -> None:
    """Count the rows that the live database has and the backup has not; one that is damaged may not let itself be counted."""
    try:
        work.restore.losses()
    except TimeLimitError:
        raise
    except (WorkFailedError, UnreachableError) as error:
        work.restore.report.notes.append(f"what would be lost could not be counted: {error.what_and_why}")


@step("restore in place", retries=0)
def replace_in_place(work: Restoring) -> None:
    """Replace what the existing database holds, in one transaction."""
    work.restore.restore_in_place()


@step("take its name", retries=0)
def take_name(work: Restoring) -> None:
    """Give the database its name; promoted, the live one is kept under another."""
    work.restore.finish()


@contextmanager
def restoring(job: Job, repository: Repository, wanted: WantedDatabase) -> Iterator[Restoring]:
    """Hold a lease on the repository, and have removed at the end what was not finished.

    Raises NotFoundError, DamagedError (no readable manifest), SettingsError (a target with a password in it).
    """
    manifest = find_to_restore(repository, wanted.backup_id, job.type)
    url = open_database(wanted.target) if isinstance(wanted.target, str) else wanted.target
    job.note(target=url.redacted, mode=wanted.mode, tables=list(wanted.tables))
    with (
        job.leased(repository, f"restore {manifest.id}", backup_id=manifest.id),
        DatabaseRestore(repository, manifest, url, _options(job, wanted)) as restore,
        nullcontext() if wanted.deadline is None else wanted.deadline.stopping(restore.stop),
    ):
        job.follow(restore)
        yield Restoring(repository, manifest, restore)


def _options(job: Job, wanted: WantedDatabase) -> RestoreOptions:
    options = replace(
        RestoreOptions.of(job.settings, wanted.mode, wanted.tables),
        only_proven=wanted.only_proven,
        prove=wanted.prove,
        analyze=wanted.analyze,
    )
    if wanted.deadline is None:
        return options
    left = wanted.deadline.seconds_left
    return replace(options, time_limit_seconds=left, lock_timeout_seconds=min(left, options.lock_timeout_seconds))


def completed(job: Job, work: Restoring, *, dry_run: bool = False) -> Json:
    """Close the job, show what was done, and return its document. Raises NotProvenError where the result differs."""
    document = {**work.document(), "dryRun": dry_run}
    _show(job, document)
    if document["problems"]:
        raise not_proven(work.restore.target.database, document["problems"])
    told = ("mode", "target", "tables", "rows", "kept", "proven", "readFrom", "notes", "snapshotAt")
    return job.completed(document, metadata={name: document[name] for name in told} | {"sizeBytes": document["sizeBytes"]})


def _losses(report: LossReport | None) -> list[dict[str, Any]] | None:
    if report is None:
        return None
    return [
        {"table": f"{loss.schema}.{loss.name}", "rows": loss.rows, "liveRows": loss.live_rows, "backupRows": loss.backup_rows}
        for loss in report.tables
    ]


def _show(job: Job, document: Json) -> None:
    facts = {
        "Tables": document["tables"],
        "Rows": document["rows"],
        "Read": figures.size(document["sizeBytes"]),
        "The former database is kept as": document["kept"],
    }
    artifacts.restore_summary(job.type, job.id, document, facts)
    if document["losses"]:
        artifacts.table(f"{job.type}-restore-losses", "Rows that are newer than the backup", document["losses"])
