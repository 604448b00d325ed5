"""What a restore over a live database would lose: what is there now and is not in the backup."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.postgres.contents import BackupContents
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.url import DatabaseUrl


@dataclass(frozen=True, slots=True)
class TableLoss:
    """A table with more rows now than in the backup; `backup_rows` is None where the backup has no such table."""

    schema: str
    name: str
    live_rows: int
    backup_rows: int | None

    @property
    def rows(self) -> int:
        """How many rows would be gone, at the least: changed rows can't be told from counts."""
        return self.live_rows - (self.backup_rows or 0)

    def __str__(self) -> str:
        if self.backup_rows is None:
            return f"{self.schema}.{self.name}: {self.live_rows} rows, not in the backup"
        return f"{self.schema}.{self.name}: {self.rows} of {self.live_rows} rows are newer than the backup"


@dataclass(frozen=True, slots=True)
class LossReport:
    """All such tables; `live_tables` and `live_rows` are what was looked at."""

    tables: tuple[TableLoss, ...]
    live_tables: int
    live_rows: int

    @property
    def rows(self) -> int:
        """How many rows would be gone, at the least."""
        return sum(table.rows for table in self.tables)

    def __bool__(self) -> bool:
        return bool(self.tables)


def find_losses(contents: BackupContents, live: DatabaseUrl, *, lock_timeout_seconds: float = 30) -> LossReport:
    """Count the live database's rows and compare them with the backup's."""
    backup = {table.key: table.rows for table in contents.truth.tables}
    with Snapshot(live, lock_timeout_seconds=lock_timeout_seconds) as snapshot:
        counted = snapshot.count_rows(snapshot.countable())
    losses = [
        TableLoss(schema, name, rows, backup.get((schema, name)))
        for (schema, name), rows in sorted(counted.items())
        if (schema, name) not in backup or rows > backup[schema, name]
    ]
    return LossReport(tuple(losses), len(counted), sum(counted.values()))
