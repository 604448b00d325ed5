"""What a PostgreSQL tool that we start gets to know.

Its whole environment is made here: the few inherited variables that it needs, and where the database is. It never holds a
password (nor any other secret of ours): libpq reads that from a file that exists in memory and that only the child inherits.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager

from holdfast.postgres.url import DatabaseUrl

APPLICATION_NAME = "holdfast"

# What a child may know of our environment: it holds keys and passwords that are not the child's business.
_INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "KRB5_CONFIG", "KRB5CCNAME", "KRB5_KTNAME"),
)

# libpq gives some options no variable (the keepalives, say); children do without them.
_OPTION_VARIABLES = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "gssdelegation": "PGGSSDELEGATION",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "requiressl": "PGREQUIRESSL",
    "service": "PGSERVICE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


@contextmanager
def child_environment(url: DatabaseUrl | None) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Lend what a tool needs to reach the database: its whole environment, and the descriptors that it must inherit.

    The password lies in a password file that exists in memory only (a private temporary file where the system has no such thing).
    """
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | {"LC_ALL": "C"}
    if url is None:
        yield environment, ()
        return
    environment |= {"PGDATABASE": url.database, "PGPORT": str(url.port), "PGAPPNAME": APPLICATION_NAME, "PGCONNECT_TIMEOUT": "10"}
    if url.host is not None:
        environment["PGHOST"] = url.host
    if url.user is not None:
        environment["PGUSER"] = url.user
    environment |= {_OPTION_VARIABLES[name]: value for name, value in url.options if name in _OPTION_VARIABLES}
    if url.password is None:
        yield environment, ()
        return
    with _password_file(url.password.get_secret_value()) as (path, descriptors):
        yield environment | {"PGPASSFILE": path}, descriptors


@contextmanager
def _password_file(password: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    line = f"*:*:*:*:{escaped}\n".encode()
    if hasattr(os, "memfd_create"):
        # libpq wants a regular file that only its owner can read; a memfd is one once its mode says so.
        descriptor = os.memfd_create("holdfast-passfile")
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, line)
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)
        return
    with closing(tempfile.NamedTemporaryFile(prefix="holdfast-")) as file:  # made with mode 0600
        file.write(line)
        file.flush()
        yield file.name, ()
