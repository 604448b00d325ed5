"""Checking a repository: it never raises for damage, but lists every damaged object by its name in storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.errors import DamagedError, KeyMissingError, NotFoundError, SettingsError
from holdfast.repository import names
from holdfast.repository.backups import Backups
from holdfast.repository.check_chunks import ChunkCheck, Progress
from holdfast.repository.check_files import (
    ProofCheck,
    check_description,
    check_keys,
    check_manifests,
    check_passing_records,
)
from holdfast.repository.description import Description, holds_keys, read_description
from holdfast.repository.keyring import open_with, read_key_files
from holdfast.repository.leases import Leases
from holdfast.repository.proof import Proofs
from holdfast.repository.report import CheckLevel, CheckReport
from holdfast.repository.sealed import SealedObjects
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
) -> CheckReport:
    """Check some backups, or all there is. `set_aside` also prepares what is damaged for being healed."""
    if subset is not None and not 1 <= subset[0] <= subset[1]:
        raise SettingsError(f"a subset {subset[0]}/{subset[1]} makes no sense", reason="1/7 to 7/7 are the parts of seven")
    if level not in ("stored", "read"):
        raise SettingsError(f"a check of level {level!r} can't be done by the repository", reason="known are stored and read")
    report = report or CheckReport(level, subset)
    wanted = None if backup_ids is None else set(backup_ids)
    proofs = Proofs(sealed)
    backups = Backups(sealed)  # one of its own: what was opened before is read again
    proof_check = ProofCheck(sealed, proofs, Leases(sealed, lambda _: None))
    intact = check_manifests(backups, wanted, report)
    proof_check.run(intact, wanted, report)
    if wanted is not None and wanted - set(report.backups):
        raise NotFoundError(f"there is no backup {', '.join(sorted(wanted - set(report.backups)))}")
    if description is not None:
        if names.DESCRIPTION not in {problem.object for problem in report.problems}:
            check_description(sealed.storage, description, sealed.master, report)
        check_keys(sealed.storage, description, sealed.master, intact, report)
    check_passing_records(sealed, report)
    # Where a manifest is damaged or gone nobody knows what it names: then every chunk there is counts.
    all_there_is = wanted is None and len(intact) < len(report.backups)
    chunk_check = ChunkCheck(sealed, intact, report)
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

    Raises NotFoundError where there is none at all, and KeyMissingError and WrongKeyError, for those are no damage.
    """
    report = CheckReport(level, subset)
    description: Description | None = None
    try:
        description = read_description(storage)
    except DamagedError as error:
        report.add(names.DESCRIPTION, error.reason or "it can't be read", harms_content=False)
    if description is not None and not description.encrypted and holds_keys(storage):
        report.add(names.DESCRIPTION, "it says that the repository is not encrypted, and there are keys", harms_content=False)
        description = None
    encrypted = description.encrypted if description else holds_keys(storage)
    if not encrypted:
        return check(
            SealedObjects(storage, None), description, level=level, subset=subset, on_progress=on_progress, report=report
        )
    if key is None:
        raise KeyMissingError(f"{storage.location} is encrypted and no key was given", next_step="Set BACKUP_ENCRYPTION_KEY")
    try:
        opened = open_with(storage, key, description)
    except DamagedError as error:
        _add_unopenable(storage, description, error, report)
        return report
    sealed = SealedObjects(storage, opened.master)
    return check(sealed, opened.description, level=level, subset=subset, on_progress=on_progress, report=report)


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
