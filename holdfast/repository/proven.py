"""Reading an object and proving that it is what it should be, twice before it is called damaged: the first time it may have
been the way here that changed it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from holdfast.storage import Storage

T = TypeVar("T")


def read_proven(storage: Storage, name: str, prove: Callable[[bytes], T]) -> T:
    """Return what `prove` makes of the object. Raises ObjectNotFoundError, and the ValueError of `prove` when it fails twice."""
    try:
        return prove(storage.get(name))
    except ValueError:
        return prove(storage.get(name))
