"""Restores of functions, configuration and secrets metadata: into a folder, or to the place that was backed up.

Here is what such restores share: the lease, where they go, and how they are told. `live_restore` has what goes elsewhere than
into a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import figures
from holdfast.errors import SettingsError
from holdfast.latest import find_to_restore
from holdfast.opening import notes_on_reading
from holdfast.private_folder import make_private_folder
from holdfast.repository import Manifest, Repository
from holdfast.source_restore import SourceRestore, folder_mode
from orchestration import artifacts
from orchestration.job import Job, time_text
from orchestration.rows import Json
from orchestration.source_rebuilding import compare, follow, look_first, restore_all, take_place

LIVE = "live"
HOME = "home"
"""A new folder of the job's own, in the home of the host that restores: where others may not say which folder is written to."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be restored, how, and to where: a folder as an absolute path; `live`, the place that was backed up; `home`."""

    backup_id: str
    target: str
    mode: str
    only: Sequence[str] = ()
    dry_run: bool = False
    env_file: Path | None = None
    """Where environment variables are put, if anywhere."""
    require_time: Callable[[], None] = lambda: None
    """Asked again and again while files are restored; raises TimeLimitError when the time is up."""

    @property
    def is_live(self) -> bool:
        return self.target == LIVE


@contextmanager
def leased_backup(job: Job, repository: Repository, wanted: Wanted) -> Iterator[Manifest]:
    """Hold a lease on the repository while a backup is restored. Raises NotFoundError, DamagedError (no readable manifest)."""
    manifest = find_to_restore(repository, wanted.backup_id, job.type)
    job.note(target=wanted.target, mode=wanted.mode, only=list(wanted.only))
    with job.leased(repository, f"restore {manifest.id}", backup_id=manifest.id):
        yield manifest


def to_folder(job: Job, repository: Repository, manifest: Manifest, target: Path, wanted: Wanted) -> SourceRestore:
    """Restore into a folder: staged beside it, compared, then in its place. Raises SettingsError for a mode that none has."""
    with SourceRestore(repository, manifest, target, job_id=job.id, mode=folder_mode(wanted.mode), only=wanted.only) as restore:
        restore.require_time = wanted.require_time
        follow(job, restore)
        look_first(restore)
        if not wanted.dry_run:
            restore_all(restore)
            compare(restore)
            wanted.require_time()
            take_place(restore)
    return restore


def folder_of(target: str, job: Job) -> Path:
    """Read a target that is a folder. Raises SettingsError."""
    if target == HOME:
        place = job.settings.home.absolute() / "restored"
        make_private_folder(place)
        return place / job.id
    path = Path(target)
    if not path.is_absolute():
        raise SettingsError(
            f"the target {target!r} can't be used",
            reason=f"it is a folder, as an absolute path, or {LIVE!r}: the place that was backed up",
        )
    return path


def of_folder(restore: SourceRestore, wanted: Wanted) -> Json:
    """Say what a restore into a folder did."""
    report = restore.report
    return {
        "target": str(restore.target),
        "sizeBytes": report.size_bytes,
        "files": report.files,
        "documents": report.documents,
        "kept": report.kept,
        "proven": None if wanted.dry_run else not report.problems,
        "problems": report.problems,
        "notes": report.notes,
    }


def completed_restore(job: Job, repository: Repository, manifest: Manifest, wanted: Wanted, done: dict[str, Any]) -> Json:
    """Close the job, show what was done, and return its document."""
    document = {
        "backupId": manifest.id,
        "mode": wanted.mode,
        "target": wanted.target,
        "snapshotAt": time_text(manifest.snapshot_at),
        "sizeBytes": None,
        "kept": None,
        "proven": None,
        "problems": [],
        "readFrom": repository.standing_in,
        **done,
        "notes": [*done.get("notes", []), *notes_on_reading(repository)],
        "dryRun": wanted.dry_run,
    }
    _show(job, document)
    told = {name: value for name, value in document.items() if name not in ("backupId", "problems", "dryRun")}
    return job.completed(document, metadata=told)


def _show(job: Job, document: Json) -> None:
    facts = {
        "Files": document.get("files"),
        "Documents": document.get("documents"),
        "Functions": document.get("functions"),
        "Secrets": document.get("secrets"),
        "Read": figures.size(document["sizeBytes"]),
        "The former ones are kept in": document["kept"],
    }
    artifacts.restore_summary(job.type, job.id, document, facts)
