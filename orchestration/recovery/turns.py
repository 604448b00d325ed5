"""Whose turn it is, by leases of the repository: one execution of a plan at a time, one at a time that works on a thing.

The plan's turn is not waited for. Those of the things are taken in the order of their names, so that no two executions ever wait
for each other. A drill changes nothing live: it has a turn of its own, and keeps nobody out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from holdfast.errors import BusyError
from holdfast.recovery.execution import Execution
from holdfast.recovery.plan import Plan
from holdfast.recovery.running import touched
from holdfast.repository import Lease, Repository
from holdfast.turn import require_first, wait_to_be_first


@contextmanager
def of_plan(repository: Repository, execution: Execution, ttl_seconds: float) -> Iterator[Lease]:
    """Have the turn of a plan. Raises BusyError, naming who is at it and since when."""
    what = "drill of" if execution.mode == "drill" else "recovery by"
    purpose = f"{what} the plan {execution.plan_id}"
    with repository.lease(purpose, ttl_seconds=ttl_seconds) as lease:
        require_first(repository, lease)
        yield lease


@contextmanager
def of_things(
    repository: Repository,
    plan: Plan,
    execution: Execution,
    *,
    ttl_seconds: float,
    limit_seconds: float,
    waits_for: Callable[[str | None], None],
) -> Iterator[None]:
    """Have the turn of all that the plan works on, and wait for others; `waits_for` is told for whom, and when that is over.

    Raises BusyError where somebody is still there after the limit.
    """
    with ExitStack() as held:
        for name in [] if execution.mode == "drill" else touched(plan):
            lease = held.enter_context(repository.lease(f"recovery of {name}", ttl_seconds=ttl_seconds))
            try:
                require_first(repository, lease)
            except BusyError as error:
                waits_for(f"another execution that works on {name}: {error.reason}")
                wait_to_be_first(repository, lease, limit_seconds=limit_seconds)
                waits_for(None)
        yield
