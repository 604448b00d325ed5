"""What becomes of all types backed up at once: a document for each, the failed ones too."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect import tags

from blocks.names import own_defaults
from holdfast.backup_types import TYPES, require_on, types_on
from holdfast.errors import BackupsFailedError, SettingsError
from holdfast.jobs import new_job_id
from holdfast.settings import load_settings
from orchestration.declared import TAG as OURS
from orchestration.job import outcome
from orchestration.rows import Json
from orchestration.starting import in_turn

TAG = "backup-all"


def new_job_ids(types: Sequence[str] | None, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make a job id for each of these types, or for each that is on, where it was given none.

    Raises SettingsError for a type that is off or unknown.
    """
    settings = load_settings()
    wanted = types_on(settings) if types is None else [kind for kind in TYPES if kind in types]
    if types is not None and (unknown := set(types) - set(TYPES)):
        raise SettingsError(f"{sorted(unknown)[0]!r} is not a type of backup", reason=f"the types are {', '.join(TYPES)}")
    for kind in wanted:
        require_on(kind, settings)
    return {kind: (given or {}).get(kind) or new_job_id("backup") for kind in wanted}


def run_apart(backup: Callable[..., Json], job_id: str) -> Json:
    """Run a backup's flow as a run of its own, with a tag that tells where it belongs, and not as a part of the run around it.

    For a part Prefect creates a task run to track it, and several of those at once lock its SQLite up for a minute.
    """

    def run() -> Json:
        with tags(TAG, OURS), in_turn():
            return backup(job_id=job_id, **own_defaults(backup, load_settings().target))

    return contextvars.Context().run(run)


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
