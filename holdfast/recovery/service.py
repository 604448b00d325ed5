"""The contract of a managed service: something that runs, can be told to stop and start, and can be asked whether it is well."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Health:
    """How a service is; `ok` None: it has no way to be asked."""

    ok: bool | None
    reason: str


class Service(ABC):
    """A service of any kind."""

    name: str

    @abstractmethod
    def health(self, deadline: Deadline) -> Health:
        """Ask how it is, once. Raises nothing: that it does not answer is an answer."""

    @abstractmethod
    def restart(self, deadline: Deadline, *, force: bool = False) -> list[str]:
        """Stop it and start it again, and return what was done, in sentences.

        `force`: what does not stop when told to is killed. Raises ServiceFailedError, TimeLimitError.
        """

    @abstractmethod
    def start(self, deadline: Deadline) -> list[str]:
        """Start it where it does not run; harmless where it does. Raises ServiceFailedError, TimeLimitError."""

    @abstractmethod
    def wait_for_health(self, deadline: Deadline) -> Health:
        """Wait until it is well. Raises ServiceFailedError, with its last answer, where it does not become so in time."""

    @abstractmethod
    def foresee(self) -> str:
        """Say by what it would be restarted, without doing it."""

    def rehearse(self, deadline: Deadline) -> list[str]:
        """Do in a drill what can be done without touching it, and return that in sentences. Raises ServiceFailedError."""
        del deadline
        return []
