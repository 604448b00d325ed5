"""Rehearse recovery plans, one after the other, so that none is needed before it was ever tried."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.disaster_recovery import disaster_recovery
from orchestration.recovery.drills import chosen, concluded, run_apart
from orchestration.run_names import named
from orchestration.tasks import step
from orchestration.together import together


@flow(name="plan_drill", flow_run_name=named("drill recovery plans", "drill"), persist_result=False)
def plan_drill(*, plans: list[str] | None = None, job_id: str | None = None) -> dict[str, Any]:
    """Drill these plans (`all`: all that are on), or those that are due, on scratch targets: nothing live is touched.

    The run fails once all were drilled, where one did not succeed. Each execution has its own record, and its own time limits.
    """
    with together("drill", "plans", job_id, []) as whole:
        found = concluded([drill(plan_id) for plan_id in chosen(plans)])
        whole.came_of(found)
        return found


@step("drill {plan_id}", retries=0)
def drill(plan_id: str) -> dict[str, Any]:
    """Drill one plan, as a run of its own."""
    return run_apart(disaster_recovery, plan_id)
