"""The step type `data_migration`: a database, a repository or a folder brought to another place, and compared there.

In a drill it goes into scratch, and is dropped.
"""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from holdfast import figures
from holdfast.errors import WorkFailedError
from holdfast.jobs import new_job_id
from holdfast.opening import scratch_server
from holdfast.postgres.connection import connect, rows_of
from holdfast.postgres.limit import TimeLimit
from holdfast.postgres.promote import swap_back
from holdfast.recovery.migrating.database import DatabaseMigration, MigrationOptions
from holdfast.recovery.migrating.directory import DirectoryMigration
from holdfast.recovery.migrating.repository import RepositoryMigration
from holdfast.recovery.outside import Rule, block
from holdfast.recovery.restoring.wanted import refuse_password
from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work
from holdfast.sources import placing
from holdfast.spool import Spool
from holdfast.storage import StorageSettings
from holdfast.storage.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = dict[str, Any]

_REHEARSAL = "holdfast_rehearsal"
"""The name that a scratch database would get; it never does."""


class DataMigrationParameters(Parameters):
    """From where to where: names of blocks, or URLs without password; of a folder, absolute paths."""

    source: str
    destination: str
    migration_type: Literal["database", "repository", "directory"]

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.source == self.destination:
            raise ValueError("source and destination are the same")
        return self

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        for place in (self.source, self.destination):
            if self.migration_type == "database":
                refuse_password(place)
            elif self.migration_type == "directory" and not Path(place).is_absolute():
                raise ValueError("a folder is given as an absolute path")
            elif "://" in place and urlsplit(place).password:
                raise ValueError("a URL in a plan may hold no password: save it as a storage block, and give the block's name")
        return self


def _kind_from_outside(kind: str, parameters: DataMigrationParameters) -> str | None:
    del parameters
    return "folders of the host are named by their paths" if kind == "directory" else None


class DataMigration(StepType[DataMigrationParameters]):
    """Migrates data."""

    name = "data_migration"
    minutes = (30, 120)
    parameters = DataMigrationParameters
    outside: ClassVar[Mapping[str, Rule]] = {
        "source": block,
        "destination": block,
        "migration_type": _kind_from_outside,
    }

    def touches(self, parameters: DataMigrationParameters) -> frozenset[str]:
        return frozenset(f"{parameters.migration_type}:{one}" for one in (parameters.source, parameters.destination))

    def foresee(self, work: Work, parameters: DataMigrationParameters) -> list[str]:
        where = "scratch, and dropped" if work.is_drill else parameters.destination
        said = [f"the {parameters.migration_type} {parameters.source} would be copied to {where}, and compared there"]
        if parameters.migration_type == "database":
            return [*said, f"it holds {_size_of_database(work, parameters)}"]
        if parameters.migration_type == "directory" and not Path(parameters.source).is_dir():
            return [f"fail, for there is no folder {parameters.source}"]
        if parameters.migration_type == "directory" and Path(parameters.destination).is_dir() and not work.is_drill:
            return [*said, f"{parameters.destination} is there: it would be kept beside"]
        return said

    def run(self, work: Work, parameters: DataMigrationParameters) -> Outcome:
        began = time.monotonic()
        done = _MIGRATIONS[parameters.migration_type](work, parameters)
        return replace(done, output={**done.output, "seconds": round(time.monotonic() - began, 3)})

    def undo(self, work: Work, parameters: DataMigrationParameters, undo: Json) -> Outcome | None:
        if parameters.migration_type == "database":
            undone = swap_back(work.world.find_database(parameters.destination), None)
            return Outcome(
                f"The copy has lost its name, and is kept as {undone}; drop it when nobody needs it", {"undone": undone}
            )
        kept = None if undo["kept"] is None else Path(undo["kept"])
        moved = placing.roll_back(Path(parameters.destination), kept)
        return Outcome(f"{parameters.destination} is as it was; what was brought is {moved} now", {"undone": str(moved)})


def _migrate_database(work: Work, parameters: DataMigrationParameters) -> Outcome:
    settings, source = work.world.settings, work.world.find_database(parameters.source)
    destination = (
        scratch_server(settings).with_database(_REHEARSAL) if work.is_drill else work.world.find_database(parameters.destination)
    )
    options = MigrationOptions(
        settings.postgres_tools, settings.lock_timeout_seconds, content=settings.proof == "content", rehearsal=work.is_drill
    )
    limit = TimeLimit(work.deadline.seconds_left, f"the migration of {source.database}")
    with work.deadline.stopping(limit.stop):
        migrated = DatabaseMigration(source, destination, options, limit).run()
    what = f"{figures.count(migrated.tables, 'table')} with {migrated.rows:,} rows were brought"
    place = "into scratch" if work.is_drill else f"to {destination.redacted}"
    return Outcome(
        f"{what} {place}, and are what {source.redacted} holds",
        {**migrated.document(), "destination": destination.redacted},
        tuple(migrated.notes),
        undo=None if work.is_drill else {},
    )


def _migrate_repository(work: Work, parameters: DataMigrationParameters) -> Outcome:
    world = work.world
    source = world.find_storage(parameters.source)

    def migrate(destination: Replica) -> Json:
        return RepositoryMigration(source, destination, world.repository, world.settings.user_key(), work.deadline).run()

    if not work.is_drill:
        done = migrate(world.find_storage(parameters.destination))
        summary = f"{figures.count(done['backups'], 'backup')} of {parameters.source} are in {done['location']}, too"
        return Outcome(summary, done, ("what was copied stays where it is, whatever comes after: it replaces nothing",))
    with Spool(world.settings.home / "spool") as spool, closing(source.open()) as storage:
        _require_room(spool.folder, sum(one.size_bytes for one in storage.list()))
        done = migrate(Replica("scratch", StorageSettings(type="local", path=spool.folder / "copy")))
    return Outcome(f"{figures.count(done['backups'], 'backup')} of {parameters.source} were copied into scratch", done)


def _migrate_directory(work: Work, parameters: DataMigrationParameters) -> Outcome:
    source, job_id = Path(parameters.source), new_job_id("migration")
    if work.is_drill:
        with Spool(work.world.settings.home / "spool") as spool:
            done = DirectoryMigration(source, spool.folder / "copy", job_id, work.deadline.require).run(rehearsal=True)
        return Outcome(f"{figures.count(done['files'], 'file')} of {source} were copied into scratch", done)
    done = DirectoryMigration(source, Path(parameters.destination), job_id, work.deadline.require).run()
    kept = f"; what was there is kept as {done['kept']}" if done["kept"] else ""
    summary = f"{figures.count(done['files'], 'file')} of {source} are in {parameters.destination}{kept}"
    return Outcome(summary, done, tuple(done.pop("notes")), undo={"kept": done["kept"]})


_MIGRATIONS: dict[str, Callable[[Work, DataMigrationParameters], Outcome]] = {
    "database": _migrate_database,
    "repository": _migrate_repository,
    "directory": _migrate_directory,
}


def _size_of_database(work: Work, parameters: DataMigrationParameters) -> str:
    with closing(connect(work.world.find_database(parameters.source))) as connection:
        return figures.size(rows_of(connection, "SELECT pg_database_size(current_database())")[0][0])


def _require_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes * 1.05:
        raise WorkFailedError(
            "there is no room for a drill of this migration",
            reason=f"the repository has {figures.size(needed_bytes)}, and {folder} has {figures.size(free)} free",
            next_step="Set HOLDFAST_HOME to a larger disk for the drill",
        )


TYPE = DataMigration()
