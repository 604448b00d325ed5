"""Backups that were found damaged: which of them are news, and whether a fresh one is worth asking for.

A fresh backup stores anew what its source still has, and so heals the others. Where the backup before was bad already, a fresh
one has not helped: another would not either, and asking for it again and again would never end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.repository import BackupSummary, Repository
    from holdfast.repository.proof_index import ProofIndex


@dataclass(frozen=True, slots=True)
class BadBackups:
    """Backups of one type that were found damaged by one job, the newest first. `fresh`: a fresh one is worth asking for."""

    type: str
    ids: tuple[str, ...]
    fresh: bool


class Known:
    """What was known of a repository's backups before a job looked at them."""

    def __init__(self, repository: Repository, *, bad: Collection[str] = ()) -> None:
        """`bad` are backups that are known to be bad though no proof says so: of a damaged manifest none can be written."""
        self.index: ProofIndex = repository.proof_index()
        self.summaries: Sequence[BackupSummary] = repository.backups()
        self._bad = set(bad)

    def is_bad(self, summary: BackupSummary) -> bool:
        """Tell whether a backup was bad already."""
        return summary.id in self._bad or (summary.intact is not None and self.index.is_bad(summary.intact))

    def judge(self, found: Mapping[str, str]) -> list[BadBackups]:
        """Tell of the backups that were found bad now, whose types `found` gives by their ids: one answer a type."""
        return [self._of_type(kind, [one for one in found if found[one] == kind]) for kind in sorted(set(found.values()))]

    def _of_type(self, kind: str, found: Collection[str]) -> BadBackups:
        there = [one for one in self.summaries if one.type == kind]
        lost = [backup_id for backup_id in found if backup_id not in {one.id for one in there}]
        news = [place for place, one in enumerate(there) if one.id in found and not self.is_bad(one)]
        worth_it = bool(news) and not any(self.is_bad(one) for one in there[news[0] + 1 : news[0] + 2])
        fresh = worth_it or any(backup_id not in self._bad for backup_id in lost)
        return BadBackups(kind, (*(one.id for one in there if one.id in found), *lost), fresh)
