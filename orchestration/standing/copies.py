"""Which backups lie where: each replica is asked for what it holds, and where one does not answer the catalog's word counts.

Nothing is started to answer, and nobody is waited for longer than a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, slots=True)
class Asked:
    """Replicas that are to be asked which backups they hold, by their names; of some it is not known where they are."""

    names: list[str]
    questions: dict[str, Callable[[], Look]]
    unknown: dict[str, HoldfastError]

    def looks(self, answers: Mapping[str, Look | HoldfastError]) -> list[Look]:
        """Take what each has answered, in their order."""
        return [_as_look(name, self.unknown.get(name) or answers[name]) for name in self.names]


def asked_of(replicas: Iterable[Replica]) -> Asked:
    """Prepare to ask these replicas."""
    found = {replica.name: (replica, _where(replica)) for replica in replicas}
    return Asked(
        list(found),
        {name: _look(replica) for name, (replica, unknown) in found.items() if unknown is None},
        {name: unknown for name, (_, unknown) in found.items() if unknown is not None},
    )


def look_at(replicas: Iterable[Replica], *, without: Collection[str] = ()) -> list[Look]:
    """Ask every replica which backups it holds, but for those that are known not to answer."""
    asked = asked_of(replica for replica in replicas if replica.name not in without)
    return asked.looks(patience.ask_all(asked.questions, PATIENCE_SECONDS))


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
    """Describe copies as the documents of status and jobs do."""
    names = ("storage", "location", "kind", "offsite", "asOf", "live")
    return [{name: copy.get(name) for name in names} for copy in copies]


def rule(copies: Iterable[Copy]) -> Document:
    """Judge the copies of a backup by the 3-2-1 rule."""
    from holdfast.replication import judged

    found = judged(copies)
    return {"holds": found.holds, "missing": list(found.missing)}


def of_jobs(
    found: Iterable[Document],
    loaded: Settings,
    replicas: Sequence[Replica],
    rows: Iterable[JobRecord] = (),
    *,
    without: Collection[str] = (),
) -> None:
    """Add to the documents of backups where they lie, where there are replicas at all."""
    if not replicas:
        return
    from holdfast.opening import PRIMARY

    looks, recorded, primary = look_at(replicas, without=without), recorded_in(rows), live_copy(PRIMARY, loaded.storage_settings)
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
