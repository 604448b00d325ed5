"""Which files a pattern means: `*`, `?` and `[…]` within a name, `**` through folders, `~` for a home.

A name that begins with a dot is a name like any other: a backup that leaves out `.env.local` unasked would look whole. A link to
a folder is not walked through where a pattern did not name it. A pattern that is itself the name of a file means that file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from holdfast.sources.contract import LeftOut
from holdfast.sources.files import shown
from holdfast.sources.stable import unreadable

NO_FILE = "there is no such file"
_MAGIC = frozenset("*?[")


@dataclass(slots=True)
class Matches:
    """What patterns mean: absolute paths of all that are no folders, sorted; and what can't be looked at, or means nothing."""

    paths: list[Path] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def match(patterns: Sequence[str], working_directory: Path, *, without: Sequence[Path] = ()) -> Matches:
    """Find what the patterns mean, but for what lies in the folders `without`; no path leads through a link."""
    found = Matches()
    working_directory, without = working_directory.resolve(), [folder.resolve() for folder in without]
    paths: set[Path] = set()
    for pattern in patterns:
        of_pattern = set(_of_pattern(pattern, working_directory, without, found.left_out))
        files = {path for path in of_pattern if path.is_symlink() or not path.is_dir()}
        if not files:
            found.left_out.append(LeftOut(f"file:{shown(pattern)}", _nothing(pattern, is_folder=bool(of_pattern))))
        paths |= {path.parent.resolve() / path.name for path in files}
    found.paths = sorted(paths, key=os.fsencode)
    return found


def _nothing(pattern: str, *, is_folder: bool) -> str:
    if is_folder:
        return f"it names only folders; {shown(pattern.rstrip('/'))}/** means what is in them"
    return NO_FILE


def _of_pattern(pattern: str, working_directory: Path, without: Sequence[Path], left_out: list[LeftOut]) -> Iterator[Path]:
    try:
        whole = os.path.normpath(working_directory / Path(pattern).expanduser())
    except RuntimeError:  # the home of a user who is not known
        return
    if os.path.lexists(whole) and not Path(whole).is_dir():
        yield Path(whole)
        return
    walk = _Walk(left_out, frozenset(without))
    yield from walk.below(Path(whole).anchor, Path(whole).parts[1:])


@dataclass(frozen=True, slots=True)
class _Walk:
    left_out: list[LeftOut]
    without: frozenset[Path]

    def below(self, folder: str, parts: Sequence[str]) -> Iterator[Path]:
        """Yield what the parts of a pattern mean in a folder."""
        if Path(folder) in self.without:
            return
        head, *rest = parts or [""]
        if head == "**":
            yield from self._through(folder, rest)
        elif not _MAGIC.isdisjoint(head):
            for entry in self._listed(folder):
                if fnmatchcase(entry.name, head):
                    yield from self._here(entry.path, rest)
        else:
            yield from self._here(os.path.join(folder, head), rest)  # noqa: PTH118  a Path a file is slow

    def _here(self, path: str, rest: Sequence[str]) -> Iterator[Path]:
        if not rest:
            if os.path.lexists(path):
                yield Path(path)
        elif Path(path).is_dir():
            yield from self.below(path, rest)

    def _through(self, folder: str, rest: Sequence[str]) -> Iterator[Path]:
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            if rest:
                yield from self.below(here, rest)
            for entry in self._listed(here):
                if entry.is_dir(follow_symlinks=False):
                    waiting += [] if Path(entry.path) in self.without else [entry.path]
                elif not rest:
                    yield Path(entry.path)

    def _listed(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            found = unreadable(Path(folder), error)
            self.left_out.append(LeftOut(f"file:{shown(folder)}", found.reason or found.message))
            return []
