"""Roles: read from what `pg_dumpall --roles-only` wrote, made on the target where they are missing.

The rule: a role that exists on the target is never altered. A role that is made gets all that the source gave it, in one
transaction for all of them, so that a failure leaves none behind.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2 names its classes in lower case

from holdfast.errors import RolesMissingError, WorkFailedError
from holdfast.postgres.connection import quote_identifier

_log = logging.getLogger(__name__)

_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[^\s";,]+)'
_PIECE = re.compile(r"""--[^\n]*|\bE'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|;|[^;'"\-E]+|.""", re.DOTALL)
_ABOUT_ROLE = re.compile(rf"(?:CREATE ROLE|ALTER ROLE|COMMENT ON ROLE|SECURITY LABEL .*? ON ROLE)\s+({_IDENTIFIER})", re.DOTALL)
_MEMBERSHIP = re.compile(rf"GRANT\s+({_IDENTIFIER})\s+TO\s+({_IDENTIFIER})")
_GRANTED_BY = re.compile(rf"\s+GRANTED BY\s+{_IDENTIFIER}$")


@dataclass(frozen=True, slots=True)
class RoleStatement:
    """One statement of the script and the roles that it is about; a membership is about two."""

    text: str = field(repr=False)  # may hold a password's hash
    roles: tuple[str, ...]

    @property
    def creates(self) -> bool:
        """Whether the statement makes its role."""
        return self.text.startswith("CREATE ROLE")


@dataclass(frozen=True, slots=True)
class RolesMade:
    """What was done: the roles made, and those of them that can log in but have no password yet."""

    created: tuple[str, ...] = ()
    without_password: tuple[str, ...] = ()


def parse_roles(script: bytes) -> list[RoleStatement]:
    """Read the statements about roles; all others (settings of the session, psql's own commands) are left out."""
    found = []
    for text in _statements(script.decode("utf-8", errors="surrogateescape")):
        about = _ABOUT_ROLE.match(text) or _MEMBERSHIP.match(text)
        if about:
            found.append(RoleStatement(text, tuple(_unquoted(name) for name in about.groups())))
    return found


def missing_roles(connection: Connection, statements: Iterable[RoleStatement]) -> list[str]:
    """Return the script's roles that the server does not have."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        existing = {name for (name,) in cursor.fetchall()}
    return [statement.roles[0] for statement in statements if statement.creates and statement.roles[0] not in existing]


def create_roles(connection: Connection, statements: list[RoleStatement], wanted: set[str], *, login: bool = True) -> RolesMade:
    """Make the wanted roles that are missing, with their attributes, settings, comments and memberships.

    Without `login` nobody can log in as them: they only own things, in a scratch database.
    Raises RolesMissingError naming the roles when the connection may not make them.
    """
    for _ in range(3):
        absent = missing_roles(connection, statements)
        missing = [name for name in absent if name in wanted]
        if not missing:
            return RolesMade()
        try:
            _create(connection, statements, set(missing), set(absent) - wanted, login=login)
        except (psycopg2.errors.UniqueViolation, psycopg2.errors.DuplicateObject):
            continue  # another restore made one of them at the same moment
        except psycopg2.errors.InsufficientPrivilege as error:
            raise RolesMissingError(
                f"these roles of the source do not exist on the target: {', '.join(sorted(missing))}",
                reason=f"and this connection may not make them: {error.diag.message_primary}",
                next_step="Make them, or connect as a user who may",
            ) from error
        except psycopg2.Error as error:  # its own text could show a password's hash, so only the server's first line is kept
            reason = error.diag.message_primary or type(error).__name__
            raise WorkFailedError(f"the roles {', '.join(sorted(missing))} could not be made", reason=reason) from None
        return RolesMade(tuple(missing), tuple(_without_password(statements, set(missing)) if login else ()))
    raise WorkFailedError("the roles could not be made", reason="others make the same ones at the same time")


def drop_roles(connection: Connection, names: Iterable[str]) -> None:
    """Remove roles that this run made, so far as nothing else has come to need them meanwhile."""
    for name in names:
        with connection.cursor() as cursor, suppress(psycopg2.errors.DependentObjectsStillExist, psycopg2.errors.UndefinedObject):
            cursor.execute(f"DROP ROLE {quote_identifier(name)}")


def _create(
    connection: Connection, statements: list[RoleStatement], missing: set[str], unwanted: set[str], *, login: bool
) -> None:
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            for statement in statements:
                if missing.intersection(statement.roles) and not unwanted.intersection(statement.roles):
                    _execute(cursor, statement)
            for name in () if login else missing:
                cursor.execute(f"ALTER ROLE {quote_identifier(name)} NOLOGIN PASSWORD NULL")
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(psycopg2.Error):
                cursor.execute("ROLLBACK")
            raise


def _execute(cursor: psycopg2.extensions.cursor, statement: RoleStatement) -> None:
    """Run a statement; a membership whose grantor has no right to grant on this server is granted by us instead."""
    granted_by = _GRANTED_BY.search(statement.text)
    if not granted_by:
        cursor.execute(statement.text)
        return
    cursor.execute("SAVEPOINT membership")
    try:
        cursor.execute(statement.text)
    except psycopg2.Error:
        cursor.execute("ROLLBACK TO SAVEPOINT membership")
        cursor.execute(statement.text[: granted_by.start()])
    cursor.execute("RELEASE SAVEPOINT membership")


def _without_password(statements: list[RoleStatement], created: set[str]) -> Iterator[str]:
    for statement in statements:
        words = re.sub(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""", "''", statement.text).split()
        if statement.roles[0] in created and words[:2] == ["ALTER", "ROLE"] and "LOGIN" in words and "PASSWORD" not in words:
            yield statement.roles[0]


def _statements(script: str) -> Iterator[str]:
    """Split SQL at its semicolons, not at those in strings, names and comments; psql's backslash lines are dropped."""
    statement = ""
    for piece in _PIECE.findall(re.sub(r"^\\(?:un)?restrict .*$", "", script, flags=re.MULTILINE)):
        if piece == ";":
            yield statement.strip()
            statement = ""
        elif not piece.startswith("--"):
            statement += piece


def _unquoted(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier
