"""What the repository shows of itself, or a replica in its stead; read in one go, for every look at a storage may take long."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast import documents
from holdfast.errors import HoldfastError
from holdfast.look import AskRecorded, look_over
from holdfast.opening import PRIMARY, read_repository
from orchestration.standing.copies import Copy, live_copy
from orchestration.standing.part import Report, wrong

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.documents import Document
    from holdfast.overview import Overview
    from holdfast.repository import Repository
    from holdfast.settings import Settings
    from holdfast.storage.replica import Replica

LISTED = 20


@dataclass(frozen=True, slots=True)
class Known:
    """What catalog and Prefect server have said, as far as a look at a repository goes by it."""

    settings: Settings
    recorded: AskRecorded
    due: dict[str, datetime]


@dataclass(frozen=True, slots=True)
class RepositorySeen:
    """What an open repository shows; `name` is that of the storage, and `copy` describes the copy of a backup that lies there."""

    name: str
    location: str
    encrypted: bool
    key_id: str | None
    newest: list[Document]
    last_good: dict[str, Document]
    intact: frozenset[str]
    copy: Copy
    overview: Overview


def of_primary(known: Known) -> Callable[[], RepositorySeen]:
    """Return what looks at the primary. It raises what opening and reading a repository raise."""

    def look() -> RepositorySeen:
        with closing(read_repository(known.settings)) as opened:
            return _seen(PRIMARY, opened, live_copy(PRIMARY, known.settings.storage_settings), known)

    return look


def of_replica(replica: Replica, copy: Copy, known: Known) -> Callable[[], RepositorySeen]:
    """Return what looks at a replica, in the same way."""

    def look() -> RepositorySeen:
        with closing(read_repository(known.settings, source=replica)) as opened:
            return _seen(replica.name, opened, copy, known)

    return look


def unseen(known: Known) -> Overview:
    """Tell how things stand where no repository could be looked at."""
    return look_over(known.settings, None, known.recorded, known.due)


def report(primary: RepositorySeen | HoldfastError) -> Report:
    """Describe the primary."""
    if isinstance(primary, HoldfastError):
        return wrong(primary)
    return {"ok": True, "location": primary.location, "encrypted": primary.encrypted, "keyId": primary.key_id}


def _seen(name: str, opened: Repository, copy: Copy, known: Known) -> RepositorySeen:
    summaries = opened.backups()
    overview = look_over(known.settings, opened, known.recorded, known.due)
    good = {
        one.type: next((found for found in summaries if found.id == one.newest.id), None) for one in overview.types if one.newest
    }
    return RepositorySeen(
        name,
        opened.location,
        opened.encrypted,
        opened.keys.current_id,
        [documents.of_backup(opened, summary) for summary in summaries[:LISTED]],
        {kind: documents.of_backup(opened, summary) for kind, summary in good.items() if summary is not None},
        frozenset(summary.id for summary in summaries if summary.damaged is None),
        copy,
        overview,
    )
