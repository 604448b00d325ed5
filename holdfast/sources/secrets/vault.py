"""Supabase Vault: the table `vault.secrets` of a database, read through its view and changed through its functions.

New values are made by the server's own random numbers, inside the statement: none is ever in one, nor in a log of statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg2
import psycopg2.errors

from holdfast.errors import AccessDeniedError, NotFoundError
from holdfast.postgres.connection import DatabaseUrl, connect, database_error, database_errors, rows_of
from holdfast.repository import canonical
from holdfast.sources.contract import LeftOut
from holdfast.sources.secrets.contract import (
    PLACEHOLDER,
    Digest,
    Json,
    RestoredSecrets,
    Rotation,
    SecretProvider,
    SecretRecord,
    SecretsFound,
    require_replaceable,
    state_of,
)

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

_NAMELESS = "id:"
_RANDOM = "replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')"  # 244 random bits, of the server

_THERE = "SELECT to_regclass('vault.secrets') IS NOT NULL"
_SECRETS = "SELECT id::text, name, description, created_at, updated_at, key_id::text FROM vault.secrets ORDER BY name, id"
_MAY_READ_VALUES = """
SELECT has_schema_privilege('vault', 'USAGE') AND has_table_privilege('vault.decrypted_secrets', 'SELECT')
"""
_VALUES = "SELECT id::text, decrypted_secret FROM vault.decrypted_secrets"
_VALUE = "SELECT decrypted_secret FROM vault.decrypted_secrets WHERE id = %s"
_READERS = """
SELECT rolname FROM pg_roles
 WHERE NOT rolname LIKE 'pg\\_%'
   AND has_schema_privilege(oid, 'vault', 'USAGE') AND has_table_privilege(oid, 'vault.decrypted_secrets', 'SELECT')
 ORDER BY rolname COLLATE "C"
"""
_FIND = "SELECT id FROM vault.secrets WHERE name = %s OR (name IS NULL AND %s = 'id:' || id::text)"
_UPDATE = f"SELECT vault.update_secret(%s, {_RANDOM})"
_CREATE = f"SELECT vault.create_secret('{PLACEHOLDER}' || {_RANDOM}, %s, %s)"


class SupabaseVault(SecretProvider):
    """The secrets in one database's vault; one without a name is called `id:` and its id."""

    kind: ClassVar[str] = "supabase-vault"
    can_rotate = True
    can_restore = True

    def __init__(self, url: DatabaseUrl, *, name: str | None = None) -> None:
        super().__init__(name)
        self._url = url

    @property
    def description(self) -> Json:
        return {"kind": self.kind, "name": self.name, "database": self._url.redacted}

    def read(self, digest: Digest) -> SecretsFound:
        """Raises NotFoundError, AccessDeniedError, DatabaseUnreachableError, WorkFailedError."""
        with closing(self._connected()) as connection, database_errors(self._url, "reading the vault"):
            rows = rows_of(connection, _SECRETS)
            values = dict(rows_of(connection, _VALUES)) if rows_of(connection, _MAY_READ_VALUES)[0][0] else None
            readers = [name for (name,) in rows_of(connection, _READERS)]
        notes = [] if values is not None else ["no value has a digest: we may not read vault.decrypted_secrets"]
        records = [self._record(row, None if values is None else values.get(row[0]), readers, digest) for row in rows]
        return SecretsFound(sorted(records, key=lambda record: record.name), notes=notes)

    def rotate(self, name: str) -> Rotation:
        """Raises NotFoundError, RefusedError, AccessDeniedError, DatabaseUnreachableError, WorkFailedError."""
        doing = f"changing secret {name!r} of the vault"
        with closing(self._connected()) as connection, self._refusals(doing), connection.cursor() as cursor:
            cursor.execute(_FIND, (name, name))
            found = cursor.fetchone()
            if found is None:
                raise NotFoundError(f"there is no secret {name!r} in the vault of {self._url.redacted}")
            if rows_of(connection, _MAY_READ_VALUES)[0][0]:
                cursor.execute(_VALUE, found)
                require_replaceable(f"secret {name} of the vault", *cursor.fetchone() or ("",))
            cursor.execute(_UPDATE, found)
        return Rotation(self.name, name, canonical.now())

    def restore(self, records: Iterable[SecretRecord], *, dry_run: bool = False) -> RestoredSecrets:
        """Raises NotFoundError, AccessDeniedError, DatabaseUnreachableError, WorkFailedError."""
        wanted = {record.name: record for record in records}
        done = RestoredSecrets(self.name, dry_run)
        with closing(self._connected()) as connection, self._refusals("recreating secrets of the vault"):
            present = {name or f"{_NAMELESS}{id_}" for id_, name, *_ in rows_of(connection, _SECRETS)}
            for name in sorted(wanted):
                if name in present:
                    done.kept.append(name)
                elif name.startswith(_NAMELESS):
                    done.left_out.append(LeftOut(name, "it has no name by which it could be found again"))
                else:
                    made = dry_run or _created(connection, wanted[name])
                    (done.created if made else done.kept).append(name)
        return done

    def _connected(self) -> Connection:
        connection = connect(self._url)
        try:
            with database_errors(self._url, "looking for the vault"):
                if rows_of(connection, _THERE)[0][0]:
                    return connection
            raise NotFoundError(
                f"there is no vault in {self._url.redacted}",
                reason="it has no table vault.secrets that we may see",
                next_step="Install the extension supabase_vault there, or leave supabase-vault out of BACKUP_SECRETS_PROVIDERS",
            )
        except BaseException:
            connection.close()
            raise

    @contextmanager
    def _refusals(self, doing: str) -> Iterator[None]:
        """Raise our errors for what the server refuses, without the driver's: nothing that it quotes is to be kept."""
        try:
            yield
        except psycopg2.errors.InsufficientPrivilege as error:
            raise AccessDeniedError(
                f"the database user's rights do not suffice for {doing}",
                reason=error.diag.message_primary,
                next_step="Grant it the vault's functions and tables, as Supabase does for postgres and service_role",
            ) from None
        except psycopg2.Error as error:
            raise database_error(error, self._url, doing) from None

    def _record(self, row: tuple[Any, ...], value: str | None, readers: list[str], digest: Digest) -> SecretRecord:
        id_, name, description, created_at, changed_at, key_id = row
        state = {} if value is None else {"state": state_of(value.encode())}
        return SecretRecord(
            provider=self.name,
            name=name or f"{_NAMELESS}{id_}",
            digest=None if value is None else digest(value.encode()),
            created_at=created_at,
            changed_at=changed_at,
            readers=readers,
            attributes={"id": id_, "description": description, "key_id": key_id, **state},
        )


def _created(connection: Connection, record: SecretRecord) -> bool:
    """Make it, or tell that somebody else just has."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_CREATE, (record.name, record.attributes.get("description") or ""))
    except psycopg2.errors.UniqueViolation:
        return False
    return True
