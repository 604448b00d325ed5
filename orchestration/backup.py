"""What a backup flow needs beside its tasks: the lease, the progress, and what it leaves in the UI when it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from holdfast import figures
from holdfast.database_backup import BackupOptions, DatabaseBackup, purpose
from holdfast.repository import Entry, Manifest, Repository
from holdfast.sources.contract import LeftOut
from orchestration import artifacts
from orchestration.job import Job, time_text
from orchestration.opening import open_database
from orchestration.rows import Json
from orchestration.tasks import untagged

_NAMED_IN_ROW = 100


@contextmanager
def backing_up(job: Job, repository: Repository, database: str) -> Iterator[DatabaseBackup]:
    """Hold lease and snapshot for the backup of the database of a block. Raises BusyError where another run does the same."""
    source = open_database(database)
    job.note(source={"database": source.database, "server": source.with_database("").redacted})
    with (
        untagged(),
        job.leased(repository, purpose(source)) as lease,
        DatabaseBackup(
            repository,
            lease,
            source,
            BackupOptions.of(job.settings),
            job_id=job.id,
            tell_progress=job.progress.stream,
        ) as backup,
    ):
        yield backup


def completed(job: Job, repository: Repository, manifest: Manifest, *, left_out: Sequence[LeftOut] = ()) -> Json:
    """Close the job of a backup that was committed, show what it holds and what had to be left out, and return its document."""
    location = f"{repository.location.rstrip('/')}/manifests/{manifest.type}/{manifest.id}"
    level = repository.verified_level(manifest.id)
    document: Json = {
        "sizeBytes": manifest.size_bytes,
        "storedBytes": manifest.stored_bytes,
        "checksum": manifest.checksum,
        "location": location,
        "verifiedLevel": level,
        "snapshotAt": time_text(manifest.snapshot_at),
        "leftOut": [str(one) for one in left_out if not one.withheld],
        "withheld": [str(one) for one in left_out if one.withheld],
    }
    metadata: Json = {
        "storedBytes": manifest.stored_bytes,
        "newChunks": manifest.new_chunks,
        "verifiedLevel": level,
        "snapshotAt": time_text(manifest.snapshot_at),
        "entries": len(manifest.entries),
        "source": manifest.source,
    }
    metadata |= {name: document[name][:_NAMED_IN_ROW] for name in ("leftOut", "withheld") if document[name]}
    figures = {"size_bytes": manifest.size_bytes, "checksum": manifest.checksum, "location": location}
    ended = job.completed(document, metadata=metadata, **figures)
    _show(ended, manifest)
    return ended


def _show(ended: Json, manifest: Manifest) -> None:
    kind = f"{manifest.type}-backup"
    artifacts.table(f"{kind}-entries", f"Entries of {manifest.id}", [_entry_row(entry) for entry in manifest.entries])
    facts = {
        "Source": manifest.source.get("name"),
        "Snapshot at": ended["snapshotAt"],
        "Read": figures.size(manifest.size_bytes),
        "Added to the storage": figures.size(manifest.stored_bytes),
        "New chunks": manifest.new_chunks,
        "Entries": len(manifest.entries),
        "Proven to": ended["verifiedLevel"],
        "Checksum": manifest.checksum,
        "Kept in": ended["location"],
    }
    notes = [f"not in the backup: {one}" for one in [*ended["leftOut"], *ended["withheld"]]]
    artifacts.summary(f"{kind}-summary", f"Backup {manifest.id}", facts, notes)


def _entry_row(entry: Entry) -> Json:
    return {
        "entry": entry.name,
        "kind": entry.kind,
        "size": figures.size(entry.size_bytes),
        "rows": entry.lines,
        "sha256": entry.sha256,
    }
