"""The address of a PostgreSQL database.

libpq itself takes the URL apart, so every spelling that psql accepts is accepted. Only `connect` and the environment of
children ever see the password: text, repr and errors of an address never hold it, nor any piece of a URL that could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

import psycopg2
from psycopg2.extensions import parse_dsn
from pydantic import SecretStr

from holdfast.errors import SettingsError

_DEFAULT_PORT = 5432
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SECRET_OPTIONS = frozenset({"sslpassword", "oauth_client_secret"})
_EXAMPLE = "Write it as postgresql://user:password@host:5432/database, with special characters percent-encoded"


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """One database on one server; `host` is a name, an address, a socket folder, or None for libpq's default socket."""

    database: str
    host: str | None = None
    port: int = _DEFAULT_PORT
    user: str | None = None
    password: SecretStr | None = None
    options: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def parse(cls, text: str | SecretStr) -> DatabaseUrl:
        """Read a libpq URL. Raises SettingsError, which holds nothing of the URL."""
        plain = text.get_secret_value() if isinstance(text, SecretStr) else text
        if not plain.startswith(("postgresql://", "postgres://")):
            raise _unreadable("it does not begin with postgresql://")
        try:
            parts = dict(parse_dsn(plain))
        except psycopg2.ProgrammingError as error:
            raise _unreadable(_libpq_reason(str(error))) from None  # libpq quotes the URL, password included
        host = parts.pop("host", None) or None
        port = _port(host, parts.pop("port", None))
        if secret := _SECRET_OPTIONS & parts.keys():
            raise _unreadable(f"{', '.join(sorted(secret))} can't be handed to pg_dump in secret; use a key file without one")
        database = parts.pop("dbname", "")
        if not database:
            raise _unreadable("it names no database")
        password = parts.pop("password", "")
        user = parts.pop("user", None) or None
        if any(character in password for character in "\n\r\0"):
            raise _unreadable("the password holds a line break, which libpq's password files can't carry")
        secret_password = SecretStr(password) if password else None
        return cls(database, host, port, user, secret_password, tuple(sorted((key, str(value)) for key, value in parts.items())))

    @property
    def redacted(self) -> str:
        """The URL without its password, for people and logs."""
        return self._text(None)

    def without_password(self) -> str:
        """Write the URL without its password, so that `parse` can read it again."""
        return self._text(None)

    def with_password(self) -> SecretStr:
        """Write the whole URL, for the few places that must hand it on."""
        return SecretStr(self._text(self.password))

    def with_database(self, name: str) -> DatabaseUrl:
        """Name another database on the same server."""
        return replace(self, database=name)

    def maintenance(self) -> DatabaseUrl:
        """Name the same server's database `postgres`, where databases are created and dropped from."""
        return self.with_database("postgres")

    def same_server(self, other: DatabaseUrl) -> bool:
        """Tell whether both name one server, as far as the text shows it."""
        return self._server() == other._server()

    def _server(self) -> tuple[str, int]:
        host = self.host or ""
        return ("localhost" if host in _LOOPBACK else host, self.port)

    def _text(self, password: SecretStr | None) -> str:
        login = quote(self.user, safe="") if self.user else ""
        if password is not None:
            login += f":{quote(password.get_secret_value(), safe='')}"
        options = dict(self.options)
        place = ""
        if self.host and self.host.startswith(("/", "@")):
            options["host"] = self.host
        elif self.host:
            place = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        if self.port != _DEFAULT_PORT:
            if place:
                place += f":{self.port}"
            else:
                options["port"] = str(self.port)
        query = f"?{urlencode(options, quote_via=quote, safe='/')}" if options else ""
        return f"postgresql://{login}{'@' if login else ''}{place}/{quote(self.database, safe='')}{query}"

    def __str__(self) -> str:
        return self.redacted

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.redacted!r})"


def _port(host: str | None, text: str | None) -> int:
    if host is not None and "," in host:
        raise _unreadable("it names several hosts, and a snapshot lives on one server")
    if host is not None and "@" in host[1:]:
        raise _unreadable("a '@' in the password or user must be written as %40")
    if not text:
        return _DEFAULT_PORT
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise _unreadable("its port is not a number from 1 to 65535 (a '/', '?' or '#' in a password must be percent-encoded)")
    return int(text)


def _libpq_reason(message: str) -> str:
    """Say in our words what libpq said, since its own message quotes the URL."""
    reasons = {
        "percent-encoded": "a '%' is not followed by two hex digits (write a plain '%' as %25)",
        "forbidden value %00": "it holds %00",
        "query parameter": "what stands after the '?' is not a list of options that libpq knows",
        "query separator": "what stands after the '?' is not a list of options that libpq knows",
        "IPv6": "an address with ':' must stand in [brackets]",
    }
    return next((reason for sign, reason in reasons.items() if sign in message), "libpq can't read it")


def _unreadable(reason: str) -> SettingsError:
    return SettingsError("the database URL can't be used", reason=reason, next_step=_EXAMPLE)
