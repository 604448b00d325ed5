"""Rehearsals: a backup restored into a scratch database or folder, timed, and compared with what its source was.

The time is that of the restore alone, from its opening until what was restored could be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.opening import scratch_server
from holdfast.postgres.restore import DatabaseRestore
from holdfast.source_restore import SourceRestore
from holdfast.verification import Verification
from orchestration.job import Job
from orchestration.rebuilding import preflight, prove, rebuild
from orchestration.source_rebuilding import compare, follow, look_first, restore_all


def rehearse(job: Job, work: Verification) -> None:
    """Restore a backup of any type into scratch, and compare it where the level asks for that."""
    (rehearse_database if work.manifest.type == "database" else rehearse_files)(job, work)


def rehearse_database(job: Job, work: Verification) -> None:
    """Restore into a scratch database, and compare it with what the source was."""
    with rehearsing(job, work) as restore:
        preflight(restore)
        rebuild(restore)
        work.note_restored()
        if work.level == "proven":
            work.judge(prove(restore))


def rehearse_files(job: Job, work: Verification) -> None:
    """Restore into a scratch folder, and compare each file with what it was at the source."""
    with rehearsing_files(job, work) as restore:
        look_first(restore)
        restore_all(restore)
        work.note_restored()
        if work.level == "proven":
            work.judge_files(compare(restore), restore)


@contextmanager
def rehearsing(job: Job, verification: Verification) -> Iterator[DatabaseRestore]:
    """Restore into a scratch database for the length of the block. What keeps it from working is a problem of the backup."""
    server = scratch_server(job.settings)
    with verification.rehearsal(server) as restore:
        job.follow(restore)
        yield restore


@contextmanager
def rehearsing_files(job: Job, verification: Verification) -> Iterator[SourceRestore]:
    """Restore into a scratch folder for the length of the block. What keeps it from working is a problem of the backup."""
    with verification.folder_rehearsal(job.id) as restore:
        follow(job, restore)
        yield restore
