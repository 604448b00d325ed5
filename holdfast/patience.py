"""Ask several parts at once, and wait for none of them longer than a few seconds: for what must always answer.

Who does not answer in time is left behind in its thread; `leave` ends the process without waiting for it. A process that goes on
asks by one `Askers`, so that a part that hangs holds one thread, however often it is asked.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from holdfast.errors import HoldfastError, UnreachableError

T = TypeVar("T")

_AGAIN_SECONDS = 1.0
"""For how long is waited at least for who was asked before, and has had its time."""

_left_behind: list[threading.Thread] = []


class Question(Generic[T]):
    """One question, being answered in a thread of its own."""

    def __init__(self, name: str, ask: Callable[[], T]) -> None:
        self.name = name
        self.began = time.monotonic()
        self._ask = ask
        self._answer: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"holdfast-ask-{name}", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether it has no answer yet."""
        return self._thread.is_alive()

    def answer(self, until: float, seconds: float) -> T:
        """Return the answer. Raises what asking raised, or UnreachableError where it takes too long."""
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            _leave_behind(self._thread)
            waited = max(seconds, round(time.monotonic() - self.began))
            raise UnreachableError(
                f"{self.name} did not answer within {waited:g} seconds", next_step="See whether it hangs, or has too much to do"
            )
        if self._error is not None:
            raise self._error
        return self._answer[0]

    def _run(self) -> None:
        try:
            self._answer.append(self._ask())
        except BaseException as error:  # noqa: BLE001  it is raised where the answer is wanted
            self._error = error


class Askers:
    """Ask parts by their names, and none anew that has not answered the last time yet: it is waited for a moment more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, Question[Any]] = {}

    def ask_all(self, questions: Mapping[str, Callable[[], T]], seconds: float) -> dict[str, T | HoldfastError]:
        """Ask all at once; return each one's answer, or the error that it ended with, within about so many seconds."""
        least = time.monotonic() + min(seconds, _AGAIN_SECONDS)
        asked = [self._question(name, ask) for name, ask in questions.items()]
        found: dict[str, T | HoldfastError] = {}
        for question in asked:
            try:
                found[question.name] = question.answer(max(question.began + seconds, least), seconds)
            except HoldfastError as error:
                found[question.name] = error
        return found

    def _question(self, name: str, ask: Callable[[], T]) -> Question[T]:
        with self._lock:
            before = self._asked.get(name)
            if before is None or not before.is_open:
                before = self._asked[name] = Question(name, ask)
            return cast("Question[T]", before)


def ask_all(questions: Mapping[str, Callable[[], T]], seconds: float) -> dict[str, T | HoldfastError]:
    """Ask all at once, as `Askers` does, for whoever asks once."""
    return Askers().ask_all(questions, seconds)


def leave(code: int = 0, *, first: Callable[[], None] | None = None) -> None:
    """End the process at once where somebody was left behind: Python would wait for what their threads still do.

    `first` is what the end of a process does otherwise and is still wanted.
    """
    if any(thread.is_alive() for thread in _left_behind):
        if first is not None:
            first()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _leave_behind(thread: threading.Thread) -> None:
    """Remember who was left, once, and forget those that have ended since."""
    _left_behind[:] = [one for one in _left_behind if one.is_alive() and one is not thread] + [thread]
