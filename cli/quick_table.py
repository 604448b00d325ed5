"""A table that lays out a thousand rows at once where every cell is one line and all fit side by side; else as rich does it.

It looks the same either way: rich measures and wraps each cell by itself, which takes most of the time of a long list.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

_GAP = "  "  # the padding of a cell, and the box's divider


class QuickTable(Table):
    """What `output.table` makes; whoever styles a column or a row has it laid out by rich."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = None if self._is_styled() else [_cells(column) for column in self.columns]
        if not columns or not all(columns):
            return super().__rich_console__(console, options)
        cells = [column for column in columns if column is not None]
        widths = [max(width for _, _, width in column) for column in cells]
        if sum(widths) + len(_GAP) * (len(widths) - 1) > options.max_width:
            return super().__rich_console__(console, options)
        return self._lines(console, cells, widths)

    def _is_styled(self) -> bool:
        if self.title or self.caption or self.expand or self.row_styles or self.box is None:
            return True
        return any(row.style or row.end_section for row in self.rows) or any(map(_is_styled, self.columns))

    def _lines(self, console: Console, columns: list[list[_Cell]], widths: list[int]) -> Iterator[Segment]:
        border, head = console.get_style(self.border_style or ""), console.get_style(self.header_style or "")
        new_line, pad, divider = Segment.line(), Segment(_GAP[:1]), Segment(_GAP[1:], border)
        to_the_right = [column.justify == "right" for column in self.columns]
        for number, row in enumerate(zip(*columns, strict=True)):
            for place, (text, style, width) in enumerate(row):
                if place:
                    yield pad if number else Segment(pad.text, head)
                    yield divider
                blank = Segment(" " * (widths[place] - width), None if number else head)
                own = Segment(text, console.get_style(style) if number else head)
                yield from (blank, own) if to_the_right[place] else (own, blank)
            yield new_line
            if not number:
                yield Segment("─" * (sum(widths) + len(_GAP) * (len(widths) - 1)), border)
                yield new_line


_Cell = tuple[str, str | Style, int]


def _cells(column: Column) -> list[_Cell] | None:
    """The column's cells, its header first, with style and width; None where one is more than a line of text."""
    found = []
    for one in (column.header, *column.cells):
        cell = _cell(one)
        if cell is None:
            return None
        found.append(cell)
    return found


def _cell(one: RenderableType) -> _Cell | None:
    text, style = (one.plain, one.style) if isinstance(one, Text) and not one.spans else (one, "")
    if not isinstance(text, str) or not text.isprintable() or text != text.strip():
        return None
    return text, style, cell_len(text)


def _is_styled(column: Column) -> bool:
    fixed = (column.width, column.min_width, column.max_width, column.ratio)
    return bool(column.style or column.header_style) or any(one is not None for one in fixed)
