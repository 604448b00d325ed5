"""Many that put the same name: who won."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from holdfast.errors import ObjectExistsError

_PATIENCE_SECONDS = 60


def winners(put: Callable[[int], None], racers: int, *, at_once: int | None = None) -> list[int]:
    """Let each racer put, so many starting at the same moment (all, unless told); return the numbers of those that won."""
    at_once = at_once or racers
    start = threading.Barrier(at_once)

    def run(number: int) -> bool:
        start.wait(_PATIENCE_SECONDS)
        try:
            put(number)
        except ObjectExistsError:
            return False
        return True

    with ThreadPoolExecutor(at_once) as pool:
        won = list(pool.map(run, range(racers)))
    return [number for number, has_won in enumerate(won) if has_won]
