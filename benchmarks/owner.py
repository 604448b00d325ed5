"""The user that a PostgreSQL server runs as: it refuses root, and nobody else may read its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def as_owner(of: Path, command: Sequence[str]) -> tuple[str, ...]:
    """The command as the user whom a file or folder belongs to, where root asks; else as it is."""
    if os.geteuid() != 0:
        return tuple(command)
    owner = of.stat()
    return ("setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", *command)


def give(folder: Path, like: Path) -> None:
    """Have a folder belong to whom another one belongs, where root asks."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
