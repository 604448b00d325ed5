"""Tables set aside within their database: moved into a schema of their own, with all that they hold, and nothing dropped."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing, suppress
from datetime import UTC, datetime

import psycopg2

from holdfast.postgres.connection import DatabaseUrl, connect, database_error, qualified, quote_identifier

_LOCK_TIMEOUT_SECONDS = 30


def set_aside(url: DatabaseUrl, tables: Collection[tuple[str, str]]) -> str:
    """Move tables, given by schema and name, into a new schema `holdfast_undone_<time>`, all or none; return its name.

    Raises TableLockedError, AccessDeniedError, WorkFailedError (one of them is not there).
    """
    schema = f"holdfast_undone_{datetime.now(UTC):%Y%m%dt%H%M%Sz}"
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        try:
            cursor.execute("BEGIN")
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'")
            cursor.execute(f"CREATE SCHEMA {quote_identifier(schema)}")
            for table in sorted(tables):
                cursor.execute(f"ALTER TABLE {qualified(*table)} SET SCHEMA {quote_identifier(schema)}")
            cursor.execute("COMMIT")
        except BaseException as error:
            with suppress(psycopg2.Error):
                cursor.execute("ROLLBACK")
            if isinstance(error, psycopg2.Error):
                raise database_error(error, url, "setting tables aside") from error
            raise
    return schema
