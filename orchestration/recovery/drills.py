"""Drills of recovery plans: which are due, how each is run by itself, and what came of all of them.

A drill is an execution as any other, on scratch targets; that it changes nothing live is the steps' own promise.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from prefect import tags

from blocks.names import own_defaults
from holdfast.errors import DrillFailedError, HoldfastError
from holdfast.opening import open_catalog
from holdfast.recovery.plan import TEST_TRIGGER
from holdfast.settings import load_settings
from orchestration import artifacts
from orchestration.declared import TAG
from orchestration.job import in_force
from orchestration.masking import masked
from orchestration.starting import in_turn

Json = dict[str, Any]

ALL = "all"
DRILL = "drill"


def chosen(plans: Sequence[str] | None) -> list[str]:
    """Name the plans to be drilled: these; with `all` all that are on; without any those that are due.

    What is due would be untested by the next turn. Raises DatabaseUnreachableError.
    """
    if plans is not None and ALL not in plans:
        return list(plans)
    settings = in_force(load_settings())
    with open_catalog(settings) as catalog:
        now = datetime.now(UTC)
        tests = catalog.plans.tests(settings.plan_test_days)
    return [one.plan_id for one in tests if (one.enabled if plans else one.is_due(now))]


def run_apart(recover: Callable[..., Json], plan_id: str) -> Json:
    """Drill a plan as a run of its own, and describe what came of it: a drill that failed is told, and stops no other."""

    def run() -> Json:
        with tags(TAG), in_turn():
            return recover(plan_id, trigger=TEST_TRIGGER, mode=DRILL, **own_defaults(recover, load_settings().target))

    try:
        found = contextvars.Context().run(run)
    except HoldfastError as error:
        return _outcome(plan_id, getattr(error, "found", None) or {}, masked(str(error)))
    return _outcome(plan_id, found, found.get("error"))


def concluded(drills: Sequence[Json]) -> Json:
    """Tell what came of all drills. Raises DrillFailedError, which holds it, where one did not succeed."""
    found = {"ok": all(one["ok"] for one in drills), "plans": list(drills)}
    _show(drills)
    if found["ok"]:
        return found
    failed = [one for one in drills if not one["ok"]]
    error = DrillFailedError(
        f"{len(failed)} of {len(drills)} recovery plans did not pass their drill: {', '.join(one['planId'] for one in failed)}",
        reason="; ".join(f"{one['planId']}: {one['error']}" for one in failed),
        next_step="Nothing live was touched. Mend what the plan's steps say, then run: holdfast drill --plan PLAN",
    )
    error.found = dict(found)
    raise error


def _outcome(plan_id: str, found: Json, error: str | None) -> Json:
    return {
        "planId": plan_id,
        "executionId": found.get("executionId"),
        "status": found.get("status", "failed"),
        "ok": found.get("status") == "success",
        "seconds": None if found.get("durationMs") is None else found["durationMs"] / 1000,
        "estimatedSeconds": (found.get("metadata") or {}).get("estimatedSeconds"),
        "error": error,
    }


def _show(drills: Sequence[Json]) -> None:
    rows = [
        {
            "plan": one["planId"],
            "outcome": one["status"],
            "seconds": one["seconds"],
            "estimated": one["estimatedSeconds"],
            "error": one["error"] or "",
        }
        for one in drills
    ]
    artifacts.table("plan-drills", "What came of the drills of recovery plans, and how long they took", rows)
