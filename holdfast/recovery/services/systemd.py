"""A unit of systemd, on this host or by SSH on another. What does not stop systemd kills by itself, after TimeoutStopSec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.recovery.services.checked import CheckedService

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline


class SystemdService(CheckedService):
    """A unit."""

    program = "systemctl"

    def _options(self) -> list[str]:
        host = ["--host", self.described.host] if self.described.host else []
        return [*host, "--no-ask-password"]

    def _restarted(self, deadline: Deadline) -> list[str]:
        return [self._run(self._tool("restart", self._unit), deadline, seconds=self.described.patience_seconds)]

    def _killed_and_started(self, deadline: Deadline) -> list[str]:
        """Right after the kill the unit may still count as running, and starting it would do nothing: so it is restarted."""
        return [
            self._kill(self._tool("kill", "--signal", "KILL", self._unit), deadline),
            self._kill(self._tool("reset-failed", self._unit), deadline),  # else one that died too often would not be started
            self._run(self._tool("restart", self._unit), deadline),
        ]

    def _started(self, deadline: Deadline) -> list[str]:
        return [self._run(self._tool("start", self._unit), deadline)]
