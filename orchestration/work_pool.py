"""The work pool that runs wait in, and the workers that take them from there."""

from __future__ import annotations

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkerStatus, WorkPool
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from holdfast.errors import NotFoundError
from holdfast.recovery.plan import PRIORITIES

WORK_POOL = "holdfast"

_AFTER_ALL = "low"
"""The priority whose queue comes after the default one, in which backups wait; the others come before it."""


def work_pool(client: SyncPrefectClient, name: str) -> WorkPool:
    """Return a work pool; our own is made where it is missing, for processes. Raises NotFoundError."""
    try:
        return client.read_work_pool(name)
    except ObjectNotFound:
        if name != WORK_POOL:
            raise NotFoundError(
                f"there is no work pool {name}",
                reason="only the user knows what kind of infrastructure it is to stand for",
                next_step=f"Make it with 'prefect work-pool create {name} --type docker' (or kubernetes, …)",
            ) from None
    try:
        return client.create_work_pool(_of_processes(name))
    except ObjectAlreadyExists:  # somebody else made it this moment
        return client.read_work_pool(name)


def _of_processes(name: str) -> WorkPoolCreate:
    from prefect.workers.process import ProcessWorker  # it takes its time, and a plan's run that imports this has none to lose

    template = ProcessWorker.get_default_base_job_template()
    return WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=template)


def priority_queues(client: SyncPrefectClient, pool: str) -> None:
    """Make the queues of recovery plans where they are missing: a worker takes what is critical first, whatever waits longer.

    What was put into order by a person stays so.
    """
    there = {queue.name for queue in client.read_work_queues(work_pool_name=pool)}
    for place, name in enumerate(PRIORITIES, start=1):
        if name not in there:
            _make_queue(client, pool, name, None if name == _AFTER_ALL else place)


def _make_queue(client: SyncPrefectClient, pool: str, name: str, priority: int | None) -> None:
    """Put a queue into this place, before the one that has it; without a place after all."""
    try:
        client.create_work_queue(name, work_pool_name=pool, priority=priority)
    except ObjectAlreadyExists:  # somebody else made it this moment
        return


def worker_is_online(name: str) -> bool:
    """Tell whether this worker has reported to the server that it is at work."""
    with get_client(sync_client=True) as client:
        return any(worker.name == name for worker in client.read_workers_for_work_pool(WORK_POOL))


def worker_is_gone(client: SyncPrefectClient, pool: str, name: str) -> bool:
    """Tell whether this worker no longer reports to the server; where the pool is unknown, so is that."""
    try:
        workers = client.read_workers_for_work_pool(pool)
    except ObjectNotFound:
        return False
    return all(worker.name != name or worker.status != WorkerStatus.ONLINE for worker in workers)


def pool_has_worker(pool: str) -> bool:
    """Tell whether any worker takes runs from this pool of the server that is in use."""
    with get_client(sync_client=True) as client:
        return a_worker_is_online(client, pool)


def a_worker_is_online(client: SyncPrefectClient, pool: str) -> bool:
    """Tell whether any worker takes runs from this pool."""
    try:
        return any(worker.status == WorkerStatus.ONLINE for worker in client.read_workers_for_work_pool(pool))
    except (ObjectNotFound, httpx.HTTPStatusError):  # there is no such pool
        return False
