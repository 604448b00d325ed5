"""Which backups lie where: each replica is asked for what it holds, and where one does not answer the catalog's word counts.

Nothing is started to answer, and nobody is waited for longer than a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli import replicas
from holdfast import patience
from holdfast.documents import Document
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.catalog import JobRecord
    from holdfast.settings import Settings
    from holdfast.storage import Storage, StorageSettings
    from holdfast.storage.replica import Replica

PATIENCE_SECONDS = 5.0
Copy = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """A backup that a replica lists; the rest of it is only known to who has the key."""

    id: str
    type: str
    stored_at: datetime


@dataclass(slots=True)
class Look:
    """What one replica says that it holds, or why it says nothing."""

    name: str
    copy: Copy | None = None
    held: dict[str, Held] = field(default_factory=dict)
    error: HoldfastError | None = None


def look_at(loaded: Settings, *, without: Collection[str] = ()) -> list[Look]:
    """Ask every replica of the settings which backups it holds, but for those that are known not to answer."""
    found = [(replica, _where(replica)) for replica in replicas.known(loaded) if replica.name not in without]
    questions = {replica.name: _look(replica) for replica, unknown in found if unknown is None}
    answers = patience.ask_all(questions, PATIENCE_SECONDS)
    return [_as_look(replica.name, unknown or answers[replica.name]) for replica, unknown in found]


def copies_of(backup_id: str, primary: Copy | None, looks: Iterable[Look], recorded: Iterable[Copy]) -> list[Copy]:
    """Name the copies of one backup; `primary` describes the one in the primary, where that has it.

    Of a replica that says nothing, what was recorded of it is taken, with its own time.
    """
    noted = {str(copy.get("storage")): copy for copy in recorded}
    found = [primary] if primary else []
    for look in looks:
        if look.copy is not None:
            found += [look.copy] if backup_id in look.held else []
        elif look.name in noted:
            found.append({**noted[look.name], "asOf": noted[look.name].get("verifiedAt"), "live": False})
    return found


def recorded_in(rows: Iterable[JobRecord]) -> dict[str, list[Copy]]:
    """Take from rows of the catalog where each backup was found to lie by the last replication."""
    return {row.job_id: row.metadata.get("copies") or [] for row in rows}


def live_copy(name: str, settings: StorageSettings) -> Copy:
    """Describe the copy of a backup that this storage has now. It looks at a local folder, so it may take long."""
    from holdfast.replication import copy_in

    copy = copy_in(name, settings, datetime.now(UTC))
    return {**copy, "asOf": copy["verifiedAt"], "live": True}


def documents(copies: Iterable[Copy]) -> list[Document]:
    """Describe copies as the commands' JSON does."""
    names = ("storage", "location", "kind", "offsite", "asOf", "live")
    return [{name: copy.get(name) for name in names} for copy in copies]


def rule(copies: Iterable[Copy]) -> Document:
    """Judge the copies of a backup by the 3-2-1 rule."""
    from holdfast.replication import judged

    found = judged(copies)
    return {"holds": found.holds, "missing": list(found.missing)}


def of_jobs(
    found: Iterable[Document], loaded: Settings, rows: Iterable[JobRecord] = (), *, without: Collection[str] = ()
) -> None:
    """Add to the documents of backups where they lie, where there are replicas at all."""
    if not loaded.replicas:
        return
    from holdfast.opening import PRIMARY

    looks, recorded, primary = look_at(loaded, without=without), recorded_in(rows), live_copy(PRIMARY, loaded.storage_settings)
    for job in found:
        here = primary if job["status"] == "completed" else None
        job["copies"] = documents(copies_of(job["jobId"], here, looks, recorded.get(job["jobId"], [])))


def _where(replica: Replica) -> HoldfastError | None:
    """Look up where a replica is, before anybody is hurried, for a block is asked of Prefect; return why that is not known."""
    try:
        _ = replica.settings
    except HoldfastError as error:
        return error
    return None


def _as_look(name: str, answer: Look | HoldfastError) -> Look:
    return answer if isinstance(answer, Look) else Look(name, error=answer)


def _look(replica: Replica) -> Callable[[], Look]:
    def ask() -> Look:
        from holdfast.opening import open_replica

        with closing(open_replica(replica)) as storage:
            held = {held.id: held for held in _manifests(storage)}
        return Look(replica.name, live_copy(replica.name, replica.settings), held)

    return ask


def _manifests(storage: Storage) -> Iterator[Held]:
    from holdfast.repository import names

    for info in storage.list(names.MANIFESTS):
        parts = names.manifest_parts(info.name)
        if parts is not None:
            yield Held(parts[1], parts[0], info.modified)
