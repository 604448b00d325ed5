"""Try the Prefect server, over HTTP: whether it lets us in, has our deployments, and whether a worker takes their runs."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import NotFoundError, PrefectUnreachableError
from orchestration.declared import declared
from orchestration.next_runs import Ask, our_deployments, over_http
from orchestration.server import prefect_address
from orchestration.standing.part import Report
from orchestration.standing.prefect import shown, work_pools_of, workers_online

if TYPE_CHECKING:
    from holdfast.settings import Settings

T = TypeVar("T")
_NAMED = 5
_DENIED = frozenset({401, 403})


def server(settings: Settings) -> Report:
    """Ask something that only who is let in is answered."""
    address, ask = _to_ask(settings)
    _answered(lambda: ask("/deployments/count", {}))
    return {"url": shown(address)}


def deployments(settings: Settings) -> Report:
    """Look whether all that runs by itself is registered."""
    _, ask = _to_ask(settings)
    there = {one["name"] for one in _answered(lambda: our_deployments(ask, settings.target))}
    missing = [one.name for one in declared(settings.target) if one.name not in there]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise NotFoundError(
            f"the Prefect server has not the deployments {', '.join(missing[:_NAMED])}{more}",
            reason="nothing runs by schedule without them",
            next_step="'holdfast serve' registers them, and so does 'holdfast deploy'",
        )
    return {"deployments": len(there)}


def worker(settings: Settings) -> Report:
    """Look whether a worker takes runs from each work pool that our deployments name."""
    _, ask = _to_ask(settings)
    found = _answered(lambda: our_deployments(ask, settings.target))
    online = _answered(lambda: {pool: workers_online(ask, pool) for pool in work_pools_of(found)})
    idle = [pool for pool, number in online.items() if not number]
    if idle:
        raise PrefectUnreachableError(
            f"no worker takes runs from the work pool {', '.join(idle)}",
            next_step="'holdfast serve' runs one; so does 'prefect worker start --pool NAME'",
        )
    return {"workPools": online}


def _to_ask(settings: Settings) -> tuple[str, Ask]:
    address = prefect_address(settings)
    if address is None:
        raise PrefectUnreachableError(
            "no Prefect server answers", next_step="Start one with 'holdfast serve', or set PREFECT_API_URL"
        )
    return address, over_http(address)


def _answered(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except urllib.error.HTTPError as error:
        step = "Set PREFECT_API_AUTH_STRING or PREFECT_API_KEY" if error.code in _DENIED else None
        raise PrefectUnreachableError(f"the Prefect server answers {error.code}", reason=error.reason, next_step=step) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PrefectUnreachableError("the Prefect server does not answer as it should", reason=type(error).__name__) from error
