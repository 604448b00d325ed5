"""Parameters of runs that are plain are sent as they are: to make them so Prefect imports FastAPI, 0.1 s and 10 MB a run."""

from __future__ import annotations

from types import NoneType
from typing import Any

from prefect import Flow

_PLAIN = (str, int, float, bool, NoneType)
_as_prefect_does = Flow.serialize_parameters


def send_plain_parameters() -> None:
    """Have Prefect in this process leave alone what is plain; everything else is its own to encode."""
    flow: Any = Flow
    flow.serialize_parameters = _serialized


def _serialized(flow: Flow[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    return dict(parameters) if is_plain(parameters) else _as_prefect_does(flow, parameters)


def is_plain(value: Any) -> bool:
    """Tell whether JSON says this just as it is. Of a subclass, such as an enumeration's member, nobody knows."""
    if type(value) is dict:
        return all(type(name) is str and is_plain(one) for name, one in value.items())
    if type(value) is list:
        return all(is_plain(one) for one in value)
    return type(value) in _PLAIN
