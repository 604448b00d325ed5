"""PostgreSQL's login roles as secrets: who may log in, as whom, until when, and whether a password is set.

What the server keeps of a password is readable by superusers alone; without that right everything else is told, and it is said.
A new password is made into a SCRAM verifier here, so that no statement and no log of the server ever holds the password itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg2
import psycopg2.errors

from holdfast.errors import AccessDeniedError, NotFoundError, RefusedError, WorkFailedError
from holdfast.postgres.connection import DatabaseUrl, connect, database_error, database_errors, quote_identifier, rows_of
from holdfast.repository import canonical
from holdfast.sources.contract import LeftOut
from holdfast.sources.secrets import scram
from holdfast.sources.secrets.contract import (
    Digest,
    Json,
    RestoredSecrets,
    Rotation,
    SecretProvider,
    SecretRecord,
    SecretsFound,
    new_value,
)

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

Deliver = Callable[[str], None]

_ROLES = """
SELECT r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls, r.rolinherit, r.rolconnlimit,
       CASE WHEN isfinite(r.rolvaliduntil)
            THEN to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
       ARRAY(SELECT split_part(setting, '=', 1) FROM unnest(r.rolconfig) AS setting ORDER BY 1),
       ARRAY(SELECT to_jsonb(m) || jsonb_build_object('role', g.rolname)
               FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
              WHERE m.member = r.oid ORDER BY g.rolname, m.admin_option)
  FROM pg_roles r
 WHERE r.rolcanlogin
 ORDER BY r.rolname COLLATE "C"
"""
_MAY_READ_PASSWORDS = "SELECT has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT')"
_PASSWORDS = "SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin"
_ITERATIONS = "SELECT current_setting('scram_iterations', true)"
_ABILITIES_READ = ("superuser", "createrole", "createdb", "replication", "bypassrls", "inherit")
_ABILITIES_GIVEN = ("createdb", "inherit")
_BY_HAND = ("superuser", "createrole", "replication", "bypassrls")  # a restore must not be a way to power over the server


class PostgresRoles(SecretProvider):
    """The login roles of one server, reached by any of its databases."""

    kind: ClassVar[str] = "postgres-roles"
    can_rotate = True
    can_restore = True

    def __init__(self, url: DatabaseUrl, *, name: str | None = None, lock_timeout_seconds: float = 10.0) -> None:
        super().__init__(name)
        self._url = url
        self._lock_timeout_seconds = lock_timeout_seconds

    @property
    def description(self) -> Json:
        return {"kind": self.kind, "name": self.name, "server": self._url.redacted}

    def read(self, digest: Digest) -> SecretsFound:
        """Raises NotFoundError, AccessDeniedError, DatabaseUnreachableError, WorkFailedError."""
        with closing(connect(self._url)) as connection, database_errors(self._url, "reading the login roles"):
            rows = rows_of(connection, _ROLES)
            readable = bool(rows_of(connection, _MAY_READ_PASSWORDS)[0][0])
            passwords = dict(rows_of(connection, _PASSWORDS)) if readable else None
        notes = [] if readable else ["whether passwords are set is not known: only a superuser may read pg_authid"]
        return SecretsFound([self._record(row, passwords, digest) for row in rows], notes=notes)

    def rotate(self, name: str, *, deliver: Deliver | None = None, force: bool = False) -> Rotation:
        """Give a role a new password, which `deliver` is handed to keep before it is in force; what it raises undoes everything.
        A death just between leaves the old one in force, and the new one delivered: rotate again.

        Without it, and for the role that we log in as, it is refused unless forced: nobody would know the password.
        Raises NotFoundError, RefusedError, AccessDeniedError, DatabaseUnreachableError, WorkFailedError.
        """
        if deliver is None and not force:
            raise RefusedError(
                f"the password of role {name!r} was not changed",
                reason="nobody would know the new one",
                next_step="Name where it is to be kept, or force it to lock the role out",
            )
        with closing(connect(self._url, autocommit=False)) as connection:
            self._look_at(connection, name, force=force)
            password = new_value()
            self._set_password(connection, name, password)
            if deliver is not None:
                deliver(password)
            try:
                connection.commit()
            except psycopg2.Error as error:
                raise WorkFailedError(
                    f"whether role {name!r} has its new password is not known",
                    reason=database_error(error, self._url, "changing a password").what_and_why,
                    next_step="Rotate it again",
                ) from error
        return Rotation(self.name, name, canonical.now())

    def restore(self, records: Iterable[SecretRecord], *, dry_run: bool = False) -> RestoredSecrets:
        """Make the missing roles: they can log in once they get a password. What gives power over the server is left out.

        Raises NotFoundError, AccessDeniedError, DatabaseUnreachableError, WorkFailedError.
        """
        wanted = {record.name: record for record in records}
        done = RestoredSecrets(self.name, dry_run)
        with (
            closing(connect(self._url, autocommit=False)) as connection,
            database_errors(self._url, "making roles"),
        ):
            self._wait_for_no_lock_long(connection)
            present = {name for (name,) in rows_of(connection, "SELECT rolname FROM pg_roles")}
            done.kept = sorted(present & wanted.keys())
            missing = sorted(wanted.keys() - present)
            done.created = [name for name in missing if self._made(connection, wanted[name], done.left_out)]
            for name in done.created:  # when all are there: they may be members of each other
                self._join(connection, wanted[name], done.left_out)
            if dry_run:
                connection.rollback()
            else:
                connection.commit()
        return done

    def _record(self, row: tuple[Any, ...], passwords: dict[str, str | None] | None, digest: Digest) -> SecretRecord:
        name, *abilities, limit, valid_until, settings, memberships = row
        kept = passwords.get(name) if passwords is not None else None
        return SecretRecord(
            provider=self.name,
            name=name,
            digest=None if passwords is None else digest((kept or "").encode()),
            rotation={"valid_until": valid_until} if valid_until else None,
            attributes={
                **dict(zip(_ABILITIES_READ, abilities, strict=True)),
                "connection_limit": limit,
                "password": "unknown" if passwords is None else _form(kept),
                "settings": settings,  # names alone: a value may be a secret
                "memberships": [_membership(one) for one in memberships],
            },
        )

    def _look_at(self, connection: Connection, name: str, *, force: bool) -> None:
        with database_errors(self._url, f"looking for role {name!r}"), connection.cursor() as cursor:
            cursor.execute("SELECT rolcanlogin, rolname = session_user FROM pg_roles WHERE rolname = %s", (name,))
            found = cursor.fetchone()
        if found is None or not found[0]:
            raise NotFoundError(f"there is no login role {name!r} on the server of {self._url.redacted}")
        if found[1] and not force:
            raise RefusedError(
                f"the password of role {name!r} was not changed",
                reason="Holdfast itself logs in as it, and would be locked out until its settings have the new one",
                next_step="Force it, and change BACKUP_DATABASE_URL right after",
            )

    def _set_password(self, connection: Connection, name: str, password: str) -> None:
        try:
            self._wait_for_no_lock_long(connection)
            iterations = int(rows_of(connection, _ITERATIONS)[0][0] or scram.DEFAULT_ITERATIONS)
            with connection.cursor() as cursor:
                kept = scram.verifier(password, iterations=iterations)
                cursor.execute(f"ALTER ROLE {quote_identifier(name)} PASSWORD '{kept}'")
        except psycopg2.errors.InsufficientPrivilege as error:
            raise AccessDeniedError(
                f"we may not change the password of role {name!r}",
                reason=error.diag.message_primary,
                next_step="Log in as a superuser, or as a role with CREATEROLE and with ADMIN OPTION on this one",
            ) from None
        except psycopg2.Error as error:
            raise database_error(error, self._url, f"changing the password of role {name!r}") from None

    def _wait_for_no_lock_long(self, connection: Connection) -> None:
        """Let a transaction that has just changed the same role, and does not end, be an error."""
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {int(self._lock_timeout_seconds * 1000)}")

    def _made(self, connection: Connection, record: SecretRecord, left_out: list[LeftOut]) -> bool:
        try:
            statement = _create(record)
        except (KeyError, TypeError, ValueError):
            left_out.append(LeftOut(record.name, "its record is not one of a PostgreSQL role"))
            return False
        if not self._tried(connection, statement, record.name, left_out):
            return False
        for ability in _BY_HAND:
            if record.attributes.get(ability):
                left_out.append(LeftOut(record.name, f"it was made without {ability.upper()}, which it had; give it by hand"))
        return True

    def _join(self, connection: Connection, record: SecretRecord, left_out: list[LeftOut]) -> None:
        for one in record.attributes.get("memberships") or []:
            role, what = str(one["role"]), f"{record.name}, member of {one['role']}"
            if role.startswith("pg_"):
                left_out.append(LeftOut(what, "it gives power over the server; give it by hand"))
                continue
            options = _options(one, connection.server_version)
            self._tried(connection, f"GRANT {quote_identifier(role)} TO {quote_identifier(record.name)}{options}", what, left_out)

    def _tried(self, connection: Connection, statement: str, what: str, left_out: list[LeftOut]) -> bool:
        """Do it, or leave it out where the server refuses it; a lost connection raises."""
        with connection.cursor() as cursor:
            cursor.execute("SAVEPOINT one")
            try:
                cursor.execute(statement)
            except psycopg2.Error as error:
                if error.pgcode is None:
                    raise
                cursor.execute("ROLLBACK TO SAVEPOINT one")
                left_out.append(LeftOut(what, error.diag.message_primary or "the server refuses it"))
                return False
        return True


def _form(kept: str | None) -> str:
    """Tell how a password is kept, from what is kept of it."""
    if kept is None:
        return "none"
    return "scram-sha-256" if kept.startswith("SCRAM-SHA-256$") else "md5" if kept.startswith("md5") else "other"


def _membership(value: Json) -> Json:
    """Say the role and the options that this server's version knows."""
    return {name: value[name] for name in ("role", "admin_option", "inherit_option", "set_option") if name in value}


def _options(membership: Json, server_version: int) -> str:
    """Say how a membership is given; before 16 there was one option."""
    if server_version < 160000 or "set_option" not in membership:
        return " WITH ADMIN OPTION" if membership.get("admin_option") else ""
    options = (f"{name.upper()} {bool(membership.get(f'{name}_option'))}" for name in ("admin", "inherit", "set"))
    return f" WITH {', '.join(options)}"


def _create(record: SecretRecord) -> str:
    """Raises KeyError, TypeError, ValueError for a record that is not one of ours."""
    given = record.attributes
    words = [f"{'' if given[name] else 'NO'}{name.upper()}" for name in _ABILITIES_GIVEN]
    words.append(f"CONNECTION LIMIT {int(given['connection_limit'])}")
    if record.rotation and record.rotation.get("valid_until"):
        words.append(f"VALID UNTIL '{canonical.time_text(canonical.time_from(record.rotation['valid_until']))}'")
    return f"CREATE ROLE {quote_identifier(record.name)} LOGIN {' '.join(words)}"
