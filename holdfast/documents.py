"""Backups and jobs as documents: camelCase, the same names whether they come from the repository, the catalog or a flow.

It is what `--json` prints and what the HTTP API answers. Times are times here; whoever writes them down makes them text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast.errors import DamagedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.catalog import JobRecord, MaintenanceRecord, RestoreRecord
    from holdfast.postgres.connection import DatabaseUrl
    from holdfast.postgres.restore import RestoreReport
    from holdfast.repository import BackupSummary, Entry, Level, Manifest, Pin, Proof, Repository
    from holdfast.source_restore import SourceRestore

Document = dict[str, Any]
_FEW = 50  # backups of each of which the proofs are listed by themselves


def of_backup(repository: Repository, summary: BackupSummary, levels: Mapping[str, Level | None] | None = None) -> Document:
    """Describe a backup from the repository alone, and its level from `levels` where these are known already.

    A damaged one is described as such, never left out.
    """
    document = _empty(summary.id, summary.type)
    document["location"] = f"{repository.location.rstrip('/')}/manifests/{summary.type}/{summary.id}"
    known = summary.brief
    if known is None:
        return document | {"status": "damaged", "error": summary.damaged}
    return document | {
        "status": "completed",
        "sizeBytes": known.size_bytes,
        "storedBytes": known.stored_bytes,
        "checksum": known.checksum,
        "startedAt": known.started_at,
        "completedAt": known.finished_at,
        "verifiedLevel": repository.verified_level(summary.id) if levels is None else levels.get(summary.id),
        "snapshotAt": known.snapshot_at,
    }


def of_backups(repository: Repository, summaries: Sequence[BackupSummary]) -> list[Document]:
    """Describe several; where they are many, the proofs of all are listed at once."""
    levels = repository.verified_levels() if len(summaries) > _FEW else None
    return [of_backup(repository, summary, levels) for summary in summaries]


def in_full(held: Repository, job_id: str, kind: str) -> Document | None:
    """Describe a backup with its entries and proofs, or return None where the repository has none of that name.

    It is read from the storage, whatever lists remember. `latest` is the newest of a kind.
    """
    if job_id == "latest":
        job_id = held.latest(kind).id
    summary = held.find(job_id)
    if summary is None:
        return None
    return of_backup(held, summary) | {
        "pinned": pinned(held.pins().get(job_id)),
        "source": summary.intact.source if summary.intact else None,
        "host": summary.intact.host if summary.intact else None,
        **(_left_out(held, summary.intact) if summary.intact and summary.intact.type != "database" else {}),
        "entries": [_entry(entry) for entry in summary.intact.entries] if summary.intact else [],
        "proofs": [_proof(proof) for proof in held.proofs(job_id)],
    }


def _left_out(held: Repository, manifest: Manifest) -> Document:
    """Name what is not in a backup. Where its truth can't be read the manifest does, which doesn't tell why."""
    from holdfast.sources.truth import read_truth

    try:
        names = read_truth(held, manifest).left_out
    except (DamagedError, RefusedError):
        return {"leftOut": manifest.parameters.get("left_out", [])}
    return {
        "leftOut": [str(one) for one in names if not one.withheld],
        "withheld": [str(one) for one in names if one.withheld],
    }


def _entry(entry: Entry) -> Document:
    return {"name": entry.name, "kind": entry.kind, "sizeBytes": entry.size_bytes, "sha256": entry.sha256, "rows": entry.lines}


def _proof(proof: Proof) -> Document:
    return {"level": proof.level, "ok": proof.ok, "problems": proof.problems, "at": proof.finished_at, "host": proof.host}


def pinned(pin: Pin | None) -> Document | None:
    """Describe a pin; None where there is none."""
    if pin is None:
        return None
    return {"at": None if pin.damaged else pin.at, "by": pin.by, "reason": pin.reason, "damaged": pin.damaged}


def of_row(row: JobRecord) -> Document:
    """Describe a job that the repository does not know, from its row in the catalog: a backup that was made is gone."""
    return _empty(row.job_id, row.type) | {
        "status": "gone" if row.status == "completed" else row.status,
        "sizeBytes": row.size_bytes,
        "storedBytes": row.metadata.get("storedBytes"),
        "checksum": row.checksum,
        "location": row.location,
        "startedAt": row.started_at,
        "completedAt": row.completed_at,
        "verifiedLevel": row.metadata.get("verifiedLevel"),
        "snapshotAt": row.metadata.get("snapshotAt"),
        "error": row.error_message,
    }


def of_restore_row(row: RestoreRecord) -> Document:
    """Describe a restore from its row in the catalog."""
    return _empty(row.job_id, row.type) | {
        "backupId": row.backup_id,
        "status": row.status,
        "startedAt": row.started_at,
        "completedAt": row.completed_at,
        "error": row.error_message,
        **{name: row.metadata.get(name) for name in ("mode", "target", "kept", "proven")},
        "notes": row.metadata.get("notes", []),
    }


def of_maintenance_row(row: MaintenanceRecord) -> Document:
    """Describe a job that the guide has no table for: by what it ended with, or as far as its row tells."""
    return _empty(row.job_id, row.type) | {
        **(row.document or {}),
        "status": row.status,
        "startedAt": row.started_at,
        "completedAt": row.completed_at,
        "error": row.error_message,
    }


def of_restore(job_id: str, manifest: Manifest, target: DatabaseUrl, report: RestoreReport, started_at: datetime) -> Document:
    """Describe a restore that the engine did without a flow, in the words of the flow's own document."""
    return _empty(job_id, manifest.type) | {
        "backupId": manifest.id,
        "mode": report.mode,
        "target": target.redacted,
        "status": "completed",
        "sizeBytes": report.size_bytes,
        "startedAt": started_at,
        "completedAt": datetime.now(UTC),
        "tables": report.tables,
        "rows": report.rows,
        "kept": report.kept,
        "proven": report.proof.ok if report.proof else None,
        "problems": report.proof.problems if report.proof else [],
        "notes": report.notes,
    }


def of_file_restore(job_id: str, restore: SourceRestore, started_at: datetime) -> Document:
    """Describe a restore of files that the engine did without a flow, in the words of the flow's own document."""
    report = restore.report
    return _empty(job_id, restore.manifest.type) | {
        "backupId": restore.manifest.id,
        "mode": restore.mode,
        "target": str(restore.target),
        "status": "completed",
        "sizeBytes": report.size_bytes,
        "startedAt": started_at,
        "completedAt": datetime.now(UTC),
        "files": report.files,
        "documents": report.documents,
        "kept": report.kept,
        "proven": not report.problems,
        "problems": report.problems,
        "notes": report.notes,
    }


def _empty(job_id: str, kind: str) -> Document:
    names = (
        "status",
        "sizeBytes",
        "storedBytes",
        "checksum",
        "location",
        "startedAt",
        "completedAt",
        "verifiedLevel",
        "snapshotAt",
        "error",
    )
    return {"jobId": job_id, "type": kind, **dict.fromkeys(names)}
