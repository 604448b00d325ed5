"""What the source knew of itself at the moment of the snapshot: the yardstick for every restore.

Stored with the backup as the entry `truth`, as JSON. A field may be added; what a field means never changes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.errors import DamagedError
from holdfast.postgres.snapshot import Snapshot

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class TableTruth:
    """One table: its rows, and where they are kept: `entry` names its stream, or is None where they are in `base`.

    `kind` is `r`, or `p` for a partitioned table that stands for its partitions (rows may move between them). `columns` are
    those in the stream, in order. `content_hash` is a whole number in decimal (see `reading.content_hashes`).
    """

    schema: str
    name: str
    kind: str
    rows: int
    size_bytes: int
    entry: str | None = None
    columns: tuple[str, ...] = ()
    content_hash: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return (self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Truth:
    """A database at one moment. `client_encoding` is how its names were read: UTF8, or LATIN1 for bytes without encoding."""

    database: dict[str, Any]
    server: dict[str, Any]
    client_encoding: str
    extensions: Sequence[dict[str, str]]
    roles: Sequence[str]
    large_objects: int
    tables: Sequence[TableTruth]
    schema: int = SCHEMA

    @classmethod
    def of(cls, snapshot: Snapshot, tables: Sequence[TableTruth]) -> Truth:
        """Gather what a snapshot knows."""
        version = snapshot.server
        return cls(
            database=snapshot.database,
            server={"num": version.num, "major": version.major, "text": version.text},
            client_encoding=snapshot.client_encoding,
            extensions=snapshot.extensions,
            roles=snapshot.roles,
            large_objects=snapshot.large_objects,
            tables=tables,
        )

    def to_bytes(self) -> bytes:
        """Write it as JSON, the same bytes for the same facts."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Truth:
        """Read it. Raises DamagedError where it is not what this version can read."""
        try:
            value = json.loads(data)
            if value["schema"] != SCHEMA:
                raise ValueError(f"it has schema {value['schema']!r}, and this Holdfast reads schema {SCHEMA}")
            tables = [TableTruth(**{**table, "columns": tuple(table["columns"])}) for table in value["tables"]]
            return cls(**{**value, "tables": tables})
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError("the backup's entry 'truth' can't be read", reason=str(error)) from error
