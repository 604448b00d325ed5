"""How this process gets its memory: by two arenas, where glibc would give each thread one of its own.

What a thread has freed stays in its arena, and no other thread finds it there: threads that pass chunks of a mebibyte on leave
holes that add up. The rule: whoever starts a process that works on backups asks for this, before there are many threads
(docs/decisions/0015-memory.md).
"""

from __future__ import annotations

import os

ARENAS = 2
_M_ARENA_MAX = -8  # malloc.h of glibc
_ASKED_OTHERWISE = ("MALLOC_ARENA_MAX", "glibc.malloc.arena_max")


def share_arenas() -> bool:
    """Have all threads share a few arenas, and tell whether that is in force.

    Nothing is done where another C library allocates, or where the environment asks glibc for another number.
    """
    given = (*os.environ, *os.environ.get("GLIBC_TUNABLES", "").replace(":", "=").split("="))
    if any(name in given for name in _ASKED_OTHERWISE):
        return False
    try:
        import ctypes  # here, for a look at the command's help needs none

        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  what only glibc has: another's mallopt may mean something else
        return bool(library.mallopt(_M_ARENA_MAX, ARENAS))
    except (ImportError, OSError, AttributeError, TypeError):
        return False
