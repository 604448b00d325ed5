"""A container of Docker. One that does not stop Docker kills by itself, after the ten seconds or what the container says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.recovery.services.checked import CheckedService

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline


class DockerService(CheckedService):
    """A container."""

    program = "docker"

    def _options(self) -> list[str]:
        host = ["--host", self.described.host] if self.described.host else []
        return [*host, *(["--context", self.described.context] if self.described.context else [])]

    def _restarted(self, deadline: Deadline) -> list[str]:
        return [self._run(self._tool("restart", self._unit), deadline, seconds=self.described.patience_seconds)]

    def _killed_and_started(self, deadline: Deadline) -> list[str]:
        return [self._kill(self._tool("kill", self._unit), deadline), *self._started(deadline)]

    def _started(self, deadline: Deadline) -> list[str]:
        return [self._run(self._tool("start", self._unit), deadline)]
