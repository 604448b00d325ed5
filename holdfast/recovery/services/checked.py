"""What services of all kinds have in common: the same checks ask them, and they are killed only where that was asked for.

Forced or not, a service is told to stop first. What does not do so in its time is hung: without force that is an error, with it
the service is killed. A service that can't be stopped because it does not run is started all the same.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from holdfast.errors import ServiceFailedError
from holdfast.recovery.service import Health, Service
from holdfast.recovery.services import health
from holdfast.recovery.services.child import Children, shown

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.services.child import Ended
    from holdfast.recovery.services.description import ServiceDescription


class CheckedService(Service):
    """A service with a description; a kind says by which commands it is stopped, started and killed."""

    program: ClassVar[str]
    """What manages services of the kind."""

    def __init__(self, name: str, described: ServiceDescription) -> None:
        self.name = name
        self.described = described
        self._children = Children(name, described.variables(), described.secrets(), sudo=described.sudo)

    def health(self, deadline: Deadline) -> Health:
        return health.ask(self.described, self._children, deadline)

    def restart(self, deadline: Deadline, *, force: bool = False) -> list[str]:
        try:
            return self._restarted(deadline)
        except ServiceFailedError as error:
            if not force:
                raise ServiceFailedError(
                    f"The service {self.name} was not restarted",
                    reason=error.what_and_why,
                    next_step=f"'holdfast services restart {self.name} --force' kills what does not stop",
                ) from error
            return [f"{error.message}, so it was killed", *self._killed_and_started(deadline)]

    def start(self, deadline: Deadline) -> list[str]:
        if self.health(deadline).ok:
            return [f"{self.name} runs and is well, so it was not started"]
        return self._started(deadline)

    def wait_for_health(self, deadline: Deadline) -> Health:
        ends_at = time.monotonic() + min(self.described.grace_seconds, deadline.seconds_left)
        while (found := self.health(deadline)).ok is False:
            left = ends_at - time.monotonic()
            if left <= 0:
                deadline.require()
                raise ServiceFailedError(
                    f"The service {self.name} did not become well within {self.described.grace_seconds:g} seconds",
                    reason=found.reason,
                    next_step=f"Look at its own logs; 'holdfast services check {self.name}' asks it again",
                )
            time.sleep(min(self.described.interval_seconds, left))
        return found

    def rehearse(self, deadline: Deadline) -> list[str]:
        self._children.find(self.program)
        del deadline
        return [f"{self.program} is here, and would restart {self.name}"]

    def foresee(self) -> str:
        return f"restart {self.name} by {shown(self._tool('restart', self._unit))}"

    @property
    def _unit(self) -> str:
        return self.described.unit or ""

    def _tool(self, *words: str) -> list[str]:
        """Say a command of the tool, with the options that lead it to the service."""
        return [self.program, *self._options(), *words]

    @abstractmethod
    def _options(self) -> list[str]:
        """Say where the service is, as the tool is told it."""

    @abstractmethod
    def _restarted(self, deadline: Deadline) -> list[str]:
        """Restart it without killing anything. Raises ServiceFailedError, TimeLimitError."""

    @abstractmethod
    def _killed_and_started(self, deadline: Deadline) -> list[str]:
        """Kill it and have it run again. Raises ServiceFailedError, TimeLimitError."""

    @abstractmethod
    def _started(self, deadline: Deadline) -> list[str]:
        """Start it. Raises ServiceFailedError, TimeLimitError."""

    def _run(self, words: Sequence[str], deadline: Deadline, *, seconds: float | None = None) -> str:
        """Run a command that has to end well; return the sentence that tells of it. A start has the longer of its two times."""
        longest = max(self.described.patience_seconds, self.described.grace_seconds)
        self._children.run(words, deadline, seconds=seconds or longest)
        return f"{shown(words)} was run"

    def _stop(self, words: Sequence[str], deadline: Deadline) -> str:
        """Stop it; a command that ends with an error stops nothing that has to be stopped. Raises where it hangs."""
        return self._told(words, self._children.ended(words, deadline, seconds=self.described.patience_seconds))

    def _kill(self, words: Sequence[str], deadline: Deadline) -> str:
        """Kill it; where there is nothing to kill, whether it starts tells."""
        longest = max(self.described.patience_seconds, self.described.grace_seconds)
        return self._told(words, self._children.ended(words, deadline, seconds=longest))

    def _told(self, words: Sequence[str], ended: Ended) -> str:
        if ended.code is None:
            raise ended.error()
        return f"{shown(words)} was run" + ("" if ended.ok else f" and ended with exit code {ended.code}: {ended.said}")
