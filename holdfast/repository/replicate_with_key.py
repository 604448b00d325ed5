"""Replication with the key: everything is proven before it is copied, and a lease on either side keeps prunes away.

A backup is copied when the target holds every chunk that it needs. A process that dies between a manifest and its proofs leaves a
lease that says so, and whoever takes the next one finishes it.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial

from holdfast.errors import DamagedError, ObjectNotFoundError
from holdfast.repository import names
from holdfast.repository.backups import Backups, BackupSummary
from holdfast.repository.chunkset import ChunkSet
from holdfast.repository.description import Description
from holdfast.repository.intents import finish
from holdfast.repository.lease import Lease
from holdfast.repository.leases import Leases
from holdfast.repository.manifest import Manifest
from holdfast.repository.pins import Pins, Records
from holdfast.repository.presence import References
from holdfast.repository.proof import Proofs, receipt_name
from holdfast.repository.replica_copy import GONE, ObjectCopy, judge_with_key
from holdfast.repository.replica_files import FileCopy
from holdfast.repository.replica_locks import ReplicaLocks
from holdfast.repository.replication import How, Replication, same_place
from holdfast.repository.report import BackupCopy, ReplicationReport
from holdfast.repository.sealed import SealedObjects

_LOCKED_LATE = timedelta(days=2)  # how old a copy may be that is locked after all, because its replication died before


class ReplicationWithKey(Replication):
    """Proves what it copies, and holds a lease on both sides."""

    def __init__(self, source: SealedObjects, target: SealedObjects, description: Description, how: How) -> None:
        copy = ObjectCopy(
            source.storage,
            target.storage,
            judge=judge_with_key(source),
            proves=True,
            read_back=how.read_back,
            before_each=self._check_leases_locally,
        )
        super().__init__(source.storage, target.storage, description, how, copy)
        self._source = source
        self._target = target
        self._description = description
        self._leases: list[Lease] = []
        self._locks = ReplicaLocks(target, self._chunks.copied, self._check_leases_locally)
        self._walk = References(target, lambda *_: None, self._list_brought_again)
        self._at_target: dict[str, BackupSummary] = {}

    def run(self) -> ReplicationReport:
        source, target = self._source, self._target
        with ExitStack() as held:
            for sealed, other in ((source, target), (target, source)):
                leases = Leases(sealed, partial(finish, sealed))
                self._leases.append(held.enter_context(leases.hold(f"replication with {other.storage.location}")))
                if len(self._leases) == 1 and target.storage.head(names.lease(self._leases[0].id)) is not None:
                    raise same_place(source.storage, target.storage)
            FileCopy(source.storage, target.storage, self._description, source.master, self.report).run()
            summaries = Backups(source).list()
            self._chunks.want(self._needed(summaries))
            self._copy_chunks()
            self._at_target = {names.manifest(one.type, one.id): one for one in Backups(target).list()}
            mine, theirs = self._proofs(source.storage), self._proofs(target.storage)
            for one in summaries:
                whole = self._bring_backup(one, mine.get(one.id, {}), theirs.get(one.id, {}))
                if whole is not None:
                    self.report.backups.append(BackupCopy(one.id, one.type, whole))
            mine_pinned, theirs_pinned = Pins(source).records(), Pins(target).records()
            self._copy_pins(lambda name: _is_later(name, mine_pinned, theirs_pinned))
            self._copy_audit_log()
        return self.report

    def _check_leases_locally(self) -> None:
        for lease in self._leases:
            lease.check_locally()

    def _needed(self, summaries: list[BackupSummary]) -> ChunkSet:
        """Collect what the backups need; where a list is damaged at the source, the target's copy of it may tell."""
        references = References(self._source, lambda *_: None, self._list_at_target)
        for one in summaries:
            if one.intact is not None:
                references.add(one.intact)
        return references.ids

    def _list_at_target(self, chunk_id: bytes) -> bytes | None:
        try:
            return self._target.chunk(chunk_id)
        except (ObjectNotFoundError, DamagedError):
            return None

    def _bring_backup(self, one: BackupSummary, mine: dict[str, int], theirs: dict[str, int]) -> bool | None:
        """Copy a manifest and its proofs, if all that it needs is there; tell whether it is whole, None where it is gone."""
        name = names.manifest(one.type, one.id)
        there = self._at_target.get(name)
        is_there = there is not None and there.intact is not None
        manifest = one.intact or (there.intact if there is not None else None)
        if one.intact is None:
            self.report.add_problem(f"{name} was not copied: it is damaged at the source: {one.damaged}")
        if manifest is None:
            return False
        whole = self._is_whole(manifest, is_new=not is_there)
        if is_there:
            self.report.present_objects += 1
            self._copy_proofs(mine, theirs)
            if whole and self._died_before_locking(name):
                self._locks.lock_manifest(manifest, self._lock_content(manifest), self._now())
            return whole
        if not whole:
            self.report.add_problem(f"{name} was not copied: the target lacks chunks that it needs")
            return False
        return self._commit(name, manifest, mine, differs=there is not None)

    def _is_whole(self, manifest: Manifest, *, is_new: bool) -> bool:
        """Tell whether the target has all chunks of a backup; of a new one each list is read there."""
        lacking = self._chunks.lacking
        if is_new and not lacking:
            self._walk.add(manifest)
        if not lacking:
            return True
        walk = References(self._target, lambda *_: None, self._list_brought_again)
        walk.add(manifest)
        return not any(chunk_id in lacking for chunk_id in walk.ids)

    def _list_brought_again(self, chunk_id: bytes) -> bytes | None:
        """A list that the target can't read is copied again, though it has the right size."""
        if chunk_id in self._chunks.lacking or not self._chunks.bring_again(chunk_id):
            return None
        return self._list_at_target(chunk_id)

    def _commit(self, name: str, manifest: Manifest, proofs: dict[str, int], *, differs: bool) -> bool | None:
        storage, lease = self._target.storage, self._leases[1]
        until = self._lock_content(manifest) if storage.immutable_days else None
        # Whoever finds this lease dead knows that a manifest without its proofs is ours, cut short, and not a loss.
        lease.intend({"action": "commit", "backup_id": manifest.id})
        what = self._copy.bring(name, differs=differs)
        storage.sync()
        if what is None:
            self._copy_proofs(proofs or self._proofs(self._source.storage).get(manifest.id, {}), {})
            if storage.head(receipt_name(manifest)) is None:
                Proofs(self._target).add_receipt(manifest)  # the source's is lost, or not written yet
            if until is not None:
                self._locks.lock_manifest(manifest, until, self._now())
            storage.sync()
        lease.intend(None)
        if what == GONE:
            return None  # forgotten meanwhile
        if what is not None:
            self.report.add_problem(f"{name} was not copied: {what}")
        return what is None

    def _lock_content(self, manifest: Manifest) -> datetime:
        same = (one.intact for one in self._at_target.values() if one.intact is not None and one.type == manifest.type)
        earlier = [one for one in same if one.source == manifest.source and one.id != manifest.id]
        return self._locks.lock_content(manifest, earlier, self._now())

    def _died_before_locking(self, name: str) -> bool:
        """Tell whether a replication died between putting this manifest and locking it, not long ago."""
        there = self._at_target[name]
        if not self._target.storage.immutable_days or there.stored_at < self._now() - _LOCKED_LATE:
            return False
        return not self._locks.are_recorded(there.manifest)

    def _now(self) -> datetime:
        return self._leases[1].renewed_at


def _is_later(name: str, mine: Records, theirs: Records) -> bool:
    """Tell whether the source's pin says what came after what the target's says; a damaged one of the target's is replaced."""
    backup_id = str(names.pin_backup(name))
    here, there = mine.get(backup_id), theirs.get(backup_id)
    return here is not None and not here.damaged and there is not None and (there.damaged is not None or here.at > there.at)
