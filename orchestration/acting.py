"""Who is behind the run in this context: a token, a user of this host, a schedule, an event, or somebody at Prefect itself."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.runtime import flow_run as current

from holdfast.audit import Actor
from holdfast.audit.entry import this_user
from orchestration.submitting import asked_by

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

_OF_THIS_PROCESS = "PREFECT__FLOW_RUN_ID"
"""Set by a worker, for the process that it starts for a run."""

_log = logging.getLogger(__name__)


def actor_of_this_run() -> Actor:
    """Name who started the run in this context, or the run that started it. Prefect itself has no users."""
    token = asked_by(current.tags or [])
    if token is not None:
        return Actor("token", token)
    run = _run()
    if run is None:
        return Actor("system", "holdfast")
    if run.deployment_id is None and _OF_THIS_PROCESS not in os.environ:
        return this_user()
    return actor_of(run)


def actor_of(run: FlowRun) -> Actor:
    """Name who had Prefect start a run of a deployment."""
    token = asked_by(run.tags)
    if token is not None:
        return Actor("token", token)
    if run.created_by is not None and run.created_by.type == "AUTOMATION":
        return Actor("event", run.created_by.display_value or "automation")
    return Actor("schedule", "prefect") if run.auto_scheduled else Actor("user", "at Prefect")


def _run() -> FlowRun | None:
    """Return the run that a worker started this process for, else the one in this context."""
    context = FlowRunContext.get()
    run = None if context is None else context.flow_run
    of_this_process = os.environ.get(_OF_THIS_PROCESS)
    if run is None or of_this_process in (None, str(run.id)):
        return run
    try:
        with get_client(sync_client=True) as client:
            return client.read_flow_run(UUID(of_this_process))
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises: who asked is told as far as it is known
        _log.warning("Prefect could not be asked who started this run: %s", error)
        return None
