"""Reading an object and proving that it is what it should be, twice before it is called damaged: the first time it may have
been the way here that changed it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from holdfast.errors import DamagedError
from holdfast.storage import Storage

FILE_BYTES_MAX = 1 << 20  # of repository.json and a key file, which are read before anything is proven

T = TypeVar("T")


def read_proven(storage: Storage, name: str, prove: Callable[[bytes], T], *, bytes_max: int | None = None) -> T:
    """Return what `prove` makes of the object. Raises ObjectNotFoundError, and the ValueError of `prove` when it fails twice."""

    def read() -> bytes:
        return storage.get(name) if bytes_max is None else read_bounded(storage, name, bytes_max)

    try:
        return prove(read())
    except ValueError:
        return prove(read())


def read_bounded(storage: Storage, name: str, bytes_max: int) -> bytes:
    """Read an object that somebody else may have put there. Raises ValueError for one that is larger than it may be.

    As a stream, whose bytes are counted as they come: a range would be as long as the storage pleases, once it is in memory.
    """
    data = bytearray()
    try:
        for part in storage.stream(name):
            data += part
            if len(data) > bytes_max:
                raise ValueError(f"it is larger than the {bytes_max} bytes that it may have")
    except DamagedError as error:
        raise ValueError(error.message) from error  # the storage itself saw that what came is not what it holds
    return bytes(data)
