"""Try the catalog, the database that is backed up, the server for scratch databases, and PostgreSQL's tools, by reading only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

from holdfast.errors import AccessDeniedError, DatabaseUnreachableError, HoldfastError, RefusedError, SettingsError
from holdfast.opening import catalog_if_running, embedded_server
from holdfast.postgres.connection import DatabaseUrl, connect, database_errors, denied, rows_of, server_version
from holdfast.postgres.rights import unreadable
from holdfast.postgres.tools import ToolName, find_tool
from orchestration.standing.catalog import CATALOG_START
from orchestration.standing.part import Report

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from pydantic import SecretStr

    from holdfast.settings import Settings

_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 8
_LATE_SECONDS = 60.0
_NAMED = 5
_MAY_CREATE = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"


def catalog(settings: Settings) -> Report:
    """Ask the catalog whether it is there and up to date."""
    with catalog_if_running(settings) as opened:
        if opened is None:
            raise DatabaseUnreachableError("the catalog does not run", next_step=CATALOG_START)
        if missing := opened.missing_migrations():
            raise SettingsError(
                "the catalog is not up to date", reason=f"missing: {', '.join(missing)}", next_step="Run: holdfast init"
            )
        return {
            "kind": "embedded" if settings.catalog_url is None else "BACKUP_CATALOG_URL",
            "settingsKept": len(opened.config()),
        }


def source(settings: Settings) -> Report:
    """Connect to the database that is backed up, and look whether all of it may be read."""
    url = _url(settings.database_url)
    with _reading(url) as connection, database_errors(url, "looking at rights"):
        lacking = unreadable(connection)
        if lacking:
            more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
            raise denied("a backup", f"what can't be read whole: {', '.join(lacking[:_NAMED])}{more}")
        return {
            "database": url.redacted,
            "version": server_version(connection).text,
            "clockAheadSeconds": _clock(connection, url),
        }


def scratch(settings: Settings) -> Report:
    """Look whether scratch databases can be made; the embedded server is started when one is needed."""
    if settings.scratch_url is None:
        return {"kind": "embedded", "running": embedded_server(settings).is_running()}
    url = _url(settings.scratch_url)
    with _reading(url) as connection, database_errors(url, "looking at rights"):
        ((may_create,),) = rows_of(connection, _MAY_CREATE)
        if not may_create:
            raise AccessDeniedError(
                f"scratch databases can't be made on {url.redacted}",
                next_step="Grant the user CREATEDB: proofs and drills need it",
            )
        return {"kind": "BACKUP_SCRATCH_URL", "version": server_version(connection).text}


def tools(settings: Settings) -> Report:
    """Find the tools that fit the source's server; any version where that does not answer. Raises SettingsError."""
    major = _major(settings)
    found = [find_tool(name, at_least_major=major, search=settings.postgres_tools) for name in get_args(ToolName)]
    return {one.name: {"version": one.version_text, "path": str(one.path)} for one in found}


def _major(settings: Settings) -> int:
    if settings.database_url is not None:
        with suppress(HoldfastError), _reading(_url(settings.database_url)) as connection:  # the database's own test tells why
            return server_version(connection).major
    return 0


def _url(secret: SecretStr | None) -> DatabaseUrl:
    if secret is None:
        raise SettingsError("no address of a database is set")
    return DatabaseUrl.parse(secret)


@contextmanager
def _reading(url: DatabaseUrl) -> Iterator[Connection]:
    """Connect to read only, and for a few seconds."""
    with closing(connect(url, connect_timeout_seconds=_CONNECT_SECONDS)) as connection:
        with database_errors(url, "beginning to read"), connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = '{_STATEMENT_SECONDS}s'; SET default_transaction_read_only = on")
        yield connection


def _clock(connection: Connection, url: DatabaseUrl) -> float:
    """Tell by how many seconds the server's clock is ahead. Raises RefusedError where it is far off."""
    before = datetime.now(UTC)
    ((there,),) = rows_of(connection, "SELECT clock_timestamp()")
    ahead = (there - before).total_seconds()
    if abs(ahead) > _LATE_SECONDS:
        raise RefusedError(
            f"the clocks of this host and of {url.redacted} differ",
            reason=f"by {abs(ahead):.0f} seconds",
            next_step="Set the one that is wrong: the age of backups goes by them",
        )
    return round(float(ahead), 3)
