"""A program of supervisor. It is stopped and started: `supervisorctl restart` fails for a program that does not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.recovery.services.checked import CheckedService

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline


class SupervisorService(CheckedService):
    """A program, or `group:*`."""

    program = "supervisorctl"

    def foresee(self) -> str:
        return f"restart {self.name} by {self.program} stop and start {self._unit}"

    def _options(self) -> list[str]:
        file = ["-c", self.described.config_file] if self.described.config_file else []
        return [*file, *(["-s", self.described.host] if self.described.host else [])]

    def _restarted(self, deadline: Deadline) -> list[str]:
        return [self._stop(self._tool("stop", self._unit), deadline), *self._started(deadline)]

    def _killed_and_started(self, deadline: Deadline) -> list[str]:
        """Between the kill and the start supervisor may have started it by itself, which is as good."""
        return [self._kill(self._tool("signal", "KILL", self._unit), deadline), *self._restarted(deadline)]

    def _started(self, deadline: Deadline) -> list[str]:
        return [self._run(self._tool("start", self._unit), deadline)]
