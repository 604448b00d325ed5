"""Jobs: started, listed, and each as it is now."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas.document import Document, Json
from orchestration.kinds import RecordedKind


class Run(Document):
    """The run of a job in Prefect."""

    id: str
    url: str | None = Field(description="Where a person sees it, in the Prefect UI")
    state: str | None = Field(None, description="What Prefect calls its state, while the job is open")


class StartedJob(Document):
    """A job that was started. Nobody waits for it: follow it by its id."""

    job_id: str
    kind: RecordedKind
    type: str
    status: Literal["pending"]
    run: Run
    notes: list[str] = Field(description="What stands in its way now, such as that no worker is there")


class PartOfAll(Document):
    """One type of a backup of all."""

    job_id: str
    type: str


class StartedBackup(StartedJob):
    """A backup that was started; one of all types names the job of each."""

    jobs: list[PartOfAll] | None = None


class StartedRestore(StartedJob):
    """A restore that was started, and where it will land."""

    model_config = ConfigDict(extra="allow")


class Progress(Document):
    """How far a job is that is at work."""

    percent: float


class Job(Document):
    """A job as it is now. What its kind adds (entries and proofs of a backup, steps of a recovery) stands beside these."""

    model_config = ConfigDict(extra="allow")

    job_id: str
    kind: RecordedKind
    type: str | None = Field(description="database, function, config, secrets, all, or what its kind is about")
    status: str = Field(
        description="pending, running; then completed, failed, cancelled (of a recovery success, partial). Of a backup also what "
        "the repository says of it now: gone, damaged"
    )
    started_at: datetime | None
    completed_at: datetime | None
    error: str | None
    asked_by: str | None = Field(
        None, description="The token that asked for it; null: a schedule, or somebody at the command line"
    )
    size_bytes: int | None = None
    stored_bytes: int | None = None
    checksum: str | None = None
    location: str | None = None
    verified_level: str | None = Field(None, description="stored, read, restored or proven, each stronger than the one before")
    snapshot_at: datetime | None = Field(None, description="The moment that a backup shows")
    run: Run | None = None
    progress: Progress | None = None
    notes: list[str] = Field(default_factory=list)


class Jobs(Document):
    """A page of jobs, the newest first."""

    jobs: list[Job]
    next_cursor: str | None = Field(description="Ask for the next page with it; null: this is the last one")


class Backups(Document):
    """A page of backups, the newest first."""

    backups: list[Job]
    next_cursor: str | None


class Restores(Document):
    """A page of restores, the newest first."""

    restores: list[Job]
    next_cursor: str | None


JOB_EXAMPLE: Json = {
    "jobId": "backup_1795890661_075885",
    "kind": "backup",
    "type": "database",
    "status": "completed",
    "startedAt": "2026-11-28T18:31:00Z",
    "completedAt": "2026-11-28T18:31:06Z",
    "error": None,
    "askedBy": "monitor",
    "sizeBytes": 217088,
    "storedBytes": 99635,
    "verifiedLevel": "stored",
    "snapshotAt": "2026-11-28T18:31:01Z",
    "run": {"id": "cfbf59fd-90ec-41b8-8d57-fd7236d5389b", "url": "http://127.0.0.1:4200/runs/flow-run/cfbf59fd"},
    "notes": [],
}
STARTED_EXAMPLE: Json = {
    "jobId": "backup_1795890661_075885",
    "kind": "backup",
    "type": "database",
    "status": "pending",
    "run": {"id": "cfbf59fd-90ec-41b8-8d57-fd7236d5389b", "url": "http://127.0.0.1:4200/runs/flow-run/cfbf59fd"},
    "notes": [],
}
