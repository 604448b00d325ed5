"""How the rows of a table are read, so that equal rows always give equal text, counts and hashes.

The settings of a reading session, and the two questions that are asked of source and restored database alike: how many rows,
and an order-free hash of them. COPY does not keep heap order, so the hash is a sum over rows of the hash of each row's text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from holdfast.postgres.connection import qualified

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

_TABLES_AT_ONCE = 100

# Texts of values must not depend on the session; a reader must never be cut short, nor be shown only some of the rows.
READING_SETTINGS = {
    "search_path": "",
    "row_security": "off",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "timezone": "UTC",
    "lc_monetary": "C",
    "xmloption": "content",
    "synchronize_seqscans": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_SETTINGS_SINCE = {14: {"idle_session_timeout": "0"}, 17: {"transaction_timeout": "0"}}

# Since 18 a session hands each read to a worker process, which costs a backup an eighth of its processor time. The kernel reads
# ahead for a session that reads by itself, as it did before 18. Whoever has set how reads are done, on the server or in the URL,
# knows why: only the default is changed. docs/decisions/0001-copy-reader.md has the figures.
_READS_BY_ITSELF_SINCE = 18
_READ_BY_ITSELF = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name = 'effective_io_concurrency' AND source = 'default' AND current_setting('io_method') = 'worker';
"""


class Countable(Protocol):
    """A table, as far as counting needs it: kind `p` stands for all partitions, any other for the table's own rows only."""

    @property
    def schema(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...


def reading_settings(major: int, lock_timeout_seconds: float) -> str:
    """Write the commands that set up a reading session on a server of this major version; they need no snapshot."""
    settings = dict(READING_SETTINGS, lock_timeout=f"{lock_timeout_seconds * 1000:.0f}")
    for since, more in _SETTINGS_SINCE.items():
        if major >= since:
            settings |= more
    commands = "".join(f"SET {name} = '{value}';\n" for name, value in settings.items())
    return commands + _READ_BY_ITSELF if major >= _READS_BY_ITSELF_SINCE else commands


def count_rows(connection: Connection, tables: Sequence[Countable]) -> dict[tuple[str, str], int]:
    """Count the rows of each table, as the connection's transaction sees them (or, outside of one, at different moments)."""
    return {key: int(count) for key, count in _ask(connection, tables, "count(*)")}


def content_hashes(connection: Connection, tables: Sequence[Countable]) -> dict[tuple[str, str], int]:
    """Sum the hashes of each table's rows; the connection needs the settings of `reading_settings`."""
    return {key: int(total) for key, total in _ask(connection, tables, "coalesce(sum(hashtextextended((t.*)::text, 0)), 0)")}


def _ask(connection: Connection, tables: Sequence[Countable], aggregate: str) -> Iterator[tuple[tuple[str, str], int]]:
    remaining = iter(tables)
    while batch := list(islice(remaining, _TABLES_AT_ONCE)):
        parts = (f"SELECT {number}, {aggregate} FROM {_rows_of(table)} AS t" for number, table in enumerate(batch))  # noqa: S608
        with _own_locks(connection) as cursor:
            cursor.execute(" UNION ALL ".join(parts))
            for number, value in cursor.fetchall():
                yield (batch[number].schema, batch[number].name), value


def _rows_of(table: Countable) -> str:
    return f"{'' if table.kind == 'p' else 'ONLY '}{qualified(table.schema, table.name)}"


@contextmanager
def _own_locks(connection: Connection) -> Iterator[Cursor]:
    """Give the locks of one batch back after it: each table brings those of its indexes, and thousands fill the lock table."""
    in_transaction = connection.info.transaction_status != TRANSACTION_STATUS_IDLE
    with connection.cursor() as cursor:
        if in_transaction:
            cursor.execute("SAVEPOINT holdfast_reading")
        yield cursor
        if in_transaction:
            cursor.execute("ROLLBACK TO SAVEPOINT holdfast_reading; RELEASE SAVEPOINT holdfast_reading")
