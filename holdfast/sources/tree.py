"""A folder's content, in an order that does not depend on the machine: each folder before what is in it, names by their bytes.

Links are taken as links and never followed, so nothing outside the folder is ever read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast.sources.contract import LeftOut
from holdfast.sources.files import SourceFile, shown
from holdfast.sources.stable import unreadable, what_it_is


def walk(
    root: Path, *, below: str = "", leave: Callable[[str], bool] | None = None, left_out: list[LeftOut] | None = None
) -> Iterator[SourceFile]:
    """Yield what is in a folder, with paths relative to it; of `below`, a folder in it, only that one and what is in it.

    What `leave` says yes to is passed over, with all that is in it. What can't be read is added to `left_out`; without such a
    list, and for the folder that was asked for, it raises NotFoundError, SourceDeniedError or SourceFailedError.
    """
    waiting = [below] if below else _names(root, "")
    while waiting:
        path = waiting.pop()
        if leave is not None and leave(path):
            continue
        try:
            file = _look_at(root / path, path)
            inside = _names(root, path) if file.kind == "folder" else []
        except OSError as error:
            problem = unreadable(root / path, error)
            if left_out is None or path == below:
                raise problem from error
            left_out.append(LeftOut(shown(path), problem.reason or problem.message))
            continue
        waiting += inside
        yield file


def _names(root: Path, path: str) -> list[str]:
    """List a folder, the last first."""
    try:
        names = sorted((entry.name for entry in (root / path).iterdir()), key=os.fsencode, reverse=True)
    except OSError as error:
        if path:
            raise
        raise unreadable(root, error) from error
    return [f"{path}/{name}" if path else name for name in names]


def _look_at(place: Path, path: str) -> SourceFile:
    found = place.lstat()
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(place)  # noqa: PTH115  pathlib would tidy the text
        return SourceFile(path, "link", mode, found.st_mtime_ns, link_target=target)
    if stat.S_ISDIR(found.st_mode):
        return SourceFile(path, "folder", mode, found.st_mtime_ns)
    if stat.S_ISREG(found.st_mode):
        return SourceFile(path, "file", mode, found.st_mtime_ns, content=place)
    raise OSError(0, f"it is {what_it_is(found.st_mode)}")
