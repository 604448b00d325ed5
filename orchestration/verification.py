"""What a verification flow needs beside its tasks: the lease, and how its outcome is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from holdfast import figures
from holdfast.errors import VerificationFailedError
from holdfast.opening import notes_on_reading
from holdfast.repository import Level, Proof, Repository
from holdfast.verification import Verification, VerificationOptions, find_backup, parse_subset
from orchestration import artifacts
from orchestration.bad_backups import note_level, tell_of_bad
from orchestration.job import Job, time_text
from orchestration.rows import Json


@contextmanager
def verifying(
    job: Job,
    repository: Repository,
    backup_id: str,
    level: Level,
    subset: str | None = None,
    *,
    time_limit_seconds: float | None = None,
    drill: bool = False,
) -> Iterator[Verification]:
    """Hold a lease on the repository while a backup is verified; without a time limit, that of the settings holds.

    Raises NotFoundError, DamagedError (no readable manifest).
    """
    part = parse_subset(subset)
    manifest = find_backup(repository, backup_id, job.type)
    options = VerificationOptions.of(job.settings)
    if time_limit_seconds is not None:
        options = replace(options, time_limit_seconds=time_limit_seconds)
    with job.leased(repository, f"verify {manifest.id}"):
        yield Verification(repository, manifest, level, options, part, drill)


def concluded(job: Job, verification: Verification, proof: Proof) -> Json:
    """Tell what the proof says: in the backup's row, as an event, in the UI. Raises VerificationFailedError."""
    repository = verification.repository
    level = repository.verified_level(proof.backup_id)
    note_proof(job, verification, proof)
    subset = verification.figures.get("subset")
    found = {
        "backupId": proof.backup_id,
        "level": verification.level,
        "subset": subset,
        "ok": proof.ok,
        "problems": proof.problems,
        "verifiedLevel": level,
        "figures": proof.figures,
        "readFrom": repository.standing_in,
        "notes": [*dict.fromkeys([*verification.notes, *notes_on_reading(repository)])],
    }
    _show(job.type, found)
    if proof.ok:
        return job.completed(found)
    error = VerificationFailedError(
        f"backup {proof.backup_id} did not pass its verification to the level {verification.level!r}",
        reason="; ".join(figures.first(proof.problems, 5)),
        next_step="A fresh backup heals what its source still has, and is started where a worker runs; otherwise run: "
        f"holdfast backup {job.type}. To restore meanwhile, name an older backup",
    )
    raise job.failure(error, found)


def note_proof(job: Job, verification: Verification, proof: Proof) -> None:
    """Note in the backup's row what the proof says of it, or of its copy in a replica; tell that it is bad."""
    repository = verification.repository
    if repository.standing_in is not None:
        _note_copy(job, repository.standing_in, proof)
        return
    note_level(job, proof.backup_id, repository.verified_level(proof.backup_id), ok=proof.ok)
    tell_of_bad(job, verification.bad, proof.problems)


def _note_copy(job: Job, replica: str, proof: Proof) -> None:
    """Note in the backup's row when its copy in this replica was last found whole; one that is not is no copy."""
    recorded = job.mirror.metadata([proof.backup_id]).get(proof.backup_id, {}).get("copies") or []
    others = [copy for copy in recorded if copy.get("storage") != replica]
    this = [{**copy, "verifiedAt": time_text(proof.finished_at)} for copy in recorded if copy.get("storage") == replica]
    job.mirror.note_job(proof.backup_id, {"copies": others + (this if proof.ok else [])})


def _show(kind: str, found: Json) -> None:
    facts = {
        "Outcome": "passed" if found["ok"] else "did not pass",
        "Level": found["level"] + (f", part {found['subset']}" if found["subset"] else ""),
        "Proven to": found["verifiedLevel"],
        "Read from the replica": found["readFrom"],
        **{name: value for name, value in found["figures"].items() if name != "subset"},
    }
    artifacts.summary(f"{kind}-verification-summary", f"Verification of {found['backupId']}", facts, found["notes"])
    if found["problems"]:
        rows = [{"problem": problem} for problem in found["problems"]]
        artifacts.table(f"{kind}-verification-problems", f"Problems of {found['backupId']}", rows)
