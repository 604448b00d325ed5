"""Restores: started now, listed, and shown. Unless the request names what is live, a restore lands beside it.

No URL, host or path is ever taken from a request: a target is the name of a block, `live`, or a database on that block's server.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.action import Action, Asked, Body, Json
from api.handlers.backups import BackupsWanted
from api.handlers.jobs import JOB, JobId, JobNamed, JobsWanted, page_of
from api.handlers.known_backups import is_known, require_known
from api.handlers.maintenance import BackupId, BlockName, verification
from api.starting import start
from blocks.names import own_name
from holdfast.errors import RequestInvalidError
from holdfast.postgres.url import DatabaseUrl
from holdfast.repository import BackupType
from orchestration.submitting import Order

LIVE, HOME = "live", "home"
TEST_BACKUP = "test_backup"
"""The guide's own example: where no backup is called so, the newest one is restored into scratch, compared, and thrown away."""

_LONGEST_NAME_BYTES = 63
_OF_THE_SERVER = ("postgres", "template0", "template1")
_ROOM_FOR_TIME = 40


def _database_name(name: str) -> str:
    if not name.isprintable() or len(name.encode()) > _LONGEST_NAME_BYTES:
        raise ValueError("a database's name has 63 bytes at most, and no control characters")
    return name


DatabaseName = Annotated[str, Field(min_length=1), AfterValidator(_database_name)]
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=1000)]] | None, Field(max_length=10_000)]


class RestoreRequest(Body):
    """What is to be brought back, and to where."""

    backup_id: BackupId
    type: BackupType
    mode: Literal["new", "promote", "in_place"] = Field(
        "new", description="new: beside what is live. promote: in the place of what is live, which is kept. in_place: into it"
    )
    target: BlockName | None = Field(None, description="The block of a database, or live; needed for promote and in_place")
    database: DatabaseName | None = Field(None, description="Name of the new database on the target's server")
    tables: Names = Field(None, description="Only these tables of a database")
    only: Names = Field(None, description="Only these parts of functions, a configuration or secrets")
    dry_run: bool = Field(False, description="Only look, and say what would be lost")
    from_replica: BlockName | None = Field(None, description="The block of the replica to read from")


def _restore(asked: Asked[RestoreRequest]) -> Json:
    _require_sense(asked.said)
    answer, parameters = start(asked, "restore", lambda: _order(asked))
    if answer["kind"] == "verification":
        note = f"there is no backup {TEST_BACKUP}: the newest one is restored into scratch, compared, and thrown away"
        return answer | {"backupId": parameters["backup_id"], "mode": "test", "target": None, "notes": [*answer["notes"], note]}
    told = {"mode": parameters["mode"], "target": _landing(asked, answer["jobId"], parameters["target"])}
    return answer | {"backupId": parameters["backup_id"], **told, "dryRun": parameters["dry_run"]}


def _landing(asked: Asked[RestoreRequest], job_id: str, target: str) -> str:
    """Say where it lands; a folder is in the home of whichever host restores, which mostly is this one."""
    return str(asked.parts.settings.home.absolute() / "restored" / job_id) if target == HOME else target


def _require_sense(said: RestoreRequest) -> None:
    """Raises RequestInvalidError, by field."""
    wrong: dict[str, str] = {}
    if said.mode != "new" and said.target is None:
        wrong["target"] = f"mode {said.mode} replaces what is there: name it, by a block or as {LIVE!r}"
    if said.database is not None and said.mode != "new":
        wrong["database"] = f"mode {said.mode} replaces the database of its target, and no other on that server"
    if said.database in _OF_THE_SERVER:
        wrong["database"] = "it belongs to the server itself: name one that there is not yet"
    if said.type == "database" and said.only:
        wrong["only"] = "a database is restored in part by tables"
    if said.type != "database":
        for name in ("tables", "database"):
            if getattr(said, name):
                wrong[name] = f"a backup of the type {said.type} has none"
        if said.mode == "new" and said.target is not None:
            wrong["target"] = "a new folder is made under the host's home; leave it away"
        if said.mode != "new" and said.target not in (None, LIVE):
            wrong["target"] = f"it can only be {LIVE!r}, the place that was backed up"
    if wrong:
        raise RequestInvalidError(
            "this restore can't be done", reason="; ".join(f"{name}: {why}" for name, why in wrong.items()), fields=wrong
        )


def _order(asked: Asked[RestoreRequest]) -> Order:
    """Say which run is wanted. Raises NotFoundError."""
    said = asked.said
    if said.backup_id == TEST_BACKUP and not is_known(asked, TEST_BACKUP, said.type):
        require_known(asked, "latest", said.type)
        return verification("latest", said.type)
    require_known(asked, said.backup_id, said.type)
    parameters = {
        "backup_id": said.backup_id,
        "type": said.type,
        "mode": said.mode,
        "target": _database(asked) if said.type == "database" else said.target or HOME,
        "tables": list(said.tables or []),
        "only": list(said.only or []),
        "dry_run": said.dry_run,
        "from_replica": said.from_replica,
    }
    return Order("restore", "restore", said.type, parameters)


def _database(asked: Asked[RestoreRequest]) -> str:
    """Name the database that a restore lands in, as the flow takes it: a block, and another database on its server."""
    said, settings = asked.said, asked.parts.settings
    block = own_name("holdfast-database", settings.target) if said.target in (None, LIVE) else str(said.target)
    if said.database is not None:
        return f"{block}/{said.database}"
    if said.mode != "new" or said.target not in (None, LIVE):
        return block
    live = DatabaseUrl.parse(settings.database_url).database if settings.database_url else "database"
    return f"{block}/{live[:_ROOM_FOR_TIME]}_restored_{datetime.now(UTC):%Y%m%d_%H%M%S}"


def _restores(asked: Asked[BackupsWanted]) -> Json:
    said = JobsWanted(kind="restore", **asked.said.model_dump())
    shown, following = page_of(asked, said)
    return {"restores": shown, "nextCursor": following}


class RestoreNamed(Body):
    """Which restore."""

    job_id: JobId


def _restored(asked: Asked[RestoreNamed]) -> Json:
    return JOB.handler(Asked(asked.parts, asked.caller, JobNamed.model_validate({"jobId": asked.said.job_id, "type": "restore"})))


RESTORE = Action("restore", "POST", "restore", RestoreRequest, _restore, 202, "restore.start")
RESTORES = Action("list-restores", "GET", "read", BackupsWanted, _restores)
RESTORED = Action("show-restore", "GET", "read", RestoreNamed, _restored)
