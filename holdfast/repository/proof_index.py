"""The proofs of all backups, from one listing: whoever asks about many backups need not ask the storage about each.

A backup that has no proof but its receipt is `stored`, and nothing is read to know that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from holdfast.errors import DamagedError, ObjectNotFoundError
from holdfast.repository import names
from holdfast.repository.manifest import Manifest
from holdfast.repository.proof import Level, Outcome, Proof, Proofs, best_level
from holdfast.repository.record_cache import RecordCache
from holdfast.repository.sealed import SealedObjects
from holdfast.storage import ObjectInfo

if TYPE_CHECKING:
    from holdfast.repository.backups import BackupSummary

_THREADS = 8  # to overlap the waits of a storage that is far away
_AT_ONCE = 32  # proofs that a thread reads one after the other


class ProofIndex:
    """The proofs that there were when this was made. What was read is kept.

    With `afresh` every proof is read from the storage; the cache may say what those very bytes hold, and nothing else.
    """

    def __init__(self, sealed: SealedObjects, cache: RecordCache | None = None, *, afresh: bool = False) -> None:
        self._sealed = sealed
        self._proofs = Proofs(sealed)
        self._cache = cache
        self._afresh = afresh
        self._names: dict[str, list[str]] = defaultdict(list)
        self._infos: dict[str, ObjectInfo] = {}
        for info in sealed.storage.list(names.PROOFS):
            backup_id = names.proof_backup(info.name)
            if backup_id is not None:
                self._names[backup_id].append(info.name)
                self._infos[info.name] = info
        self._read: dict[str, list[Proof]] = {}

    def levels(self) -> dict[str, Level | None]:
        """Tell the level of every backup that has proofs, as `verified_level` does: of each the receipt is read, too."""
        found = {backup_id: sorted(proofs, reverse=True) for backup_id, proofs in self._names.items()}
        outcomes = self._outcomes()
        if self._cache is not None:
            self._cache.save(self._infos)
        return {
            backup_id: best_level([outcomes[name] for name in proofs if name in outcomes]) for backup_id, proofs in found.items()
        }

    def _outcomes(self) -> dict[str, Outcome]:
        """Tell what each proof says in the end; those that the cache keeps are not read, but afresh."""
        outcomes: dict[str, Outcome] = {}
        unread: list[str] = []
        for name, info in self._infos.items():
            kept = self._cache.find(info) if self._cache is not None and not self._afresh else None
            if kept is None:
                unread.append(name)
            else:
                outcomes[name] = Outcome(*kept.brief)
        parts = [unread[at : at + _AT_ONCE] for at in range(0, len(unread), _AT_ONCE)]
        with ThreadPoolExecutor(_THREADS, "holdfast-proofs") as pool:
            for read in pool.map(lambda part: [(name, self._read_outcome(name)) for name in part], parts):
                outcomes.update((name, outcome) for name, outcome in read if outcome is not None)
        return outcomes

    def _read_outcome(self, name: str) -> Outcome | None:
        try:
            return self._sealed.own(name, lambda stored: self._outcome(self._infos[name], stored))
        except ObjectNotFoundError:
            return None  # forgotten since the listing
        except DamagedError:
            if self._cache is not None:
                self._cache.drop(name)
            return Outcome("stored", ok=False)

    def _outcome(self, info: ObjectInfo, stored: bytes) -> Outcome:
        """Make out what a proof says; bytes that were read before are not opened again. Raises ValueError."""
        kept = self._cache.recall(info, stored) if self._cache is not None else None
        if kept is not None:
            return Outcome(*kept.brief)
        proof = self._proofs.proof_of(info.name, stored)
        outcome = Outcome(proof.level, proof.ok)
        if self._cache is not None:
            self._cache.learn(info, stored, [outcome.level, outcome.ok])
        return outcome

    def proofs(self, backup: Manifest | BackupSummary) -> list[Proof]:
        """List a backup's proofs, newest first, its receipt left away. One that can't be read counts as a bad one."""
        if backup.id not in self._read:
            receipt = _receipt(backup)
            found = sorted((name for name in self._names.get(backup.id, ()) if name != receipt), reverse=True)
            self._read[backup.id] = list(self._there(found, backup.id))
        return self._read[backup.id]

    def _there(self, found: list[str], backup_id: str) -> Iterator[Proof]:
        for name in found:
            try:
                yield self._proofs.read_or_bad(name, backup_id)
            except ObjectNotFoundError:
                continue  # its backup was forgotten since it was listed

    def level(self, backup: Manifest | BackupSummary) -> Level | None:
        """Return the best level of the good proofs that came after the last bad one; None for a backup that is bad."""
        proofs = self.proofs(backup)
        if any(not proof.ok for proof in proofs):
            return best_level(proofs)
        return best_level(proofs) or ("stored" if self._names.get(backup.id) else None)

    def is_bad(self, backup: Manifest | BackupSummary) -> bool:
        """Tell whether the last thing that was found of a backup was damage."""
        proofs = self.proofs(backup)
        return bool(proofs) and not proofs[0].ok

    def newest_good(self, summaries: Iterable[BackupSummary]) -> Manifest | None:
        """Return the newest of backups, which are sorted, that can be read and of which no damage is known."""
        return next((one.intact for one in summaries if one.intact is not None and not self.is_bad(one.intact)), None)


def _receipt(backup: Manifest | BackupSummary) -> str | None:
    """Name a backup's receipt; None for one whose manifest can't be opened."""
    known = backup if isinstance(backup, Manifest) else backup.brief
    return None if known is None else names.proof(backup.id, known.finished_at)
