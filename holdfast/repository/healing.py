"""Healing: a good copy from a replica takes the place of what is damaged or missing in the repository's own storage.

A copy is proven like anything that is read, and read back once it is in place; what was found before is kept under damaged/.
Unless it is to `repair`, nothing is written, and it is only told which replica has a good copy.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from holdfast.errors import (
    DamagedError,
    ObjectExistsError,
    ObjectLockedError,
    ObjectNotFoundError,
    StorageUnreachableError,
)
from holdfast.repository import canonical, immutability, names, sealing
from holdfast.repository.backups import manifest_of
from holdfast.repository.description import Description
from holdfast.repository.keyfile import KeyFile
from holdfast.repository.manifest import Manifest
from holdfast.repository.masterkey import Kind
from holdfast.repository.pins import Pin
from holdfast.repository.proof import Proof, Proofs
from holdfast.repository.proven import FILE_BYTES_MAX
from holdfast.repository.report import CheckReport, Problem
from holdfast.repository.sealed import SealedObjects
from holdfast.repository.spares import Spare, Spares

log = logging.getLogger(__name__)

_COPIES_READ_MAX = 64  # without repair; after that it is enough to know that a replica lists the chunk

T = TypeVar("T")
Prove = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that a replica has of something bad, and whether it has taken its place."""

    replica: str
    healed: bool
    remark: str = ""


class Healing:
    """Heals one repository's own storage, or says what could be healed. Chunks may be asked for from several threads."""

    def __init__(
        self, sealed: SealedObjects, description: Description | None, spares: Spares, report: CheckReport, *, repair: bool
    ) -> None:
        self._sealed = sealed
        self._description = description
        self._spares = spares
        self._report = report
        self._repair = repair
        self._copies_read = 0
        self._lock = threading.Lock()

    def manifests(self) -> list[Manifest]:
        """Heal the manifests that the report calls damaged or missing; return all of which there is a good copy."""
        found: list[Manifest] = []
        for problem in list(self._report.problems):
            if not problem.object.startswith(f"{names.MANIFESTS}/"):
                continue
            proofs = Proofs(self._sealed).list(problem.backups[0])
            if not proofs and self._sealed.storage.head(problem.object) is None:
                continue  # forgotten meanwhile
            checksums = {proof.manifest_checksum for proof in proofs if proof.manifest_checksum}
            for name in _manifest_names(problem.object):
                manifest = self._object(problem, name, Kind.MANIFEST, partial(self._manifest, name, checksums))
                if manifest is not None:
                    found.append(manifest)
                    break
        return found

    def files(self) -> None:
        """Heal repository.json, key files, proofs and pins that the report names."""
        for problem in list(self._report.problems):
            if names.proof_backup(problem.object) is not None:
                self._object(problem, problem.object, Kind.PROOF, partial(self._proof, problem.object))
            elif names.pin_backup(problem.object) is not None and not problem.harms_content:
                self._object(problem, problem.object, Kind.PIN, partial(self._pin, problem.object))
            elif names.key_id(problem.object) is not None:
                self._key_file(problem)
            elif problem.object == names.DESCRIPTION:
                self._repository_json(problem)

    def spare_list(self, chunk_id: bytes) -> bytes | None:
        """Return the content of a chunk from a replica."""
        found = self._find_chunk(chunk_id)
        return found.content if found is not None else None

    def chunk(self, chunk_id: bytes) -> Copy | None:
        """Heal a chunk, or tell who holds a good copy; None where nobody does."""
        name = names.chunk(chunk_id)
        if not self._repair and not self._may_read_copy():
            shortest = sealing.overhead_bytes(self._sealed.master is not None)
            holder = self._spares.holder(name, shortest)
            return Copy(holder, False, f"a copy, not looked into, is in {holder}") if holder is not None else None
        found = self._find_chunk(chunk_id)
        if found is None:
            return None
        return self._settle(name, found, lambda data: self._sealed.unsealed_chunk(chunk_id, data))

    def finish(self, to_lock: list[str]) -> None:
        """Make durable what was healed, and lock it where what backups need is locked."""
        self._sealed.storage.sync()
        if to_lock:
            immutability.lock_anew(self._sealed.storage, to_lock)

    def _object(self, problem: Problem, name: str, kind: Kind, prove: Callable[[bytes], T]) -> T | None:
        found = self._spares.find(name, prove, sealing.bytes_max(kind))
        if found is None:
            return None
        self._take(problem, name, found, prove)
        return found.content

    def _take(self, problem: Problem, name: str, found: Spare[T], prove: Prove) -> None:
        """Heal one object with a good copy of it, and let the report say so."""
        copy = self._settle(name, found, prove)
        if copy is None:
            return
        self._report.problems.remove(problem)
        if copy.healed:
            self._report.add_healed(name, problem.what, copy.replica)
            if isinstance(found.content, Manifest):
                immutability.lock_manifest(self._sealed.storage, found.content)
            self.finish([name] if names.needed_by_all(name) else [])
        else:
            what = f"{problem.what}; {copy.remark}"
            self._report.add(name, what, backups=problem.backups, entries=problem.entries, harms_content=False)

    def _settle(self, name: str, found: Spare[T], prove: Prove) -> Copy | None:
        if not self._repair:
            return Copy(found.replica, False, f"a good copy is in {found.replica}")
        here = self._here(name)
        if here is not None:
            with suppress(ValueError):
                prove(here)
                return None  # it is right as it is: what was found wrong is not in this object
            self._keep_aside(name, here)
        try:
            self._sealed.storage.put(name, found.stored, replace=True, bulk=name.startswith(names.CHUNKS))
        except ObjectLockedError:
            return Copy(found.replica, False, f"a good copy is in {found.replica}, but what is here is locked against change")
        if self._sealed.storage.get(name) != found.stored:
            raise DamagedError(
                f"{name} could not be healed",
                reason=f"{self._sealed.storage.location} does not give back what was just put there",
                next_step="Check the disk or the bucket before anything else is written to it",
            )
        log.warning("%s was healed from the replica %s", name, found.replica)
        return Copy(found.replica, True)

    def _here(self, name: str) -> bytes | None:
        try:
            return self._sealed.storage.get(name)
        except (ObjectNotFoundError, StorageUnreachableError):
            return None

    def _keep_aside(self, name: str, found: bytes) -> None:
        storage = self._sealed.storage
        if any(storage.get(info.name) == found for info in storage.list(names.aside_folder(name))):
            return
        with suppress(ObjectExistsError):
            storage.put(names.aside(name, canonical.now()), found)

    def _find_chunk(self, chunk_id: bytes) -> Spare[bytes] | None:
        name, limit = names.chunk(chunk_id), sealing.bytes_max(Kind.CHUNK)
        return self._spares.find(name, lambda data: self._sealed.unsealed_chunk(chunk_id, data), limit)

    def _may_read_copy(self) -> bool:
        with self._lock:
            self._copies_read += 1
            return self._copies_read <= _COPIES_READ_MAX

    def _manifest(self, name: str, checksums: set[str], data: bytes) -> Manifest:
        manifest = manifest_of(name, self._sealed.unsealed(Kind.MANIFEST, name, data))
        # A backup that was withdrawn and made again under its id would have left an older manifest behind in a replica.
        if checksums and manifest.checksum not in checksums:
            raise ValueError("it is not the manifest that the backup's proofs speak of")
        return manifest

    def _proof(self, name: str, data: bytes) -> Proof:
        proof = Proof.from_json(canonical.from_bytes(self._sealed.unsealed(Kind.PROOF, name, data)))
        if proof.backup_id != names.proof_backup(name):
            raise ValueError("it is the proof of another backup")
        return proof

    def _pin(self, name: str, data: bytes) -> Pin:
        return Pin.from_json(name, canonical.from_bytes(self._sealed.unsealed(Kind.PIN, name, data)))

    def _key_file(self, problem: Problem) -> None:
        """A removed key stays removed: where one replica has its tombstone, the key file that another has is not taken."""
        name = problem.object
        for state in ("removed", "active"):
            prove = partial(self._key, name, state)
            found = self._spares.find(name, prove, FILE_BYTES_MAX)
            if found is not None:
                self._take(problem, name, found, prove)
                return

    def _key(self, name: str, state: str, data: bytes) -> KeyFile:
        file = KeyFile.from_bytes(data, str(names.key_id(name)))
        master, description = self._sealed.master, self._description
        if master is None or description is None or file.repository_id != description.id or not file.is_authentic(master):
            raise ValueError("it was not made by this repository")
        if file.state != state:
            raise ValueError(f"it is {file.state}")
        return file

    def _repository_json(self, problem: Problem) -> None:
        """What it must say is known: from the key file that opened the repository, or, without keys, from a replica."""
        if self._description is None:
            return
        expected = self._description.to_bytes()

        def prove(data: bytes) -> bytes:
            if data != expected:
                raise ValueError("it is not the one that this repository was made with")
            return data

        found = self._spares.find(names.DESCRIPTION, prove, FILE_BYTES_MAX)
        if found is None and self._repair and self._sealed.master is not None:
            found = Spare(expected, expected, "a key file")
        if found is not None:
            self._take(problem, names.DESCRIPTION, found, prove)


def _manifest_names(name: str) -> list[str]:
    """The names that a lost manifest may have had, where no proof told its type."""
    if names.manifest_parts(name) is not None:
        return [name]
    return [names.manifest(backup_type, name.rpartition("/")[2]) for backup_type in names.BACKUP_TYPES]
