"""A console that shows what others have named as text: nothing of it steers the terminal of whoever looks.

A token's holder chooses a plan's id, and whoever works with a database its tables; both stand in our lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_STEERS = re.compile("[\0-\b\v-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and newline, and those that have text read from right to left."""


class Terminal(Console):
    """A console. What moves its cursor or colours its text comes from rich, and from nowhere else."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, with a replacement character for each that would steer."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(_STEERS.sub("\N{REPLACEMENT CHARACTER}", one.text), one.style)
