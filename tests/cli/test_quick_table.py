"""Long lists look as rich would lay them out, whatever they hold, and a thousand rows take a fraction of rich's time."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli import output
from cli.terminal import Terminal

WIDTHS = (200, 60, 40, 20)
ROWS: dict[str, list[list[RenderableType]]] = {
    "plain": [["database_1", "database", Text("stored", style="green"), "3.6 KB"], ["f", "function", Text("read"), "12 MB"]],
    "none": [],
    "empty": [["", "", "", ""]],
    "wide": [["备份", "数据库", "–", "1"], ["e\u0301", "🙂", "x", "22"]],
    "many lines": [["a\nb", "c", "d", "1"], ["e", "f", "g\n", "2"]],
    "steers": [["a\x1b[31mb", "c\u202ed", "\x07", "\r"]],
    "blanks": [[" a ", "b ", " c", " 1 "]],
    "spans": [["a", Text.assemble(("b", "bold"), "c"), "d", "1"]],
    "long": [["a word and another " * 9, "b" * 150, "c", "1"]],
}


def shown(table: Table, width: int, *, color: bool) -> str:
    stream = io.StringIO()
    told = {"force_terminal": True, "color_system": "truecolor"} if color else {}
    Terminal(file=stream, width=width, highlight=False, markup=False, emoji=False, **told).print(table)  # type: ignore[arg-type]
    return stream.getvalue()


def made(rows: list[list[RenderableType]]) -> Table:
    table = output.table("Job", "Type", "Status", "Read", right=("Read",), whole=("Job",))
    for row in rows:
        table.add_row(*row)
    return table


def as_rich_does(table: Table) -> Table:
    table.__class__ = Table
    return table


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("rows", ROWS)
def test_it_looks_as_rich_lays_it_out(rows: str, width: int, color: bool) -> None:
    quick, slow = (shown(change(made(ROWS[rows])), width, color=color) for change in (lambda table: table, as_rich_does))
    assert _looks(quick) == _looks(slow)


STYLED: dict[str, Callable[[Table], None]] = {
    "a title": lambda table: setattr(table, "title", "Jobs"),
    "a section": lambda table: table.add_section(),
    "a row": lambda table: table.add_row("a", "b", "c", "d", style="red"),
    "a column": lambda table: setattr(table.columns[1], "style", "red"),
    "a width": lambda table: setattr(table.columns[1], "min_width", 30),
}


@pytest.mark.parametrize("what", STYLED)
def test_what_is_styled_is_laid_out_by_rich(what: str) -> None:
    tables = made(ROWS["plain"]), as_rich_does(made(ROWS["plain"]))
    for table in tables:
        STYLED[what](table)
        table.add_row("after", "it", "x", "1")
    assert len({shown(table, 200, color=True) for table in tables}) == 1


def _looks(text: str) -> list[tuple[str, str]]:
    """Each character with the style it is shown in: how runs of one style are cut makes no difference."""
    looks, style, at = [], "", 0
    while at < len(text):
        if text[at] == "\x1b":
            end = text.index("m", at)
            style, at = text[at + 2 : end], end + 1
            continue
        looks.append((text[at], "" if style == "0" else style))
        at += 1
    return looks
