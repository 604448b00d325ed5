"""How far a job has come: told by the engine's threads, shown as a bar in Prefect's UI, and to whoever watches in this process.

Telling costs next to nothing: a thread of its own talks to Prefect, every few seconds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client

from orchestration import artifacts
from orchestration.watchers import Watchers

Watcher = Callable[[int, int | None], None]
"""Is told the bytes done so far and the bytes expected in all, None where nobody knows."""

_SHOW_SECONDS = 2.0
_log = logging.getLogger(__name__)
_watchers: Watchers[int, int | None] = Watchers()


def watched_by(watcher: Watcher) -> AbstractContextManager[None]:
    """Have the progress of jobs that run in this process told to `watcher`, from any thread."""
    return _watchers.joined_by(watcher)


class Progress:
    """The progress of one job; use as a context manager."""

    def __init__(self, key: str, description: str) -> None:
        self._key = key
        self._description = description
        self._expected_bytes: int | None = None
        self._parts: list[tuple[int, int]] = []
        self._succeeded = False
        self._streams: dict[str, int] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._bar: UUID | None = None
        self._thread = threading.Thread(target=self._show_now_and_then, name="holdfast-progress", daemon=True)

    def expect(self, total_bytes: int | None) -> None:
        """Say how much there is to do, as far as that is known."""
        self._expected_bytes = total_bytes

    def stream(self, name: str) -> Callable[[int], None]:
        """Return what to tell the bytes of this stream so far."""

        def so_far(done_bytes: int) -> None:
            with self._lock:
                self._streams[name] = done_bytes
            _watchers.tell(self.done_bytes, self._expected_bytes)

        return so_far

    def parts(self) -> Callable[[int, int], None]:
        """Return what is told how many parts of how many are done, where the work is not counted in bytes.

        Each call is for a piece of work of its own; together they make the whole.
        """
        with self._lock:
            number = len(self._parts)
            self._parts.append((0, 0))

        def so_far(done: int, whole: int) -> None:
            with self._lock:
                self._parts[number] = (done, whole)

        return so_far

    @property
    def done_bytes(self) -> int:
        with self._lock:
            return sum(self._streams.values())

    @property
    def percent(self) -> float:
        """How much is done; never 100 before the end, for what is expected is an estimate."""
        fraction = self.done_bytes / self._expected_bytes if self._expected_bytes else self._fraction
        return min(99.0, 100.0 * fraction)

    @property
    def _fraction(self) -> float:
        with self._lock:
            done, whole = (sum(column) for column in zip((0, 0), *self._parts, strict=True))
        return done / whole if whole else 0.0

    def __enter__(self) -> Self:
        self._bar = artifacts.progress_bar(self._key, self._description)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._succeeded = error is None
        self._ended.set()
        self._thread.join()

    def _show_now_and_then(self) -> None:
        try:
            with get_client(sync_client=True) as client:
                self._show_with(client)
        except Exception as error:  # noqa: BLE001  whatever Prefect's client raises; the work goes on without its bar
            _log.warning("the progress can't be shown: %s", error)

    def _show_with(self, client: SyncPrefectClient) -> None:
        if self._bar is None:
            return
        shown = 0.0
        while not self._ended.wait(_SHOW_SECONDS):
            if self.percent != shown:
                shown = self.percent
                artifacts.move_bar(client, self._bar, shown)
        artifacts.move_bar(client, self._bar, 100.0 if self._succeeded else self.percent)
