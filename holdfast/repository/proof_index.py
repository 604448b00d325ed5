"""The proofs of all backups, from one listing: whoever asks about many backups need not ask the storage about each.

A backup that has no proof but its receipt is `stored`, and nothing is read to know that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast.repository import names
from holdfast.repository.manifest import Manifest
from holdfast.repository.proof import Level, Proof, Proofs, best_level, receipt_name
from holdfast.repository.sealed import SealedObjects

if TYPE_CHECKING:
    from holdfast.repository.backups import BackupSummary


class ProofIndex:
    """The proofs that there were when this was made. What was read is kept."""

    def __init__(self, sealed: SealedObjects) -> None:
        self._proofs = Proofs(sealed)
        self._names: dict[str, list[str]] = defaultdict(list)
        for info in sealed.storage.list(names.PROOFS):
            backup_id = names.proof_backup(info.name)
            if backup_id is not None:
                self._names[backup_id].append(info.name)
        self._read: dict[str, list[Proof]] = {}

    def proofs(self, manifest: Manifest) -> list[Proof]:
        """List a backup's proofs, newest first, its receipt left away. One that can't be read counts as a bad one."""
        if manifest.id not in self._read:
            receipt = receipt_name(manifest)
            found = sorted((name for name in self._names.get(manifest.id, ()) if name != receipt), reverse=True)
            self._read[manifest.id] = [self._proofs.read_or_bad(name, manifest.id) for name in found]
        return self._read[manifest.id]

    def level(self, manifest: Manifest) -> Level | None:
        """Return the best level of the good proofs that came after the last bad one; None for a backup that is bad."""
        proofs = self.proofs(manifest)
        if any(not proof.ok for proof in proofs):
            return best_level(proofs)
        return best_level(proofs) or ("stored" if self._names.get(manifest.id) else None)

    def is_bad(self, manifest: Manifest) -> bool:
        """Tell whether the last thing that was found of a backup was damage."""
        proofs = self.proofs(manifest)
        return bool(proofs) and not proofs[0].ok

    def newest_good(self, summaries: Iterable[BackupSummary]) -> Manifest | None:
        """Return the newest of backups, which are sorted, that can be read and of which no damage is known."""
        return next((one.intact for one in summaries if one.intact is not None and not self.is_bad(one.intact)), None)
