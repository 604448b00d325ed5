"""A world whose restores, checks and rehearsals are the engine's own, without Prefect: what steps ask for really happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
from holdfast.postgres.restore_report import not_proven
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.plan import Plan, Step, read_plan
from holdfast.recovery.step_type import StepType, Work
from holdfast.recovery.steps import step_types
from holdfast.repository import Level, Repository
from holdfast.storage import StorageSettings
from holdfast.storage.replica import Replica
from holdfast.verification import Verification, VerificationOptions
from tests.recovery.assessed import AssessedWorld

Json = dict[str, Any]


class RestoringWorld(AssessedWorld):
    """Restores databases; `restored` are the modes and tables that were asked for."""

    def __init__(self, home: Path, scratch: DatabaseUrl, **given: Any) -> None:
        super().__init__(home, **given)
        self._scratch = scratch
        self.restored: list[tuple[str, tuple[str, ...]]] = []

    def find_database(self, name: str) -> DatabaseUrl:
        return DatabaseUrl.parse(name)

    def find_storage(self, name: str) -> Replica:
        return Replica(name, StorageSettings.from_url(name))

    def restore(
        self,
        backup_type: str,
        backup_id: str,
        deadline: Deadline,
        *,
        mode: Any,
        only: Sequence[str] = (),
        tables: Sequence[str] = (),
        target: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        assert (backup_type, only) == ("database", ())
        place = self.find_database(target) if target else self.database()
        options = RestoreOptions.of(self.settings, mode, tables)
        options = replace(options, only_proven=True, time_limit_seconds=deadline.seconds_left)
        with (
            DatabaseRestore(self.repository, self.repository.manifest(backup_id), place, options) as restore,
            deadline.stopping(restore.stop),
        ):
            restore.preflight()
            losses = restore.losses() if mode != "new" else None
            if not dry_run:
                self.restored.append((mode, tuple(tables)))
                if restore.in_transaction:
                    restore.restore_in_place()
                else:
                    restore.fill()
                    restore.finish()
        report = restore.report
        if report.proof and not report.proof.ok:
            raise not_proven(place.database, report.proof.problems)
        told = [
            {"table": f"{one.schema}.{one.name}", "rows": one.rows, "liveRows": one.live_rows}
            for one in (losses.tables if losses else ())
        ]
        named = {name: getattr(report, name) for name in ("tables", "rows", "kept", "mode", "notes")}
        return named | {"jobId": "restore_1", "target": place.redacted, "losses": told if losses is not None else None}

    def check(self, backup_type: str, backup_id: str, deadline: Deadline) -> Json:
        return self._verified(backup_type, backup_id, "read", deadline)

    def rehearse(self, backup_type: str, backup_id: str, deadline: Deadline) -> Json:
        return self._verified(backup_type, backup_id, "proven", deadline)

    def _verified(self, backup_type: str, backup_id: str, level: Level, deadline: Deadline) -> Json:
        manifest = self.repository.manifest(backup_id)
        assert manifest.type == backup_type
        options = replace(VerificationOptions.of(self.settings), time_limit_seconds=deadline.seconds_left)
        work = Verification(self.repository, manifest, level, options, drill=True)
        work.check()
        if level == "proven" and not work.failed:
            with work.rehearsal(self._scratch) as restore:
                restore.fill()
                work.note_restored()
                work.judge(restore.prove())
        proof = work.conclude()
        seconds = proof.figures.get("restoreSeconds", proof.figures["seconds"])
        return {"jobId": "verify_1", "backupId": backup_id, "ok": proof.ok, "problems": proof.problems, "seconds": seconds}


def step_of(type_name: str, **parameters: Any) -> Step:
    """Make a step of a type with the guide's parameters."""
    return Step(id="bring_back", name="Bring it back", type=type_name, order=1, timeout=30, parameters=parameters)


def work_on(world: Any, step: Step, *, seconds: float = 60, **about: Any) -> Work:
    """Make one attempt at a step of a plan of its own."""
    plan: Plan = read_plan(
        {
            "id": "bring_back",
            "name": "Bring it back",
            "priority": "critical",
            "estimatedRecoveryTime": 30,
            "steps": [step.document()],
        }
    )
    return Work("execution_1", plan, step, world, Deadline(seconds, "The step"), **about)


def type_and_parameters(step: Step) -> tuple[StepType[Any], Any]:
    """Find what carries a step out, and its parameters as that reads them."""
    found = step_types()[step.type]
    assert not list(found.problems(step))
    return found, found.read(step)


def repository_of(storage: Any) -> Repository:
    """Open a repository afresh, so that nothing is known of it from before."""
    return Repository.open(storage, key=None)
