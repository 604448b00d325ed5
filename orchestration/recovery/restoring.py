"""Restores and rehearsals as steps of a plan need them: each a job of its own, within the time that the step has left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.recovery.deadline import Deadline
from holdfast.repository import Repository

Json = dict[str, Any]


def bring_back(
    repository: Repository,
    backup_type: str,
    backup_id: str,
    deadline: Deadline,
    *,
    mode: str,
    only: Sequence[str] = (),
    tables: Sequence[str] = (),
    target: str | None = None,
    dry_run: bool = False,
) -> Json:
    """Restore as the flow `restore` does; without a target to what is live. Returns the restore's document."""
    raise NotImplementedError


def rehearse_backup(repository: Repository, backup_type: str, backup_id: str, deadline: Deadline) -> Json:
    """Bring a backup back into scratch and compare it: `jobId`, `backupId`, `ok`, `problems`, `seconds`. Leaves a proof."""
    raise NotImplementedError
