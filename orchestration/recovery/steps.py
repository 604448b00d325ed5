"""The steps of a plan as Prefect tasks: each named for people, tried again as often as it says, within its time for each attempt.

A type stops by itself when its time is up. What does not is given up some time later, and not tried again: that is told, the
others go on, and the end of the process ends it, for a step's thread keeps no process up. Prefect's own limit is not used: it
can't interrupt what waits.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from holdfast.errors import HoldfastError, NotFoundError, RefusedError, SettingsError, TimeLimitError
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.plan import Step
from holdfast.recovery.step_type import Outcome
from orchestration.masking import masked

Attempt = Callable[[], Outcome]

FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 300.0
"""How long it is waited before the second attempt; twice as long before each further one, up to this."""

GIVE_UP_SECONDS = 60.0
"""How long an attempt is waited for when its time, and a tenth of it, are over."""

STOP_SECONDS = 20.0
"""How long steps are waited for when the whole run was told to end; a worker kills the process after thirty."""

_LOOK_SECONDS = 10.0
"""How often it is looked whether a step's time has become another."""

_HOPELESS = (SettingsError, RefusedError, NotFoundError)
"""What another attempt ends with, too."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A step that has come to its end: with an outcome, or with the error of its last attempt."""

    step: Step
    outcome: Outcome | None
    error: BaseException | None = None


class StepsAtWork:
    """The steps that are at work now."""

    def __init__(self) -> None:
        self._ended: Queue[Ended] = Queue()
        self._give_up_at: dict[str, float] = {}
        self._deadlines: dict[str, Deadline] = {}
        self._is_stopping = False
        self.steps: dict[str, Step] = {}

    def begin(self, step: Step, attempt: Attempt, *, name: str | None = None) -> None:
        """Begin a step, beside those at work."""
        self.steps[step.id] = step
        self._expect_within(step, step.timeout * 66)
        work = self._as_task(step)
        context = contextvars.copy_context()

        def run() -> None:
            self._ended.put(context.run(_ended, step, lambda: work(name or step.name, attempt)))

        threading.Thread(target=run, name=f"step-{step.id}", daemon=True).start()

    def next_ended(self) -> Ended:
        """Wait for the next step to end, or for its time to be up for good."""
        while True:
            try:
                found = self._ended.get(timeout=max(0.0, min(_LOOK_SECONDS, self._next_give_up - time.monotonic())))
            except Empty:
                if time.monotonic() < self._next_give_up:
                    continue
                found = self._given_up()
            if found.step.id in self.steps:  # not one that was given up before
                del self.steps[found.step.id]
                return found

    def stop(self) -> None:
        """Have all steps end, for the whole run was told to; who does not do so soon is left behind."""
        self._is_stopping = True
        for deadline in self._deadlines.values():
            deadline.cut()
        end = time.monotonic() + STOP_SECONDS
        while self.steps and time.monotonic() < end:
            with contextlib.suppress(Empty):
                found = self._ended.get(timeout=max(0.0, end - time.monotonic()))
                self.steps.pop(found.step.id, None)

    def deadline(self, step: Step) -> Deadline:
        """Begin the time of one attempt."""
        self._expect_within(step, step.timeout * 66)
        self._deadlines[step.id] = Deadline(step.timeout * 60, f"the step {step.name}")
        if self._is_stopping:
            self._deadlines[step.id].cut()
        return self._deadlines[step.id]

    def rest(self, step: Step) -> None:
        """Say that an attempt has failed, and that the next one, if there is one, may be waited for."""
        self._expect_within(step, 1.5 * LONGEST_DELAY_SECONDS)

    def _expect_within(self, step: Step, seconds: float) -> None:
        self._give_up_at[step.id] = time.monotonic() + seconds + GIVE_UP_SECONDS

    def _as_task(self, step: Step) -> Task[[str, Attempt], Outcome]:
        def another(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
            still_waited_for = step.id in self.steps and not self._is_stopping
            return still_waited_for and worth_another_attempt(task, task_run, state)

        return carry_out.with_options(
            retries=step.retry_count, retry_delay_seconds=delays(step.retry_count) or 0, retry_condition_fn=another
        )

    @property
    def _next_give_up(self) -> float:
        return min(self._give_up_at[step_id] for step_id in self.steps)

    def _given_up(self) -> Ended:
        step = self.steps[min(self.steps, key=lambda step_id: self._give_up_at[step_id])]
        if step.id in self._deadlines:
            self._deadlines[step.id].cut()
        return Ended(
            step,
            None,
            TimeLimitError(
                f"the step {step.name} did not stop when its time was up, and was left behind",
                reason="it may still be at work until the process of this run ends",
                next_step="End that process, look at what the step has left, then resume the execution",
            ),
        )


def worth_another_attempt(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Tell whether another attempt may succeed: not where settings, a refusal or a missing thing stand in the way."""
    del task, task_run
    error = state.result(raise_on_failure=False)
    return isinstance(error, Exception) and not isinstance(error, _HOPELESS)


def said(error: BaseException) -> str:
    """Say in words what a step failed with; no secret that is known is in it."""
    if isinstance(error, HoldfastError):
        return masked(str(error))
    return masked(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def delays(retries: int) -> list[float]:
    """Say how long to wait before each further attempt."""
    return [min(FIRST_DELAY_SECONDS * 2**number, LONGEST_DELAY_SECONDS) for number in range(retries)]


@task(task_run_name="{name}", retry_jitter_factor=0.5, cache_policy=NO_CACHE, persist_result=False)
def carry_out(name: str, attempt: Attempt) -> Outcome:
    """Do one step, or undo it; `name` is how people know it."""
    del name
    return attempt()


def _ended(step: Step, work: Attempt) -> Ended:
    try:
        return Ended(step, work())
    except BaseException as error:  # noqa: BLE001  whoever waits for the step decides
        return Ended(step, None, error)
