"""Folders with everything in them that a file system can hold, and what is seen of a folder, for comparing two."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

ODD_NAMES = [
    b"plain.txt",
    b"two words ",
    b"-rf",
    b"--checkpoint=1",
    b"quo'te\"s",
    b"new\nline",
    b"tab\tand\\backslash",
    b"caf\xc3\xa9",
    b"latin-1 \xe9\xff",
    b"*?[a]",
    b".hidden",
    b"..two dots",
    b"n" * 255,
    "ü".encode() * 60,
]


def make_tree(root: Path) -> Path:
    """Make a folder with odd names, modes, links, empty things and a file that is too large for memory's share."""
    root.mkdir(mode=0o755)
    for number, name in enumerate(ODD_NAMES):
        (root / os.fsdecode(name)).write_bytes(b"content %d\n" % number)
    deep = root
    for _ in range(6):
        deep = deep / ("deep" * 20)
        deep.mkdir()
    (deep / "bottom.ts").write_text("export {}\n")
    (root / "empty").mkdir(mode=0o700)
    (root / "nothing").touch()
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o750)
    (root / "large.bin").write_bytes(bytes(range(256)) * (5 << 12) + b"end")
    (root / "read-only").mkdir()
    (root / "read-only" / "file").write_text("x")
    (root / "read-only" / "file").chmod(0o400)
    (root / "read-only").chmod(0o555)
    (root / "link").symlink_to("plain.txt")
    (root / "link to a folder").symlink_to("deep" * 20)
    os.symlink("./..//no/where/" + "x" * 200, root / "link to nowhere")  # noqa: PTH211  pathlib would tidy the text
    (root / "link out").symlink_to("/etc")
    (root / "odd target").symlink_to(os.fsdecode(b"latin \xe9\n"))
    for path in (root / "nothing", root / "empty", root / "link"):
        os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789), follow_symlinks=False)
    os.utime(root / "run.sh", ns=(0, -1_500_000_000))
    return root


def seen(root: Path, *, times: bool = True) -> dict[bytes, tuple[object, ...]]:
    """Return all that a user could see of a folder's content, by path."""
    return {
        os.fsencode(path.relative_to(root)): (*_look(path), path.lstat().st_mtime_ns if times else 0) for path in root.rglob("*")
    }


def _look(path: Path) -> tuple[object, ...]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return ("link", os.readlink(path))  # noqa: PTH115  pathlib would tidy the text
    if stat.S_ISDIR(mode):
        return ("folder", stat.S_IMODE(mode))
    return ("file", stat.S_IMODE(mode), hashlib.sha256(path.read_bytes()).hexdigest())
