"""Checking what lies around the chunks: repository.json, key files, manifests, proofs, pins and passing records."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.errors import DamagedError, NotFoundError, ObjectNotFoundError, RefusedError
from holdfast.repository import names
from holdfast.repository.backups import Backups
from holdfast.repository.description import Description, read_description
from holdfast.repository.keyring import read_key_files
from holdfast.repository.leases import Leases
from holdfast.repository.manifest import Manifest
from holdfast.repository.masterkey import Kind, MasterKey
from holdfast.repository.pins import Pins
from holdfast.repository.proof import Proofs, receipt_name
from holdfast.repository.report import CheckReport
from holdfast.repository.sealed import SealedObjects
from holdfast.storage import Storage


def check_description(storage: Storage, expected: Description, master: MasterKey | None, report: CheckReport) -> None:
    """Compare repository.json with what the repository was opened with."""
    try:
        found = read_description(storage)
    except (DamagedError, NotFoundError, RefusedError) as error:
        report.add(names.DESCRIPTION, error.reason or "it is missing", harms_content=False)
        return
    if found != expected or (master is not None and not found.is_authentic(master)):
        report.add(names.DESCRIPTION, "it is not the one that this repository was made with", harms_content=False)


def check_keys(
    storage: Storage, description: Description, master: MasterKey | None, manifests: Iterable[Manifest], report: CheckReport
) -> None:
    """Check every key file, and that none that a backup knew of is gone."""
    found = set()
    for key_id, file in read_key_files(storage):
        found.add(key_id)
        if isinstance(file, str):
            report.add(names.key(key_id), file, harms_content=False)
        elif file.repository_id != description.id:
            continue  # left behind by a creation that never ended
        elif master is not None and not file.is_authentic(master):
            report.add(names.key(key_id), "it was changed by somebody who has no key", harms_content=False)
    expected = {key_id for manifest in manifests for key_id in manifest.key_ids}
    if description.first_key_id is not None:
        expected.add(description.first_key_id)
    for key_id in sorted(expected - found):
        report.add(names.key(key_id), "it is missing", harms_content=False)


def check_manifests(backups: Backups, wanted: set[str] | None, report: CheckReport) -> list[Manifest]:
    """Open the manifests (of the wanted backups, or of all); return those that are intact."""
    intact = []
    for one in backups.list():
        if wanted is not None and one.id not in wanted:
            continue
        report.backups.append(one.id)
        if one.intact is not None:
            intact.append(one.intact)
        else:
            report.add(names.manifest(one.type, one.id), one.damaged or "it can't be read", backups=(one.id,))
    return intact


class ProofCheck:
    """Checks the proofs of backups against their manifests, and mends what is safe to mend."""

    def __init__(self, sealed: SealedObjects, proofs: Proofs, leases: Leases) -> None:
        self._sealed = sealed
        self._proofs = proofs
        self._damaged: dict[str, str] = {}
        self._found: dict[str, list[str]] = {}
        # What a run that was cut short had begun will be finished by the next one: it is no damage.
        self._under_way = {intent["backup_id"] for intent in leases.intents()}

    def read(self, wanted: set[str] | None, report: CheckReport) -> None:
        """Open every proof; where there are proofs and no manifest, the manifest was lost."""
        for info in self._sealed.storage.list(names.PROOFS):
            backup_id = names.proof_backup(info.name)
            if backup_id is not None and (wanted is None or backup_id in wanted):
                self._found.setdefault(backup_id, []).append(info.name)
                self._read(info.name, backup_id, report)
        for backup_id in sorted(set(self._found) - set(report.backups) - self._under_way):
            report.backups.append(backup_id)
            report.add(
                self._manifest_name(self._found[backup_id]), "it is missing, and its proofs are there", backups=(backup_id,)
            )

    def mend(self, intact: list[Manifest], report: CheckReport) -> None:
        """Write lost receipts of whole backups again, and something readable in the place of damaged proofs."""
        harmed = {backup_id for problem in report.problems if problem.harms_content for backup_id in problem.backups}
        manifests = {manifest.id: manifest for manifest in intact}
        for problem in report.problems:
            backup_id = names.proof_backup(problem.object)
            manifest = manifests.get(backup_id) if backup_id else None
            if manifest is None:
                continue
            if problem.object == receipt_name(manifest) and manifest.id not in harmed:
                self._proofs.add_receipt(manifest, replace=True)
            elif problem.object in self._damaged:
                self._proofs.replace_damaged(problem.object, manifest)

    def _read(self, name: str, backup_id: str, report: CheckReport) -> None:
        try:
            self._proofs.read(name)
        except DamagedError as error:
            self._damaged[name] = error.reason or "it can't be read"
            report.add(name, self._damaged[name], backups=(backup_id,), harms_content=False)
        except ObjectNotFoundError:
            return  # forgotten meanwhile

    def check_receipts(self, intact: list[Manifest], report: CheckReport) -> None:
        """Make sure that each backup has the proof that it was born with."""
        for manifest in intact:
            name = receipt_name(manifest)
            if name not in self._found.get(manifest.id, ()) and manifest.id not in self._under_way:
                report.add(
                    name, "the proof that the backup was born with is missing", backups=(manifest.id,), harms_content=False
                )

    def _manifest_name(self, proof_names: list[str]) -> str:
        for name in proof_names:
            try:
                return self._proofs.read(name).manifest
            except (DamagedError, ObjectNotFoundError):
                continue
        return f"{names.MANIFESTS}/?/{names.proof_backup(proof_names[0])}"


def check_pins(pins: Pins, report: CheckReport) -> None:
    """Open the pins; one of a backup of which there is no other trace tells that it was deleted."""
    for backup_id, pin in sorted(pins.records().items()):
        if pin.damaged:
            report.add(names.pin(backup_id), pin.damaged, backups=(backup_id,), harms_content=False)
        elif pin.holds and backup_id not in report.backups:
            report.add(names.pin(backup_id), "the backup that it is to keep is missing", backups=(backup_id,))


def check_passing_records(sealed: SealedObjects, report: CheckReport) -> None:
    """Open leases, prune lists, records of clean-ups and checks, the audit log: no backup needs them, but damage is damage."""
    kinds = {Kind.LEASE: names.LEASES, Kind.PRUNE: names.PRUNE, Kind.CLEANUP: names.CLEANUPS, Kind.CHECK: names.CHECKS}
    kinds[Kind.AUDIT] = names.AUDIT
    for kind, folder in kinds.items():
        for info in sealed.storage.list(folder):
            try:
                sealed.record_bytes(kind, info.name)
            except ObjectNotFoundError:
                continue
            except DamagedError as error:
                report.add(info.name, error.reason or "it can't be read", harms_content=False)
