"""The name of a flow run: what it does, and the id of its job, so that either leads to the other.

Prefect asks for the name before the flow begins, and writes it down in one request. So the id of a job that was given none is
made here, and the job takes it up. A recovery that waited for a person is the same job in another process.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from orchestration.kinds import Kind, new_id_of

_FORMER = re.compile(r", (recovery_[0-9]+_[0-9a-f]+)")
_made: dict[str, str] = {}
"""The ids that were made for runs whose job has not begun, by flow run."""


def named(what: str, kind: Kind) -> Callable[[], str]:
    """Name the runs of a flow: `what` may hold the flow's parameters in braces, and the job's id follows it."""

    def name() -> str:
        context = FlowRunContext.get()
        parameters = (context.parameters if context else None) or {}
        given: str | None = parameters.get("job_id") or parameters.get("resume")
        return f"{what.format(**parameters)}, {given or _new_id(kind, context)}"

    return name


def id_for_this_run(kind: Kind, given: str | None) -> str:
    """Return the id that a job was given, else the one that its run is named with; a further job in that has another."""
    made = _made.pop(str(flow_run.id), None)
    return given or made or new_id_of(kind)


def _new_id(kind: Kind, context: FlowRunContext | None) -> str:
    name = context.flow_run.name if context and context.flow_run else ""
    former = _FORMER.search(name) if kind == "recovery" else None
    _made[str(flow_run.id)] = former[1] if former else new_id_of(kind)
    return _made[str(flow_run.id)]
