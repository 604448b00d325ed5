"""The certificate authorities are read once: each of Prefect's clients reads all of them, even where no TLS is spoken.

A run has eight clients, and each takes some 0.025 s of CPU for it. They are read again where their file has changed. What clients
share is what they would all have made alike, and none of them changes it. What is changed for that is Prefect's own: where a
later one does not have it so, nothing is changed.
"""

from __future__ import annotations

import functools
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prefect._internal import version_checking
from prefect.client import orchestration

_CHANGED = "ssl"
_KEPT = 4


def read_authorities_once() -> None:
    """Have Prefect's clients of this process share what they check a server's certificate by. There is no setting for it."""
    for module in (orchestration, version_checking):
        if getattr(module, _CHANGED, None) is ssl:
            setattr(module, _CHANGED, _SHARING)


def _shared(*values: Any, **named: Any) -> ssl.SSLContext:
    """Make a context as Python does, or give the one that was made of the same file; any other way to ask is Python's own."""
    if values or named.keys() != {"cafile"} or named["cafile"] is None:
        return ssl.create_default_context(*values, **named)
    file = Path(named["cafile"]).stat()
    return _read(named["cafile"], file.st_ino, file.st_mtime_ns, file.st_size)


@functools.lru_cache(maxsize=_KEPT)
def _read(cafile: str, *version: int) -> ssl.SSLContext:
    del version
    return ssl.create_default_context(cafile=cafile)


_SHARING = SimpleNamespace(**{**vars(ssl), "create_default_context": _shared})
