"""How the managed services are: each is asked once. One that has no way to be asked is told, and judged by nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from holdfast import figures
from holdfast.errors import HoldfastError
from holdfast.recovery.service import Health
from holdfast.recovery.verdict import Verdict

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.world import World

_AT_ONCE = 8
_NAMED = 5


def assess(world: World, deadline: Deadline, *, thorough: bool) -> Verdict:
    """Ask every managed service how it is."""
    del thorough
    names = world.services()
    if not names:
        return Verdict("services", "unknown", "there is no managed service; see 'holdfast services add'")

    def asked(name: str) -> Health:
        try:
            return world.service(name).health(deadline)
        except HoldfastError as error:
            return Health(None, error.what_and_why)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="health") as threads:
        found = dict(zip(names, threads.map(asked, names), strict=True))
    evidence = {"services": {name: {"ok": health.ok, "reason": health.reason} for name, health in found.items()}}
    failing = tuple(name for name, health in found.items() if health.ok is False)
    silent = [name for name, health in found.items() if health.ok is None]
    if failing:
        said = "; ".join(figures.first([f"{name}: {found[name].reason}" for name in failing], _NAMED))
        return Verdict("services", "failing", said, evidence, failing)
    if len(silent) == len(names):
        return Verdict("services", "unknown", "no managed service can be asked how it is", evidence)
    untold = f"; {', '.join(figures.first(silent, _NAMED))} can't be asked" if silent else ""
    return Verdict("services", "healthy", f"{figures.count(len(names) - len(silent), 'service')} answered well{untold}", evidence)
