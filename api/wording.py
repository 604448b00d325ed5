"""What goes outside of an error: its words, without any secret that is known, and of a file its name but not where it lies."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from orchestration.masking import masked


def for_outside(text: str) -> str:
    """Return a text as it may be answered."""
    return _paths().sub(lambda found: "…/" + found[0].rstrip("/").rpartition("/")[2], masked(text))


@lru_cache(maxsize=1)
def _paths() -> re.Pattern[str]:
    """Find paths of this host by the folders at its root: what begins with another is none of it, such as the path of a URL."""
    tops = "|".join(re.escape(one.name) for one in Path("/").iterdir())
    return re.compile(rf"(?:file://|(?<![\w/.:-]))/(?:{tops})(?![\w-])[^\s'\"`,;:()<>\[\]{{}}]*")
