"""How this process gets its memory: by two arenas, where glibc would give each thread one of its own.

What a thread has freed stays in its arena, and no other thread finds it there: threads that pass chunks of a mebibyte on leave
holes that add up. The rule: whoever starts a process that works on backups asks for this, before there are many threads
(docs/decisions/0014-memory.md).
"""

from __future__ import annotations

import os

ARENAS = 2
_M_ARENA_MAX = -8  # malloc.h of glibc
_ASKED_OTHERWISE = ("MALLOC_ARENA_MAX", "glibc.malloc.arena_max")


def share_arenas() -> None:
    """Ask glibc to have all threads share a few arenas.

    Nothing is done where another C library allocates, or where the environment asks glibc for another number.
    """
    given = (*os.environ, *os.environ.get("GLIBC_TUNABLES", "").replace(":", "=").split("="))
    if any(name in given for name in _ASKED_OTHERWISE):
        return
    try:
        import ctypes

        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  what only glibc has: another's mallopt may mean something else
        library.mallopt(_M_ARENA_MAX, ARENAS)
    except (ImportError, OSError, AttributeError, TypeError):
        return  # there is no such library, or it allocates otherwise
