"""Parameters of runs that are plain are sent as they are: to make them so Prefect imports FastAPI, 0.1 s and 10 MB a run.

Where a later Prefect makes them so in another way, it is left to.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import NoneType
from typing import Any

from prefect import Flow

_PLAIN = (str, int, float, bool, NoneType)
_CHANGED = "serialize_parameters"
_LEADING = ["self", "parameters"]


def send_plain_parameters() -> None:
    """Have Prefect in this process leave alone what is plain; everything else is its own to encode."""
    as_prefect_does = getattr(Flow, _CHANGED, None)
    if not inspect.isfunction(as_prefect_does) or inspect.iscoroutinefunction(as_prefect_does):
        return
    if list(inspect.signature(as_prefect_does).parameters)[:2] == _LEADING:
        setattr(Flow, _CHANGED, _sending_plain(as_prefect_does))


def _sending_plain(as_prefect_does: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(as_prefect_does)
    def serialized(flow: Flow[..., Any], parameters: dict[str, Any], *values: Any, **named: Any) -> Any:
        if not values and not named and is_plain(parameters):
            return dict(parameters)
        return as_prefect_does(flow, parameters, *values, **named)

    return serialized


def is_plain(value: Any) -> bool:
    """Tell whether JSON says this just as it is. Of a subclass, such as an enumeration's member, nobody knows."""
    if type(value) is dict:
        return all(type(name) is str and is_plain(one) for name, one in value.items())
    if type(value) is list:
        return all(is_plain(one) for one in value)
    return type(value) in _PLAIN
