"""Replication of an encrypted repository without its key: by order alone is every backup that the target lists whole.

What a manifest needs that is there before the chunks are listed, and still after they were copied, was among them. Nobody but the
holder of a key can hold off a prune at the target; one that is under way is noticed, and the next replication makes up for it.
"""

from __future__ import annotations

import logging

from holdfast.errors import BusyError
from holdfast.repository import names
from holdfast.repository.description import Description
from holdfast.repository.immutability import Term, lock_objects, lock_what_is_always_needed
from holdfast.repository.leases import TTL_SECONDS_MAX
from holdfast.repository.replica_copy import ObjectCopy, judge_without_key
from holdfast.repository.replica_files import FileCopy
from holdfast.repository.replication import How, Replication, same_place
from holdfast.repository.report import BackupCopy, ReplicationReport
from holdfast.storage import Storage

log = logging.getLogger(__name__)


class ReplicationWithoutKey(Replication):
    """Copies stored bytes that look right."""

    def __init__(self, source: Storage, target: Storage, description: Description, how: How) -> None:
        copy = ObjectCopy(
            source, target, judge=judge_without_key, proves=False, read_back=how.read_back, before_each=lambda: None
        )
        super().__init__(source, target, description, how, copy)
        self._description = description

    def run(self) -> ReplicationReport:
        source, target = self._source_storage, self._target_storage
        if source is target or (source.kind == target.kind != "memory" and source.location == target.location):
            raise same_place(source, target)
        before = self._manifests(source)
        FileCopy(source, target, self._description, None, self.report).run()
        self._chunks.want_all()
        self._copy_chunks()
        self._refuse_busy_target()
        self._lock_copied()
        theirs, proofs, their_proofs = self._manifests(target), self._proofs(source), self._proofs(target)
        still_there = self._manifests(source)
        for name, size_bytes in before.items():
            if name in still_there:
                whole = self._bring_backup(name, size_bytes, theirs.get(name))
                backup_type, backup_id = names.manifest_parts(name) or ("", "")
                self.report.backups.append(BackupCopy(backup_id, backup_type, whole))
                if whole or name in theirs:
                    self._copy_proofs(proofs.get(backup_id, {}), their_proofs.get(backup_id, {}))
        self._copy_pins()
        self._copy_audit_log()
        self._note_busy_target()
        return self.report

    def _bring_backup(self, name: str, size_bytes: int, at_target: int | None) -> bool:
        if self._chunks.lacking:
            if at_target is None:
                self.report.add_problem(f"{name} was not copied: without the key nobody can tell which chunks it needs")
            return False
        if at_target == size_bytes:
            self.report.present_objects += 1
            return True
        what = self._copy.bring(name, differs=at_target is not None)
        if what is not None:
            self.report.add_problem(f"{name} was not copied: {what}")
            return False
        self._target_storage.sync()
        if self._target_storage.immutable_days:
            self._target_storage.lock(name, Term.of(self._target_storage, self._target_storage.clock()).backup)
        return True

    def _lock_copied(self) -> None:
        """Lock what was copied now. What was there before keeps its lock: only a manifest tells what needs another."""
        target = self._target_storage
        if target.immutable_days:
            until = Term.of(target, target.clock()).content
            lock_objects(target, (names.chunk(chunk_id) for chunk_id in self._chunks.copied), until)
            lock_what_is_always_needed(target, until)
            log.warning("without the key only the chunks that were copied now are locked in %s", target.location)

    def _manifests(self, storage: Storage) -> dict[str, int]:
        return {info.name: info.size_bytes for info in storage.list(names.MANIFESTS) if names.manifest_parts(info.name)}

    def _refuse_busy_target(self) -> None:
        if self._is_somebody_at_work():
            raise BusyError(
                f"somebody is at work in {self._target_storage.location}",
                reason="it has a lease, and without the key nobody can tell for what: it may be a prune",
                next_step="Try again when that has ended; what was copied need not be copied again",
            )

    def _note_busy_target(self) -> None:
        if self._is_somebody_at_work():
            self.report.add_problem(
                f"somebody began to work in {self._target_storage.location} meanwhile, perhaps to prune: replicate again then"
            )

    def _is_somebody_at_work(self) -> bool:
        """A lease that can't be read counts as exclusive, for as long as any may last."""
        leases = list(self._target_storage.list(names.LEASES))
        if not leases:
            return False
        now = self._target_storage.clock()
        return any((now - info.modified).total_seconds() < TTL_SECONDS_MAX for info in leases)
