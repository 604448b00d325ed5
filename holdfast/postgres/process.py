"""PostgreSQL's tools as child processes.

A child never outlives us (see `supervise`), never blocks on a stderr that nobody reads, and never ends quietly half-way: its
output reports the end only after the tool has ended well, so a stream cut short can't be taken for a whole one.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal, Self

from holdfast.errors import HoldfastError, TableLockedError, TimeLimitError, ToolFailedError, WorkFailedError
from holdfast.postgres.connection import DatabaseUrl, denied, masked, refusal
from holdfast.postgres.environment import child_environment
from holdfast.postgres.tools import Tool

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SUPERVISE = Path(__file__).with_name("supervise.py")
_PIPE_BYTES = 1 << 20  # psql writes 4 KiB at a time; in a big pipe it need not wait for us each time
_WORTH_A_READ_BYTES = 256 << 10
_FILL_SECONDS = 0.001  # how long a pipe that we emptied is left to fill; docs/decisions/0001-copy-reader.md has the figures
_LOCKED_OUT = re.compile(r"due to lock timeout|due to statement timeout\n.*Query was: LOCK TABLE")  # the latter is pg_dump's way
_STDERR_KEPT_BYTES = 64 << 10
_REASON_LINES = 12
_STOP_SECONDS = 15.0  # longer than the supervisor's own escalation

Input = None | bytes | Literal["pipe"] | IO[bytes]
Output = Literal["pipe"] | None | IO[bytes]


def run_tool(
    tool: Tool,
    arguments: Sequence[str | bytes],
    *,
    url: DatabaseUrl | None = None,
    stdin: Input = None,
    stdout: Output = None,
    time_limit_seconds: float | None = None,
    env_extra: dict[str, str] | None = None,
) -> Child:
    """Start a tool, as a context manager.

    `stdin`: nothing, these bytes, `"pipe"` (write to `.stdin`) or an open file; `stdout`: nowhere, `"pipe"` (read `.stdout`)
    or an open file. Leaving the context waits for the tool (see `Child.wait`); leaving it by an exception stops the tool.
    """
    return Child(
        tool,
        arguments,
        url=url,
        stdin=stdin,
        stdout=stdout,
        time_limit_seconds=time_limit_seconds,
        env_extra=env_extra or {},
    )


class Child:
    """A running tool. `stdin` and `stdout` are there when they were asked for as pipes."""

    def __init__(
        self,
        tool: Tool,
        arguments: Sequence[str | bytes],
        *,
        url: DatabaseUrl | None,
        stdin: Input,
        stdout: Output,
        time_limit_seconds: float | None,
        env_extra: dict[str, str],
    ) -> None:
        self._tool = tool
        self._url = url
        self._time_limit_seconds = time_limit_seconds
        self._stderr = bytearray()
        self._timed_out = False
        self._stopped = False
        self._stdin: io.BufferedWriter | None = None
        self._stdout: ToolOutput | None = None
        self._waiting = threading.Lock()
        self._held = ExitStack()  # what must stay open until the tool has ended
        try:
            self._process = self._start(arguments, stdin, stdout, env_extra)
        except BaseException:
            self._close_streams()
            self._held.close()
            raise
        self._watcher = threading.Thread(target=self._watch, name=f"{tool.name} stderr", daemon=True)
        self._watcher.start()

    @property
    def stdin(self) -> io.BufferedWriter:
        """The tool's standard input."""
        if self._stdin is None:
            raise ValueError("stdin is no pipe")
        return self._stdin

    @property
    def stdout(self) -> ToolOutput:
        """The tool's standard output."""
        if self._stdout is None:
            raise ValueError("stdout is no pipe")
        return self._stdout

    @property
    def stderr_text(self) -> str:
        """The last of what the tool said so far, without the password."""
        text = self._stderr.decode(errors="replace")
        return text if self._url is None else masked(text, self._url)

    @property
    def pid(self) -> int:
        """The process id of the supervisor, which is also its session."""
        return self._process.pid

    def wait(self) -> None:
        """Wait until the tool has ended.

        Raises TimeLimitError, DatabaseUnreachableError, NotFoundError, AccessDeniedError, TableLockedError or ToolFailedError.
        """
        self._close_stdin()
        with self._waiting:
            self._watcher.join()
            code = self._process.wait()
            self._held.close()
        if self._timed_out:
            raise TimeLimitError(
                f"{self._tool.name} did not end within {self._time_limit_seconds:g} seconds and was stopped",
                reason=self._last_lines() or None,
                next_step="Raise the time limit, or look for what holds the database up",
            )
        if code != 0:
            raise WorkFailedError(f"{self._tool.name} was told to end") if self._stopped else self._failure(code)

    def end(self) -> None:
        """Tell the tool to end, from any thread; whoever reads its output or waits for it raises."""
        self._stopped = True
        self._terminate()

    def stop(self) -> None:
        """End the tool and all that it started and close its pipes; nothing is raised, whatever state it was in.

        Not while another thread reads or writes the pipes: that is what `end` is for.
        """
        self.end()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the kernel then kills the tool
            self._process.wait()
        self._close_streams()
        self._watcher.join()
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None and not self._stopped:
                self._close_streams()
                self.wait()
            elif isinstance(error, BrokenPipeError):
                self._explain_broken_pipe()
        finally:
            self.stop()

    # How it runs

    def _start(
        self, arguments: Sequence[str | bytes], stdin: Input, stdout: Output, env_extra: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        environment, descriptors = self._held.enter_context(child_environment(self._url))
        death, self._death_end = os.pipe()
        self._held.callback(os.close, self._death_end)
        with ExitStack() as ours:
            ours.callback(os.close, death)
            child_stdin = self._open_stdin(stdin, ours)
            child_stdout = self._open_stdout(stdout, ours)
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SUPERVISE), str(death), "--", str(self._tool.path), *arguments],
                stdin=child_stdin,
                stdout=child_stdout,
                stderr=subprocess.PIPE,
                env=environment | env_extra,
                pass_fds=(death, *descriptors),
                start_new_session=True,
            )

    def _open_stdin(self, stdin: Input, ours: ExitStack) -> int | IO[bytes]:
        if stdin is None:
            return subprocess.DEVNULL
        if isinstance(stdin, bytes):
            file = ours.enter_context(tempfile.TemporaryFile(prefix="holdfast-"))  # noqa: SIM115
            file.write(stdin)
            file.seek(0)
            return file
        if stdin != "pipe":
            return stdin
        read_end, write_end = _big_pipe()
        ours.callback(os.close, read_end)
        self._stdin = io.BufferedWriter(io.FileIO(write_end, "wb"), 1 << 16)
        return read_end

    def _open_stdout(self, stdout: Output, ours: ExitStack) -> int | IO[bytes]:
        if stdout is None:
            return subprocess.DEVNULL
        if stdout != "pipe":
            return stdout
        read_end, write_end = _big_pipe()
        ours.callback(os.close, write_end)
        self._stdout = ToolOutput(self, read_end)
        return write_end

    def _watch(self) -> None:
        """Drain stderr, keep its last part, and stop the tool when its time is up."""
        limit = self._time_limit_seconds
        deadline = None if limit is None else time.monotonic() + limit
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101  we asked for a pipe
        with stderr, selectors.DefaultSelector() as selector:
            selector.register(stderr, selectors.EVENT_READ)
            while True:
                pause = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not selector.select(pause):
                    if deadline is not None and time.monotonic() >= deadline:
                        deadline, self._timed_out = None, True
                        self._terminate()
                    continue
                part = os.read(stderr.fileno(), 1 << 16)
                if not part:
                    return
                self._stderr += part
                del self._stderr[:-_STDERR_KEPT_BYTES]

    # How it ends

    def _terminate(self) -> None:
        self._process.terminate()  # does nothing once the process was waited for

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            with suppress(BrokenPipeError):  # the tool ended before it had read all; its exit status says why
                self._stdin.close()

    def _close_streams(self) -> None:
        self._close_stdin()
        if self._stdout is not None:
            self._stdout.close()

    def _explain_broken_pipe(self) -> None:
        """Raise what ended the tool that we were writing to, rather than the broken pipe."""
        try:
            self.wait()
        except HoldfastError as failure:
            raise failure from None

    def _last_lines(self) -> str:
        return "\n".join(self.stderr_text.strip().splitlines()[-_REASON_LINES:])

    def _failure(self, code: int) -> HoldfastError:
        text, reason = self.stderr_text, self._last_lines()
        if self._url is not None and (refused := refusal(text, self._url)) is not None:
            refused.reason = reason
            return refused
        if _LOCKED_OUT.search(text):
            return TableLockedError(
                f"{self._tool.name} waited too long for a table that another session has locked", reason=reason
            )
        if re.search("permission denied for|would be affected by row-level security", text):
            return denied(f"what {self._tool.name} has to do", reason)
        return ToolFailedError(f"{self._tool.name} failed ({_ending(code)})", reason=reason or None)


class ToolOutput(io.RawIOBase):
    """A tool's output, whose end means that the tool ended well; otherwise reading on raises what `Child.wait` raises."""

    def __init__(self, child: Child, descriptor: int) -> None:
        super().__init__()
        self._child = child
        self._file = open(descriptor, "rb", buffering=0)  # noqa: SIM115  closed in close()
        self._emptied = False

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if self._emptied:
            time.sleep(_FILL_SECONDS)
        count = self._file.readinto(buffer) or 0
        if not count:
            self._child.wait()
        self._emptied = count < _WORTH_A_READ_BYTES and count < memoryview(buffer).nbytes
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _big_pipe() -> tuple[int, int]:
    read_end, write_end = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):  # the user's share of pipe memory is used up; a small pipe is only slower
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read_end, write_end


def _ending(code: int) -> str:
    return f"exit status {code}" if code < 128 else f"killed by signal {code - 128}"
