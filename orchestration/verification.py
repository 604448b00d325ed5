"""What a verification flow needs beside its tasks: the lease, the scratch server, and how its outcome is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import VerificationFailedError
from holdfast.opening import scratch_server
from holdfast.postgres.restore import DatabaseRestore
from holdfast.repository import Level, Proof, Repository
from holdfast.verification import Verification, VerificationOptions, find_backup, parse_subset
from orchestration import artifacts
from orchestration.job import Job
from orchestration.rows import Json


@contextmanager
def verifying(job: Job, repository: Repository, backup_id: str, level: Level, subset: str | None) -> Iterator[Verification]:
    """Hold a lease on the repository while a backup is verified. Raises NotFoundError, DamagedError (no readable manifest)."""
    part = parse_subset(subset)
    manifest = find_backup(repository, backup_id, job.type)
    with job.leased(repository, f"verify {manifest.id}"):
        yield Verification(repository, manifest, level, VerificationOptions.of(job.settings), part)


@contextmanager
def rehearsing(job: Job, verification: Verification) -> Iterator[DatabaseRestore]:
    """Restore into a scratch database for the length of the block. What keeps it from working is a problem of the backup."""
    server = scratch_server(job.settings)
    with verification.rehearsal(server) as restore:
        job.follow(restore)
        yield restore


def concluded(job: Job, verification: Verification, proof: Proof) -> Json:
    """Tell what the proof says: in the backup's row, as an event, in the UI. Raises VerificationFailedError."""
    level = verification.repository.verified_level(proof.backup_id)
    job.mirror.note_job(proof.backup_id, {"verifiedLevel": level})
    subset = verification.figures.get("subset")
    found = {
        "backupId": proof.backup_id,
        "level": verification.level,
        "subset": subset,
        "ok": proof.ok,
        "problems": proof.problems,
        "verifiedLevel": level,
        "figures": proof.figures,
    }
    _show(job.type, found)
    if proof.ok:
        return job.completed(found)
    error = VerificationFailedError(
        f"backup {proof.backup_id} did not pass its verification to the level {verification.level!r}",
        reason="; ".join(proof.problems[:5]) + (f"; and {len(proof.problems) - 5} more" if len(proof.problems) > 5 else ""),
        next_step="Use an older backup; the next backup heals what its source still has",
    )
    error.found = {**job.document("failed"), **found, "error": str(error)}
    raise error


def _show(kind: str, found: Json) -> None:
    facts = {
        "Outcome": "passed" if found["ok"] else "did not pass",
        "Level": found["level"] + (f", part {found['subset']}" if found["subset"] else ""),
        "Proven to": found["verifiedLevel"],
        **{name: value for name, value in found["figures"].items() if name != "subset"},
    }
    artifacts.summary(f"{kind}-verification-summary", f"Verification of {found['backupId']}", facts)
    if found["problems"]:
        rows = [{"problem": problem} for problem in found["problems"]]
        artifacts.table(f"{kind}-verification-problems", f"Problems of {found['backupId']}", rows)
