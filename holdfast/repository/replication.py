"""What every replication does, with the key or without: lacking chunks, proofs behind a manifest, pins, the audit log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.errors import RefusedError
from holdfast.repository import names
from holdfast.repository.description import Description
from holdfast.repository.immutability import Term, lock_objects
from holdfast.repository.replica_chunks import ChunkCopy, Progress
from holdfast.repository.replica_copy import GONE, ObjectCopy
from holdfast.storage import Storage


def same_place(source: Storage, target: Storage) -> RefusedError:
    """Return the error for a replica that is no other place than the source, whatever it is called."""
    return RefusedError(
        f"{target.location} is the same place as {source.location}",
        reason="what is kept twice in one place is one copy",
        next_step="Nothing was copied: give the replica a place of its own",
    )


@dataclass(frozen=True, slots=True)
class How:
    """How to replicate."""

    read_back: bool
    threads: int
    on_progress: Progress | None


class Replication:
    """One replication of one repository to one target."""

    def __init__(self, source: Storage, target: Storage, description: Description, how: How, copy: ObjectCopy) -> None:
        self._source_storage = source
        self._target_storage = target
        self._how = how
        self._copy = copy
        self.report = copy.report
        self._chunks = ChunkCopy(source, target, copy, encrypted=description.encrypted)

    def _copy_chunks(self) -> None:
        self._chunks.run(self._how.threads, self._how.on_progress)
        self._target_storage.sync()

    def _proofs(self, storage: Storage) -> dict[str, dict[str, int]]:
        """List the proofs of each backup: names and sizes."""
        found: dict[str, dict[str, int]] = {}
        for info in storage.list(names.PROOFS):
            backup_id = names.proof_backup(info.name)
            if backup_id is not None:
                found.setdefault(backup_id, {})[info.name] = info.size_bytes
        return found

    def _copy_proofs(self, mine: dict[str, int], theirs: dict[str, int]) -> None:
        for name, size_bytes in sorted(mine.items()):
            if theirs.get(name) == size_bytes:
                self.report.present_objects += 1
                continue
            what = self._copy.bring(name, differs=name in theirs)
            if what is not None and what != GONE:
                self.report.add_problem(f"{name} was not copied: {what}")

    def _copy_pins(self, is_later: Callable[[str], bool] | None = None) -> None:
        """Copy the pins that the target lacks, and those that `is_later` tells to be later than the target's."""
        theirs = {info.name for info in self._target_storage.list(names.PINS)}
        for info in self._source_storage.list(names.PINS):
            if names.pin_backup(info.name) is None or (info.name in theirs and not (is_later and is_later(info.name))):
                continue
            what = self._copy.bring(info.name, differs=info.name in theirs)
            if what is not None and what != GONE:
                self.report.add_problem(f"{info.name} was not copied: {what}")
        self._target_storage.sync()

    def _copy_audit_log(self) -> None:
        """Copy the lines of the audit log that the target lacks; nothing of it is ever replaced there, nor deleted.

        They are not counted: the log grows by each replication, so that each would seem to have found something to copy.
        """
        counted = self.report.copied_objects, self.report.copied_bytes
        target, brought = self._target_storage, []
        theirs = {info.name for info in target.list(names.AUDIT)}
        for info in self._source_storage.list(names.AUDIT):
            if names.audit_parts(info.name) is None or info.name in theirs:
                continue
            what = self._copy.bring(info.name)
            if what is not None and what != GONE:
                self.report.add_problem(f"{info.name} was not copied: {what}")
            elif what is None:
                brought.append(info.name)
        self.report.copied_objects, self.report.copied_bytes = counted
        target.sync()
        if target.immutable_days:
            lock_objects(target, brought, Term.of(target, target.clock()).backup)
