"""However many threads a process has, few arenas hold its memory, and what one thread frees the others can use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROBE = """
import ctypes, sys, threading

def arenas():
    # Have eight threads ask for memory at once, and tell how many arenas there are.
    libc = ctypes.PyDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.open_memstream.restype, libc.open_memstream.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p]
    libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
    together = threading.Barrier(8)

    def ask():
        together.wait()
        libc.malloc(100_000)
        together.wait()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    stream = libc.open_memstream(ctypes.byref(text), ctypes.byref(size))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    return text.value.count(b"<heap nr=")

"""
COMMAND = """
sys.argv = ["holdfast", "repo", "--help"]
from cli.main import main
try:
    main()
except SystemExit:
    print(arenas(), file=sys.stderr)
"""
FLOW = "import orchestration.tasks; print(arenas(), file=sys.stderr)"
NOBODY = "print(arenas(), file=sys.stderr)"


def arenas_of(program: str, **environment: str) -> int:
    """Run a program and tell how many arenas it had in the end."""
    clean = {name: value for name, value in os.environ.items() if name not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")}
    done = subprocess.run(
        [sys.executable, "-c", PROBE + program], env=clean | environment, capture_output=True, text=True, check=True
    )
    return int(done.stderr.splitlines()[-1])


def test_without_it_threads_have_arenas_of_their_own() -> None:
    assert arenas_of(NOBODY) > 2


@pytest.mark.parametrize("program", [COMMAND, FLOW], ids=["a command", "a flow run"])
def test_all_threads_share_two_arenas(program: str) -> None:
    assert arenas_of(program) == 2


def test_whoever_asks_glibc_for_another_number_gets_that() -> None:
    assert arenas_of(COMMAND, MALLOC_ARENA_MAX="5") == 5
    assert arenas_of(COMMAND, GLIBC_TUNABLES="glibc.malloc.check=0:glibc.malloc.arena_max=4") == 4
