"""What a restore is refused for, each with its own error, before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.errors import (
    DamagedError,
    ExtensionMissingError,
    NotFoundError,
    RefusedError,
    SettingsError,
    TargetNotEmptyError,
    TargetTooOldError,
)
from holdfast.postgres.connection import DatabaseUrl, ServerVersion, connect
from holdfast.repository import Manifest, Repository

_NAME_BYTES = 63
_IS_TEMPLATE = "SELECT 1 FROM pg_database WHERE datname = current_database() AND datistemplate"
_EXISTS = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)"
_AVAILABLE = "SELECT name::text, default_version FROM pg_available_extensions"
# Objects that a user made: whatever initdb makes has a number below 16384. Extensions alone do not count as content.
_USER_OBJECTS = """
SELECT 'the relation ' || oid::regclass::text FROM pg_class
  WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace AND {not_of_extension}
UNION ALL SELECT 'the function ' || oid::regprocedure::text FROM pg_proc WHERE oid >= 16384 AND {not_of_extension}
UNION ALL SELECT 'the type ' || oid::regtype::text FROM pg_type
  WHERE oid >= 16384 AND typrelid = 0 AND typelem = 0 AND {not_of_extension}
UNION ALL SELECT 'the schema ' || quote_ident(nspname) FROM pg_namespace
  WHERE oid >= 16384 AND nspname !~ '^pg_' AND {not_of_extension}
UNION ALL SELECT 'the large object ' || oid FROM pg_largeobject_metadata
UNION ALL SELECT 'the publication ' || quote_ident(pubname) FROM pg_publication
UNION ALL SELECT 'the event trigger ' || quote_ident(evtname) FROM pg_event_trigger
UNION ALL SELECT 'the server ' || quote_ident(srvname) FROM pg_foreign_server
LIMIT 1
""".replace("{not_of_extension}", "NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = oid AND d.deptype = 'e')")


def refuse_damaged(repository: Repository, manifest: Manifest) -> None:
    """Raise DamagedError unless all of the backup is there."""
    report = repository.check([manifest.id], level="stored")
    if report.content_ok:
        return
    harm = [problem for problem in report.problems if problem.harms_content]
    first = [f"{problem.object}: {problem.what}" for problem in harm[:3]]
    more = len(harm) - len(first)
    raise DamagedError(
        f"backup {manifest.id} is damaged, so nothing was restored",
        reason="; ".join(first) + (f"; and {more} more" if more > 0 else ""),
        next_step="'holdfast list' shows other backups; 'holdfast repo check' tells all that is damaged",
    )


def refuse_long_name(target: DatabaseUrl) -> None:
    """Raise SettingsError for a name that PostgreSQL would cut, silently."""
    length = len(target.database.encode())
    if length > _NAME_BYTES:
        raise SettingsError(
            f"the name {target.database!r} is too long for a database",
            reason=f"it takes {length} bytes, and PostgreSQL keeps {_NAME_BYTES}",
            next_step="Choose a shorter one",
        )


def refuse_older(target: ServerVersion, source_major: int, source_text: str) -> None:
    """Raise TargetTooOldError when the target's major version is below the source's."""
    if target.major < source_major:
        raise TargetTooOldError(
            f"the target server is PostgreSQL {target.text} and the backup is from {source_text}",
            reason="a database can't be restored to an older major version",
            next_step=f"Restore to a server of PostgreSQL {source_major} or newer",
        )


def refuse_missing_extensions(connection: Connection, needed: Iterable[str]) -> dict[str, str]:
    """Raise ExtensionMissingError naming what the server has not; return the versions that it has."""
    with connection.cursor() as cursor:
        cursor.execute(_AVAILABLE)
        available = dict(cursor.fetchall())
    missing = [name for name in needed if name not in available]
    if missing:
        raise ExtensionMissingError(
            f"the target server has not the extension{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            reason="the backup's schema needs it",
            next_step="Install it on the server (CREATE EXTENSION is not needed, the restore does that), then try again",
        )
    return available


def database_exists(connection: Connection, name: str) -> bool:
    """Whether the server has a database of that name."""
    with connection.cursor() as cursor:
        cursor.execute(_EXISTS, (name,))
        row = cursor.fetchone()
    return bool(row and row[0])


def require_existing(connection: Connection, target: DatabaseUrl, mode: str) -> None:
    """Raise NotFoundError when there is no live database to replace."""
    if not database_exists(connection, target.database):
        raise NotFoundError(
            f"there is no database {target.database!r} to restore over",
            reason=f"mode {mode} replaces a database that exists",
            next_step="Use mode new to create it",
        )


def refuse_not_empty(target: DatabaseUrl) -> None:
    """Raise TargetNotEmptyError when somebody made anything in the target database, RefusedError when others are made from it."""
    with closing(connect(target)) as connection, connection.cursor() as cursor:
        cursor.execute(_IS_TEMPLATE)
        template = cursor.fetchone()
        cursor.execute(_USER_OBJECTS)
        row = cursor.fetchone()
    if template is not None:
        raise RefusedError(
            f"the database {target.database!r} is a template, from which the server makes its new databases",
            reason="what is restored there would be in each of them",
            next_step="Name a database that does not exist yet",
        )
    if row is not None:
        raise TargetNotEmptyError(
            f"the database {target.database!r} exists and is not empty",
            reason=f"it holds {row[0]}",
            next_step="Name a database that does not exist yet, or use mode promote, which keeps the present one aside",
        )
