"""The time that a piece of work may take, and the one switch that stops all of its parts.

Work of several threads is stopped as a whole: when the time is up, when one part fails, or when the caller goes. Statements are
cancelled on the server, tools are ended; a stopped part raises, so nothing half done is taken for whole.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.errors import TimeLimitError, WorkFailedError
from holdfast.postgres.process import Child


class TimeLimit:
    """A limit for all that is registered with it; use it as a context manager around the work."""

    def __init__(self, seconds: float | None, what: str) -> None:
        self._seconds = seconds
        self._what = what
        self._ends_at = None if seconds is None else time.monotonic() + seconds
        self._lock = threading.Lock()
        self._stops: dict[int, Callable[[], None]] = {}
        self._stopped = False
        self._timer: threading.Timer | None = None

    @property
    def remaining_seconds(self) -> float | None:
        """How long is left; None where there is no limit."""
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def check(self) -> None:
        """Raise when the work must not go on: TimeLimitError, or WorkFailedError where another part of it has failed."""
        if self.over:
            raise self.error()
        if self._stopped:
            raise WorkFailedError(f"{self._what} was stopped")

    def error(self) -> TimeLimitError:
        """Say that the time is up."""
        return TimeLimitError(
            f"{self._what} did not end within {self._seconds:g} seconds and was stopped",
            next_step="Raise the time limit, or look for what holds the database up",
        )

    def at_once(self, tasks: Sequence[Callable[[], object]], workers: int) -> None:
        """Run tasks side by side; the first that fails stops the others, and its error is the one that is raised."""
        with ThreadPoolExecutor(min(len(tasks), workers), "holdfast-work") as pool:
            futures = [pool.submit(task) for task in tasks]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.stop()
                raise

    def stop(self) -> None:
        """Stop everything that is registered, and whatever registers later."""
        with self._lock:
            self._stopped = True
            stops = list(self._stops.values())
        for stop in stops:
            stop()

    @contextmanager
    def connection(self, connection: Connection) -> Iterator[Connection]:
        """Have this connection's statement cancelled when the work is stopped."""

        def cancel() -> None:
            with suppress(psycopg2.Error):
                connection.cancel()

        with self._registered(cancel):
            yield connection

    @contextmanager
    def child(self, child: Child) -> Iterator[Child]:
        """Have this tool ended when the work is stopped."""

        def end() -> None:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)

        with child, self._registered(end):
            yield child
            child.wait()

    @contextmanager
    def _registered(self, stop: Callable[[], None]) -> Iterator[None]:
        key = id(stop)
        with self._lock:
            self._stops[key] = stop
        try:
            self.check()
            yield
        finally:
            with self._lock:
                del self._stops[key]

    def __enter__(self) -> Self:
        remaining = self.remaining_seconds
        if remaining is not None:
            self._timer = threading.Timer(remaining, self.stop)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if error is not None:
            self.stop()
