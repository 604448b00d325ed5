"""The step type `backup_restore`: the newest backup that is good comes back, in the way that what is in trouble asks for.

In a drill it comes back into scratch, is compared, and is timed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.errors import VerificationFailedError
from holdfast.recovery.outside import Rule, backup, block, chosen
from holdfast.recovery.restarting import SERVICES
from holdfast.recovery.restoring.choice import Choice, how_old
from holdfast.recovery.restoring.database import foresee_database, recover_database, undo_database
from holdfast.recovery.restoring.sources import foresee_source, recover_source, undo_source
from holdfast.recovery.restoring.wanted import BackupRestoreParameters
from holdfast.recovery.step_type import Outcome, StepType, Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.repository import Manifest

Json = dict[str, Any]


def _target_from_outside(value: Any, parameters: BackupRestoreParameters) -> str | None:
    if value is not None and parameters.backup_type != "database":
        return "it would be a folder of the host; without it the backup comes back to where it was taken"
    return block(value, parameters)


class BackupRestore(StepType[BackupRestoreParameters]):
    """Restores from a backup."""

    name = "backup_restore"
    minutes = (15, 60)
    parameters = BackupRestoreParameters
    outside: ClassVar[Mapping[str, Rule]] = {
        "backup_type": chosen,
        "use_latest": chosen,
        "backup_id": backup,
        "mode": chosen,
        "target": _target_from_outside,
    }

    def touches(self, parameters: BackupRestoreParameters) -> frozenset[str]:
        place = f":{parameters.target}" if parameters.target else ""
        found = {f"{parameters.backup_type}{place}"}
        # Its server is a service, which this step may start, and which whoever restarts services would end in the middle of it.
        return frozenset(found | {SERVICES} if found == {"database"} else found)

    def foresee(self, work: Work, parameters: BackupRestoreParameters) -> list[str]:
        if work.is_drill:
            manifest = Choice(work.world, parameters.backup_type, parameters.backup_id, work.deadline).first()
            return [f"{how_old(manifest)}, would be brought back into scratch, compared, and dropped"]
        return (foresee_database if parameters.backup_type == "database" else foresee_source)(work, parameters)

    def run(self, work: Work, parameters: BackupRestoreParameters) -> Outcome:
        if work.is_drill:
            return _rehearse(work, parameters)
        return (recover_database if parameters.backup_type == "database" else recover_source)(work, parameters)

    def undo(self, work: Work, parameters: BackupRestoreParameters, undo: Json) -> Outcome:
        return (undo_database if parameters.backup_type == "database" else undo_source)(work, undo)


def _rehearse(work: Work, parameters: BackupRestoreParameters) -> Outcome:
    kind = parameters.backup_type
    choice = Choice(work.world, kind, parameters.backup_id, work.deadline)

    def bring(manifest: Manifest) -> Json:
        found = work.world.rehearse(kind, manifest.id, work.deadline)
        if not found["ok"]:
            raise VerificationFailedError(
                f"backup {manifest.id} did not come back as it was", reason="; ".join(found["problems"][:5]) or None
            )
        return found

    manifest, found = choice.bring(bring)
    output = {**choice.document(manifest), "verificationId": found["jobId"], "restoreSeconds": found["seconds"]}
    return Outcome(f"{how_old(manifest)}, came back into scratch, and is what its source was", output, choice.notes)


TYPE = BackupRestore()
