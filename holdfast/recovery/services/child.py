"""One command of a managed service, run to its end: in a session of its own, and ended with its whole group when its time is up.

Its output goes to a nameless file and not into a pipe: what a start command leaves running may hold on to it, and nobody waits
for that. Of our environment it gets all but Holdfast's and Prefect's own variables, for those hold keys.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from holdfast.errors import ServiceFailedError
from holdfast.secret_texts import MASK
from holdfast.settings.kinds import OUR_VARIABLES, working_directory
from holdfast.sources.configuration.secretness import value_looks_secret

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline

_LAST_BYTES = 4096
_LAST_LINES = 10
_POLITE_SECONDS = 2.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, None where its time was up; all that it said, or the last lines where it failed."""

    what: str
    code: int | None
    said: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.code == 0

    def error(self) -> ServiceFailedError:
        """Say what went wrong."""
        how = f"did not end within {self.seconds:.3g} seconds and was ended" if self.code is None else _ending(self.code)
        return ServiceFailedError(f"{self.what} {how}", reason=self.said)


class Children:
    """Runs the commands of one service. What of their output is secret is never said."""

    def __init__(self, service: str, variables: Mapping[str, str], secrets: Iterable[str], *, sudo: bool = False) -> None:
        self._service = service
        self._variables = variables
        self._secrets = sorted((one for one in secrets if len(one) >= 4), key=len, reverse=True)
        self._sudo = ["sudo", "-n"] if sudo else []

    def find(self, program: str) -> str:
        """Return where a program is. Raises ServiceFailedError."""
        for one in [*self._sudo[:1], program]:
            if shutil.which(one, path=self._environment().get("PATH")) is None:
                raise ServiceFailedError(
                    f"{one}, by which the service {self._service} is managed, is not here",
                    reason="no folder of PATH has it, as an executable of this user",
                    next_step=f"Install {one} where the worker runs, or name it by its whole path",
                )
        return program

    def run(self, words: Sequence[str], deadline: Deadline, *, seconds: float | None = None) -> str:
        """Run a command that has to end well, and return all that it said.

        Raises ServiceFailedError where it fails, is not there, or takes longer than so many seconds, TimeLimitError at the
        deadline.
        """
        ended = self.ended(words, deadline, seconds=seconds)
        if not ended.ok:
            raise ended.error()
        return ended.said

    def ended(self, words: Sequence[str], deadline: Deadline, *, seconds: float | None = None) -> Ended:
        """Run a command and tell how it ended. Raises ServiceFailedError where it can't be run, and TimeLimitError."""
        deadline.require()
        self.find(words[0])
        limit = deadline.seconds_left if seconds is None else min(seconds, deadline.seconds_left)
        with tempfile.TemporaryFile() as output:
            code = self._code_of(words, output, limit)
            said = self._whole(output) if code == 0 else self._last_lines(output)
        if code is None:
            deadline.require()
        return Ended(f"{shown(words)}, of the service {self._service},", code, said, limit)

    def _code_of(self, words: Sequence[str], output: IO[bytes], seconds: float) -> int | None:
        """Return the exit code; None where it had to be ended."""
        try:
            process = subprocess.Popen(
                [*self._sudo, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=working_directory(),
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceFailedError(
                f"{shown(words)}, of the service {self._service}, can't be run", reason=error.strerror or type(error).__name__
            ) from None
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            _end_group(process)
            return None
        except BaseException:
            _end_group(process)
            raise

    def _environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith(OUR_VARIABLES)} | dict(self._variables)

    def _whole(self, output: IO[bytes]) -> str:
        output.seek(0)
        return output.read().decode(errors="replace")

    def _last_lines(self, output: IO[bytes]) -> str:
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - _LAST_BYTES))
        lines = output.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join(self._masked(line) for line in lines if line.strip()) or "it said nothing"

    def _masked(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        return MASK if value_looks_secret(line.replace(MASK, "")) else line


def shown(words: Sequence[str]) -> str:
    """Show a command by its first words."""
    text = " ".join(words)
    return f"'{text if len(text) <= 80 else text[:79] + '…'}'"


def _ending(code: int) -> str:
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command and all of its session's group: first asked, then killed."""
    ends_at = time.monotonic() + _POLITE_SECONDS
    _signal_group(process.pid, signal.SIGTERM)
    # It is not reaped before the group was killed: until then nobody else can have the group's number.
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and time.monotonic() < ends_at:
        time.sleep(_LOOK_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left, or it became somebody else's by sudo
        os.killpg(group, number)
