"""Backups: made now, of one type or of all that are on, listed, and shown in full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from pydantic import Field

from api.action import Action, Asked, Body, Json, Nothing
from api.handlers.jobs import JOB, JobId, JobNamed, JobsWanted, Status, page_of
from api.handlers.pages import PageWanted
from api.starting import start
from holdfast.backup_types import types_on, why_off
from holdfast.errors import RefusedError, SettingsError
from holdfast.jobs import new_job_id
from holdfast.repository import BackupType
from orchestration.submitting import Order

What = Literal["database", "function", "config", "secrets", "all"]
_WHAT: tuple[What, ...] = get_args(What)


class BackupRequest(Body):
    """What is to be backed up now."""

    type: What = Field(description="A type, or all that are on")


class BackupsWanted(PageWanted):
    """Which backups."""

    type: BackupType | None = None
    status: Status | None = None


class BackupNamed(Body):
    """Which backup."""

    job_id: JobId


def _back_up(asked: Asked[BackupRequest]) -> Json:
    return _start(asked, "backup", asked.said.type)


def _of_type(what: What) -> Callable[[Asked[Nothing]], Json]:
    return lambda asked: _start(asked, f"backup-{what}", what)


def _start(asked: Asked[BackupRequest] | Asked[Nothing], action: str, what: What) -> Json:
    answer, said = start(asked, action, lambda: _order(asked, what))
    if what != "all":
        return answer
    return answer | {"jobs": [{"jobId": one, "type": kind} for kind, one in said["job_ids"].items()]}


def _order(asked: Asked[BackupRequest] | Asked[Nothing], what: What) -> Order:
    """Say which run is wanted. Raises RefusedError where the type is off, or all are."""
    settings = asked.parts.settings
    if what == "all":
        return Order("backup-all", "backup", "all", {"job_ids": {kind: new_job_id("backup") for kind in _on(asked)}})
    if reason := why_off(what, settings):
        raise RefusedError(
            f"backups of the type {what} are off", reason=reason, next_step="Set it on the host, in the environment or in .env"
        )
    return Order(f"{what}-backup", "backup", what)


def _on(asked: Asked[BackupRequest] | Asked[Nothing]) -> list[BackupType]:
    try:
        return types_on(asked.parts.settings)
    except SettingsError as error:
        raise RefusedError(error.message, reason=error.reason, next_step=error.next_step) from error


def _backups(asked: Asked[BackupsWanted]) -> Json:
    said = JobsWanted(kind="backup", **asked.said.model_dump())
    shown, following = page_of(asked, said)
    return {"backups": shown, "nextCursor": following}


def _backup(asked: Asked[BackupNamed]) -> Json:
    return JOB.handler(Asked(asked.parts, asked.caller, JobNamed.model_validate({"jobId": asked.said.job_id, "type": "backup"})))


BACK_UP = Action("backup", "POST", "backup", BackupRequest, _back_up, 202, "backup.start")
BY_TYPE = tuple(Action(f"backup-{what}", "POST", "backup", Nothing, _of_type(what), 202, "backup.start") for what in _WHAT)
BACKUPS = Action("list-backups", "GET", "read", BackupsWanted, _backups)
BACKUP = Action("show-backup", "GET", "read", BackupNamed, _backup)
