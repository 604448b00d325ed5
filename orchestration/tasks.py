"""How every task of Holdfast runs: named for people, tried again only where that can help, nothing of it kept by Prefect.

Bytes never cross a task's border: a task is told names and ids, and gives back a small record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TagsContext, TaskRunContext
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from holdfast.allocation import share_arenas
from holdfast.errors import BusyError, HoldfastError, SettingsError, WorkFailedError
from holdfast.garbage import keep_what_is_there
from holdfast.settings import load_settings
from orchestration.authorities import read_authorities_once
from orchestration.outages import outlive_outages
from orchestration.plain_parameters import send_plain_parameters
from orchestration.run_heartbeat import end_without_heartbeat

P = ParamSpec("P")
R = TypeVar("R")

# Every flow imports this module, and the engine decides before a flow's first line.
share_arenas()
read_authorities_once()
outlive_outages()
send_plain_parameters()
end_without_heartbeat()
keep_what_is_there()

RETRIES = 3
FIRST_DELAY_SECONDS = 2.0


def step(name: str, *, retries: int = RETRIES) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a task; `name` may hold the function's parameters in braces."""
    return task(
        task_run_name=name,
        retries=retries,
        retry_delay_seconds=exponential_backoff(FIRST_DELAY_SECONDS),
        retry_jitter_factor=0.5,
        retry_condition_fn=worth_a_retry,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


@contextmanager
def untagged() -> Iterator[None]:
    """Have tasks inside the block bear no tags, as a worker's bear none: Prefect asks the server first whether one is limited."""
    with TagsContext(current_tags=set()):
        yield


def worth_a_retry(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Tell whether the same task may succeed on another try.

    A lost lease, a used-up time limit and a lease that somebody else holds end the job: another job may succeed, this one can't.
    """
    del task, task_run
    error = state.result(raise_on_failure=False)
    return isinstance(error, HoldfastError) and error.retryable and not isinstance(error, WorkFailedError | BusyError)


def inside_a_task() -> bool:
    """Tell whether this is a part of a task: such a part submits none, for all of the flow's workers may wait like it."""
    return TaskRunContext.get() is not None


def results(futures: Iterable[PrefectFuture[Any]]) -> list[Any]:
    """Return what the tasks gave back, in order; raise what the first one to fail raised, as soon as it did."""
    waiting = list(futures)
    for future in as_completed(waiting):
        future.result()
    return [future.result() for future in waiting]


def settled(done: R | BaseException, failed: Callable[[Exception], R]) -> R:
    """Return what a task gave, or what stands for its failure; an end that was asked for is raised."""
    if isinstance(done, Exception):
        return failed(done)
    if isinstance(done, BaseException):
        raise done
    return done


def outcomes(futures: Mapping[str, PrefectFuture[Any]]) -> dict[str, Any]:
    """Wait for all of these tasks, whatever becomes of each, and return what they gave back, or the error that they raised."""
    return {name: future.result(raise_on_failure=False) for name, future in futures.items()}


def second_net(setting: str) -> float | None:
    """Return a time limit for a whole flow, somewhat longer than the engine's own that the setting gives in minutes.

    None where the settings can't be read: the flow itself then says what is wrong with them.
    """
    try:
        minutes: float = getattr(load_settings(), setting)
    except SettingsError:
        return None
    return minutes * 60 * 1.1 + 60


class _Readers(ThreadPoolTaskRunner[Any]):
    def duplicate(self) -> _Readers:
        return _Readers(max_workers=load_settings().readers)


def at_once(count: int) -> TaskRunner[PrefectFuture[Any]]:
    """Run as many tasks at once as this."""
    return cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=count))


def readers() -> TaskRunner[PrefectFuture[Any]]:
    """Run as many tasks at once as the settings allow readers when the flow starts."""
    return cast("TaskRunner[PrefectFuture[Any]]", _Readers(max_workers=1))
