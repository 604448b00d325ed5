"""Start a run of a deployment on the Prefect server, for somebody who does not wait for it. Prefect itself is not imported here.

The job's id is made here, so that it is known at once: it is a parameter of the run, a tag of it, and in its name. A request that
is repeated with its key starts nothing: Prefect keeps the key of each run, and gives back the run that the first one started.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from http.client import SERVICE_UNAVAILABLE
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

from holdfast.errors import BusyError, KeyReusedError, NotFoundError, PrefectUnreachableError, WorkFailedError
from orchestration.declared import TAG, deployment_name, plan_tag
from orchestration.kinds import Kind, new_id_of
from orchestration.next_runs import Ask, our_deployments

Json = dict[str, Any]

_JOB, _KIND, _ASKED_BY, _REQUEST = "job:", "kind:", "asked-by:", "request:"
_PATIENCE_SECONDS, _PAUSE_SECONDS = 20.0, 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """A run that is wanted."""

    deployment: str
    """Its name in prefect.yaml, such as `database-backup`."""
    kind: Kind
    type: str
    parameters: Json = field(default_factory=dict)
    """What the deployment does not say itself; `job_id` is added."""
    plan_id: str | None = None
    """The plan that is carried out: by its own deployment where there is one, and in the queue of its priority."""


@dataclass(frozen=True, slots=True)
class Repeatable:
    """The key that a request may be repeated with. `scope` is who uses it and for which action; `digest` is what was asked."""

    key: str
    scope: str
    digest: str

    @classmethod
    def of(cls, key: str, name: str, action: str, said: Json) -> Repeatable:
        """Bind a key to the token that uses it, to an action, and to what was said."""
        text = json.dumps(said, sort_keys=True, default=str)
        return cls(key, f"{name}\n{action}", hashlib.sha256(text.encode()).hexdigest()[:32])

    @property
    def kept_as(self) -> str:
        """Name it as Prefect keeps it: keys of different tokens never meet, and the key itself is not shown."""
        return "holdfast-" + hashlib.sha256(f"{self.scope}\n{self.key}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Submitted:
    """A run that waits for its turn, or that was started by the same request before: then `repeated`."""

    job_id: str
    kind: str
    type: str
    flow_run_id: str
    parameters: Json
    repeated: bool = False
    worker: bool | None = None
    """Whether a worker is there to carry it out; None where that can't be known."""


def submit(ask: Ask, target: str | None, order: Order, *, asked_by: str, repeatable: Repeatable | None = None) -> Submitted:
    """Start a run; it may wait long for a worker.

    Raises PrefectUnreachableError, NotFoundError (nothing is deployed), BusyError (another is at work, and Prefect would cancel
    this one), KeyReusedError, WorkFailedError (Prefect refuses it).
    """
    deployment = _deployment(ask, target, order)
    _require_free(deployment)
    job_id = order.parameters.get("job_id") or new_id_of(order.kind)
    tags = [f"{_JOB}{job_id}", f"{_KIND}{order.kind}/{order.type}", f"{_ASKED_BY}{asked_by}"]
    body = {
        "name": f"{order.kind} of type {order.type}, {job_id}",
        "parameters": {**order.parameters, "job_id": job_id},
        "tags": [*tags, *([f"{_REQUEST}{repeatable.digest}"] if repeatable else [])],
        "idempotency_key": repeatable.kept_as if repeatable else f"holdfast-{job_id}",
        "state": {"type": "SCHEDULED", "message": f"asked for by {asked_by}"},
    }
    run = _answer(ask, f"/deployments/{deployment['id']}/create_flow_run", body)
    return _submitted(run, job_id, repeatable, _worker(ask, deployment.get("work_pool_name")))


def submitted_before(ask: Ask, repeatable: Repeatable) -> Submitted | None:
    """Find the run that the same request started before; None: it is new. Raises PrefectUnreachableError, KeyReusedError."""
    wanted = {"flow_runs": {"idempotency_key": {"any_": [repeatable.kept_as]}}, "limit": 1}
    for run in _answer(ask, "/flow_runs/filter", wanted):
        return _submitted(run, None, repeatable, None)
    return None


def run_of_job(ask: Ask, job_id: str) -> Json | None:
    """Find the newest flow run of a job by its tag, as Prefect describes it. Raises PrefectUnreachableError."""
    wanted = {"flow_runs": {"tags": {"all_": [f"{_JOB}{job_id}"]}}, "sort": "START_TIME_DESC", "limit": 1}
    found: list[Json] = _answer(ask, "/flow_runs/filter", wanted)
    return found[0] if found else None


def asked_by(tags: Iterable[str]) -> str | None:
    """Tell by the tags of a run which token asked for it; None: nobody did, over the API."""
    return next((tag.removeprefix(_ASKED_BY) for tag in tags if tag.startswith(_ASKED_BY)), None)


def kind_and_type(tags: Iterable[str]) -> tuple[str, str]:
    """Tell by the tags of a run which kind and type its job is of."""
    said = next((tag.removeprefix(_KIND) for tag in tags if tag.startswith(_KIND)), "unknown/unknown")
    kind, _, kind_type = said.partition("/")
    return kind, kind_type


def _deployment(ask: Ask, target: str | None, order: Order) -> Json:
    if order.plan_id is not None:
        for one in our_deployments(partial(_answer, ask), target, plan_tag(order.plan_id)):
            return one
    name = deployment_name(order.deployment, target)
    found: list[Json] = _answer(ask, "/deployments/filter", {"deployments": {"name": {"any_": [name]}, "tags": {"all_": [TAG]}}})
    if not found:
        raise NotFoundError(
            f"there is no deployment {name}",
            reason="nothing is deployed on this Prefect server yet",
            next_step="'holdfast deploy' registers the deployments, and so does 'holdfast serve'",
        )
    return found[0]


def _require_free(deployment: Json) -> None:
    """Let through what Prefect would not cancel as soon as a worker takes it. Raises BusyError."""
    limit = deployment.get("global_concurrency_limit") or {}
    cancels = (deployment.get("concurrency_options") or {}).get("collision_strategy") == "CANCEL_NEW"
    if cancels and limit.get("active") is not False and limit.get("active_slots", 0) >= limit.get("limit", 1):
        raise BusyError(
            f"a run of {deployment['name']} is at work",
            reason="only one at a time is carried out, and another would be cancelled",
            next_step="Follow that one, or ask again when it has ended",
        )


def _worker(ask: Ask, pool: str | None) -> bool | None:
    if pool is None:
        return None
    try:
        online = {"workers": {"status": {"any_": ["ONLINE"]}}, "limit": 1}
        return bool(ask(f"/work_pools/{quote(pool, safe='')}/workers/filter", online))
    except (OSError, ValueError) as error:
        _log.info("whether a worker is there can't be asked now: %s", type(error).__name__)
        return None


def _submitted(run: Json, job_id: str | None, repeatable: Repeatable | None, worker: bool | None) -> Submitted:
    if repeatable and f"{_REQUEST}{repeatable.digest}" not in run["tags"]:
        raise KeyReusedError(
            "this Idempotency-Key was used before, for something else", next_step="Give each request a key of its own"
        )
    known = str(run["parameters"]["job_id"])
    kind, kind_type = kind_and_type(run["tags"])
    return Submitted(known, kind, kind_type, run["id"], dict(run["parameters"]), repeated=known != job_id, worker=worker)


def ask_patiently(ask: Ask, path: str, body: Json) -> Any:
    """Ask again where Prefect is too busy to answer, as its own client does: its SQLite is locked for moments while runs begin.

    Only for what may be asked twice; a run has a key by which it starts once. Raises what `ask` raises.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return ask(path, body)
        except OSError as error:
            if not _is_busy(error) or time.monotonic() > end:
                raise
        time.sleep(_PAUSE_SECONDS)


def _is_busy(error: OSError) -> bool:
    if isinstance(error, HTTPError):
        return error.code == SERVICE_UNAVAILABLE
    return isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)


def _answer(ask: Ask, path: str, body: Json) -> Any:
    try:
        return ask_patiently(ask, path, body)
    except HTTPError as error:
        if error.code in (400, 409, 422):
            said = error.read(500).decode("utf-8", "replace")
            raise WorkFailedError("Prefect refuses this run", reason=f"it answers {error.code} to {path}: {said}") from error
        raise PrefectUnreachableError("the Prefect server can't be asked", reason=f"it answers {error.code} to {path}") from error
    except (OSError, ValueError) as error:
        raise PrefectUnreachableError(
            "the Prefect server can't be asked",
            reason=type(error).__name__,
            next_step="Ask again: with an Idempotency-Key nothing is done twice",
        ) from error
