"""What Prefect knows of a job: its run, where a person sees that, and how far it is."""

from __future__ import annotations

from typing import Any

from api.action import Asked, Json
from api.waiting import OPEN
from holdfast.errors import PrefectUnreachableError
from orchestration.next_runs import Ask
from orchestration.submitting import asked_by, kind_and_type

_STATES = {
    "SCHEDULED": "pending",
    "PENDING": "pending",
    "PAUSED": "pending",
    "RUNNING": "running",
    "CANCELLING": "running",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CRASHED": "failed",
    "CANCELLED": "cancelled",
}
_CLOSED_SOON = "its run has ended and could not say so: the job is closed when the next one begins, or the health monitor looks"


def with_run(asked: Asked[Any], job: Json, run_id: str | None) -> Json:
    """Add a job's run, and where it goes on its progress, as far as Prefect can be asked."""
    if run_id is None:
        return job | {"run": None}
    run: Json = {"id": run_id, "url": asked.parts.run_url(run_id)}
    if job["status"] not in OPEN:
        return job | {"run": run}
    try:
        ask = asked.parts.prefect()
        state_type, run["state"] = _state(ask, run_id)
        progress = _progress(ask, run_id) if job["status"] == "running" else None
    except (PrefectUnreachableError, OSError, ValueError, KeyError, TypeError):
        return job | {"run": run | {"state": None}, "progress": None}
    notes = [*(job.get("notes") or []), *([_CLOSED_SOON] if _has_ended(state_type) else [])]
    return job | {"run": run, "progress": progress, "notes": notes}


def of_prefect(asked: Asked[Any], job_id: str, run: Json) -> Json:
    """Describe a job by its run alone."""
    kind, kind_type = kind_and_type(run["tags"])
    status = _STATES.get(run["state_type"], "pending")
    return {
        "jobId": job_id,
        "kind": kind,
        "type": kind_type,
        "status": status,
        "startedAt": run["start_time"] or run["created"],
        "completedAt": run["end_time"],
        "error": (run.get("state") or {}).get("message") if status in ("failed", "cancelled") else None,
        "askedBy": asked_by(run["tags"]),
        "run": {"id": run["id"], "url": asked.parts.run_url(run["id"]), "state": run["state_name"]},
        "notes": ["the catalog does not know this job yet: this is what Prefect tells of its run"],
    }


def _state(ask: Ask, run_id: str) -> tuple[str, str | None]:
    """Return type and name of a run's state; one that Prefect does not know has none, and goes on elsewhere, or nowhere."""
    found = ask("/flow_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}, "limit": 1})
    return (found[0]["state_type"], found[0]["state_name"]) if found else ("", None)


def _has_ended(state_type: str) -> bool:
    return _STATES.get(state_type) in ("completed", "failed", "cancelled")


def _progress(ask: Ask, run_id: str) -> Json | None:
    """Return how far the run's bar is."""
    bars = {"flow_run_id": {"any_": [run_id]}, "type": {"any_": ["progress"]}}
    found = ask("/artifacts/filter", {"artifacts": bars, "sort": "CREATED_DESC", "limit": 1})
    return {"percent": float(found[0]["data"])} if found else None
