"""The repository: the one door to everything that is kept. With its storage and a key, nothing else is needed."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import (
    KeyMissingError,
    RefusedError,
    SettingsError,
)
from holdfast.jobs import checked_job_id
from holdfast.repository import check, forgetting, names, prune, reader
from holdfast.repository.audit_objects import AuditObjects
from holdfast.repository.backups import Backups, BackupSummary
from holdfast.repository.canonical import Json
from holdfast.repository.check_chunks import Progress
from holdfast.repository.checks import Checks
from holdfast.repository.cleanups import Cleanups
from holdfast.repository.compression import Compression
from holdfast.repository.description import Description, description_damaged, holds_keys, read_description
from holdfast.repository.founding import write_new
from holdfast.repository.intents import finish
from holdfast.repository.keyring import KeyRing, OpenedKey, open_with
from holdfast.repository.lease import Lease, LeaseInfo, Scope
from holdfast.repository.leases import Leases
from holdfast.repository.manifest import Entry, Manifest
from holdfast.repository.pins import REMOVED, Pin, Pins, Records
from holdfast.repository.proof import Level, Proof, Proofs, best_level
from holdfast.repository.proof_index import ProofIndex
from holdfast.repository.prune import PruneReport
from holdfast.repository.record_cache import CacheFolder, RecordCache
from holdfast.repository.report import CheckLevel, CheckReport
from holdfast.repository.sealed import SealedObjects
from holdfast.repository.spares import SparedObject, Spares
from holdfast.repository.userkey import UserKey
from holdfast.repository.writer import BackupWriter
from holdfast.storage import Storage

if TYPE_CHECKING:
    from holdfast.storage.replica import Replica


class Repository:
    """An open repository. Make one with `create` or `open`."""

    standing_in: str | None = None
    """The name of the replica that this was opened from in the primary's stead; whoever opens it so sets it."""

    def __init__(
        self,
        storage: Storage,
        description: Description,
        opened: OpenedKey | None,
        key: UserKey | None,
        replicas: Sequence[Replica] = (),
    ) -> None:
        self._description = description
        self._spares = Spares(replicas, description)
        self._sealed = SealedObjects(storage, opened.master if opened else None)
        self._leases = Leases(self._sealed, lambda intent: finish(self._sealed, intent))
        self._proofs = Proofs(self._sealed)
        self._to_read = SealedObjects(storage, self._sealed.master, self._spares or None)
        self._backups = Backups(self._to_read)
        self._pins = Pins(self._sealed)
        self._opened = opened
        self._cache_folder: Path | None = None
        self._proof_cache: RecordCache | None = None
        self.cleanups = Cleanups(self._sealed)
        self.checks = Checks(self._sealed)
        self.audit = AuditObjects(self._sealed)
        self.keys = KeyRing(storage, opened, key if opened else None, self._leases)

    @classmethod
    def create(cls, storage: Storage, *, key: UserKey | None, encrypt: bool = True, label: str = "") -> Repository:
        """Make a repository, or open the one that is there.

        Raises KeyMissingError (encrypting without a key), SettingsError (there is one that is encrypted otherwise).
        """
        if encrypt and key is None:
            raise KeyMissingError(
                "encryption is on and there is no key, so nothing was written",
                next_step="'holdfast keys generate' makes a key; set BACKUP_ENCRYPTION_KEY to it",
            )
        if not cls.exists(storage):
            write_new(storage, key if encrypt else None, label)
        found = cls.open(storage, key=key)
        if found.encrypted != encrypt:
            state = "encrypted" if found.encrypted else "not encrypted"
            raise SettingsError(
                f"the repository in {storage.location} is {state}, and the settings say otherwise",
                reason="whether it is encrypted was fixed when it was made",
                next_step="Set BACKUP_ENABLE_ENCRYPTION accordingly, or keep backups in another place",
            )
        return found

    @classmethod
    def open(cls, storage: Storage, *, key: UserKey | None, replicas: Sequence[Replica] = ()) -> Repository:
        """Open a repository; a key is not used where it is not encrypted (see `encrypted`).

        Replicas stand by: what the storage can't give, or gives damaged, is read from them (see `spared`).

        Raises NotFoundError (there is none), KeyMissingError, WrongKeyError, KeyFileDamagedError, DamagedError.
        """
        description = read_description(storage)
        if not description.encrypted:
            if holds_keys(storage):
                raise description_damaged(storage, "it says that the repository is not encrypted, and there are keys")
            return cls(storage, description, None, None, replicas)
        if key is None:
            raise KeyMissingError(
                f"the repository in {storage.location} is encrypted and no key was given",
                next_step="Set BACKUP_ENCRYPTION_KEY, or BACKUP_ENCRYPTION_KEY_FILE",
            )
        opened = open_with(storage, key, description)
        if opened.description != description or not description.is_authentic(opened.master):
            raise description_damaged(storage, "it is not the one that this repository was made with")
        return cls(storage, description, opened, key, replicas)

    @staticmethod
    def exists(storage: Storage) -> bool:
        return storage.head(names.DESCRIPTION) is not None

    @property
    def id(self) -> str:
        return self._description.id

    @property
    def encrypted(self) -> bool:
        """Whether it is encrypted: fixed when it was made."""
        return self._description.encrypted

    @property
    def created_at(self) -> datetime:
        return self._description.created_at

    @property
    def location(self) -> str:
        return self._sealed.storage.location

    @property
    def description(self) -> Description:
        """What must be known of it before anything else can be read."""
        return self._description

    def secret_digest(self, text: bytes) -> str | None:
        """Digest a secret's value under a key of this repository; None without encryption, for then anybody could guess."""
        master = self._sealed.master
        return None if master is None else master.secret_digest(text)

    def sealed_in(self, storage: Storage) -> SealedObjects:
        """The objects of this repository in a storage that holds a copy of it."""
        return SealedObjects(storage, self._sealed.master)

    def copy_in(self, storage: Storage) -> Repository:
        """Open the copy of this repository that another storage holds: a replica, to work on it.

        Raises NotFoundError (there is none), RefusedError (it is another repository), DamagedError.
        """
        description = read_description(storage)
        if description.id != self.id:
            raise RefusedError(f"{storage.location} holds another repository than {self.location}")
        copy = Repository(storage, description, self._opened, None)
        if self._cache_folder is not None:
            copy.use_cache(self._cache_folder)
        return copy

    def use_cache(self, folder: Path) -> None:
        """Let lists remember in a folder of this host what manifests and proofs say, so that only new ones are read.

        Verifications, checks, prunes, clean-ups and whoever opens one backup read the storage all the same. Of them prunes and
        clean-ups ask what is remembered of the very bytes that they have read.
        """
        self._cache_folder = folder
        own = CacheFolder(folder, self.id, self.location, self._sealed.master)
        self._backups.cache = RecordCache(own, "manifests")
        self._proof_cache = RecordCache(own, "proofs")

    def drop_remembered(self, objects: Collection[str]) -> None:
        """Have lists read these manifests again, for they were found damaged."""
        if self._backups.cache is not None:
            for name in objects:
                self._backups.cache.drop(name)
            self._backups.cache.save()

    @property
    def spared(self) -> list[SparedObject]:
        """The first of the objects that were read from a replica instead; `spared_count` says how many there were."""
        return self._spares.spared

    @property
    def spared_count(self) -> int:
        return self._spares.spared_count

    def lease(
        self,
        purpose: str,
        *,
        exclusive: bool = False,
        holder: str | None = None,
        ttl_seconds: float = 120,
        wait_seconds: float = 0,
        scope: Scope = "data",
    ) -> AbstractContextManager[Lease]:
        """Hold a lease while at work. Raises BusyError when somebody holds one of that scope that excludes it."""
        return self._leases.hold(
            purpose, exclusive=exclusive, holder=holder, ttl_seconds=ttl_seconds, wait_seconds=wait_seconds, scope=scope
        )

    def leases(self) -> list[LeaseInfo]:
        """List who is at work, and who was when their process died."""
        return self._leases.list()

    def writer(self, lease: Lease, *, compression: Compression, threads: int = 2) -> BackupWriter:
        """Begin a backup; nothing of it shows before its `commit`."""
        return BackupWriter(
            self._sealed,
            lease,
            leases=self._leases,
            backups=self._backups,
            proofs=self._proofs,
            key_ids=self.keys.ids,
            sizes=self._description.chunk_sizes,
            compression=compression,
            threads=threads,
        )

    def backups(self, type: str | None = None) -> list[BackupSummary]:  # noqa: A002  the field's own word
        """List backups, newest first; a damaged manifest is listed as such."""
        return self._backups.list(type)

    def backups_afresh(self) -> list[BackupSummary]:
        """List them as the storage itself has them now, whatever was read before: for whoever decides what goes."""
        return self._read_afresh(self._sealed).list()

    def find(self, backup_id: str) -> BackupSummary | None:
        """Read one backup, of whatever type, whatever was read before; None where it is not there."""
        try:
            checked_job_id(backup_id)
        except SettingsError:  # no backup can have such a name
            return None
        backup_type = self._backups.type_of(backup_id)
        return None if backup_type is None else self._read_afresh(self._to_read).find(backup_type, backup_id)

    def manifest(self, backup_id: str) -> Manifest:
        """Open a backup's manifest. Raises NotFoundError, DamagedError."""
        return self._backups.manifest(backup_id)

    def latest(self, type: str) -> Manifest:  # noqa: A002  the field's own word
        """Open the newest backup of a type. Raises NotFoundError; DamagedError where the newest is damaged."""
        return self._backups.latest(type)

    def read(self, entry: Entry, *, threads: int = 2) -> Iterator[bytes]:
        """Yield an entry's content in order. Raises DamagedError naming object and entry, at the latest before the end."""
        return reader.read(self._to_read, entry, threads)

    def open_entry(self, entry: Entry, *, threads: int = 2) -> io.RawIOBase:
        """Open an entry as a file to read from. Raises DamagedError like `read`, before the end is reported."""
        return reader.EntryStream(self.read(entry, threads=threads))

    def add_proof(
        self, backup_id: str, level: Level, *, ok: bool, problems: list[str], figures: Json, started_at: datetime
    ) -> Proof:
        """Write down what a verification found. Raises NotFoundError, DamagedError."""
        manifest = self.manifest(backup_id)
        return self._proofs.add(manifest, level, ok=ok, problems=problems, figures=figures, started_at=started_at)

    def proofs(self, backup_id: str) -> list[Proof]:
        """List a backup's proofs, newest first."""
        return self._proofs.list(backup_id)

    def proof_index(self) -> ProofIndex:
        """List the proofs of all backups at once: for whoever asks about many."""
        return ProofIndex(self._sealed, self._proof_cache)

    def verified_levels(self) -> dict[str, Level | None]:
        """Return `verified_level` of every backup that has proofs: for whoever asks about many."""
        return self.proof_index().levels()

    def verified_levels_afresh(self) -> dict[str, Level | None]:
        """Return the same as the storage itself tells it now."""
        return ProofIndex(self._sealed, self._proof_cache, afresh=True).levels()

    @property
    def now(self) -> datetime:
        """The time by the storage's clock."""
        return self._sealed.storage.clock()

    def verified_level(self, backup_id: str) -> Level | None:
        """Return the best level of the good proofs that came after the last bad one."""
        return best_level(self.proofs(backup_id))

    def check(
        self,
        backup_ids: list[str] | None = None,
        *,
        level: CheckLevel = "read",
        subset: tuple[int, int] | None = None,
        set_aside: bool = False,
        threads: int = 2,
        on_progress: Progress | None = None,
    ) -> CheckReport:
        """Look for damage, in some backups or everywhere; list it, never raise for it.

        `subset` (k, n) reads the k-th of n parts of the chunks. `set_aside` keeps what was found of damaged chunks and lets
        the next backup store them afresh; it writes lost receipts again; and where there are replicas, it heals from them at
        once. `on_progress` is told chunks done and in all.
        """
        report = check.check(
            self._sealed,
            self._description,
            backup_ids,
            level=level,
            subset=subset,
            set_aside=set_aside,
            threads=threads,
            on_progress=on_progress,
            spares=self._spares,
            repair=set_aside and bool(self._spares),
        )
        self.drop_remembered(report.damaged_manifests)
        return report

    def prune(
        self,
        *,
        grace_seconds: float = 86400,
        dry_run: bool = False,
        without: Collection[str] = (),
        backups: Sequence[BackupSummary] | None = None,
        holder: str | None = None,
        wait_seconds: float = 0,
    ) -> PruneReport:
        """Delete the chunks that no backup refers to, that are older than the grace period, and that are not locked.

        With `dry_run` it only says so; `without` are backups that then count as forgotten, and `backups` may be all that there
        are, as `backups_afresh` has just given them: whoever deletes reads them again.
        Raises BusyError, RefusedError (something can't be read), LeaseLostError.
        """
        with self.lease("prune", exclusive=not dry_run, holder=holder, wait_seconds=wait_seconds) as lease:
            found = backups if dry_run and backups is not None else self.backups_afresh()
            forgotten = without if dry_run else ()
            return prune.prune(self._sealed, found, lease, grace_seconds=grace_seconds, dry_run=dry_run, without=forgotten)

    def forget(self, backup_id: str) -> None:
        """Give a backup up: its proofs, then its manifest. Its chunks go with the next prune.

        Raises NotFoundError, ObjectLockedError (it was made immutable, and its time is not over), RefusedError (it is pinned).
        """
        with self.lease("forget") as lease:
            forgetting.forget(self._sealed, self._backups, self._pins, lease, backup_id)

    def look_again(self, backup_type: str, backup_id: str) -> BackupSummary | None:
        """Look at a backup in the storage itself, whatever was read before; None where it is gone."""
        return self._read_afresh(self._sealed).find(backup_type, backup_id)

    def locked_until(self, backup_type: str, backup_id: str) -> datetime | None:
        """Tell until when a backup can't be forgotten; None where nothing keeps it."""
        return self._sealed.storage.locked_until(names.manifest(backup_type, backup_id))

    def pin(self, backup_id: str, reason: str = "") -> Pin:
        """Keep a backup whatever its age, until `unpin`. Raises NotFoundError, BusyError (it is just being forgotten)."""
        with self.lease("pin") as lease:
            wanted = Pin.new(backup_id, lease.renewed_at, reason)
            return forgetting.pin(self._backups, self._pins, self._leases, wanted)

    def unpin(self, backup_id: str) -> bool:
        """Let a backup go again when its time comes; return False where it was not pinned."""
        with self.lease("pin") as lease:
            if self._pins.find(backup_id) is None:
                return False
            self._pins.put(Pin.new(backup_id, lease.renewed_at, "", state=REMOVED))
            return True

    def pins(self) -> dict[str, Pin]:
        """Return the pins that hold, by backup."""
        return {backup_id: pin for backup_id, pin in self._pins.records().items() if pin.holds}

    def pin_records(self) -> Records:
        """Return what is known of each backup that was ever pinned, the ended pins too, for replicas to learn of them."""
        return self._pins.records()

    def pin_record(self, backup_id: str) -> Pin | None:
        """Return what is known of one, read afresh."""
        return self._pins.record(backup_id)

    def tidy_pins(self) -> int:
        """Delete pins that ended a year ago, of backups that are gone; return how many."""
        return self._pins.tidy({one.id for one in self.backups()}, self._sealed.storage.clock())

    def _read_afresh(self, sealed: SealedObjects) -> Backups:
        return Backups(sealed, self._backups.cache, afresh=True)

    def close(self) -> None:
        self._spares.close()
        self._sealed.storage.close()

    def __repr__(self) -> str:
        return f"Repository({self.id}, {self.location})"
