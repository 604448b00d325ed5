"""The heartbeat of runs: told when a backup or the health monitor begins, and when it has ended.

A beat says `success` only where nothing is wrong as far as is known, so that a good backup of the configuration never hides a
database whose backups fail. Since when no beat got out is kept on the Prefect server: what one host can't send, another may.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import VariableCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from holdfast.backup_types import TYPES
from holdfast.errors import HoldfastError
from holdfast.heartbeat import KEY, LIMIT_SECONDS, Failing, Heartbeat, judge_heartbeat
from orchestration.declared import TAG
from orchestration.masking import masked
from orchestration.notifying import open_alarms

if TYPE_CHECKING:
    from holdfast.alarms import Alarm, Judgement
    from holdfast.settings import Settings
    from orchestration.aftermath import Aftermath
    from orchestration.job import Job

_KINDS = ("backup", "monitor")
_MONITOR = "monitor"
_log = logging.getLogger(__name__)
_starting: dict[str, threading.Thread] = {}


def tell_start(job: Job) -> None:
    """Tell that a job has begun; it goes on meanwhile."""
    heartbeat = _of(job)
    if heartbeat is None:
        return
    telling = threading.Thread(
        target=_tell_start, args=(heartbeat, _rid(job), f"{job.kind} {job.id} has begun"), name="holdfast-beat", daemon=True
    )
    _starting[job.id] = telling
    telling.start()


def tell_heartbeat(after: Aftermath) -> None:
    """Tell how a job has ended, and how things stand with what this address tells of."""
    job = after.job
    heartbeat = _of(job)
    if heartbeat is None:
        return
    if (start := _starting.pop(job.id, None)) is not None:
        start.join(LIMIT_SECONDS)  # the end must not overtake it
    wrong = list(_wrong(after, heartbeat))
    text = "\n".join(wrong) or f"{job.kind} {job.id} is completed, and nothing is known to be wrong"
    problem = heartbeat.tell("fail" if wrong else "success", _rid(job), masked(text))
    if problem is not None:
        _log.warning("The heartbeat did not get out to %s: %s", heartbeat.host, problem)
    _keep(job.settings, problem)


def heartbeat_judgement(settings: Settings) -> Judgement:
    """Judge whether beats have been getting out."""
    heartbeat = Heartbeat.of(settings, _MONITOR)
    if heartbeat is None:
        return judge_heartbeat(None, None, datetime.now(UTC))
    try:
        return judge_heartbeat(heartbeat.host, _failing(settings), datetime.now(UTC))
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises: then nobody knows
        _log.warning("Prefect could not be asked how the heartbeat does: %s", error)
        return {}


def _of(job: Job) -> Heartbeat | None:
    return Heartbeat.of(job.settings, job.type) if job.kind in _KINDS else None


def _rid(job: Job) -> UUID:
    return uuid5(NAMESPACE_URL, job.id)


def _tell_start(heartbeat: Heartbeat, rid: UUID, text: str) -> None:
    problem = heartbeat.tell("start", rid, text)
    if problem is not None:
        _log.warning("That a run has begun did not get out to %s: %s", heartbeat.host, problem)


def _wrong(after: Aftermath, heartbeat: Heartbeat) -> Iterator[str]:
    """Say what is wrong of what this address tells of: of all, or of the one type that it is the address of."""
    job = after.job
    if after.error is not None:
        yield f"{job.kind} {job.id} has failed: {after.error}"
    if heartbeat.own and job.kind == "backup":
        return
    yield from _alarms(after, all_of_them=not heartbeat.own)
    if not heartbeat.own:
        for one in after.overview.types:
            if one.on and one.failures.in_a_row:
                yield f"the last {one.type} backup has failed: {one.failures.last_error}"


def _alarms(after: Aftermath, *, all_of_them: bool) -> Iterator[str]:
    """Tell of the alarms that are open; where each type has an address, the monitor's tells of those that are of none."""
    judged = {key: alarm for key, alarm in after.judgement.items() if alarm is not None}
    for key, alarm in {**_still_open(after), **judged}.items():
        if key != KEY and (all_of_them or key.partition("-")[0] not in TYPES):
            yield f"{alarm.title}: {alarm.what}"


def _still_open(after: Aftermath) -> dict[str, Alarm]:
    """Find the alarms that earlier jobs have opened and that were not judged now."""
    try:
        found = {one.alarm.key: one.alarm for one in open_alarms(after.job.settings)}
    except HoldfastError as error:
        _log.warning("Prefect could not be asked for open alarms: %s", error)
        return {}
    return {key: alarm for key, alarm in found.items() if key not in after.judgement}


def _variable(settings: Settings) -> str:
    return f"{settings.target or 'holdfast'}_heartbeat_failing"


def _failing(settings: Settings) -> Failing | None:
    with get_client(sync_client=True) as client:
        found = client.read_variable_by_name(_variable(settings))
    if found is None or not isinstance(found.value, dict):
        return None
    return Failing(datetime.fromisoformat(str(found.value["since"])), str(found.value["problem"]))


def _keep(settings: Settings, problem: str | None) -> None:
    """Remember since when no beat gets out, by the first that did not; one that does ends it."""
    name = _variable(settings)
    with get_client(sync_client=True) as client:
        if problem is not None:
            value = {"since": datetime.now(UTC).isoformat(), "problem": problem}
            try:
                client.create_variable(VariableCreate(name=name, value=value, tags=[TAG]))
            except ObjectAlreadyExists:  # it has failed before
                return
        elif client.read_variable_by_name(name) is not None:
            try:
                client.delete_variable_by_name(name)
            except ObjectNotFound:  # another run's beat got out, too
                return
