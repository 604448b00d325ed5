"""Bringing a catalog up to date, with Alembic.

A revision runs the SQL file of its own name, nothing else. All that are missing run in one transaction under a lock, so a
migration that fails leaves the catalog as it was, and two processes at once are harmless. A catalog that is up to date is
recognized by one small query, without loading Alembic: this runs whenever a catalog is opened.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

import sql
from holdfast.catalog.database import Database
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSION_TABLE = "holdfast_catalog_version"  # not Alembic's own name, which another system in the same database may use
_REVISIONS = Path(__file__).parent / "revisions"
_one_at_a_time = threading.Lock()  # Alembic keeps what it is doing in its modules


def migrate(database: Database) -> None:
    """Run the migrations that are missing. Raises SettingsError for a catalog made by a newer Holdfast."""
    with database.transaction("looking up the catalog's version") as connection:
        version = _version(connection)
    if version == newest():
        return
    if version is not None and version not in sql.migrations():
        raise SettingsError(
            f"the catalog {database.url.redacted} was made by a newer Holdfast",
            reason=f"it is at {version}, and this one knows migrations up to {newest()}",
            next_step="Install that version, or name another database in BACKUP_CATALOG_URL",
        )
    with _one_at_a_time, database.transaction("migrating the catalog") as connection:
        _upgrade(connection)


def newest() -> str:
    """Name the migration that an up-to-date catalog has run last."""
    return sql.migrations()[-1]


def missing(database: Database) -> list[str]:
    """Name the migrations that have not run, the oldest first; none where a newer Holdfast made the catalog."""
    with database.transaction("looking up the catalog's version") as connection:
        version = _version(connection)
    names = sql.migrations()
    if version is None:
        return names
    return names[names.index(version) + 1 :] if version in names else []


def run_migration(name: str) -> None:
    """Run a migration's SQL file; called by the revision of that name."""
    from alembic import op

    # As it stands: no parameters, so that a percent sign in it is one.
    op.get_bind().exec_driver_sql(sql.migration(name), execution_options={"no_parameters": True})


def _version(connection: Connection) -> str | None:
    asked = sql.queries("migration")
    if not connection.scalar(text(asked["present"])):
        return None
    version: str | None = connection.scalar(text(asked["version"]))
    return version


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    asked = sql.queries("migration")
    connection.execute(text(asked["lock"]))
    connection.execute(text(asked["unchecked"]))
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_REVISIONS).replace("%", "%%"))
    command.upgrade(config, "head")
