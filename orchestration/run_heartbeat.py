"""A run that has ended waits for nobody who says that it lives: Prefect's thread for that sleeps a second at a time.

It is told to stop and says nothing more; that it is gone is worth no half second, which is what the wait for it takes on average.
What is changed for that is Prefect's own: where a later one does not have it so, nothing is changed, and runs wait again.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from prefect import flow_engine

_CHANGED = "_send_heartbeats"
_PARAMETER = "join_on_exit"


def end_without_heartbeat() -> None:
    """Have the engine of this process leave that thread behind. There is no setting for it: its choice stands in its code."""
    as_prefect_does = getattr(flow_engine, _CHANGED, None)
    if callable(as_prefect_does) and _PARAMETER in inspect.signature(as_prefect_does).parameters:
        setattr(flow_engine, _CHANGED, _leaving_behind(as_prefect_does))


def _leaving_behind(as_prefect_does: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(as_prefect_does)

    @functools.wraps(as_prefect_does)
    def left_behind(*values: Any, **named: Any) -> Any:
        given = signature.bind(*values, **named)
        given.arguments[_PARAMETER] = False
        return as_prefect_does(*given.args, **given.kwargs)

    return left_behind
