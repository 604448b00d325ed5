"""Checking a repository: it never raises for damage, but lists every damaged object by its name in storage."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from holdfast.errors import DamagedError, KeyMissingError, NotFoundError, SettingsError, WrongKeyError
from holdfast.repository import names
from holdfast.repository.backups import Backups
from holdfast.repository.check_chunks import ChunkCheck, Progress
from holdfast.repository.check_files import (
    ProofCheck,
    check_description,
    check_keys,
    check_manifests,
    check_passing_records,
    check_pins,
)
from holdfast.repository.description import Description, holds_keys, read_description
from holdfast.repository.healing import Healing
from holdfast.repository.identity import opened_like
from holdfast.repository.intents import finish
from holdfast.repository.keyring import open_with, read_key_files
from holdfast.repository.leases import Leases
from holdfast.repository.masterkey import MasterKey
from holdfast.repository.pins import Pins
from holdfast.repository.proof import Proofs
from holdfast.repository.report import CheckLevel, CheckReport
from holdfast.repository.sealed import SealedObjects
from holdfast.repository.spares import Spares
from holdfast.repository.userkey import UserKey
from holdfast.storage import Storage

if TYPE_CHECKING:
    from holdfast.storage.replica import Replica


def check(
    sealed: SealedObjects,
    description: Description | None,
    backup_ids: list[str] | None = None,
    *,
    level: CheckLevel = "read",
    subset: tuple[int, int] | None = None,
    set_aside: bool = False,
    threads: int = 2,
    on_progress: Progress | None = None,
    report: CheckReport | None = None,
    spares: Spares | None = None,
    repair: bool = False,
) -> CheckReport:
    """Check some backups, or all there is. `set_aside` also prepares what is damaged for being healed by the next backup.

    With `spares` it is told what they have a good copy of, and with `repair` that is healed. Nothing is right because of them.
    """
    _require_sense(level, subset)
    report = report or CheckReport(level, subset)
    wanted = None if backup_ids is None else set(backup_ids)
    healing = Healing(sealed, description, spares or Spares((), description), report, repair=repair) if spares or repair else None
    proofs = Proofs(sealed)
    backups = Backups(sealed)  # one of its own: what was opened before is read again
    proof_check = ProofCheck(sealed, proofs, Leases(sealed, lambda _: None))
    intact = check_manifests(backups, wanted, report)
    proof_check.read(wanted, report)
    if wanted is not None and wanted - set(report.backups):
        raise NotFoundError(f"there is no backup {', '.join(sorted(wanted - set(report.backups)))}")
    if healing is not None:
        intact += healing.manifests()
    proof_check.check_receipts(intact, report)
    if description is not None:
        if names.DESCRIPTION not in {problem.object for problem in report.problems}:
            check_description(sealed.storage, description, sealed.master, report)
        check_keys(sealed.storage, description, sealed.master, intact, report)
    if wanted is None:
        check_pins(Pins(sealed), report)
    if healing is not None:
        healing.files()
    check_passing_records(sealed, report)
    # Where a manifest is damaged or gone nobody knows what it names: then every chunk there counts.
    all_there_is = wanted is None and len(intact) < len(report.backups)
    chunk_check = ChunkCheck(sealed, intact, report, healing)
    chunk_check.run(threads=threads, on_progress=on_progress, all_there_is=all_there_is)
    if set_aside:
        chunk_check.set_bad_aside()
        proof_check.mend(intact, report)
    return report


def check_storage(
    storage: Storage,
    key: UserKey | None,
    *,
    level: CheckLevel = "read",
    subset: tuple[int, int] | None = None,
    on_progress: Progress | None = None,
    replicas: Sequence[Replica] = (),
    repair: bool = False,
) -> CheckReport:
    """Check a repository that may be too damaged to be opened; `repair` heals what a replica has a good copy of.

    Raises NotFoundError where there is none at all, and KeyMissingError and WrongKeyError, for those are no damage; BusyError
    when it is to repair and somebody prunes.
    """
    report = CheckReport(level, subset)
    opened = _opened(storage, key, replicas, report)
    if opened is None:
        return report
    description, master = opened
    sealed = SealedObjects(storage, master)
    # Without a description nobody can tell whether a replica is one of this repository.
    with closing(Spares(replicas if description is not None else (), description)) as spares, ExitStack() as stack:
        if repair:  # so that nobody deletes chunks whose manifest is just being brought back
            stack.enter_context(Leases(sealed, lambda intent: finish(sealed, intent)).hold("repair"))
        return check(
            sealed,
            description,
            level=level,
            subset=subset,
            on_progress=on_progress,
            report=report,
            spares=spares,
            repair=repair,
            set_aside=repair,
        )


def _require_sense(level: str, subset: tuple[int, int] | None) -> None:
    if subset is not None and not 1 <= subset[0] <= subset[1]:
        raise SettingsError(f"a subset {subset[0]}/{subset[1]} makes no sense", reason="1/7 to 7/7 are the parts of seven")
    if level not in ("stored", "read"):
        raise SettingsError(f"a check of level {level!r} can't be done by the repository", reason="known are stored and read")


_Opened = tuple[Description | None, MasterKey | None]


def _opened(storage: Storage, key: UserKey | None, replicas: Sequence[Replica], report: CheckReport) -> _Opened | None:
    """Find out what the repository is, from a replica of it where its own files are too damaged; None where nothing can."""
    description: Description | None = None
    try:
        description = read_description(storage)
    except DamagedError as error:
        report.add(names.DESCRIPTION, error.reason or "it can't be read", harms_content=False)
    if description is not None and not description.encrypted and holds_keys(storage):
        report.add(names.DESCRIPTION, "it says that the repository is not encrypted, and there are keys", harms_content=False)
        description = None
    elif description is not None and not description.encrypted:
        return description, None
    if description is None and not holds_keys(storage):
        return opened_like(storage, key, replicas) or (None, None)
    if key is None:
        raise KeyMissingError(f"{storage.location} is encrypted and no key was given", next_step="Set BACKUP_ENCRYPTION_KEY")
    try:
        found = open_with(storage, key, description)
        return found.description, found.master
    except (DamagedError, WrongKeyError) as error:
        elsewhere = opened_like(storage, key, replicas)
        if elsewhere is None and isinstance(error, DamagedError):
            _add_unopenable(storage, description, error, report)
        elif elsewhere is None:
            raise
        return elsewhere


def _add_unopenable(storage: Storage, description: Description | None, error: DamagedError, report: CheckReport) -> None:
    """No key file can be opened: say which ones are damaged, and that nothing else could be looked at."""
    what = error.reason or "it can't be read"
    found = dict(read_key_files(storage))
    for key_id, file in found.items():
        if isinstance(file, str):
            report.add(names.key(key_id), f"{file}; without a key file nothing else can be checked")
    if description is not None and description.first_key_id not in found:
        report.add(names.key(str(description.first_key_id)), "it is missing; without a key file nothing else can be checked")
    if report.content_ok:
        report.add(f"{names.KEYS}/", what)
