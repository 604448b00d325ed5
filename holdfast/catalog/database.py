"""The catalog's database: a small pool of connections, and the driver's errors as ours.

One transaction a call. Whatever fails leaves as a HoldfastError without the password, the SQL or its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import psycopg2
from pydantic import SecretStr
from sqlalchemy import Connection, Row, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from holdfast.errors import AccessDeniedError, CatalogMissingError, DatabaseUnreachableError, HoldfastError
from holdfast.postgres.connection import DatabaseUrl, connect, database_error

_APPLICATION_NAME = "holdfast-catalog"
_ANSWER_MILLISECONDS = "30000"
_UNDEFINED = {"42P01", "42883"}  # undefined_table, undefined_function
_DENIED = "42501"
_FOR_NOW = ("25", "40", "53", "55", "57", "58")  # read-only, deadlock, disk full, locked, shutting down, system error


class Database:
    """Where the catalog's tables are."""

    def __init__(self, url: str | SecretStr | DatabaseUrl, *, connections: int = 2) -> None:
        self.url = url if isinstance(url, DatabaseUrl) else DatabaseUrl.parse(url)
        address = _that_gives_up(self.url)
        self._engine = create_engine(
            "postgresql+psycopg2://",
            creator=lambda: connect(address, application_name=_APPLICATION_NAME, autocommit=False),
            pool_size=connections,
            max_overflow=3,
            pool_pre_ping=True,
            pool_use_lifo=True,
            pool_timeout=30,
            hide_parameters=True,
            use_native_hstore=False,
        )

    @contextmanager
    def transaction(self, doing: str) -> Iterator[Connection]:
        """Run what is in the body as one transaction; `doing` says at what, for errors."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise self._foreseen(error, doing) from None  # the chain would show SQL
        except SQLAlchemyError as error:
            raise DatabaseUnreachableError(
                f"the catalog {self.url.redacted} gave no connection", reason=type(error).__name__
            ) from error

    def rows(self, doing: str, query: str, **parameters: Any) -> list[Row[Any]]:
        """Run one query and return its rows."""
        with self.transaction(doing) as connection:
            result = connection.execute(text(query), parameters)
            return list(result) if result.returns_rows else []

    def close(self) -> None:
        """Close the connections. Using the database again opens new ones."""
        self._engine.dispose()

    def _foreseen(self, error: DBAPIError, doing: str) -> HoldfastError:
        driver_error = cast("psycopg2.Error", error.orig)
        code = driver_error.pgcode
        if code in _UNDEFINED:
            reason = "its tables or functions are missing"
            return CatalogMissingError(
                f"there is no catalog in {self.url.redacted}", reason=reason, next_step="'holdfast init' makes them"
            )
        if code == _DENIED:
            step = "Let this user own the catalog's tables, or grant it SELECT, INSERT, UPDATE and DELETE on them"
            message = f"the catalog {self.url.redacted} denies a right for {doing}"
            return AccessDeniedError(message, reason=driver_error.diag.message_primary, next_step=step)
        if (code or "").startswith(_FOR_NOW):
            message = f"the catalog {self.url.redacted} is not able to go on with {doing} now"
            return DatabaseUnreachableError(message, reason=driver_error.diag.message_primary)
        return database_error(driver_error, self.url, doing)


def _that_gives_up(url: DatabaseUrl) -> DatabaseUrl:
    """Let a connection end when the server has not answered for long: a backup must not hang on its catalog."""
    if any(name == "tcp_user_timeout" for name, _ in url.options):
        return url
    return replace(url, options=(*url.options, ("tcp_user_timeout", _ANSWER_MILLISECONDS)))
