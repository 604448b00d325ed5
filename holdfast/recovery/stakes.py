"""What a person is shown before something live is changed: why it is asked, what would be lost, and what would be done.

Finding that out changes nothing. What can't be found out is said, and hinders nobody from agreeing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.errors import HoldfastError
from holdfast.recovery.steps import type_of
from holdfast.repository import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.recovery.plan import Step
    from holdfast.recovery.step_type import Work
    from holdfast.recovery.world import World

Json = dict[str, Any]
MakeWork = Callable[["Step"], "Work"]

_MOST_TABLES = 30


@dataclass(slots=True)
class Stakes:
    """All that is at stake. `losses` are of tables, as a restore's document has them; None: no restore of a database is ahead."""

    reasons: list[str]
    foreseen: list[tuple[str, list[str]]] = field(default_factory=list)
    losses: list[Json] | None = None
    backup_id: str | None = None
    backup_at: datetime | None = None
    connections: int | None = None
    not_known: list[str] = field(default_factory=list)

    def document(self) -> Json:
        """Describe it for machines."""
        return {
            "reasons": self.reasons,
            "foreseen": [{"step": name, "would": said} for name, said in self.foreseen],
            "losses": self.losses,
            "rowsLost": None if self.losses is None else sum(one["rows"] for one in self.losses),
            "backupId": self.backup_id,
            "backupAt": self.backup_at and canonical.time_text(self.backup_at),
            "backupAgeSeconds": self.backup_at and round((datetime.now(UTC) - self.backup_at).total_seconds()),
            "openConnections": self.connections,
            "notKnown": self.not_known,
        }


def find_stakes(reasons: list[str], ahead: Sequence[Step], make_work: MakeWork) -> Stakes:
    """Find out what is at stake in these steps."""
    stakes = Stakes(reasons)
    for step in ahead:
        _look_at(stakes, step, make_work(step))
    return stakes


def stakes_text(document: Json) -> Iterator[str]:
    """Tell it line by line, for a terminal, a message, and the page of a run alike."""
    for reason in document["reasons"]:
        yield f"Why a person is asked: {reason}."
    if document["backupId"] is not None:
        yield f"The backup {document['backupId']} is of {_moment(document['backupAt'])}."
    if document["losses"] is not None:
        yield from _losses_text(document["losses"], document["rowsLost"])
    if document["openConnections"] is not None:
        yield f"Open connections to the live database: {document['openConnections']}."
    for one in document["foreseen"]:
        yield from _foreseen_text(one["step"], one["would"])
    yield from (f"Not known: {one}" for one in document["notKnown"])


def _foreseen_text(step: str, would: list[str]) -> Iterator[str]:
    if len(would) == 1:
        yield f"{step}: {would[0]}"
    elif would:
        yield f"{step}:"
        yield from (f"- {line}" for line in would)


def _losses_text(losses: list[Json], rows: int) -> Iterator[str]:
    if not losses:
        yield "As far as counts tell, no row would be lost."
        return
    yield f"At least {figures.count(rows, 'row')} would be lost, of {figures.count(len(losses), 'table')}:"
    lines = [
        f"- {one['table']}: {one['rows']} of {one['liveRows']} rows"
        + (", a table that the backup has not" if one["backupRows"] is None else "")
        for one in losses
    ]
    yield from figures.first(lines, _MOST_TABLES)


def _moment(text: str | None) -> str:
    if text is None:
        return "an unknown time"
    at = datetime.fromisoformat(text)
    return f"{figures.minute_utc(at)}, {figures.age(at)}"


def _look_at(stakes: Stakes, step: Step, work: Work) -> None:
    kind = type_of(step)
    foreseen = _tried(stakes, f"what {step.name} would do", lambda: kind.foresee(work, kind.read(step)))
    stakes.foreseen.append((step.name, foreseen or []))
    if stakes.losses is None and _replaces_live(step, work):
        _tried(stakes, "what would be lost", lambda: _look_at_losses(stakes, step, work))
        _tried(stakes, "how many connections are open", lambda: _count_connections(stakes, work.world))


def _tried(stakes: Stakes, what: str, find: Callable[[], Any]) -> Any:
    try:
        return find()
    except HoldfastError as error:
        stakes.not_known.append(f"{what}: {error.what_and_why}")
    except Exception as error:  # noqa: BLE001  a person has to be asked, whatever can't be found out
        stakes.not_known.append(f"{what}: {type(error).__name__}")
    return None


def _look_at_losses(stakes: Stakes, step: Step, work: Work) -> None:
    backup_id = str(step.parameters.get("backupId") or "latest")
    found = work.world.restore("database", backup_id, work.deadline, mode="promote", dry_run=True)
    stakes.backup_id = found["backupId"]
    stakes.backup_at = datetime.fromisoformat(found["snapshotAt"]) if found.get("snapshotAt") else None
    stakes.losses = list(found.get("losses") or [])


def _count_connections(stakes: Stakes, world: World) -> None:
    from holdfast.postgres.sessions import connected

    stakes.connections = sum(one["count"] for one in connected(world.database()))


def _replaces_live(step: Step, work: Work) -> bool:
    """Tell whether a step puts a backup in the place of the live database; what only adds to it loses nothing."""
    from holdfast.recovery.restoring.database import way_for
    from holdfast.recovery.restoring.wanted import BackupRestoreParameters

    if step.type != "backup_restore":
        return False
    wanted = BackupRestoreParameters.model_validate(step.parameters)
    if wanted.backup_type != "database" or wanted.target is not None:
        return False
    verdict = work.verdicts.get("database")
    return verdict is None or (verdict.state != "unreachable" and way_for(verdict, wanted).replaces)
