"""How the newest attempts at backups ended, as the rows of the catalog tell. Where it does not answer, nobody can tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from holdfast.catalog import Catalog, JobRecord
from holdfast.errors import HoldfastError

_LOOKED_AT = 200  # rows of a type; runs that were cancelled or go on are passed over
ENDS = ("completed", "failed")
"""How an attempt ends that counts."""

Rows = list[JobRecord]


class Attempts:
    """What the catalog knows when it is first asked about a type. Calls nothing off: it tells why, or None where all is well."""

    def __init__(self, open_catalog: Callable[[], Catalog | None]) -> None:
        self._open_catalog = open_catalog
        self._rows: dict[str, Rows | str] = {}

    def __call__(self, backup_type: str, source: str | None) -> str | None:
        """Tell why the newest attempt at a type, or at one source of it, failed, or why nobody can tell.

        `source` is the canonical JSON of a manifest's source. An attempt that was cancelled does not count.
        """
        if backup_type not in self._rows:
            self._rows[backup_type] = self._look(backup_type)
        rows = self._rows[backup_type]
        if isinstance(rows, str):
            return f"nobody can tell how the newest attempt ended: {rows}"
        of = None if source is None else json.loads(source)
        newest = next((row for row in rows if row.status in ENDS and (of is None or _is_of(row, of))), None)
        if newest is None or newest.status == "completed":
            return None
        return f"the newest attempt, {newest.job_id}, failed: {newest.error_message or 'nobody knows why'}"

    def _look(self, backup_type: str) -> Rows | str:
        try:
            catalog = self._open_catalog()
            if catalog is None:
                return "the catalog does not run"
            with catalog:
                return catalog.jobs(type=backup_type, limit=_LOOKED_AT)
        except HoldfastError as error:
            return error.what_and_why


def _is_of(row: JobRecord, source: dict[str, Any]) -> bool:
    """Tell whether a row is of this source: a failed one may have noted less of it than a manifest has."""
    noted = row.metadata.get("source")
    return isinstance(noted, dict) and bool(noted) and all(source.get(name) == value for name, value in noted.items())
