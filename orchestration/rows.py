"""The row of one job in the catalog: opened `pending`, `running` under a lease, closed exactly once.

The mirror below keeps a job going when the catalog does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from holdfast.catalog.mirror import Mirror
from orchestration.masking import masked_all

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended. `figures` are what only the row of a backup has: size_bytes, checksum, location."""

    status: str
    error_message: str | None = None
    metadata: Json = field(default_factory=dict)
    document: Json | None = None
    figures: Json = field(default_factory=dict)


class Row(Protocol):
    """What a job tells the catalog of itself. `open` is False where a job of this id has been completed before."""

    def open(self, metadata: Json) -> bool: ...

    def start(self, metadata: Json, backup_id: str | None) -> None: ...

    def note(self, metadata: Json) -> None: ...

    def close(self, end: End) -> None: ...


class BackupRow:
    """A row of `backup_jobs`."""

    def __init__(self, mirror: Mirror, job_id: str, backup_type: str) -> None:
        self._mirror = mirror
        self._job_id = job_id
        self._type = backup_type

    def open(self, metadata: Json) -> bool:
        return self._mirror.open_job(self._job_id, self._type, metadata)

    def start(self, metadata: Json, backup_id: str | None) -> None:
        del backup_id
        self._mirror.start_job(self._job_id, metadata)

    def note(self, metadata: Json) -> None:
        self._mirror.note_job(self._job_id, metadata)

    def close(self, end: End) -> None:
        named = {"error_message": end.error_message, "metadata": end.metadata, **end.figures}  # the repository has the document
        self._mirror.close_job(self._job_id, end.status, **named)


class RestoreRow:
    """A row of `restore_jobs`."""

    def __init__(self, mirror: Mirror, job_id: str, backup_id: str, backup_type: str) -> None:
        self._mirror = mirror
        self._job_id = job_id
        self._backup_id = backup_id
        self._type = backup_type

    def open(self, metadata: Json) -> bool:
        return self._mirror.open_restore(self._job_id, self._backup_id, self._type, metadata)

    def start(self, metadata: Json, backup_id: str | None) -> None:
        self._mirror.start_restore(self._job_id, metadata, backup_id=backup_id)

    def note(self, metadata: Json) -> None:
        self._mirror.note_restore(self._job_id, metadata)

    def close(self, end: End) -> None:
        self._mirror.close_restore(self._job_id, end.status, error_message=end.error_message, metadata=end.metadata)


class MaintenanceRow:
    """A row of `maintenance_jobs`, which keeps the document that the job ends with."""

    def __init__(self, mirror: Mirror, job_id: str, kind: str, job_type: str) -> None:
        self._mirror = mirror
        self._job_id = job_id
        self._kind = kind
        self._type = job_type

    def open(self, metadata: Json) -> bool:
        return self._mirror.open_maintenance(self._job_id, self._kind, self._type, metadata)

    def start(self, metadata: Json, backup_id: str | None) -> None:
        self._mirror.start_maintenance(self._job_id, {**metadata, "backupId": backup_id} if backup_id else metadata)

    def note(self, metadata: Json) -> None:
        self._mirror.note_maintenance(self._job_id, metadata)

    def close(self, end: End) -> None:
        found = None if end.document is None else masked_all(end.document)
        named = {"error_message": end.error_message, "metadata": end.metadata, "document": found}
        self._mirror.close_maintenance(self._job_id, end.status, **named)


class NoRow:
    """For the health monitor, which runs too often, and for an execution of a plan, whose record is a row of its own."""

    def open(self, metadata: Json) -> bool:
        del metadata
        return True

    def start(self, metadata: Json, backup_id: str | None) -> None: ...

    def note(self, metadata: Json) -> None: ...

    def close(self, end: End) -> None: ...
