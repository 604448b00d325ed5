"""Rows that say `running` of work whose process has died: found and closed by the next flow that looks.

Work is dead when its process is known to be, or when its lease is gone from the storage that it was taken in, or has expired
there. Work that had no lease yet is judged by what Prefect says of its flow run. Nothing is ever judged by its age alone, and
what can't be judged is left alone. A replica knows nothing of the primary's leases, so whoever reads from one closes nothing.
Who listens hears of it as of any failure: the event of the job that failed, and its flow run, which is set to Crashed.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import cached_property
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.runtime import deployment
from prefect.states import Crashed

from holdfast.catalog.catalog import Ending
from holdfast.catalog.mirror import Mirror
from holdfast.catalog.records import JobRecord, Metadata, Record
from holdfast.process_identity import is_known_dead
from holdfast.repository import Repository
from holdfast.settings import load_settings
from orchestration import events
from orchestration.dead_runs import close_dead_runs, crash_run
from orchestration.job import time_text
from orchestration.job_record import JobEntries
from orchestration.recovery.dead_executions import close_dead_executions
from orchestration.server import prefect_place
from orchestration.slots import free_stuck_slots

REASON = "its process died before it had ended"
CANCELLED = "its run was cancelled before it began"
GONE = "Gone from Prefect"
UNTOLD = "the catalog could not be told of it: this is how its run ended, by what Prefect says"

_log = logging.getLogger(__name__)


def close_dead_work(mirror: Mirror, repository: Repository, target: str | None = None) -> list[str]:
    """Close the rows of dead work as failed, and return their ids; a backup that was made all the same gets its row put right.

    Runs without a row are closed too, where they were of this host. `target` is whose work it is.
    """
    if repository.standing_in is not None:
        return []
    judgement = Judgement(repository)
    closed = mirror.close_dead(judgement.is_alive, judgement.ending)
    for job_id in closed:
        status, reason = judgement.ending(record := judgement.dead[job_id])
        _log.warning("%s is closed as %s: %s", job_id, status, reason)
        _tell(record, target, status, reason)
    closed += close_dead_executions(mirror, judgement.goes_on, REASON)
    _put_prefect_right()
    mirrored = mirror.catch_up(repository)
    if mirrored:
        _log.info("%d backups that the catalog did not know were written into it", mirrored)
    return closed


def _tell(record: Record, target: str | None, status: str, reason: str) -> None:
    """Tell Prefect of a row that was closed, as its own process would have."""
    crash_run(record.metadata.get("flowRunId"), reason)
    ended = {"completedAt": time_text(datetime.now(UTC)), "startedAt": time_text(record.started_at)}
    payload = {"jobId": record.job_id, "type": record.type, "status": status, "error": reason, **ended}
    events.emit(f"{record.kind}.{status}", job_id=record.job_id, type=record.type, payload=payload, target=target)
    JobEntries.of_dead_work(load_settings(), record.kind, record.type, record.job_id).ended(status)


def _put_prefect_right() -> None:
    """End runs without a row whose process died, and free slots that nobody holds: one of its own would keep the monitor out."""
    try:
        for name in close_dead_runs(REASON):
            _log.warning("the flow run %s is set to Crashed: %s", name, REASON)
        if deployment.id is not None:
            free_stuck_slots()
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises; the next run looks again
        _log.warning("Prefect could not be asked for runs whose process died: %s", error)


class Judgement:
    """Tells live work from dead; the leases are listed when first asked, so after the rows were read."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.dead: dict[str, Record] = {}
        """What was judged to be dead, by job id."""
        self._untold: dict[str, Ending] = {}
        """How the flow runs ended that never told the catalog that their job began, by their ids."""

    def is_alive(self, record: Record) -> bool:
        """Tell whether the work behind a row that is not closed goes on, as far as that can be known."""
        alive = self.goes_on(record.metadata)
        if not alive:
            self.dead[record.job_id] = record
        return alive

    def ending(self, record: Record) -> Ending:
        """Tell how dead work ended: a run that was cancelled before it began has no process that could have died.

        A backup whose run could not tell of its end counts as failed until it is found in the repository.
        """
        status, reason = self._untold.get(str(record.metadata.get("flowRunId")), ("failed", REASON))
        return ("failed", reason) if status == "completed" and isinstance(record, JobRecord) else (status, reason)

    def goes_on(self, known: Metadata) -> bool:
        """Tell it by what a row's metadata says of process, lease and flow run."""
        if is_known_dead(known):
            return False
        if known.get("leaseId"):
            return not self._was_leased_here(known) or known["leaseId"] in self._living_leases
        run_id = known.get("flowRunId")
        state = _final_state(run_id, gone=self._waits_here(known))
        if state is not None and "pid" not in known:
            self._untold[str(run_id)] = _ending_of(state)
        return state is None

    def _waits_here(self, known: Metadata) -> bool:
        """Tell whether it is work that never began, and whose run this Prefect server would know if it were still there."""
        return "pid" not in known and "prefect" in known and known["prefect"] == self._prefect

    @cached_property
    def _prefect(self) -> str | None:
        return prefect_place(load_settings())

    def _was_leased_here(self, known: Metadata) -> bool:
        """Tell whether the lease was taken in this storage: a replica has the same repository in it, and other leases."""
        here = self._repository.location
        return known.get("repositoryId") == self._repository.id and known.get("leasedIn", here) == here

    @cached_property
    def _living_leases(self) -> set[str]:
        return {lease.id for lease in self._repository.leases() if not lease.expired}


def _ending_of(state: State) -> Ending:
    if state.is_completed():
        return "completed", UNTOLD
    return ("cancelled", CANCELLED) if state.is_cancelled() else ("failed", f"its run ended before it began: {state.name}")


def _final_state(flow_run_id: object, *, gone: bool) -> State | None:
    """Ask Prefect for the state that a run has ended in; None: it goes on, or waits, or nobody could be asked.

    `gone`: one that this server does not know was deleted there, and is no other server's.
    """
    if not isinstance(flow_run_id, str):
        return None
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(flow_run_id)).state
    except ObjectNotFound:
        return Crashed(name=GONE) if gone else None  # another server's run, perhaps
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises
        _log.warning("Prefect could not be asked about flow run %s: %s", flow_run_id, error)
        return None
    return state if state is not None and state.is_final() else None
