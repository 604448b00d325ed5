"""Executions that nobody carries out any more: their process died, or nobody approved them in time. They can be resumed.

One that waits for a person has no process, and is not dead for that: Prefect knows whether its run is still suspended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from holdfast.catalog.mirror import Mirror
from holdfast.catalog.records import Metadata
from holdfast.process_identity import is_known_dead
from holdfast.recovery.execution import APPROVAL, Execution
from holdfast.recovery.journal import Journal
from holdfast.recovery.running import ended
from holdfast.recovery.triggers import RESOURCE
from holdfast.settings import Settings, load_settings
from orchestration import events
from orchestration.dead_runs import crash_run
from orchestration.recovery.approval import state_of
from orchestration.recovery.record import newest, write_end
from orchestration.recovery.telling import tell_ended

_log = logging.getLogger(__name__)


def close_dead_executions(mirror: Mirror, goes_on: Callable[[Metadata], bool], reason: str) -> list[str]:
    """Close dead executions as failed or partial, tell of them, and return their ids; `goes_on` judges by metadata."""
    settings = load_settings()
    journal = Journal(settings.home)
    closed = []
    for execution in _open_ones(mirror, journal):
        if execution.status != "running":
            mirror.close_execution(execution)  # it ended while the catalog was away
            continue
        why = _why_dead(execution, goes_on, reason, settings.approval_hours)
        if why is not None:
            _close(mirror, journal, ended(execution, datetime.now(UTC), why), settings)
            closed.append(execution.id)
    return closed


def _open_ones(mirror: Mirror, journal: Journal) -> list[Execution]:
    """List those that have not ended by one of both records, each as the newer one has it."""
    there = {one.id: one for one in mirror.open_executions()}
    here = {one.id: one for one in journal.all() if one.status == "running" or one.id in there}
    newer = (newest(here.get(one), there.get(one) or mirror.find_execution(one)) for one in {**here, **there})
    return [one for one in newer if one is not None and (one.status == "running" or one.id in there)]


def _why_dead(execution: Execution, goes_on: Callable[[Metadata], bool], reason: str, hours: float) -> str | None:
    known = execution.metadata
    if execution.waiting_for != APPROVAL:
        return None if goes_on(known) else reason
    if not known.get("suspended"):
        return "nobody answered before its terminal was closed" if is_known_dead(known) else None
    return f"nobody approved it within {hours:g} hours" if state_of(known.get("flowRunId")) == "ended" else None


def _close(mirror: Mirror, journal: Journal, execution: Execution, settings: Settings) -> None:
    _log.warning("%s is closed as %s: %s", execution.id, execution.status, execution.error)
    write_end(execution, journal, mirror)
    crash_run(execution.metadata.get("flowRunId"), execution.error or "")
    events.emit("recovery.failed", job_id=execution.id, type=RESOURCE, payload=execution.document(), target=settings.target)
    tell_ended(settings, execution)
