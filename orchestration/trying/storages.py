"""Try the storage, the key and the replicas: each is opened and read as a restore would, and nothing is written to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.errors import RefusedError
from holdfast.opening import open_replica, read_repository, storage_to_read
from holdfast.repository import names
from holdfast.repository.description import read_description
from orchestration.standing.part import Report

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.storage import Storage
    from holdfast.storage.replica import Replica

FUTURE = timedelta(minutes=2)
"""From how far in the future an object must be for a clock to be wrong."""


def storage(settings: Settings) -> Report:
    """List the backups, and read what says which repository this is."""
    with closing(storage_to_read(settings.storage_settings)) as opened:
        return _held(opened)


def key(settings: Settings) -> Report:
    """Open the repository. Raises KeyMissingError, WrongKeyError."""
    with closing(read_repository(settings)) as repository:
        return {"encrypted": repository.encrypted, "keyId": repository.keys.current_id}


def replica(one: Replica) -> Callable[[Settings], Report]:
    """Return what tries a replica."""

    def tried(_: Settings) -> Report:
        with closing(open_replica(one)) as opened:
            return _held(opened)

    return tried


def _held(opened: Storage) -> Report:
    description = read_description(opened)
    manifests = [info for info in opened.list(names.MANIFESTS) if names.manifest_parts(info.name)]
    newest = max((info.modified for info in manifests), default=None)
    _refuse_future(opened, newest)
    return {
        "location": opened.location,
        "repositoryId": description.id,
        "encrypted": description.encrypted,
        "backups": len(manifests),
        "newestAt": newest,
    }


def _refuse_future(opened: Storage, newest: datetime | None) -> None:
    """Say that a clock is wrong where a backup was stored in the future: that is seen without writing anything."""
    now = datetime.now(UTC)
    if newest is not None and newest > now + FUTURE:
        raise RefusedError(
            f"a backup in {opened.location} was stored in the future",
            reason=f"its clock says {newest:%Y-%m-%d %H:%M} and this host's says {now:%Y-%m-%d %H:%M} (UTC)",
            next_step="Set the clock that is wrong: leases, retention and alarms go by them",
        )
