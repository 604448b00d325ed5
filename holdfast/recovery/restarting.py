"""Restarts of several services, one after the other in the given order, and what came of each.

One that fails keeps none of the others from being tried: nothing is won by leaving those down. All is told at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, NotFoundError, ServiceFailedError, TimeLimitError
from holdfast.recovery.service import Health

if TYPE_CHECKING:
    from holdfast.recovery.service import Service
    from holdfast.recovery.step_type import Work

Json = dict[str, Any]
EVERY = "*"
SERVICES = "services"
"""What steps that restart anything say that they work on."""

HOW_TO_ADD = "'holdfast services add NAME --kind …' tells Holdfast of a service; docs/services.md shows how"


@dataclass(frozen=True, slots=True)
class Restart:
    """What came of one service; `error` None: it was restarted, or rehearsed in a drill."""

    name: str
    did: list[str] = field(default_factory=list)
    health: Health | None = None
    """None where nobody asked it."""
    error: str | None = None

    def document(self) -> Json:
        """Describe it as a step's output does."""
        return {"name": self.name, "ok": self.error is None, "health": _word(self.health), "did": self.did, "error": self.error}


def named(wanted: Sequence[str], work: Work) -> list[str]:
    """Name the services that are meant, `*` for all; where an assessment found some in trouble, only those, unless forced."""
    names = spelled_out(wanted, work)
    verdict = work.verdicts.get("services")
    if verdict is None or not verdict.affected or work.forced:
        return names
    return [name for name in names if name in verdict.affected]


def spelled_out(wanted: Iterable[str], work: Work) -> list[str]:
    """Name all that are meant, `*` for every one that there is, each once."""
    return list(dict.fromkeys(one for name in wanted for one in (work.world.services() if name == EVERY else [name])))


def opened(names: Iterable[str], work: Work) -> list[Service]:
    """Find services before anything is done to any. Raises NotFoundError."""
    return [work.world.service(name) for name in names]


def restart_all(services: Sequence[Service], work: Work, *, force: bool, wait: bool) -> list[Restart]:
    """Restart these, or rehearse it in a drill. Raises ServiceFailedError or TimeLimitError, which tell of all of them."""
    done: list[Restart] = []
    for number, service in enumerate(services):
        try:
            done.append(_rehearsed(service, work) if work.is_drill else _restarted(service, work, force=force, wait=wait))
        except TimeLimitError as error:
            left = ", ".join(one.name for one in services[number + 1 :])
            tried = [*done, Restart(service.name, error=error.message)]
            raise TimeLimitError(error.message, reason=_told(tried, left), next_step=error.next_step) from error
        except HoldfastError as error:
            work.log.warning("the service %s: %s", service.name, error.what_and_why)
            done.append(Restart(service.name, error=error.what_and_why))
    if bad := [one.name for one in done if one.error is not None]:
        raise ServiceFailedError(
            f"{len(bad)} of {len(done)} services could not be {'rehearsed' if work.is_drill else 'restarted'}: {', '.join(bad)}",
            reason=_told(done),
            next_step="'holdfast services check' asks all of them; mend what the error says, then resume the execution",
        )
    return done


def notes_of(done: Iterable[Restart]) -> tuple[str, ...]:
    """Name those of which nobody can say whether they are well, and those that are not."""
    asked = [(one.name, one.health) for one in done if one.health is not None]
    return tuple(f"{name}: {health.reason}" for name, health in asked if not health.ok)


def _restarted(service: Service, work: Work, *, force: bool, wait: bool) -> Restart:
    work.log.info("restarting the service %s", service.name)
    did = service.restart(work.deadline, force=force)
    return Restart(service.name, did, service.wait_for_health(work.deadline) if wait else None)


def _rehearsed(service: Service, work: Work) -> Restart:
    """Look whether it could be done. That it is not well now is told, and fails no drill."""
    return Restart(service.name, service.rehearse(work.deadline), service.health(work.deadline))


def _told(done: Iterable[Restart], left: str = "") -> str:
    said = "; ".join(f"{one.name}: {one.error or 'done'}" for one in done)
    return f"{said}; not tried: {left}" if left else said


def _word(health: Health | None) -> str | None:
    if health is None:
        return None
    return "unknown" if health.ok is None else "well" if health.ok else "not well"


def find_missing(names: Iterable[str], work: Work) -> list[str]:
    """Name those that there are not."""
    missing = []
    for name in names:
        try:
            work.world.service(name)
        except NotFoundError:
            missing.append(name)
    return missing
