"""What becomes of all types backed up at once: a document for each, the failed ones too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.backup_types import TYPES, require_on, types_on
from holdfast.errors import BackupsFailedError, SettingsError
from holdfast.jobs import new_job_id
from holdfast.settings import load_settings
from orchestration.job import outcome
from orchestration.rows import Json


def new_job_ids(types: Sequence[str] | None) -> dict[str, str]:
    """Make a job id for each of these types, or for each that is on. Raises SettingsError for one that is off or unknown."""
    settings = load_settings()
    wanted = types_on(settings) if types is None else [kind for kind in TYPES if kind in types]
    if types is not None and (unknown := set(types) - set(TYPES)):
        raise SettingsError(f"{sorted(unknown)[0]!r} is not a type of backup", reason=f"the types are {', '.join(TYPES)}")
    for kind in wanted:
        require_on(kind, settings)
    return {kind: new_job_id("backup") for kind in wanted}


def documents(job_ids: Mapping[str, str], ended: Mapping[str, Any]) -> list[Json]:
    """Describe each job: as its flow does, or as failed with its reason."""
    return [_document(kind, job_id, ended[kind]) for kind, job_id in job_ids.items()]


def concluded(jobs: list[Json]) -> list[Json]:
    """Return the documents of all jobs. Raises BackupsFailedError, which holds them, where one failed."""
    failed = [job for job in jobs if job["status"] != "completed"]
    if not failed:
        return jobs
    error = BackupsFailedError(
        f"{len(failed)} of {len(jobs)} backups failed: {', '.join(job['type'] for job in failed)}",
        reason="; ".join(f"{job['type']}: {job['error']}" for job in failed),
        next_step="The others are made",
    )
    error.found = [dict(job) for job in jobs]
    raise error


def _document(kind: str, job_id: str, ended: Any) -> Json:
    if not isinstance(ended, BaseException):
        return dict(ended)
    status, reason = outcome(ended)
    names = ("sizeBytes", "storedBytes", "checksum", "location", "startedAt", "completedAt", "verifiedLevel", "snapshotAt")
    code = getattr(ended, "code", None)
    return {"jobId": job_id, "type": kind, "status": status, **dict.fromkeys(names), "error": reason, "code": code}
