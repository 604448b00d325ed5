"""The newest backups of each type as one small picture: a bar for the size of each, a line for how long making it took.

It is an SVG without scripts, links or fonts of its own, in colours that can be told on a light and on a dark page.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from holdfast import figures

if TYPE_CHECKING:
    from holdfast.overview import BackupFacts, TypeOverview

_WIDTH, _HEADER, _ROW = 720, 24, 84
_LEFT, _RIGHT = 150, 8
_TOP, _BARS = 8, 52
_BAR, _DATE = 16.0, 66
"""How wide a bar is at most, and a date below it."""
_TEXT, _PROVEN, _NOT_PROVEN, _BAD, _TOOK = "#787e8a", "#2f9e62", "#4a8fd6", "#d64545", "#d9902f"


def data_uri(types: Sequence[TypeOverview]) -> str:
    """Draw it so that a page can hold it: as the address of an image."""
    return f"data:image/svg+xml;base64,{b64encode(drawn(types).encode()).decode()}"


def drawn(types: Sequence[TypeOverview]) -> str:
    """Draw the types that have backups, one below the other."""
    shown = [one for one in types if one.history]
    height = _HEADER + _ROW * len(shown)
    rows = "".join(
        f'<g transform="translate(0 {_HEADER + _ROW * place})">{"".join(_row(one))}</g>' for place, one in enumerate(shown)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="system-ui,sans-serif" font-size="12" fill="{_TEXT}">{"".join(_legend())}{rows}</svg>'
    )


def _legend() -> Iterator[str]:
    words = (("proven", _PROVEN), ("not proven", _NOT_PROVEN), ("bad", _BAD))
    for place, (word, colour) in enumerate(words):
        at = _LEFT + 100 * place
        yield f'<rect x="{at}" y="4" width="10" height="10" rx="2" fill="{colour}"/><text x="{at + 15}" y="13">{word}</text>'
    at = _LEFT + 100 * len(words)
    yield f'<line x1="{at}" y1="9" x2="{at + 16}" y2="9" stroke="{_TOOK}" stroke-width="2"/>'
    yield f'<text x="{at + 22}" y="13">how long it took</text>'


def _row(one: TypeOverview) -> Iterator[str]:
    """Draw one type: what the newest is on the left, the bars, the line above them, and from when to when."""
    newest, base = one.history[-1], _TOP + _BARS
    yield f'<text x="0" y="24" font-size="14" font-weight="600">{escape(one.type)}</text>'
    yield f'<text x="0" y="42">{figures.size(newest.size_bytes)}</text>'
    yield f'<text x="0" y="58">in {figures.duration(newest.seconds)}</text>'
    yield f'<line x1="{_LEFT}" y1="{base}" x2="{_WIDTH - _RIGHT}" y2="{base}" stroke="{_TEXT}" stroke-opacity="0.5"/>'
    yield from _bars(one.history, base)
    yield _line(one.history, base)
    yield from _dates(one.history, base + 15)


def _dates(history: Sequence[BackupFacts], y: int) -> Iterator[str]:
    """Say below the first bar from when it is, and below the last one, where that is another day."""
    first, last = (f"{one.snapshot_at:%Y-%m-%d}" for one in (history[0], history[-1]))
    yield f'<text x="{_LEFT}" y="{y}" font-size="11">{first}</text>'
    if last == first:
        return
    left = _middle(history, len(history) - 1) - _BAR / 2
    where = f'x="{left:.1f}"' if left + _DATE <= _WIDTH - _RIGHT else f'x="{_WIDTH - _RIGHT}" text-anchor="end"'
    yield f'<text {where} y="{y}" font-size="11">{last}</text>'


def _bars(history: Sequence[BackupFacts], base: int) -> Iterator[str]:
    most = max(one.size_bytes for one in history) or 1
    width = min(_BAR, _step(history) * 0.7)
    for place, one in enumerate(history):
        height = max(1.5, _BARS * one.size_bytes / most)
        where = f'x="{_middle(history, place) - width / 2:.1f}" y="{base - height:.1f}"'
        yield f'<rect {where} width="{width:.1f}" height="{height:.1f}" rx="1" fill="{_colour(one)}"/>'


def _line(history: Sequence[BackupFacts], base: int) -> str:
    longest = max(one.seconds for one in history) or 1.0
    points = [(_middle(history, place), base - _BARS * one.seconds / longest) for place, one in enumerate(history)]
    if len(points) == 1:
        return f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2.5" fill="{_TOOK}"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{_TOOK}" stroke-width="2" stroke-linejoin="round"/>'


def _middle(history: Sequence[BackupFacts], place: int) -> float:
    return _LEFT + _step(history) * (place + 0.5)


def _step(history: Sequence[BackupFacts]) -> float:
    """How wide the place of one backup is; few of them stand on the left, and leave room for those to come."""
    return (_WIDTH - _LEFT - _RIGHT) / max(10, len(history))


def _colour(one: BackupFacts) -> str:
    if one.bad:
        return _BAD
    return _PROVEN if one.level == "proven" else _NOT_PROVEN
