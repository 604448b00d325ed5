"""A job with what it works on: the repository is open, dead work is closed, and at the end it is told how things stand.

Every flow begins so. What comes after the job (dashboard, alarms, metrics) sees the repository while it is still open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

from holdfast.opening import cache_folder
from holdfast.repository import Repository
from orchestration.aftermath import tell_how_things_stand
from orchestration.dead_runs import sign_run
from orchestration.dead_work import close_dead_work
from orchestration.heartbeat import tell_start
from orchestration.job import Job
from orchestration.opening import Source, opened_repository, opened_source, repository_to_read

Opened = TypeVar("Opened", Repository, Source)


def backup_into(storage: str, key: str) -> Callable[[Job], AbstractContextManager[Repository]]:
    """Open the repository in a storage block with the key of a key block, to write into it."""
    return lambda _: opened_repository(storage, key)


def replicate_from(storage: str, key: str) -> Callable[[Job], AbstractContextManager[Source]]:
    """Open the same, with what a replication needs to know of it."""
    return lambda _: opened_source(storage, key)


def read_from(storage: str, key: str, from_replica: str | None) -> Callable[[Job], AbstractContextManager[Repository]]:
    """Open the repository to read it, or a replica: the one of that name, or where the primary can't be opened any."""
    return lambda job: repository_to_read(storage, key, job.settings, from_replica)


@contextmanager
def at_work(job: Job, opened: Callable[[Job], AbstractContextManager[Opened]]) -> Iterator[tuple[Job, Opened]]:
    """Begin a job, open what it works on, and close dead work; at the end, however it came, tell how things stand.

    Told to end (cancelled, SIGTERM), it ends at once. Raises what `opened` raises, as the job's own failure.
    """
    with job, ExitStack() as held:
        repository: Repository | None = None
        sign_run()
        tell_start(job)
        try:
            found = held.enter_context(opened(job))
            repository = found.repository if isinstance(found, Source) else found
            repository.use_cache(cache_folder(job.settings))
            closed = close_dead_work(job.mirror, repository, job.settings.target)
            yield job, found
        except Exception as error:
            job.give_up(error)
            tell_how_things_stand(job, repository, error)
            raise
        tell_how_things_stand(job, repository, closed=closed)
