"""What is in the sample database, in numbers that a person or a test can look at."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from holdfast.postgres.connection import DatabaseUrl, connect, qualified, quote_identifier

_TABLES = """
    SELECT nspname, relname, array_remove(array_agg(attname ORDER BY attnum) FILTER (WHERE attgenerated = ''), NULL)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    GROUP BY pg_class.oid, nspname, relname ORDER BY nspname, relname
"""


@dataclass(frozen=True)
class PipelineFacts:
    """Rows a table (leaf partitions each by itself), the server's own idea of the size, and how long the building took."""

    rows: dict[str, int]
    database_bytes: int
    seconds: float
    copy_bytes: dict[str, int] = field(default_factory=dict)
    """Bytes of COPY text a table; empty unless measured."""

    @property
    def total_rows(self) -> int:
        """All rows."""
        return sum(self.rows.values())

    @property
    def total_copy_bytes(self) -> int:
        """All bytes of COPY text."""
        return sum(self.copy_bytes.values())

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self) | {"total_rows": self.total_rows, "total_copy_bytes": self.total_copy_bytes}


def count_facts(url: DatabaseUrl, *, seconds: float = 0.0) -> PipelineFacts:
    """Count the rows."""
    rows = {}
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        for name, _ in _tables(cursor):
            cursor.execute(f"SELECT count(*) FROM ONLY {name}")
            rows[name] = _number(cursor)
        cursor.execute("SELECT pg_database_size(current_database())")
        return PipelineFacts(rows, _number(cursor), seconds)


def measure(url: DatabaseUrl) -> PipelineFacts:
    """Count the rows, and the bytes of COPY text by reading all of it."""
    facts = count_facts(url)
    copy_bytes = {}
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        for name, columns in _tables(cursor):
            counter = _Counter()
            listed = f" ({', '.join(map(quote_identifier, columns))})" if columns else ""
            cursor.copy_expert(f"COPY {name}{listed} TO STDOUT", counter)
            copy_bytes[name] = counter.count
    return PipelineFacts(facts.rows, facts.database_bytes, facts.seconds, copy_bytes)


def _tables(cursor: Any) -> list[tuple[str, list[str]]]:
    cursor.execute(_TABLES)
    return [(qualified(schema, name), columns or []) for schema, name, columns in cursor.fetchall()]


def _number(cursor: Any) -> int:
    return int(cursor.fetchone()[0])


class _Counter:
    def __init__(self) -> None:
        self.count = 0

    def write(self, data: bytes) -> int:
        self.count += len(data)
        return len(data)
