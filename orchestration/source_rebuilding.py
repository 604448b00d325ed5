"""The steps of bringing files and documents back into a folder, as tasks: for a restore, and a verification that rehearses one.

They are not tried again: a step that ended half-way has left its files in between; the storage is asked again below them.
"""

from __future__ import annotations

from holdfast.source_restore import SourceRestore
from orchestration.job import Job
from orchestration.tasks import inside_a_task, results, step


def follow(job: Job, restore: SourceRestore) -> None:
    """Show the progress of a restore as this job's."""

    def told(name: str, done_bytes: int) -> None:
        job.progress.stream(name)(done_bytes)

    job.progress.expect(restore.expected_bytes)
    restore.on_progress = told


def restore_all(restore: SourceRestore) -> None:
    """Write every entry into the staged folder, several at once; inside a task of another flow one after the other."""
    if inside_a_task():
        for entry in restore.entries:
            restore_part(restore, entry.name)
        return
    results([restore_part.submit(restore, entry.name) for entry in restore.entries])


@step("look before anything is changed")
def look_first(restore: SourceRestore) -> None:
    """Refuse what can't end well."""
    restore.preflight()


@step("restore {part}", retries=0)
def restore_part(restore: SourceRestore, part: str) -> None:
    """Write what one entry holds beside its place."""
    restore.restore(part)


@step("compare with the source's truth", retries=0)
def compare(restore: SourceRestore) -> list[str]:
    """Read what was written back from the disk, and compare it with what the source was."""
    return restore.compare()


@step("take its place", retries=0)
def take_place(restore: SourceRestore) -> None:
    """Put the tree where it belongs; what was there is kept."""
    restore.take_place()
