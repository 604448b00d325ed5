"""What the Prefect server says, over HTTP: whether it answers, whether workers take runs, which alarms are open, what is due.

Prefect itself is not imported. Nothing is started.
"""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from holdfast.alarms import Judgement
from holdfast.errors import HoldfastError, PrefectUnreachableError
from orchestration.looking import remembered
from orchestration.next_runs import Ask, next_runs, our_deployments, over_http
from orchestration.server import prefect_address
from orchestration.standing.part import Report, wrong

if TYPE_CHECKING:
    from holdfast.settings import Settings

OUR_POOL = "holdfast"
_NOT_FOUND = 404
_LOGIN = re.compile(r"(?<=//)[^/@]*@")
_START = "'holdfast serve' starts one with a worker, and so does a backup; or set PREFECT_API_URL"


@dataclass(frozen=True, slots=True)
class PrefectSeen:
    """What the server has said, or why it says nothing. `due` are the next runs of the types of backup."""

    report: Report
    due: dict[str, datetime] = field(default_factory=dict)
    opened: Judgement = field(default_factory=dict)
    error: HoldfastError | None = None


def read_prefect(settings: Settings) -> PrefectSeen:
    """Ask the server. Where none runs, that is no error of this function."""
    address = prefect_address(settings)
    if address is None:
        error = PrefectUnreachableError("no Prefect server answers", next_step=_START)
        return PrefectSeen({"ok": True, "running": False, "url": None, **_UNKNOWN}, error=error)
    ask = over_http(address)
    report = {"ok": True, "running": True, "url": shown(address), **_at_work(ask, settings.target)}
    return PrefectSeen(report, next_runs(ask, settings.target), remembered(ask, settings.target))


def not_read(error: HoldfastError) -> PrefectSeen:
    """Say of a server that did not answer in time just that."""
    return PrefectSeen({**wrong(error), **_UNKNOWN}, error=error)


_UNKNOWN: Report = {"workerOnline": None, "workPools": [], "deployments": None}


def shown(address: str) -> str:
    """Return an address without what somebody may have put into it to be let in."""
    return _LOGIN.sub("", address)


def _at_work(ask: Ask, target: str | None) -> Report:
    """Tell how many deployments are registered, and whether each of their work pools has a worker that takes runs."""
    try:
        deployments = our_deployments(ask, target)
        workers = [{"name": pool, "workersOnline": workers_online(ask, pool)} for pool in work_pools_of(deployments)]
    except (OSError, ValueError, KeyError, TypeError):
        return _UNKNOWN
    return {
        "workerOnline": all(one["workersOnline"] for one in workers),
        "workPools": workers,
        "deployments": len(deployments),
    }


def work_pools_of(deployments: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the work pools that take the runs of these deployments, or would take those that are registered next."""
    return sorted({one["work_pool_name"] for one in deployments if one.get("work_pool_name")}) or [OUR_POOL]


def workers_online(ask: Ask, pool: str) -> int:
    """Count the workers that take runs from a pool; none where there is no such pool. Raises OSError, ValueError."""
    try:
        found = ask(f"/work_pools/{pool}/workers/filter", {})
    except urllib.error.HTTPError as error:
        if error.code != _NOT_FOUND:
            raise
        return 0
    return sum(one["status"] == "ONLINE" for one in found)
