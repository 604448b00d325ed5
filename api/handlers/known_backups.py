"""Whether a backup is there, before a run is started for it: by the catalog, else by the repository."""

from __future__ import annotations

import logging
from typing import Any

from api.action import Asked
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.repository import Repository

LATEST = "latest"
_log = logging.getLogger(__name__)


def is_known(asked: Asked[Any], backup_id: str, kind: str) -> bool | None:
    """Tell whether there is a backup of this id, or any of the type; None where neither catalog nor repository can be asked."""
    in_catalog = _in_catalog(asked, backup_id, kind)
    if in_catalog:
        return True
    try:
        return asked.parts.ask_repository(lambda repository: _holds(repository, backup_id, kind))
    except HoldfastError as error:
        _log.warning("whether the repository has %s can't be known now: %s", backup_id, error.what_and_why)
        return in_catalog


def require_known(asked: Asked[Any], backup_id: str, kind: str) -> None:
    """Let through a backup that is there, and one that nobody can be asked for. Raises NotFoundError."""
    if is_known(asked, backup_id, kind) is False:
        what = f"no backup of the type {kind}" if backup_id == LATEST else f"no backup {backup_id!r} of the type {kind}"
        raise NotFoundError(f"there is {what}", next_step="GET /v1/backups lists what there is")


def _in_catalog(asked: Asked[Any], backup_id: str, kind: str) -> bool | None:
    try:
        with asked.parts.catalog() as catalog:
            if backup_id == LATEST:
                return bool(catalog.jobs(type=kind, status="completed", limit=1))
            row = catalog.job(backup_id)
    except HoldfastError as error:
        _log.warning("whether the catalog has %s can't be known now: %s", backup_id, error.what_and_why)
        return None
    return row is not None and (row.type, row.status) == (kind, "completed") and "forgottenBy" not in row.metadata


def _holds(repository: Repository, backup_id: str, kind: str) -> bool:
    found = [one for one in repository.backups() if one.type == kind]
    return bool(found) if backup_id == LATEST else any(one.id == backup_id for one in found)
