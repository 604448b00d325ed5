"""What a run leaves in Prefect's UI: a bar while it works, a table of entries and a summary when it has ended.

Keys are stable, so that the UI shows one history for each kind. A lost artifact never harms the work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, create_table_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactUpdate

_log = logging.getLogger(__name__)

Row = Mapping[str, Any]
T = TypeVar("T")


def progress_bar(key: str, description: str) -> UUID | None:
    """Put a bar at 0 % into the UI; None where that failed."""
    return _tolerated(lambda: create_progress_artifact(progress=0.0, key=key, description=description))


def move_bar(client: SyncPrefectClient, bar: UUID, percent: float) -> None:
    """Set the bar. Prefect's own function would leave a connection behind for each call outside a flow's thread."""
    _tolerated(lambda: client.update_artifact(bar, ArtifactUpdate(data=round(percent, 1))))


def table(key: str, description: str, rows: Sequence[Row]) -> None:
    """Show rows of plain values."""
    _tolerated(lambda: create_table_artifact(table=[dict(row) for row in rows], key=key, description=description))


def summary(key: str, title: str, facts: Mapping[str, Any], notes: list[str] | None = None) -> None:
    """Show facts as a page; those that are None are left out."""
    lines = [f"# {title}", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in facts.items() if value is not None]
    lines += ["", *(f"- {note}" for note in notes or [])]
    _tolerated(lambda: create_markdown_artifact(markdown="\n".join(lines), key=key, description=title))


def restore_summary(kind: str, job_id: str, document: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Show what a restore of this type did: what its document says of any, and facts of its own."""
    shown = {
        "Backup": document["backupId"],
        "Read from the replica": document["readFrom"],
        "Snapshot at": document["snapshotAt"],
        "Target": document["target"],
        "Mode": document["mode"] + (" (only looked at)" if document["dryRun"] else ""),
        **facts,
        "Equal to the source": document["proven"],
    }
    summary(f"{kind}-restore-summary", f"Restore {job_id}", shown, [*document["problems"], *document["notes"]])


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", "<br>")


def _tolerated(call: Callable[[], T | Coroutine[Any, Any, T]]) -> T | None:
    try:
        return cast("T", call())  # Prefect types what may also be awaited
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises
        _log.warning("an artifact could not be written: %s", error)
        return None
