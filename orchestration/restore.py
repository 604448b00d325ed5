"""What a restore flow needs beside its tasks: the lease, the engine's restore, and how its outcome is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from holdfast import figures
from holdfast.latest import find_to_restore
from holdfast.opening import notes_on_reading
from holdfast.postgres.losses import LossReport
from holdfast.postgres.restore import DatabaseRestore, Mode, RestoreOptions
from holdfast.postgres.restore_report import not_proven
from holdfast.repository import Manifest, Repository
from orchestration import artifacts
from orchestration.job import Job, time_text
from orchestration.opening import open_database
from orchestration.rows import Json


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


@contextmanager
def restoring(
    job: Job, repository: Repository, backup_id: str, *, target: str, mode: Mode, tables: Sequence[str]
) -> Iterator[Restoring]:
    """Hold a lease on the repository, and have removed at the end what was not finished.

    Raises NotFoundError, DamagedError (no readable manifest), SettingsError (a target with a password in it).
    """
    manifest = find_to_restore(repository, backup_id, job.type)
    url = open_database(target)
    job.note(target=url.redacted, mode=mode, tables=list(tables))
    with (
        job.leased(repository, f"restore {manifest.id}", backup_id=manifest.id),
        DatabaseRestore(repository, manifest, url, RestoreOptions.of(job.settings, mode, tables)) as restore,
    ):
        job.follow(restore)
        yield Restoring(repository, manifest, restore)


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
