"""A slip of the settings or of a clock would let nearly everything go in one night: such a clean-up waits, once, and is told.

Rules are trusted that were in force at an earlier clean-up, half a day ago or more but not long ago, and have not changed since.
By others, or where the last clean-up seems to be long ago, no type loses more than half of its good backups at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from holdfast.retention import Judged, Refusal, Rules

if TYPE_CHECKING:
    from holdfast.repository.cleanups import CleanupRecord, Cleanups

FEW = 5
"""Of so many good backups of a type, or fewer, any may go at once that the rules let go."""

WAIT = timedelta(hours=12)
LONG_AGO = timedelta(days=40)


def sudden(judged: Judged, rules: Rules, cleanups: Cleanups, now: datetime) -> list[Refusal]:
    """Name the types that would lose more than half of their good backups by rules that nobody has had the time to see."""
    found = [(kind, lost, good) for kind, lost, good in _losses(judged) if good > FEW and 2 * lost > good]
    if not found:
        return []
    records = cleanups.list(now - LONG_AGO)
    return [Refusal(kind, _why(lost, good)) for kind, lost, good in found if not _settled(kind, rules, records, now)]


def _losses(judged: Judged) -> Iterator[tuple[str, int, int]]:
    """Count, for each type, the good backups that go, and all good ones."""
    for kind in sorted({verdict.backup.type for verdict in judged}):
        good = [verdict for verdict in judged if verdict.backup.type == kind and verdict.backup.good]
        yield kind, sum(verdict.goes for verdict in good), len(good)


def _settled(kind: str, rules: Rules, records: Sequence[CleanupRecord], now: datetime) -> bool:
    """Tell whether the rules of a type were the same at a clean-up before, and ever since. The records are the newest first."""
    wanted = _of_type(kind, rules.to_json())
    for record in records:
        if record.plan is None or record.at > now:
            continue
        if _of_type(kind, record.plan.get("rules") or {}) != wanted:
            return False
        if record.at <= now - WAIT:
            return True
    return False


def _of_type(kind: str, rules: dict[str, Any]) -> dict[str, Any]:
    return {**rules, "days": (rules.get("days") or {}).get(kind)}


def _why(lost: int, good: int) -> str:
    return (
        f"{lost} of {good} good backups would go at once, by rules or a clock that the last clean-ups did not go by, "
        "so they wait for the next day's; if that is meant: holdfast cleanup --yes"
    )
