"""When Python looks for garbage in this process: hardly while modules are imported, for what they make lasts, and seldom after.

The rule: whoever starts a process says `look_hardly` before it imports much, and what is imported last says `keep_what_is_there`;
where nothing does, the first search does what it can. A search goes through all that was made since the last one, and imports
make a quarter of a million objects.
"""

from __future__ import annotations

import gc
from typing import Any

_WHILE_IMPORTING = 400_000
_AT_WORK = 50_000
"""How many objects more than before are made until garbage is looked for."""


def look_hardly() -> None:
    """Look for garbage only where far more is made than imports make."""
    gc.set_threshold(_WHILE_IMPORTING, 20, 20)
    if _from_now_on not in gc.callbacks:
        gc.callbacks.append(_from_now_on)


def keep_what_is_there() -> None:
    """Never look at what exists now, and from now on look seldom: for a process that has imported what it needs."""
    gc.freeze()
    gc.set_threshold(_AT_WORK, 20, 20)


def _from_now_on(phase: str, _: dict[str, Any]) -> None:
    """After the first search look as often as at work: a server that imports no flow lives long, too."""
    if phase == "stop":
        gc.callbacks.remove(_from_now_on)
        gc.set_threshold(_AT_WORK, 20, 20)
