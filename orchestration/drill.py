"""What a restore drill needs beside its tasks: the lease, that no type hinders another, and how its outcome is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prefect.exceptions import CancelledRun

from holdfast import figures
from holdfast.drill import Drill, types_of_drill
from holdfast.errors import HoldfastError
from holdfast.opening import notes_on_reading
from holdfast.repository import BackupType, Proof, Repository
from holdfast.verification import Verification, VerificationOptions
from orchestration import artifacts
from orchestration.job import Job
from orchestration.masking import masked
from orchestration.rows import Json
from orchestration.verification import note_proof


@contextmanager
def drilling(job: Job, repository: Repository, types: Sequence[BackupType] | None) -> Iterator[Drill]:
    """Hold a lease on the repository while backups are brought back. Raises SettingsError where no type is on."""
    wanted = types_of_drill(types, job.settings)
    with job.leased(repository, "drill"):
        yield Drill(repository, wanted, VerificationOptions.of(job.settings))


def attempt(job: Job, drill: Drill, backup_type: BackupType, rehearse: Callable[[Verification], Proof]) -> None:
    """Bring one type back, and note what came of it, whatever that is."""
    try:
        work = drill.begin(backup_type)
        proof = rehearse(work)
        drill.end(work, proof)
        note_proof(job, work, proof)
    except CancelledRun:
        raise
    except Exception as error:  # the other types are tried all the same, and the drill fails at its end
        drill.hindered(backup_type, masked(_what(error)))
        job.log.warning("%s could not be tried", backup_type, exc_info=None if isinstance(error, HoldfastError) else error)


def concluded(job: Job, drill: Drill) -> Json:
    """Tell what came back and how long it took. Raises DrillFailedError."""
    found = {**drill.document(), "readFrom": drill.repository.standing_in, "notes": notes_on_reading(drill.repository)}
    _show(job, found)
    if drill.ok:
        return job.completed(found)
    raise job.failure(drill.failure(), found)


def _what(error: Exception) -> str:
    return error.what_and_why if isinstance(error, HoldfastError) else f"{type(error).__name__}: {error}"


def _show(job: Job, found: Json) -> None:
    rows = [
        {
            "type": one["type"],
            "backup": one["backupId"],
            "came back": one["ok"],
            "seconds": one["seconds"],
            "size": figures.size(one["sizeBytes"]),
            "problems": "\n".join(one["problems"][:20]),
        }
        for one in found["types"]
    ]
    artifacts.table("drill-types", "What came back, and how long it took", rows)
    facts = {
        "Came back": ", ".join(one["type"] for one in found["types"] if one["ok"]) or "nothing",
        "Did not": ", ".join(one["type"] for one in found["types"] if not one["ok"]) or None,
        "Seconds, one after the other": found["seconds"],
        "Read from the replica": found["readFrom"],
    }
    artifacts.summary("drill-summary", f"Restore drill {job.id}", facts, found["notes"])
