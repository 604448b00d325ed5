"""A run that has ended waits for nobody who says that it lives: Prefect's thread for that sleeps a second at a time.

It is told to stop and says nothing more; that it is gone is worth no half second, which is what the wait for it takes on average.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from prefect import flow_engine
from prefect.flow_engine import _send_heartbeats as _as_prefect_does


def end_without_heartbeat() -> None:
    """Have the engine of this process leave that thread behind. There is no setting for it: its choice stands in its code."""
    engine: Any = flow_engine
    engine._send_heartbeats = _left_behind


def _left_behind(engine: Any, join_on_exit: bool = True) -> AbstractContextManager[None]:
    del join_on_exit
    return _as_prefect_does(engine, join_on_exit=False)
