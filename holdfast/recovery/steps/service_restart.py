"""The step type `service_restart`: managed services are stopped and started again, in the given order.

With `force` each is told to stop first, and killed only where it does not. A restart can't be undone. In a drill services are
asked, and what would restart them is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from holdfast.recovery.outside import Rule, chosen
from holdfast.recovery.outside import services as services_from_outside
from holdfast.recovery.restarting import EVERY, HOW_TO_ADD, SERVICES, find_missing, named, notes_of, opened, restart_all
from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work


class ServiceRestartParameters(Parameters):
    """Which services, and how."""

    services: tuple[str, ...] = (EVERY,)
    """Names of managed services; `*` are all that there are."""
    force: bool = False
    wait_for_health: bool = True


class ServiceRestart(StepType[ServiceRestartParameters]):
    """Restarts services."""

    name = "service_restart"
    minutes = (5, 15)
    parameters = ServiceRestartParameters
    outside: ClassVar[Mapping[str, Rule]] = {
        "services": services_from_outside,
        "force": chosen,
        "wait_for_health": chosen,
    }

    def touches(self, parameters: ServiceRestartParameters) -> frozenset[str]:
        """All services as one: `*` may be any of them, and whoever restarts one by name must not meet it."""
        del parameters
        return frozenset({SERVICES})

    def foresee(self, work: Work, parameters: ServiceRestartParameters) -> list[str]:
        names = named(parameters.services, work)
        if not names:
            return [_nothing(parameters, work)]
        missing = find_missing(names, work)
        there = [work.world.service(name).foresee() for name in names if name not in missing]
        after = ", and kill it where it does not stop" if parameters.force else ""
        return [*(f"{one}{after}" for one in there), *(f"fail, for there is no service {name}" for name in missing)]

    def run(self, work: Work, parameters: ServiceRestartParameters) -> Outcome:
        names = named(parameters.services, work)
        if not names:
            return Outcome(_nothing(parameters, work), {"services": []}, (HOW_TO_ADD,), needed=False)
        done = restart_all(opened(names, work), work, force=parameters.force, wait=parameters.wait_for_health)
        what = "could be restarted" if work.is_drill else "restarted"
        return Outcome(f"{what}: {', '.join(names)}", {"services": [one.document() for one in done]}, notes_of(done))


def _nothing(parameters: ServiceRestartParameters, work: Work) -> str:
    if work.verdicts.get("services") is not None and named(parameters.services, work) == [] and work.world.services():
        return "none of these services was found in trouble, so none is restarted"
    return "no managed service is set up, so none is restarted"


TYPE = ServiceRestart()
