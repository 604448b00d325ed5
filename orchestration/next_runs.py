"""When it is the turn of what runs by schedule, as the Prefect server has it planned. Prefect itself is not imported here.

Nobody depends on an answer: a server that can't be asked leaves the times unknown, which is told nowhere but in the log.
"""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from holdfast.backup_types import TYPES
from orchestration.declared import TAG, deployment_name, target_tag
from orchestration.local_server import opener_to

Json = dict[str, Any]
Ask = Callable[[str, Json], Any]
"""Sends a body to a path of Prefect's API by POST, and returns the answer."""

_BACKUP = "backup"
_MOST = 200
_log = logging.getLogger(__name__)


def over_http(address: str, *, seconds: float = 3) -> Ask:
    """Ask the API at an address, with the password that Prefect's own variables name, and wait for it no longer than that."""

    def ask(path: str, body: Json) -> Any:
        headers = {"Content-Type": "application/json", **_authorization()}
        request = urllib.request.Request(f"{address.rstrip('/')}{path}", json.dumps(body).encode(), headers)  # noqa: S310
        with opener_to(address).open(request, timeout=seconds) as answer:
            return json.loads(answer.read())

    return ask


def next_runs(ask: Ask, target: str | None) -> dict[str, datetime]:
    """Tell for each type of backup when the next run is due; types without a schedule are left away."""
    named = [deployment_name(f"{kind}-backup", target) for kind in TYPES]
    try:
        runs = ask("/flow_runs/filter", _planned({"name": {"any_": named}}))
        return _earliest((kind, _due(run)) for run in runs for kind in TYPES if {_BACKUP, kind} <= set(run["tags"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.info("when the next runs are due can't be asked now: %s", type(error).__name__)
        return {}


def all_next_runs(ask: Ask, target: str | None) -> dict[str, datetime]:
    """Tell for each deployment of this target that has a schedule, by its name, when its next run is due, the first first."""
    try:
        names = {found["id"]: found["name"] for found in our_deployments(ask, target)}
        runs = ask("/flow_runs/filter", _planned({"id": {"any_": list(names)}}))
        return _earliest((names[run["deployment_id"]], _due(run)) for run in runs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.info("when the next runs are due can't be asked now: %s", type(error).__name__)
        return {}


def our_deployments(ask: Ask, target: str | None, *more_tags: str) -> list[Json]:
    """List the deployments of this target, or of the one installation, that have these tags, too. Raises OSError, ValueError."""
    ours = {"tags": {"all_": [TAG, *([target_tag(target)] if target else []), *more_tags]}}
    return [found for found in ask("/deployments/filter", {"deployments": ours}) if _is_of(found, target)]


def _planned(deployments: Json) -> Json:
    return {
        "deployments": deployments,
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": _MOST,
    }


def _is_of(deployment: Mapping[str, Any], target: str | None) -> bool:
    """Tell whether a deployment belongs to the one installation; one of a target says so by a tag."""
    return target is not None or not any(tag.startswith(target_tag("")) for tag in deployment["tags"])


def _due(run: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(run["expected_start_time"]).astimezone(UTC)


def _earliest(due: Iterable[tuple[str, datetime]]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for name, at in due:
        found[name] = min(at, found.get(name, at))
    return dict(sorted(found.items(), key=lambda one: one[1]))


def _authorization() -> dict[str, str]:
    if login := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
    key = os.environ.get("PREFECT_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}
