"""Run one tool, and see to it that the tool never outlives whoever asked for it.

Started as `python -I -S supervise.py DEATH_FD -- PROGRAM ARGUMENT...`, with nothing but the standard library. The other end
of the pipe DEATH_FD is held by the asking process, so the pipe ends when that process does, however it dies (where a fork of
it still holds the pipe, the kernel tells of the death too). Then, or on SIGTERM, the tool's whole process group is asked to
cancel (SIGINT: pg_dump, pg_restore and psql tell the server so), to end (SIGTERM), and is killed. The exit status is the
tool's, or 128 + the signal that ended it.
"""

import contextlib
import os
import select
import signal
import sys
import time

ESCALATION = ((0.0, signal.SIGINT), (0.5, signal.SIGTERM), (4.0, signal.SIGKILL))  # seconds after the wish to stop
_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36


def main(arguments: list[str]) -> int:
    """Run the program until it ends, the asking process ends, or we are told to stop."""
    death, command = int(arguments[0]), arguments[2:]
    os.set_inheritable(death, False)
    wake, wake_end = os.pipe()
    for end in (wake, wake_end):
        os.set_blocking(end, False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _noted)
    signal.set_wakeup_fd(wake_end)
    _ask_kernel(_SET_CHILD_SUBREAPER, 1)  # what the tool leaves behind becomes our child, so that we can wait for its end
    tool = _start(command)
    _let_go_of_streams()
    return _watch(tool, death, wake)


def _noted(*_: object) -> None:
    """Do nothing: the signal's number arrives through the wake-up descriptor."""


def _start(command: list[str]) -> int:
    us = os.getpid()
    tool = os.fork()
    if tool:
        return tool
    try:
        os.setpgid(0, 0)
        _die_with(us)
        _be_patient()
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], command)  # noqa: S606
    except BaseException as error:  # noqa: BLE001  a forked child must never return into the caller
        os.write(2, f"{command[0]} can't be started: {error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def _die_with(supervisor: int) -> None:
    """Have the kernel kill the tool when even this process is killed."""
    _ask_kernel(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(127)


def _be_patient() -> None:
    """Have the kernel not interrupt whoever has the processor each time there is something for the tool: more comes at once.

    A server sends 8 KiB at a time, and the tool that is woken for each takes the processor from the server itself.
    """
    with contextlib.suppress(OSError):  # a host may forbid to ask, too
        if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _ask_kernel(option: int, value: int) -> None:
    """Call prctl; Linux has it, elsewhere the pipe alone must do."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(option, value)


def _let_go_of_streams() -> None:
    """Keep no end of the tool's pipes open: its reader must see the end when the tool ends."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nothing, stream)
    os.close(nothing)


def _watch(tool: int, death: int, wake: int) -> int:
    poll = select.poll()
    deaths = {death} | _asking_process()
    for descriptor in (wake, *deaths):
        poll.register(descriptor, select.POLLIN)
    stopping_since: float | None = None
    steps = list(ESCALATION)
    while True:
        if os.waitid(os.P_PID, tool, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return _ended(tool)
        if stopping_since is not None:
            while steps and time.monotonic() - stopping_since >= steps[0][0]:
                _signal_group(tool, steps.pop(0)[1])
        pause = None if stopping_since is None or not steps else stopping_since + steps[0][0] - time.monotonic()
        for descriptor, _ in poll.poll(None if pause is None else max(pause, 0) * 1000):
            if descriptor in deaths:
                poll.unregister(descriptor)
            if descriptor in deaths or signal.SIGTERM in os.read(wake, 4096):
                stopping_since = stopping_since or time.monotonic()


def _asking_process() -> set[int]:
    if not hasattr(os, "pidfd_open"):
        return set()
    try:
        return {os.pidfd_open(os.getppid())}
    except OSError:
        return set()  # already gone, as the pipe tells; or the kernel has no such call


def _ended(tool: int) -> int:
    # The dead leader still holds the group's number, so the number can't mean anybody else yet.
    _signal_group(tool, signal.SIGKILL)
    _, status = os.waitpid(tool, 0)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-tool, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in it (macOS: "not permitted" of a zombie)
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
