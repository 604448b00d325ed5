"""A service that commands of the user's own start, stop and kill."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from holdfast.errors import ServiceFailedError
from holdfast.recovery.services.checked import CheckedService
from holdfast.recovery.services.child import shown

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline


class CommandService(CheckedService):
    """Stopped and started, or restarted, by what its block says."""

    def rehearse(self, deadline: Deadline) -> list[str]:
        """Look for the programs, and run the command that tries a scratch copy where there is one."""
        described = self.described
        lines = [line for line in (described.restart, described.stop, described.start, described.kill) if line is not None]
        programs = dict.fromkeys(self._children.find(shlex.split(line)[0]) for line in lines)
        found = [f"{', '.join(programs)} {'is' if len(programs) == 1 else 'are'} here, and would restart {self.name}"]
        if described.drill is not None:
            found.append(self._run(shlex.split(described.drill), deadline))
        return found

    def foresee(self) -> str:
        described = self.described
        lines = [described.restart] if described.restart is not None else [described.stop, described.start]
        return f"restart {self.name} by {' and '.join(shown([line]) for line in lines if line is not None)}"

    def _options(self) -> list[str]:
        return []

    def _restarted(self, deadline: Deadline) -> list[str]:
        if self.described.restart is not None:
            words = shlex.split(self.described.restart)
            return [self._run(words, deadline, seconds=self.described.patience_seconds)]
        return [self._stop(self._words("stop"), deadline), *self._started(deadline)]

    def _killed_and_started(self, deadline: Deadline) -> list[str]:
        return [self._kill(self._words("kill"), deadline), *self._started(deadline)]

    def _started(self, deadline: Deadline) -> list[str]:
        if self.described.start is None:
            return [self._run(self._words("restart"), deadline)]
        return [self._run(self._words("start"), deadline)]

    def _words(self, deed: str) -> list[str]:
        line = getattr(self.described, deed)
        if line is None:
            raise ServiceFailedError(
                f"The service {self.name} has no command to {deed} it",
                next_step=f"Give it one: 'holdfast services add {self.name} --{deed} …', with all else that it has",
            )
        return shlex.split(line)
