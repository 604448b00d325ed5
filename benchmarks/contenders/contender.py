"""What every contender is: the works that it can do, each as one process to be measured, and the bytes that it stores."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FIRST, UNCHANGED, APPENDED, UPDATED, CHECK, RESTORE = "first", "unchanged", "appended", "updated", "check", "restore"
WORKS = {  # in the order in which they are done and told
    FIRST: "first backup",
    UNCHANGED: "second backup, unchanged",
    APPENDED: "after 1 % was appended",
    UPDATED: "after 1 % of rows, at random, were updated",
    CHECK: "read check of everything",
    RESTORE: "restore with indexes",
}
BACKUPS = (FIRST, UNCHANGED, APPENDED, UPDATED)


def nothing() -> None:
    """Do nothing."""


def no_bytes() -> int:
    """Store nothing."""
    return 0


@dataclass(frozen=True)
class Step:
    """One process to be measured, with what has to be so before it, and what is tidied after it; neither is measured."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    before: Callable[[], None] = nothing
    after: Callable[[], None] = nothing
    stdout: Path | None = None


@dataclass(frozen=True)
class Contender:
    """One who does the work. `steps` makes the step of each work that it can do; `absent` says why it can't run here.

    `how` says what runs, for people.
    """

    key: str
    title: str
    how: str
    steps: Mapping[str, Callable[[], Step]] = field(default_factory=dict)
    stored: Callable[[], int] = no_bytes
    absent: str = ""


def every_backup(first: Callable[[], Step], again: Callable[[], Step]) -> dict[str, Callable[[], Step]]:
    """The same command for each backup but the first."""
    return {FIRST: first, UNCHANGED: again, APPENDED: again, UPDATED: again}


def piped(*commands: Sequence[str]) -> tuple[str, ...]:
    """Commands that feed each other; it fails where any of them does."""
    return ("bash", "-c", "set -o pipefail; " + " | ".join(shlex.join(command) for command in commands))


def in_turn(*commands: Sequence[str]) -> tuple[str, ...]:
    """Commands one after the other, each only where the one before ended well."""
    return ("bash", "-c", " && ".join(shlex.join(command) for command in commands))


def kept_then(command: Sequence[str], file: Path, then: Sequence[str]) -> tuple[str, ...]:
    """A command whose output is kept in a file, then another that reads it."""
    return ("bash", "-c", f"{shlex.join(command)} > {shlex.quote(str(file))} && {shlex.join(then)}")


def turned(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Those contenders in the order of a round: who is first turns."""
    first = number % max(1, len(contenders))
    return [*contenders[first:], *contenders[:first]]


def why_absent(program: str, package: str) -> str:
    """Say that a program is not on this machine, and what brings it; nothing where it is."""
    return "" if shutil.which(program) else f"not on this machine; Debian: apt-get install {package}"


def prepare(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
    """Run what is not measured. Raises RuntimeError with what it said."""
    done = subprocess.run(
        command, env=dict(environment), cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
