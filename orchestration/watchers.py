"""Who watches in this process what happens in it: told at once, by whichever thread it happens in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Watchers(Generic[P]):
    """Those who watch one thing."""

    def __init__(self) -> None:
        self._all: list[Callable[P, None]] = []

    @contextlib.contextmanager
    def joined_by(self, watcher: Callable[P, None]) -> Iterator[None]:
        """Have `watcher` told what happens inside the block."""
        self._all.append(watcher)
        try:
            yield
        finally:
            self._all.remove(watcher)

    def tell(self, *said: P.args, **named: P.kwargs) -> None:
        """Tell all of them."""
        for watcher in list(self._all):
            watcher(*said, **named)
