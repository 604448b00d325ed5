"""What a restore of functions, configuration or secrets metadata needs beside its tasks: the lease, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import SettingsError
from holdfast.opening import notes_on_reading
from holdfast.repository import Repository
from holdfast.source_restore import SourceRestore, folder_mode
from holdfast.verification import find_backup
from orchestration import artifacts
from orchestration.job import Job, time_text
from orchestration.rows import Json
from orchestration.source_rebuilding import compare, follow, look_first, restore_all, take_place


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be restored, how, and to where: a folder as an absolute path, or a block as type/name."""

    backup_id: str
    target: str
    mode: str
    only: Sequence[str] = ()
    dry_run: bool = False


def bring_source_back(job: Job, repository: Repository, wanted: Wanted) -> Json:
    """Restore functions, configuration or secrets metadata, and return the job's document."""
    return _to_folder(job, repository, wanted)


def _to_folder(job: Job, repository: Repository, wanted: Wanted) -> Json:
    target = _folder(wanted.target)
    with restoring_files(job, repository, wanted.backup_id, target=target, mode=wanted.mode, only=wanted.only) as restore:
        look_first(restore)
        if not wanted.dry_run:
            restore_all(restore)
            compare(restore)
            take_place(restore)
        return completed_files(job, restore, dry_run=wanted.dry_run)


def _folder(target: str) -> Path:
    path = Path(target)
    if not path.is_absolute():
        raise SettingsError(
            f"the target {target!r} can't be used",
            reason="it is a folder, as an absolute path, or the block of a service, as type/name",
        )
    return path


@contextmanager
def restoring_files(
    job: Job, repository: Repository, backup_id: str, *, target: Path, mode: str, only: Sequence[str]
) -> Iterator[SourceRestore]:
    """Hold a lease on the repository, and have removed at the end what did not take its place.

    Raises NotFoundError, DamagedError (no readable manifest), SettingsError (a mode that a folder has not).
    """
    manifest = find_backup(repository, backup_id, job.type)
    job.note(target=str(target), mode=mode, only=list(only))
    with (
        job.leased(repository, f"restore {manifest.id}", backup_id=manifest.id),
        SourceRestore(repository, manifest, target, job_id=job.id, mode=folder_mode(mode), only=only) as restore,
    ):
        follow(job, restore)
        yield restore


def completed_files(job: Job, restore: SourceRestore, *, dry_run: bool = False) -> Json:
    """Close the job, show what was done, and return its document."""
    report, manifest = restore.report, restore.manifest
    document = {
        "backupId": manifest.id,
        "mode": restore.mode,
        "target": str(restore.target),
        "snapshotAt": time_text(manifest.snapshot_at),
        "sizeBytes": report.size_bytes,
        "files": report.files,
        "documents": report.documents,
        "kept": report.kept,
        "proven": None if dry_run else not report.problems,
        "problems": report.problems,
        "readFrom": restore.repository.standing_in,
        "notes": [*report.notes, *notes_on_reading(restore.repository)],
        "dryRun": dry_run,
    }
    return shown_and_completed(job, document)


def shown_and_completed(job: Job, document: Json) -> Json:
    """Show a restore's document in the UI, and close its job with it."""
    facts = {
        "Backup": document["backupId"],
        "Read from the replica": document["readFrom"],
        "Snapshot at": document["snapshotAt"],
        "Target": document["target"],
        "Mode": document["mode"] + (" (only looked at)" if document["dryRun"] else ""),
        "Files": document.get("files"),
        "Documents": document.get("documents"),
        "Read": artifacts.size(document["sizeBytes"]),
        "The former ones are kept in": document["kept"],
        "Equal to the source": document["proven"],
    }
    artifacts.summary(f"{job.type}-restore-summary", f"Restore {job.id}", facts, [*document["problems"], *document["notes"]])
    told = {name: value for name, value in document.items() if name not in ("backupId", "problems", "dryRun")}
    return job.completed(document, metadata=told)
