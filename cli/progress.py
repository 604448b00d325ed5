"""Progress, on stderr: bars and spinners on a terminal, a plain line a step elsewhere, nothing beside a JSON document."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cli import figures, output

if TYPE_CHECKING:
    from rich.progress import Progress

Update = Callable[[int, int | None], None]

_bars: list[Progress] = []


def on_terminal() -> bool:
    """Tell whether a person watches stderr."""
    return sys.stderr.isatty()


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something goes on which has no measure."""
    if not on_terminal():
        output.note(f"{what} ...")
        yield
        return
    console = output.console(stderr=True)
    with console.status(what), output.above(console):
        yield


@contextlib.contextmanager
def counted(what: str, unit: str = "") -> Iterator[Update]:
    """Show how far something is; the yielded function takes what is done and the whole, from any thread.

    The unit `bytes` is told as sizes.
    """
    if not on_terminal():
        output.note(f"{what} ...")
        yield lambda done, whole: None
        return
    with _bar() as bar, output.above(bar.console), _known(bar):
        task = bar.add_task(what, total=None, count="")

        def update(done: int, whole: int | None) -> None:
            bar.update(task, completed=done, total=whole or None, count=_count(done, whole, unit))

        yield update


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """Take the bar away while a person is asked: it would write over the question."""
    shown = list(_bars)
    for bar in shown:
        bar.stop()
    try:
        yield
    finally:
        for bar in shown:
            bar.start()


@contextlib.contextmanager
def _known(bar: Progress) -> Iterator[None]:
    _bars.append(bar)
    try:
        yield
    finally:
        _bars.remove(bar)


def _count(done: int, whole: int | None, unit: str) -> str:
    told = figures.size if unit == "bytes" else "{:,}".format
    count = f"{told(done)} of {told(whole)}" if whole else told(done)
    return count if unit == "bytes" else f"{count} {unit}"


def _bar() -> Progress:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    calm = BarColumn(complete_style="cyan", finished_style="cyan", pulse_style="cyan")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), calm, TextColumn("{task.fields[count]}"), TimeElapsedColumn())
    return Progress(*columns, console=output.console(stderr=True), transient=True)
