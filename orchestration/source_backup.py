"""What the backup flows of functions, configuration and secrets share: the lease, a task for each part, and those that fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from holdfast.errors import HoldfastError
from holdfast.repository import Manifest, Repository
from holdfast.source_backup import SourceBackup, SourceBackupOptions, may_be_left_out, purpose
from holdfast.sources.contract import Source
from orchestration.backup import completed
from orchestration.job import Job
from orchestration.rows import Json
from orchestration.tasks import outcomes, step, untagged


def back_up_source(job: Job, repository: Repository, opened: Callable[[], Source]) -> Json:
    """Back up a source: look, store each part at once with others, note the truth, commit; return the job's document.

    A part that can't be read is left out and named, unless none is left. Raises BusyError where another run does the same.
    """
    with closing(opened()) as source:
        job.note(source=source.description)
        with (
            untagged(),
            job.leased(repository, purpose(source)) as lease,
            SourceBackup(
                repository,
                lease,
                source,
                SourceBackupOptions.of(job.settings),
                job_id=job.id,
                tell_progress=job.progress.stream,
            ) as backup,
        ):
            parts = look(backup)
            backup.leave_out(_failures(outcomes({part: store_part.submit(backup, part) for part in parts})))
            note_truth(backup)
            return completed(job, repository, commit(backup), left_out=backup.left_out)


def _failures(ended: Json) -> dict[str, HoldfastError]:
    """Name the parts that could not be read. Raises what nobody can go on from."""
    failures: dict[str, HoldfastError] = {}
    for part, error in ended.items():
        if not isinstance(error, BaseException):
            continue
        if not (isinstance(error, HoldfastError) and may_be_left_out(error)):
            raise error
        failures[part] = error
    return failures


@step("look at the source")
def look(backup: SourceBackup) -> list[str]:
    """Name the parts that there are to store."""
    return backup.plan()


@step("store {part}")
def store_part(backup: SourceBackup, part: str) -> int:
    """Store one part, and return its size in bytes."""
    return backup.store(part).size_bytes


@step("note the truth")
def note_truth(backup: SourceBackup) -> int:
    """Store what the source was, which every restore will be compared with."""
    return backup.store_truth().size_bytes


@step("commit", retries=0)
def commit(backup: SourceBackup) -> Manifest:
    """Make the backup exist, once all that it names is durable."""
    return backup.commit()
